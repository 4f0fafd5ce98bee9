//! The sockets that have not shown a token yet: bounded per address and in all, the oldest goes first.

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

/// The sockets not admitted yet, and the Engine.IO sessions by their ids. All clones are one table.
#[derive(Clone, Default)]
pub(crate) struct Strangers {
    table: Arc<Table>,
}

/// One socket from its handshake on. It is a stranger until [`Self::admit`], and forgotten when the last clone
/// is dropped: the request that opened the socket has one among its extensions.
#[derive(Clone)]
pub(crate) struct Stranger(Arc<Inner>);

#[derive(Default)]
struct Table {
    waiting: Mutex<Waiting>,
    /// Engine.IO sessions that began with polling, by session id, admitted or not.
    sessions: Mutex<HashMap<Box<str>, Weak<Inner>>>,
    evicted: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    /// By arrival.
    by_number: BTreeMap<u64, Entry>,
    by_address: HashMap<IpAddr, BTreeMap<u64, ()>>,
    next: u64,
}

struct Entry {
    address: Option<IpAddr>,
    since: Instant,
    stranger: Weak<Inner>,
}

struct Inner {
    number: u64,
    table: Weak<Table>,
    /// The TCP connections that belong to it alone.
    connections: Mutex<Vec<Connection>>,
    session: OnceLock<Session>,
}

/// An Engine.IO session without a connection of its own.
struct Session {
    id: Box<str>,
    close: Box<dyn Fn() + Send + Sync>,
}

impl Strangers {
    /// A socket whose handshake has just come. If there are too many strangers, of this address or in all, the
    /// oldest of them is closed.
    pub(crate) fn enter(&self, address: Option<IpAddr>) -> Stranger {
        let counted = address.filter(|address| !address.is_loopback());
        let mut waiting = self.table.waiting();
        let number = waiting.next;
        waiting.next += 1;
        let inner = Arc::new(Inner {
            number,
            table: Arc::downgrade(&self.table),
            connections: Mutex::default(),
            session: OnceLock::new(),
        });
        let entry = Entry { address: counted, since: Instant::now(), stranger: Arc::downgrade(&inner) };
        waiting.by_number.insert(number, entry);
        if let Some(address) = counted {
            waiting.by_address.entry(address).or_default().insert(number, ());
        }
        let evicted = waiting.evict(counted);
        drop(waiting);
        self.end(evicted);
        Stranger(inner)
    }

    /// The socket that an Engine.IO session id belongs to.
    pub(crate) fn session(&self, id: &str) -> Option<Stranger> {
        self.table.sessions().get(id)?.upgrade().map(Stranger)
    }

    /// Closes every socket that has been a stranger for longer than [`PATIENCE`].
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        let mut waiting = self.table.waiting();
        let mut expired = Vec::new();
        while let Some((&number, entry)) = waiting.by_number.first_key_value()
            && now.duration_since(entry.since) > PATIENCE
        {
            expired.extend(waiting.remove(number));
        }
        drop(waiting);
        self.end(expired);
    }

    pub(crate) fn is_gone(&self) -> bool {
        Arc::strong_count(&self.table) == 1
    }

    /// Sockets closed as strangers, since start.
    pub(crate) fn evicted(&self) -> u64 {
        self.table.evicted.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self) -> usize {
        self.table.waiting().by_number.len()
    }

    fn end(&self, strangers: Vec<Weak<Inner>>) {
        self.table.evicted.fetch_add(strangers.len() as u64, Ordering::Relaxed);
        for stranger in strangers.into_iter().filter_map(|stranger| stranger.upgrade()) {
            stranger.end();
        }
    }
}

impl Stranger {
    /// The socket has shown a good token.
    pub(crate) fn admit(&self) {
        if let Some(table) = self.0.table.upgrade() {
            table.waiting().remove(self.0.number);
        }
        self.0.connections().drain(..).for_each(|connection| connection.unlimit());
    }

