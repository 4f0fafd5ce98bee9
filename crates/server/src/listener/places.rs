//! How many connections there may be, per address and in all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use switchyard_call_control::carriers::http::Connection;

use super::pace::Pace;

/// The connections there are.
pub(crate) struct Places {
    limits: Limits,
    taken: Mutex<Taken>,
    refused: AtomicU64,
    evicted: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) in_all: usize,
    /// Connections from one address. Loopback addresses are not limited: behind them may be a proxy.
    pub(crate) per_address: usize,
}

/// For operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) open: usize,
    /// Connections closed at once, because there were too many that could not be closed instead.
    pub(crate) refused: u64,
    /// Idle connections closed to make room.
    pub(crate) evicted: u64,
}

#[derive(Default)]
struct Taken {
    by_number: HashMap<u64, Entry>,
    by_address: HashMap<IpAddr, usize>,
    next: u64,
}

struct Entry {
    address: IpAddr,
    connection: Connection,
    pace: Arc<Pace>,
}

/// One connection's place; dropping it frees the place.
pub(super) struct Place {
    number: u64,
    places: Arc<Places>,
}

impl Places {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        let (taken, refused, evicted) = Default::default();
        Arc::new(Self { limits, taken, refused, evicted })
    }

    pub(crate) fn counts(&self) -> Counts {
        let open = self.lock().by_number.len();
        let (refused, evicted) = (self.refused.load(Ordering::Relaxed), self.evicted.load(Ordering::Relaxed));
        Counts { open, refused, evicted }
    }

    /// A place for a new connection. Where all are taken, connections that wait for a request are closed, the longest
    /// waiting first; `None` if there are none.
    pub(super) fn take(
        self: &Arc<Self>,
        address: IpAddr,
        connection: Connection,
        pace: Arc<Pace>,
    ) -> Option<Place> {
        let address = address.to_canonical();
        let mut taken = self.lock();
        let of_address = taken.by_address.get(&address).copied().unwrap_or_default();
        let crowded = !address.is_loopback() && of_address >= self.limits.per_address;
        if crowded || taken.by_number.len() >= self.limits.in_all {
            let evicted = taken.evict(crowded.then_some(address));
            self.evicted.fetch_add(evicted as u64, Ordering::Relaxed);
            if evicted == 0 {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        }
        let number = taken.next;
        taken.next += 1;
        taken.by_number.insert(number, Entry { address, connection, pace });
        *taken.by_address.entry(address).or_default() += 1;
        Some(Place { number, places: Arc::clone(self) })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Each change is complete before anything can panic, so a poisoned table is still consistent.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Closes the longest waiting connections, of this address or of all; returns their number.
    fn evict(&mut self, of: Option<IpAddr>) -> usize {
        let of_address = |entry: &Entry| of.is_none_or(|address| entry.address == address);
        let mut idle: Vec<_> = self
            .by_number
            .iter()
            .filter(|(_, entry)| of_address(entry))
            .filter_map(|(&number, entry)| Some((entry.pace.idle_since()?, number)))
            .collect();
        idle.sort_unstable();
        idle.truncate(EVICTED_AT_ONCE);
        for &(_, number) in &idle {
            if let Some(entry) = self.remove(number) {
                entry.connection.close();
            }
        }
        idle.len()
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.by_number.remove(&number)?;
        match self.by_address.get_mut(&entry.address) {
            Some(of_address) if *of_address > 1 => *of_address -= 1,
            Some(_) | None => {
                self.by_address.remove(&entry.address);
            }
        }
        Some(entry)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(self.number);
    }
}

/// Raises the soft limit of open files to the hard one, and returns how many connections that leaves room for: some
/// descriptors are kept back for the database, the media sockets and the log.
pub(crate) fn raise_descriptor_limit() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return FEW };
    let raised = hard.min(ENOUGH);
    let limit = if raised > soft && setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok() {
        tracing::info!("raised the limit of open files from {soft} to {raised}");
        raised
    } else {
        soft
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    limit.saturating_sub(KEPT_BACK.min(limit / 2))
}

/// Closing several at once keeps a flood of connections from searching all of them again and again.
const EVICTED_AT_ONCE: usize = 16;
/// Descriptors for everything but connections.
const KEPT_BACK: usize = 192;
/// More open files than any server uses: some systems have no limit.
const ENOUGH: u64 = 1 << 20;
/// Connections, where the limit of open files is unknown.
const FEW: usize = 512;
