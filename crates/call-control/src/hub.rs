//! The connected sockets of this process, and the delivery of events to them.

pub mod outbox;
pub mod seats;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outbox::{Backlog, Outbox};
use seats::Seats;

use crate::ids::{CallId, LegId, UserId};
use crate::wire::{Frame, ServerEvent};

/// The recipients of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// All sockets of these users, in a call or not.
    Users(Vec<UserId>),
    /// All sockets of one user.
    User(UserId),
    /// All legs of a call that have a socket.
    Call(CallId),
    CallExcept(CallId, LegId),
    /// The legs of one user in a call.
    CallUser(CallId, UserId),
    Leg(LegId),
    /// A leg, if it is in this call.
    LegOf(CallId, LegId),
    Socket(SocketId),
}

/// The sending half of one socket, implemented by its carrier.
pub trait Outlet: Send + Sync {
    /// Queues one event and returns at once.
    ///
    /// # Errors
    /// [`SlowSocket`] when too much waits for the socket.
    fn send(&self, frame: &Frame) -> Result<(), SlowSocket>;

    /// Disconnects the socket. The hub calls this at most once; it must not block.
    fn close(&self, why: Closing);
}

/// Why the hub closes a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Too much waited for the socket, or for too long.
    TooSlow,
    /// The user's sessions were revoked.
    Revoked,
}

/// The client reads too slowly. A lost event would leave its state wrong, so the socket is closed instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowSocket;

/// Id of a socket in this process, never sent to clients. (A Socket.IO session id would let others act as its
/// owner.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketId(u64);

/// Handle of the hub. Cheap to clone; all clones share one state.
#[derive(Clone, Default)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    sockets: Mutex<Sockets>,
    seats: Seats,
    next_id: AtomicU64,
    backlog: Arc<Backlog>,
}

#[derive(Default)]
struct Sockets {
    by_id: HashMap<SocketId, Connected>,
    by_user: HashMap<UserId, HashSet<SocketId>>,
    by_leg: HashMap<LegId, SocketId>,
    legs_by_call: HashMap<CallId, HashSet<LegId>>,
    /// Who may not send signals in a call.
    silenced: HashMap<CallId, HashSet<UserId>>,
}

struct Connected {
    user: UserId,
    /// `None` once the hub has closed the socket; the entry stays until its carrier unregisters it.
    outlet: Option<Box<dyn Outlet>>,
    leg_by_call: HashMap<CallId, LegId>,
}

impl Hub {
    /// The number of open sockets of each user.
    pub fn seats(&self) -> &Seats {
        &self.shared.seats
    }