    pub(crate) fn is_admitted(&self) -> bool {
        let table = self.0.table.upgrade();
        !table.is_some_and(|table| table.waiting().by_number.contains_key(&self.0.number))
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
    pub(crate) fn has_session(&self, id: &str, close: impl Fn() + Send + Sync + 'static) {
        let session = Session { id: id.into(), close: Box::new(close) };
        if let Some(table) = self.0.table.upgrade()
            && self.0.session.set(session).is_ok()
        {
            table.sessions().insert(id.into(), Arc::downgrade(&self.0));
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
        table.waiting().remove(self.number);
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
    fn remove(&mut self, number: u64) -> Option<Weak<Inner>> {
        let Entry { address, stranger, .. } = self.by_number.remove(&number)?;
        if let Some(address) = address
            && let Some(of_address) = self.by_address.get_mut(&address)
        {
            of_address.remove(&number);
            if of_address.is_empty() {
                self.by_address.remove(&address);
            }
        }
        Some(stranger)
    }

    /// Removes the oldest of what is too much.
    fn evict(&mut self, address: Option<IpAddr>) -> Vec<Weak<Inner>> {
        let of_address = address.and_then(|address| self.by_address.get(&address));
        let oldest_of_address = of_address
            .filter(|of_address| of_address.len() > PER_ADDRESS)
            .and_then(|of_address| of_address.first_key_value().map(|(&number, ())| number));
        let oldest = self.by_number.first_key_value().map(|(&number, _)| number);
        let oldest = oldest.filter(|_| self.by_number.len() > IN_ALL);
        let too_many: Vec<u64> = oldest_of_address.or(oldest).into_iter().collect();
        too_many.into_iter().filter_map(|number| self.remove(number)).collect()
    }
}

impl fmt::Debug for Strangers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strangers").field("waiting", &self.count()).finish()
    }
}

/// The carriers themselves let a socket without a token go earlier, and say why. This is for those that go on
/// trying tokens.
const PATIENCE: Duration = Duration::from_secs(5);
/// Strangers of one address. They are strangers for two round trips.
const PER_ADDRESS: usize = 128;
/// Strangers in all: each takes some 10 KiB, most of it inside the libraries.
const IN_ALL: usize = 512;
/// What may be read from a stranger's WebSocket: a frame of 16 KiB, with what is around it.
const BYTES: usize = 24 * 1024;
/// A session that changes from polling to a WebSocket has one connection of its own.
const CONNECTIONS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn own(strangers: &Strangers, address: &str) -> (Stranger, Connection) {
        let (stranger, connection) = (strangers.enter(address.parse().ok()), Connection::new());
        stranger.own(&connection);
        (stranger, connection)
    }

    #[tokio::test]
    async fn the_oldest_stranger_of_an_address_makes_room_for_the_next() {
        let strangers = Strangers::default();
        let other = own(&strangers, "203.0.113.8");
        let mut of_address: Vec<_> = (0..PER_ADDRESS).map(|_| own(&strangers, "203.0.113.7")).collect();
        of_address[0].0.admit();
        of_address.push(own(&strangers, "203.0.113.7"));
        assert!(of_address.iter().all(|(_, connection)| !connection.closed().is_cancelled()));
        of_address.push(own(&strangers, "203.0.113.7"));
        let closed = |(_, connection): &(Stranger, Connection)| connection.closed().is_cancelled();
        assert_eq!(of_address.iter().map(closed).filter(|closed| *closed).count(), 1);
        assert!(closed(&of_address[1]) && !closed(&other));
        assert_eq!(strangers.evicted(), 1);
    }

    #[tokio::test]
    async fn strangers_of_many_addresses_are_bounded_in_all() {
        let strangers = Strangers::default();
        let all: Vec<_> = (0..IN_ALL + 50)
            .map(|number| own(&strangers, &format!("10.0.{}.{}", number / 250, number % 250)))
            .collect();
        assert_eq!(strangers.count(), IN_ALL);
        assert!(all.iter().take(50).all(|(_, connection)| connection.closed().is_cancelled()));
        assert!(all.iter().skip(50).all(|(_, connection)| !connection.closed().is_cancelled()));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stays_a_stranger_is_closed_in_time() {
        let strangers = Strangers::default();
        let (early, late) = (own(&strangers, "::1"), own(&strangers, "::1"));
        early.0.admit();
        tokio::time::advance(PATIENCE + Duration::from_millis(1)).await;
        let fresh = own(&strangers, "::1");
        strangers.expire();
        assert!(late.1.closed().is_cancelled());
        assert!(!early.1.closed().is_cancelled() && !fresh.1.closed().is_cancelled());
    }

    #[tokio::test]
    async fn a_stranger_may_send_little_and_nothing_is_kept_of_one_that_is_gone() {
        let strangers = Strangers::default();
        let (stranger, connection) = own(&strangers, "203.0.113.7");
        stranger.has_session("abc", || ());
        assert!(connection.spend(BYTES) && !connection.spend(1));
        stranger.admit();
        assert!(connection.spend(1 << 30));
        assert!(strangers.session("abc").is_some_and(|found| found.is_admitted()));
        drop(stranger);
        assert!(strangers.session("abc").is_none() && strangers.count() == 0);
        assert!(strangers.table.sessions().is_empty() && strangers.table.waiting().by_address.is_empty());
    }
}
