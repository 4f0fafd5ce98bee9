//! The sockets that have not shown a token yet: bounded per address and in all, and the oldest is closed first.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::Connection;
use crate::error::Refusal;

/// The sockets not admitted yet, and the Engine.IO sessions by their ids. All clones are one table.
#[derive(Clone, Default)]
pub(crate) struct Strangers {
    table: Arc<Table>,
}

/// A socket from its handshake on. It is a stranger until [`Self::admit`]. The request that opened the socket has a
/// clone among its extensions.
#[derive(Clone)]
pub(crate) struct Visitor(Arc<Inner>);

#[derive(Default)]
struct Table {
    waiting: Mutex<Waiting>,
    /// Engine.IO sessions by their ids, admitted or not.
    sessions: Mutex<HashMap<Box<str>, Weak<Inner>>>,
    evicted: AtomicU64,
    refused: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    /// By arrival: strangers, and for [`PATIENCE`] those that are closed without having been admitted, because the
    /// Socket.IO library keeps their memory for about as long.
    by_number: BTreeMap<u64, Entry>,
    by_address: HashMap<Option<IpAddr>, usize>,
    /// The strangers that are not closed.
    open: BTreeMap<u64, Weak<Inner>>,
    next: u64,
}

struct Entry {
    /// `None` for loopback and unknown addresses, which are counted together.
    address: Option<IpAddr>,
    since: Instant,
}

struct Inner {
    number: u64,
    table: Weak<Table>,
    /// The TCP connections that belong to it alone, the newest last.
    connections: Mutex<Vec<Connection>>,
    session: OnceLock<Session>,
}

/// An Engine.IO session, whose requests may come over any connection.
struct Session {
    id: Box<str>,
    close: Box<dyn Fn() + Send + Sync>,
}

/// For operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrangerCounts {
    /// Sockets that have not shown a token yet.
    pub open: usize,
    /// Sockets closed because they showed no token in time, or to make room for others; since start.
    pub evicted: u64,
    /// Handshakes refused; since start.
    pub refused: u64,
}

impl Strangers {
    /// Registers the socket of a handshake. With too many strangers open, the oldest of them is closed.
    ///
    /// # Errors
    /// `rate_limited` if too many strangers have come from this address, or in all, within [`PATIENCE`].
    pub(crate) fn enter(&self, address: Option<IpAddr>) -> Result<Visitor, Refusal> {
        let address = address.map(|address| address.to_canonical()).filter(|address| !address.is_loopback());
        let mut waiting = self.table.waiting();
        if !waiting.has_room(address) {
            self.table.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Refusal::rate_limited(RETRY_AFTER));
        }
        let number = waiting.next;
        waiting.next += 1;
        let inner = Arc::new(Inner {
            number,
            table: Arc::downgrade(&self.table),
            connections: Mutex::default(),
            session: OnceLock::new(),
        });
        waiting.by_number.insert(number, Entry { address, since: Instant::now() });
        *waiting.by_address.entry(address).or_default() += 1;
        waiting.open.insert(number, Arc::downgrade(&inner));
        let oldest = if waiting.open.len() > OPEN { waiting.open.pop_first() } else { None };
        drop(waiting);
        self.end(oldest.map(|(_, oldest)| oldest));
        Ok(Visitor(inner))
    }

    /// The socket that an Engine.IO session id belongs to.
    pub(crate) fn session(&self, id: &str) -> Option<Visitor> {
        self.table.sessions().get(id)?.upgrade().map(Visitor)
    }

    /// Closes every socket that has been a stranger for longer than [`PATIENCE`].
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        let mut waiting = self.table.waiting();
        let mut expired = Vec::new();
        while let Some((&number, entry)) = waiting.by_number.first_key_value()
            && now.duration_since(entry.since) > PATIENCE
        {
            expired.extend(waiting.open.get(&number).cloned());
            waiting.remove(number);
        }
        drop(waiting);
        self.end(expired);
    }

    pub(crate) fn is_gone(&self) -> bool {
        Arc::strong_count(&self.table) == 1
    }

    pub(crate) fn counts(&self) -> StrangerCounts {
        let open = self.table.waiting().open.len();
        let (evicted, refused) = (&self.table.evicted, &self.table.refused);
        StrangerCounts {
            open,
            evicted: evicted.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
        }
    }

    fn end(&self, strangers: impl IntoIterator<Item = Weak<Inner>>) {
        for stranger in strangers.into_iter().filter_map(|stranger| stranger.upgrade()) {
            self.table.evicted.fetch_add(1, Ordering::Relaxed);
            stranger.end();
        }
    }
}