    /// The outbox of a new socket.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox::new(Arc::clone(&self.shared.backlog))
    }

    /// Registers a connected socket.
    pub fn register(&self, user: UserId, outlet: Box<dyn Outlet>) -> SocketId {
        let id = SocketId(self.shared.next_id.fetch_add(1, Ordering::Relaxed));
        let mut sockets = self.lock();
        sockets.by_id.insert(id, Connected { user, outlet: Some(outlet), leg_by_call: HashMap::new() });
        sockets.by_user.entry(user).or_default().insert(id);
        id
    }

    /// Removes a closed socket, and returns the legs that were attached to it.
    pub fn unregister(&self, id: SocketId) -> Vec<(CallId, LegId)> {
        let mut sockets = self.lock();
        let Some(gone) = sockets.by_id.remove(&id) else { return Vec::new() };
        remove_from(&mut sockets.by_user, &gone.user, &id);
        for (call, leg) in &gone.leg_by_call {
            sockets.by_leg.remove(leg);
            remove_from(&mut sockets.legs_by_call, call, leg);
        }
        gone.leg_by_call.into_iter().collect()
    }

    /// Attaches a leg to a socket, which then receives the call's events. A leg on another socket moves to
    /// this one. Returns false if the socket is not registered any more.
    pub fn attach(&self, id: SocketId, call: CallId, leg: LegId) -> bool {
        let mut sockets = self.lock();
        if !sockets.by_id.contains_key(&id) {
            return false;
        }
        sockets.detach(call, leg);
        let Some(socket) = sockets.by_id.get_mut(&id) else { return false };
        if let Some(previous) = socket.leg_by_call.insert(call, leg) {
            sockets.by_leg.remove(&previous);
            remove_from(&mut sockets.legs_by_call, &call, &previous);
        }
        sockets.by_leg.insert(leg, id);
        sockets.legs_by_call.entry(call).or_default().insert(leg);
        true
    }

    /// Detaches a leg: it stops receiving the call's events. The socket stays open.
    pub fn detach(&self, call: CallId, leg: LegId) {
        self.lock().detach(call, leg);
    }

    /// Sets whether a user may send signals in a call. Everybody may from the beginning.
    pub fn permit_signals(&self, call: CallId, user: UserId, permitted: bool) {
        let mut sockets = self.lock();
        if permitted {
            remove_from(&mut sockets.silenced, &call, &user);
        } else {
            sockets.silenced.entry(call).or_default().insert(user);
        }
    }

    /// Whether a user may send signals in a call.
    pub fn may_signal(&self, call: CallId, user: UserId) -> bool {
        !self.lock().silenced.get(&call).is_some_and(|silenced| silenced.contains(&user))
    }

    /// Detaches all legs of an ended call.
    pub fn forget_call(&self, call: CallId) {
        let mut sockets = self.lock();
        sockets.silenced.remove(&call);
        for leg in sockets.legs_by_call.remove(&call).unwrap_or_default() {
            sockets.detach(call, leg);
        }
    }

    /// This socket's leg in a call.
    pub fn leg(&self, id: SocketId, call: CallId) -> Option<LegId> {
        self.lock().by_id.get(&id)?.leg_by_call.get(&call).copied()
    }

    /// Whether the leg is attached to this socket, or to none.
    pub fn carries(&self, id: SocketId, leg: LegId) -> bool {
        self.lock().by_leg.get(&leg).is_none_or(|carrier| *carrier == id)
    }

    /// Whether the leg is attached to a socket.
    pub fn is_carried(&self, leg: LegId) -> bool {
        self.lock().by_leg.contains_key(&leg)
    }

    /// All legs that are attached to this socket.
    pub fn legs(&self, id: SocketId) -> Vec<(CallId, LegId)> {
        let sockets = self.lock();
        let Some(socket) = sockets.by_id.get(&id) else { return Vec::new() };
        socket.leg_by_call.iter().map(|(call, leg)| (*call, *leg)).collect()
    }

    /// The sockets that an event for this audience is sent to, for [`Hub::send_to`].
    pub fn reach(&self, audience: &Audience) -> Vec<SocketId> {
        self.lock().audience(audience)
    }

    /// Queues the event for its audience, and returns the number of sockets it was queued for.
    /// A socket for which too much waits is closed, so that no client misses an event unnoticed.
    pub fn send(&self, audience: &Audience, event: &ServerEvent) -> usize {
        write(event).map_or(0, |frame| self.post(audience, &frame))
    }

    /// Like [`Hub::send`], for an audience that [`Hub::reach`] found. Sockets that closed since then are left out.
    pub fn send_to(&self, sockets: &[SocketId], event: &ServerEvent) -> usize {
        write(event).map_or(0, |frame| {
            let delivered = self.lock().deliver(sockets, &frame);
            delivered.finish()
        })
    }

    /// Like [`Hub::send`], for a serialised event.
    pub fn post(&self, audience: &Audience, frame: &Frame) -> usize {
        let delivered = {
            let mut sockets = self.lock();
            let found = sockets.audience(audience);
            sockets.deliver(&found, frame)
        };
        delivered.finish()
    }

    /// Closes every socket of a user whose sessions were revoked.
    pub fn disconnect(&self, user: UserId) {
        let mut sockets = self.lock();
        let ids: Vec<_> = sockets.by_user.get(&user).into_iter().flatten().copied().collect();
        let outlets: Vec<_> = ids.iter().filter_map(|id| sockets.by_id.get_mut(id)?.outlet.take()).collect();
        drop(sockets);
        for outlet in outlets {
            outlet.close(Closing::Revoked);
        }
    }

    /// Number of connected sockets.
    pub fn socket_count(&self) -> usize {
        self.lock().by_id.len()
    }

    /// Number of sockets closed because too much waited for them, or for too long; since the start.
    pub fn slow_sockets(&self) -> u64 {
        self.shared.backlog.slow_sockets()
    }

    /// Bytes that wait to be written to sockets.
    pub fn waiting_bytes(&self) -> usize {
        self.shared.backlog.bytes()
    }

    fn lock(&self) -> MutexGuard<'_, Sockets> {
        // No change below panics half-way, so a poisoned map is still consistent.
        self.shared.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sockets {
    fn detach(&mut self, call: CallId, leg: LegId) {
        if let Some(id) = self.by_leg.remove(&leg)
            && let Some(socket) = self.by_id.get_mut(&id)
        {
            socket.leg_by_call.remove(&call);
        }
        remove_from(&mut self.legs_by_call, &call, &leg);
    }

    fn deliver(&mut self, to: &[SocketId], frame: &Frame) -> Delivered {
        let mut delivered = Delivered { sent: 0, slow: Vec::new() };
        for id in to {
            let Some(socket) = self.by_id.get_mut(id) else { continue };
            match socket.deliver(frame) {
                Ok(()) => delivered.sent += 1,
                Err(outlet) => delivered.slow.extend(outlet),
            }
        }
        delivered
    }

    fn audience(&self, audience: &Audience) -> Vec<SocketId> {
        let in_call = |call: &CallId| {
            let legs = self.legs_by_call.get(call).into_iter().flatten();
            legs.filter_map(|leg| Some((*leg, *self.by_leg.get(leg)?)))
        };
        let of_user = |user: &UserId| self.by_user.get(user).into_iter().flatten().copied();
        match audience {
            Audience::Users(users) => users.iter().flat_map(of_user).collect(),
            Audience::User(user) => of_user(user).collect(),
            Audience::Call(call) => in_call(call).map(|(_, id)| id).collect(),
            Audience::CallExcept(call, except) => {
                in_call(call).filter(|(leg, _)| leg != except).map(|(_, id)| id).collect()
            }
            Audience::CallUser(call, user) => {
                let is_theirs = |id: &SocketId| self.by_id.get(id).is_some_and(|s| s.user == *user);
                in_call(call).map(|(_, id)| id).filter(is_theirs).collect()
            }
            Audience::Leg(leg) => self.by_leg.get(leg).into_iter().copied().collect(),
            Audience::LegOf(call, leg) => {
                in_call(call).filter(|(in_call, _)| in_call == leg).map(|(_, id)| id).collect()
            }
            Audience::Socket(id) => vec![*id],
        }
    }
}

