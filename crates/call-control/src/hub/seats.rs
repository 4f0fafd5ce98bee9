//! Limits the number of open sockets of each user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ids::UserId;

/// Counter of open sockets. Cheap to clone; all clones share one count.
#[derive(Clone, Default)]
pub struct Seats {
    taken: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// Permit for one open socket; dropping it frees the place.
pub struct Seat {
    seats: Seats,
    user: UserId,
}

impl Seats {
    /// Takes one place. `None` if the user has `most` sockets already.
    pub fn take(&self, user: UserId, most: usize) -> Option<Seat> {
        let mut taken = self.lock();
        let of_user = taken.get(&user).copied().unwrap_or_default();
        if of_user >= most {
            return None;
        }
        taken.insert(user, of_user + 1);
        Some(Seat { seats: self.clone(), user })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        // Each change is a single insert or remove, so a poisoned map is still consistent.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        match taken.get_mut(&self.user) {
            Some(of_user) if *of_user > 1 => *of_user -= 1,
            Some(_) | None => {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::hub::seats::*;

    #[test]
    fn everybody_has_so_many_seats_and_gets_them_back() {
        let seats = Seats::default();
        let (alice, bob) = (UserId::random(), UserId::random());
        let first = seats.take(alice, 2).unwrap();
        let second = seats.take(alice, 2).unwrap();
        assert!(seats.take(alice, 2).is_none());
        assert!(seats.take(bob, 2).is_some());
        drop(first);
        let third = seats.take(alice, 2);
        assert!(third.is_some() && seats.take(alice, 2).is_none());
        drop((second, third));
        assert!(seats.lock().is_empty());
    }
}
