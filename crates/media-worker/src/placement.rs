//! Chooses the worker for a transport, and encodes the worker in ids.

use crate::load::Load;
use uuid::Uuid;

/// A random id that contains its worker's number: 106 bits are random, the last 16 are the worker's number.
pub(crate) fn mint(worker: usize) -> Uuid {
    let mut bytes = Uuid::new_v4().into_bytes();
    bytes[14..].copy_from_slice(&(worker as u16).to_be_bytes());
    Uuid::from_bytes(bytes)
}

/// The worker number in an id. Clients send ids too, so a worker with this number may not exist.
pub(crate) fn worker_of(id: Uuid) -> usize {
    let bytes = id.into_bytes();
    usize::from(u16::from_be_bytes([bytes[14], bytes[15]]))
}

/// A worker's state, as placement uses it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Standing {
    pub(crate) worker: usize,
    pub(crate) transports: usize,
    /// The share of time that the worker is busy, 0 to 1.
    pub(crate) busy: f64,
    /// The worker already has a shard of the call's router.
    pub(crate) near: bool,
}

impl Standing {
    pub(crate) fn of(worker: usize, load: &Load, near: bool) -> Self {
        Self { worker, transports: load.transports(), busy: load.busy(), near }
    }
}

/// The worker for a call's next transport. A worker that already has a shard of the call is preferred while
/// it has room and not many more transports than the others, so that small calls need no relay and large ones
/// spread. Otherwise the worker with room and the fewest transports; if none has room, the least busy one.
pub(crate) fn choose(standings: &[Standing]) -> Option<usize> {
    let with_room = || standings.iter().filter(|it| it.busy < ROOM_BELOW);
    let fewest = with_room().min_by_key(|it| it.transports);
    let Some(fewest) = fewest else {
        return standings.iter().min_by(|a, b| a.busy.total_cmp(&b.busy)).map(|it| it.worker);
    };
    let near = with_room().filter(|it| it.near).min_by_key(|it| it.transports);
    let near = near.filter(|near| near.transports < fewest.transports + AHEAD);
    Some(near.unwrap_or(fewest).worker)
}

/// Share of busy time at which a worker has no room; the rest is reserved for bursts.
const ROOM_BELOW: f64 = 0.7;
/// How many more transports than the emptiest worker a call's worker may have before the call spreads: those
/// of eight participants.
const AHEAD: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_worker_and_is_unlike_any_other() {
        let (a, b) = (mint(513), mint(513));
        assert_ne!(a, b);
        assert_eq!((worker_of(a), worker_of(b)), (513, 513));
        assert_eq!(a.get_version_num(), 4);
    }

    #[test]
    fn a_small_call_stays_together_and_a_large_one_spreads_evenly() {
        let mut standings = [standing(0, 0, 0.0), standing(1, 0, 0.0), standing(2, 0, 0.0)];
        for transport in 0..300 {
            let chosen = choose(&standings).unwrap();
            assert!(transport >= AHEAD || chosen == 0, "transport {transport} on worker {chosen}");
            standings[chosen].transports += 1;
            standings[chosen].near = true;
        }
        let counts = standings.map(|it| it.transports);
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= AHEAD, "{counts:?}");
    }

    #[test]
    fn another_call_goes_where_there_is_least() {
        assert_eq!(choose(&[standing(0, 9, 0.2), standing(1, 2, 0.1)]), Some(1));
    }

    #[test]
    fn a_busy_worker_is_passed_over_however_few_transports_it_has() {
        let near = Standing { near: true, ..standing(0, 1, 0.71) };
        assert_eq!(choose(&[near, standing(1, 10, 0.3)]), Some(1));
        assert_eq!(choose(&[standing(0, 1, 0.95), standing(1, 10, 0.9)]), Some(1), "none has room");
    }

    fn standing(worker: usize, transports: usize, busy: f64) -> Standing {
        Standing { worker, transports, busy, near: false }
    }
}