/// What became of one event.
struct Delivered {
    /// The number of sockets it was queued for.
    sent: usize,
    /// Sockets to be closed, without the lock.
    slow: Vec<Box<dyn Outlet>>,
}

impl Delivered {
    fn finish(self) -> usize {
        for outlet in self.slow {
            outlet.close(Closing::TooSlow);
        }
        self.sent
    }
}

impl Connected {
    /// Queues a frame. If the queue is full, returns the outlet to close.
    fn deliver(&mut self, frame: &Frame) -> Result<(), Option<Box<dyn Outlet>>> {
        let Some(outlet) = &self.outlet else { return Err(None) };
        outlet.send(frame).map_err(|SlowSocket| self.outlet.take())
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("sockets", &self.socket_count()).finish()
    }
}

fn write(event: &ServerEvent) -> Option<Frame> {
    Frame::new(event)
        .inspect_err(
            |error| tracing::error!(event = event.name(), %error, "an event cannot be written as JSON"),
        )
        .ok()
}

fn remove_from<K: std::hash::Hash + Eq, V: std::hash::Hash + Eq>(
    sets: &mut HashMap<K, HashSet<V>>,
    key: &K,
    value: &V,
) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::call::Stamp;
    use crate::hub::*;
    use crate::ids::GroupId;
    use crate::wire::event::CallEnded;

    #[test]
    fn an_event_reaches_its_audience_and_nobody_else() {
        let hub = Hub::default();
        let (call, other_call) = (CallId::random(), CallId::random());
        let (alice, bob) = (UserId::random(), UserId::random());
        let [phone, laptop, bobs, outside] = [alice, alice, bob, bob].map(|user| connect(&hub, user));
        let [phone_leg, laptop_leg, bobs_leg, outside_leg] = [(); 4].map(|()| LegId::random());
        assert!(hub.attach(phone.id, call, phone_leg));
        assert!(hub.attach(laptop.id, call, laptop_leg));
        assert!(hub.attach(bobs.id, call, bobs_leg));
        assert!(hub.attach(outside.id, other_call, outside_leg));

        let reached = |audience: Audience| {
            hub.send(&audience, &ended(call));
            [&phone, &laptop, &bobs, &outside].map(|socket| socket.outlet.take())
        };
        assert_eq!(reached(Audience::Call(call)), [1, 1, 1, 0]);
        assert_eq!(reached(Audience::CallExcept(call, phone_leg)), [0, 1, 1, 0]);
        assert_eq!(reached(Audience::CallUser(call, alice)), [1, 1, 0, 0]);
        assert_eq!(reached(Audience::CallUser(other_call, alice)), [0, 0, 0, 0]);
        assert_eq!(reached(Audience::Leg(bobs_leg)), [0, 0, 1, 0]);
        assert_eq!(reached(Audience::LegOf(other_call, bobs_leg)), [0, 0, 0, 0]);
        assert_eq!(reached(Audience::User(bob)), [0, 0, 1, 1]);
        assert_eq!(reached(Audience::Users(vec![alice, bob])), [1, 1, 1, 1]);
        assert_eq!(reached(Audience::Socket(outside.id)), [0, 0, 0, 1]);
    }

    #[test]
    fn an_audience_that_was_found_is_sent_to_without_those_who_went_meanwhile() {
        let hub = Hub::default();
        let (call, user) = (CallId::random(), UserId::random());
        let [stays, goes, comes] = [(); 3].map(|()| connect(&hub, user));
        hub.attach(stays.id, call, LegId::random());
        hub.attach(goes.id, call, LegId::random());
        let found = hub.reach(&Audience::Call(call));
        assert_eq!(found.len(), 2);
        hub.unregister(goes.id);
        hub.attach(comes.id, call, LegId::random());
        assert_eq!(hub.send_to(&found, &ended(call)), 1);
        assert_eq!([&stays, &goes, &comes].map(|socket| socket.outlet.take()), [1, 0, 0]);
    }

    #[test]
    fn a_socket_that_cannot_keep_up_is_closed_once_and_hears_nothing_more() {
        let hub = Hub::default();
        let (call, user) = (CallId::random(), UserId::random());
        let (slow, quick) = (connect(&hub, user), connect(&hub, user));
        let leg = LegId::random();
        hub.attach(slow.id, call, leg);
        slow.outlet.lock().full = true;
        assert_eq!(hub.send(&Audience::User(user), &ended(call)), 1);
        slow.outlet.lock().full = false;
        assert_eq!(hub.send(&Audience::User(user), &ended(call)), 1);
        assert_eq!((slow.outlet.take(), quick.outlet.take()), (0, 2));
        assert_eq!(slow.outlet.lock().closed, 1);
        assert_eq!(hub.unregister(slow.id), [(call, leg)]);
    }

    #[test]
    fn a_leg_is_heard_through_one_socket_and_a_socket_has_one_leg_per_call() {
        let hub = Hub::default();
        let (call, user) = (CallId::random(), UserId::random());
        let (old, new) = (connect(&hub, user), connect(&hub, user));
        let (leg, next) = (LegId::random(), LegId::random());
        hub.attach(old.id, call, leg);
        hub.attach(new.id, call, leg);
        assert_eq!((hub.leg(old.id, call), hub.leg(new.id, call)), (None, Some(leg)));
        hub.attach(new.id, call, next);
        hub.detach(call, leg);
        assert_eq!(hub.legs(new.id), [(call, next)]);
        assert_eq!(hub.send(&Audience::Call(call), &ended(call)), 1);
        hub.forget_call(call);
        assert_eq!(hub.send(&Audience::Call(call), &ended(call)), 0);
    }

    #[test]
    fn nothing_is_left_of_a_socket_that_has_gone() {
        let hub = Hub::default();
        let (call, user) = (CallId::random(), UserId::random());
        let socket = connect(&hub, user);
        hub.attach(socket.id, call, LegId::random());
        hub.unregister(socket.id);
        assert!(!hub.attach(socket.id, call, LegId::random()));
        assert!(hub.unregister(socket.id).is_empty());
        let sockets = hub.lock();
        assert!(sockets.by_id.is_empty() && sockets.by_user.is_empty());
        assert!(sockets.by_leg.is_empty() && sockets.legs_by_call.is_empty());
    }

    struct Socket {
        id: SocketId,
        outlet: FakeOutlet,
    }

    #[derive(Clone, Default)]
    struct FakeOutlet(Arc<Mutex<Wire>>);

    #[derive(Default)]
    struct Wire {
        frames: usize,
        full: bool,
        closed: usize,
    }

    impl FakeOutlet {
        fn lock(&self) -> MutexGuard<'_, Wire> {
            self.0.lock().unwrap()
        }

        fn take(&self) -> usize {
            std::mem::take(&mut self.lock().frames)
        }
    }

    impl Outlet for FakeOutlet {
        fn send(&self, frame: &Frame) -> Result<(), SlowSocket> {
            assert_eq!(frame.name(), "call:ended");
            let mut wire = self.lock();
            if wire.full {
                return Err(SlowSocket);
            }
            wire.frames += 1;
            Ok(())
        }

        fn close(&self, why: Closing) {
            assert_eq!(why, Closing::TooSlow);
            self.lock().closed += 1;
        }
    }

    fn connect(hub: &Hub, user: UserId) -> Socket {
        let outlet = FakeOutlet::default();
        Socket { id: hub.register(user, Box::new(outlet.clone())), outlet }
    }

    fn ended(call_id: CallId) -> ServerEvent {
        ServerEvent::CallEnded(CallEnded {
            call_id,
            group_id: GroupId::random(),
            reason: "normal".to_owned(),
            duration_seconds: Some(1),
            stamp: Stamp { epoch: 1, seq: 2 },
        })
    }
}