impl Visitor {
    /// The socket has shown a good token.
    pub(crate) fn admit(&self) {
        if let Some(table) = self.0.table.upgrade() {
            table.waiting().remove(self.0.number);
        }
        self.0.connections().iter().for_each(Connection::unlimit);
    }

    pub(crate) fn is_admitted(&self) -> bool {
        let table = self.0.table.upgrade();
        !table.is_some_and(|table| table.waiting().open.contains_key(&self.0.number))
    }

    /// Closes the socket without a word, as if the network had lost it: so its client comes back.
    pub(crate) fn hang_up(&self) {
        self.0.end();
    }

    /// This connection is the socket's own. Until the socket is admitted, little may be read from it.
    pub(crate) fn own(&self, connection: &Connection) {
        let mut connections = self.0.connections();
        connection.limit(BYTES);
        connections.push(connection.clone());
        if connections.len() > CONNECTIONS {
            connections.remove(0).close();
        }
        drop(connections);
        // It may have been admitted in between.
        if self.is_admitted() {
            self.admit();
        }
    }

    /// This Engine.IO session is the socket's; `close` ends it.
    pub(crate) fn has_session(&self, id: Box<str>, close: impl Fn() + Send + Sync + 'static) {
        let session = Session { id: id.clone(), close: Box::new(close) };
        if let Some(table) = self.0.table.upgrade()
            && self.0.session.set(session).is_ok()
        {
            table.sessions().insert(id, Arc::downgrade(&self.0));
        }
    }
}

impl Inner {
    fn end(&self) {
        self.connections().drain(..).for_each(|connection| connection.close());
        if let Some(session) = self.session.get() {
            (session.close)();
        }
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(table) = self.table.upgrade() else { return };
        table.waiting().open.remove(&self.number);
        if let Some(session) = self.session.get() {
            table.sessions().remove(&session.id);
        }
    }
}

impl Table {
    // Each change is complete before anything can panic, so a poisoned table is still consistent.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Box<str>, Weak<Inner>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn has_room(&self, address: Option<IpAddr>) -> bool {
        let most = if address.is_some() { PER_ADDRESS } else { OF_THIS_MACHINE };
        let of_address = self.by_address.get(&address).copied().unwrap_or_default();
        of_address < most && self.by_number.len() < IN_ALL
    }

    fn remove(&mut self, number: u64) {
        self.open.remove(&number);
        let Some(Entry { address, .. }) = self.by_number.remove(&number) else { return };
        match self.by_address.get_mut(&address) {
            Some(of_address) if *of_address > 1 => *of_address -= 1,
            Some(_) | None => {
                self.by_address.remove(&address);
            }
        }
    }
}

impl fmt::Debug for Strangers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strangers").field("counts", &self.counts()).finish()
    }
}

/// Longer than the time that the carriers give a socket to show a token, so that they can say why they close it. This
/// limit is for clients that try one token after another.
const PATIENCE: Duration = Duration::from_secs(5);
/// Strangers of one address within [`PATIENCE`]. A client is a stranger for about two round trips.
const PER_ADDRESS: usize = 256;
/// The same for loopback addresses, where a proxy may stand for many clients. Each takes some 12 KiB, most of it inside
/// the libraries.
const OF_THIS_MACHINE: usize = 640;
/// The same for all addresses together.
const IN_ALL: usize = 4096;
/// Strangers that are open at the same time.
const OPEN: usize = 512;
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// What may be read from a stranger's WebSocket: a frame of 16 KiB, with what is around it.
const BYTES: usize = 24 * 1024;
/// A session that changes from polling to a WebSocket has one connection of its own.
const CONNECTIONS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn own(strangers: &Strangers, address: &str) -> Option<(Visitor, Connection)> {
        let (stranger, connection) = (strangers.enter(address.parse().ok()).ok()?, Connection::new());
        stranger.own(&connection);
        Some((stranger, connection))
    }

    fn closed((_, connection): &(Visitor, Connection)) -> bool {
        connection.closed().is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_its_share_of_strangers_whether_they_stay_or_go() {
        let strangers = Strangers::default();
        for _ in 0..PER_ADDRESS {
            let stranger = own(&strangers, "203.0.113.7").unwrap();
            // Whoever is admitted counts no longer.
            own(&strangers, "203.0.113.8").unwrap().0.admit();
            drop(stranger);
        }
        assert!(own(&strangers, "203.0.113.7").is_none() && own(&strangers, "::ffff:203.0.113.7").is_none());
        assert!(own(&strangers, "203.0.113.8").is_some());
        assert_eq!(strangers.counts().refused, 2);
        tokio::time::advance(PATIENCE + Duration::from_millis(1)).await;
        strangers.expire();
        assert!(own(&strangers, "203.0.113.7").is_some());
    }

    #[tokio::test]
    async fn the_oldest_stranger_makes_room_for_the_next() {
        let strangers = Strangers::default();
        let address = |number: usize| format!("10.0.{}.{}", number / 100, number % 100);
        let all: Vec<_> = (0..OPEN + 50).map(|number| own(&strangers, &address(number)).unwrap()).collect();
        assert_eq!(strangers.counts(), StrangerCounts { open: OPEN, evicted: 50, refused: 0 });
        assert!(all.iter().take(50).all(closed) && !all.iter().skip(50).any(closed));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stays_a_stranger_is_closed_in_time() {
        let strangers = Strangers::default();
        let (early, late) = (own(&strangers, "::1").unwrap(), own(&strangers, "::1").unwrap());
        early.0.admit();
        tokio::time::advance(PATIENCE + Duration::from_millis(1)).await;
        let fresh = own(&strangers, "::1").unwrap();
        strangers.expire();
        assert!(closed(&late) && !closed(&early) && !closed(&fresh));
    }

    #[tokio::test]
    async fn a_visitor_that_was_admitted_can_still_be_hung_up_on() {
        let strangers = Strangers::default();
        let (visitor, first) = own(&strangers, "203.0.113.7").unwrap();
        let closed = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&closed);
        visitor.has_session("abc".into(), move || {
            told.fetch_add(1, Ordering::Relaxed);
        });
        visitor.admit();
        let second = Connection::new();
        visitor.own(&second);
        assert!(second.spend(1 << 30), "an admitted socket may send much over a second connection too");
        visitor.hang_up();
        assert!(first.closed().is_cancelled() && second.closed().is_cancelled());
        assert_eq!(closed.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_stranger_may_send_little_and_nothing_is_kept_of_one_that_was_admitted() {
        let strangers = Strangers::default();
        let (stranger, connection) = own(&strangers, "203.0.113.7").unwrap();
        stranger.has_session("abc".into(), || ());
        assert!(connection.spend(BYTES) && !connection.spend(1));
        stranger.admit();
        assert!(connection.spend(1 << 30));
        assert!(strangers.session("abc").is_some_and(|found| found.is_admitted()));
        drop(stranger);
        let waiting = strangers.table.waiting();
        assert!(waiting.by_number.is_empty() && waiting.by_address.is_empty() && waiting.open.is_empty());
        assert!(strangers.table.sessions().is_empty());
    }
}
