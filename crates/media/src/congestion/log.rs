//! The packets sent to one client, by transport-wide sequence number.

use super::Micros;
use std::num::NonZeroU8;
use std::ops::Range;

/// What a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Audio,
    Video,
    /// A repetition under the RTX stream (RFC 4588).
    Rtx,
    /// Dummy content, sent to measure the path.
    Probe,
    /// Padding under a media stream's sequence number.
    Padding,
}

/// Names a probe: all that is sent while it runs carries the same cluster. From 1 to 31, reused in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster(NonZeroU8);

/// What is known of a packet's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Fate {
    /// Nothing was sent under this number, or the shell took it back.
    #[default]
    Unsent,
    InFlight,
    /// A report that would have told was lost on its way back.
    Untold,
    /// A report says that the packet has not arrived; a later one may correct that.
    Missing,
    /// Still missing when the next report came.
    Lost,
    Arrived,
}

/// A ring of [`Slot`]s. It grows by doubling, up to [`MAX_SLOTS`], when a packet that feedback may still name
/// would be overwritten.
#[derive(Debug)]
pub(super) struct SendLog {
    ring: Box<[Slot]>,
    /// Extended number of the next packet; `None` before the first.
    next: Option<u64>,
    /// Packets below this number have their final fate.
    settled: u64,
    latest: Micros,
    in_flight: u64,
    /// Bytes sent without a number since the last packet with one.
    unnumbered: u16,
    totals: [u64; KINDS],
    forgotten: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Send time in µs, low 32 bits.
    sent: u32,
    size: u16,
    /// The kind in the low three bits, then the cluster or 0.
    label: u8,
    fate: Fate,
}

/// A packet as the estimators see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Logged {
    /// Extended transport-wide number.
    pub(super) number: u64,
    pub(super) sent: Micros,
    /// Bytes, with those of packets without a number that were sent just before.
    pub(super) size: u16,
    pub(super) cluster: Option<Cluster>,
    /// The fate before this report, or the final one.
    pub(super) fate: Fate,
}

impl Cluster {
    pub(super) const FIRST: Self = Self(NonZeroU8::MIN);

    pub(super) fn next(self) -> Self {
        NonZeroU8::new((self.0.get() + 1) % CLUSTERS).map_or(Self::FIRST, Self)
    }
}

impl Default for SendLog {
    fn default() -> Self {
        Self {
            ring: vec![Slot::default(); MIN_SLOTS].into(),
            next: None,
            settled: 0,
            latest: 0,
            in_flight: 0,
            unnumbered: 0,
            totals: [0; KINDS],
            forgotten: 0,
        }
    }
}

impl SendLog {
    /// Notes a packet with a number. Numbers may be left out. Returns the extended number; `None` for a number
    /// that is not above the last one: such a packet is a repetition, its bytes count with the next packet.
    pub(super) fn sent(
        &mut self,
        number: u16,
        size: u16,
        kind: Kind,
        cluster: Option<Cluster>,
        at: Micros,
    ) -> Option<u64> {
        let next = *self.next.get_or_insert(FIRST_CYCLE + u64::from(number));
        let left_out = number.wrapping_sub(next as u16);
        if left_out > u16::MAX / 2 {
            self.sent_unnumbered(size, kind);
            return None;
        }
        self.settled = self.settled.max(FIRST_CYCLE.min(next));
        self.latest = self.latest.max(at);
        for skipped in next..next + u64::from(left_out).min(self.ring.len() as u64) {
            self.place(skipped, Slot::default(), at);
        }
        let number = next + u64::from(left_out);
        self.totals[kind as usize] += u64::from(size);
        let size = size.saturating_add(std::mem::take(&mut self.unnumbered));
        let label = kind as u8 | cluster.map_or(0, |Cluster(id)| id.get()) << KIND_BITS;
        self.place(number, Slot { sent: at as u32, size, label, fate: Fate::InFlight }, at);
        self.next = Some(number + 1);
        self.in_flight += u64::from(size);
        Some(number)
    }

    /// Notes a packet without a number of its own.
    pub(super) fn sent_unnumbered(&mut self, size: u16, kind: Kind) {
        self.totals[kind as usize] += u64::from(size);
        self.unnumbered = self.unnumbered.saturating_add(size);
    }

    /// Takes back a packet that never left the host. Returns whether it was in flight.
    pub(super) fn refused(&mut self, number: u16) -> bool {
        let Some(number) = self.extend(number) else { return false };
        let Some(slot) = self.slot_mut(number).filter(|slot| slot.fate == Fate::InFlight) else {
            return false;
        };
        let Slot { size, label, .. } = std::mem::take(slot);
        self.in_flight -= u64::from(size);
        let total = &mut self.totals[usize::from(label & KIND_MASK)];
        *total = total.saturating_sub(size.into());
        true
    }

    /// The packet under a number that a report says to have arrived, with its fate before; `None` if none was
    /// sent or it is forgotten.
    pub(super) fn arrived(&mut self, number: u64) -> Option<Logged> {
        let logged = self.logged(number)?;
        if let Some(slot) = self.slot_mut(number) {
            slot.fate = Fate::Arrived;
        }
        self.left_flight(logged);
        Some(logged)
    }

    /// A report says that these packets have not arrived.
    pub(super) fn missing(&mut self, numbers: Range<u64>) {
        self.doubt(numbers, Fate::Missing);
    }

    /// No report told of these packets, and none will.
    pub(super) fn untold(&mut self, numbers: Range<u64>) -> u64 {
        self.doubt(numbers, Fate::Untold)
    }

    /// Gives packets below `limit` their final fate, each once and in order of sending. Missing packets become
    /// lost.
    pub(super) fn settle(&mut self, limit: u64, mut settled: impl FnMut(Logged)) {
        let limit = limit.min(self.next.unwrap_or(0));
        for number in self.settled.max(self.oldest())..limit {
            if let Some(slot) = self.slot_mut(number)
                && slot.fate == Fate::Missing
            {
                slot.fate = Fate::Lost;
            }
            if let Some(logged) = self.logged(number) {
                settled(logged);
            }
        }
        self.settled = self.settled.max(limit);
    }

    /// Forgets all packets: a report of them would speak of another path.
    pub(super) fn abandon(&mut self) {
        self.ring.fill(Slot::default());
        self.settled = self.next.unwrap_or(0);
        self.in_flight = 0;
        self.unnumbered = 0;
    }

    /// The extended number nearest to the next one that ends in `number`; `None` before the first packet.
    pub(super) fn extend(&self, number: u16) -> Option<u64> {
        let next = self.next?;
        Some(next.saturating_add_signed(i64::from(number.wrapping_sub(next as u16) as i16)))
    }

    pub(super) fn fate(&self, number: u64) -> Fate {
        self.logged(number).map_or(Fate::Unsent, |logged| logged.fate)
    }

    /// Extended number of the next packet.
    pub(super) fn next(&self) -> u64 {
        self.next.unwrap_or(0)
    }

    /// Bytes sent whose fate is unknown.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Bytes sent of a kind since the beginning.
    pub(super) fn total(&self, kind: Kind) -> u64 {
        self.totals[kind as usize]
    }

    /// Packets that were overwritten before any report told of them.
    pub(super) fn forgotten(&self) -> u32 {
        self.forgotten
    }

    /// Bytes of memory in use.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.ring)
    }

    fn oldest(&self) -> u64 {
        self.next().saturating_sub(self.ring.len() as u64)
    }

    fn logged(&self, number: u64) -> Option<Logged> {
        let slot = self.ring[self.index(number)];
        let is_kept = (self.oldest()..self.next()).contains(&number);
        (is_kept && slot.fate != Fate::Unsent).then(|| Logged {
            number,
            sent: self.latest - Micros::from((self.latest as u32).wrapping_sub(slot.sent)),
            size: slot.size,
            cluster: NonZeroU8::new(slot.label >> KIND_BITS).map(Cluster),
            fate: slot.fate,
        })
    }

    fn slot_mut(&mut self, number: u64) -> Option<&mut Slot> {
        let is_kept = (self.oldest()..self.next()).contains(&number);
        let index = self.index(number);
        is_kept.then(|| &mut self.ring[index])
    }

    /// Changes packets that may be under way to `fate`. Returns their bytes.
    fn doubt(&mut self, numbers: Range<u64>, fate: Fate) -> u64 {
        let mut bytes = 0;
        for number in numbers.start.max(self.oldest())..numbers.end.min(self.next()) {
            let Some(logged) = self.logged(number) else { continue };
            if !matches!(logged.fate, Fate::InFlight | Fate::Untold) {
                continue;
            }
            self.left_flight(logged);
            bytes += u64::from(logged.size);
            if let Some(slot) = self.slot_mut(number) {
                slot.fate = fate;
            }
        }
        bytes
    }

    fn left_flight(&mut self, logged: Logged) {
        if logged.fate == Fate::InFlight {
            self.in_flight -= u64::from(logged.size);
        }
    }

    fn place(&mut self, number: u64, slot: Slot, now: Micros) {
        let before = self.ring[self.index(number)];
        if is_wanted(before, now) && self.ring.len() < MAX_SLOTS {
            self.grow(number);
        } else if before.fate == Fate::InFlight {
            self.in_flight -= u64::from(before.size);
            self.forgotten = self.forgotten.saturating_add(1);
        }
        let index = self.index(number);
        self.ring[index] = slot;
    }

    /// Doubles the ring; the numbers before `number` keep their slots' contents.
    fn grow(&mut self, number: u64) {
        let len = self.ring.len();
        let grown = vec![Slot::default(); 2 * len].into_boxed_slice();
        let ring = std::mem::replace(&mut self.ring, grown);
        for kept in number.saturating_sub(len as u64)..number {
            let index = self.index(kept);
            self.ring[index] = ring[kept as usize & (len - 1)];
        }
    }

    fn index(&self, number: u64) -> usize {
        number as usize & (self.ring.len() - 1)
    }
}

/// Whether feedback may still tell of a packet, or a NACK ask for it.
fn is_wanted(slot: Slot, now: Micros) -> bool {
    let age = (now as u32).wrapping_sub(slot.sent);
    match slot.fate {
        Fate::Unsent => false,
        Fate::InFlight => age < FEEDBACK_AGE,
        Fate::Untold | Fate::Missing | Fate::Lost | Fate::Arrived => age < NACK_AGE,
    }
}

const MIN_SLOTS: usize = 64;
const MAX_SLOTS: usize = 2048;
/// Slots are 8 bytes: 16 kB at most.
const _: () = assert!(size_of::<Slot>() == 8);
/// Numbers below it leave room for reports on packets before the first.
const FIRST_CYCLE: u64 = 1 << 16;
const KINDS: usize = 5;
const KIND_BITS: u32 = 3;
const KIND_MASK: u8 = (1 << KIND_BITS) - 1;
const CLUSTERS: u8 = 1 << (8 - KIND_BITS);
/// In µs. A queue of a second and the receiver's report interval.
const FEEDBACK_AGE: u32 = 2_000_000;
/// In µs. libwebrtc's receivers keep arrival times for half a second, and may correct them so long.
const NACK_AGE: u32 = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(packets: u16, spacing: Micros) -> SendLog {
        let mut log = SendLog::default();
        for packet in 0..packets {
            let at = spacing * Micros::from(packet);
            log.sent(65_530_u16.wrapping_add(packet), 1_000, Kind::Video, None, at);
        }
        log
    }

    #[test]
    fn packets_are_found_across_the_wrap_of_their_numbers() {
        let cluster = Cluster::FIRST.next();
        let mut log = log_of(10, 5_000);
        let number = log.sent(7, 300, Kind::Probe, Some(cluster), 90_000).unwrap();
        assert_eq!(log.extend(7), Some(number));
        let found = log.arrived(number).unwrap();
        assert_eq!((found.sent, found.size, found.cluster), (90_000, 300, Some(cluster)));
        assert_eq!(found.fate, Fate::InFlight);
        assert_eq!(log.fate(number - 1), Fate::Unsent, "numbers 4 to 6 were left out");
        assert_eq!((log.in_flight(), log.total(Kind::Video), log.total(Kind::Probe)), (10_000, 10_000, 300));
    }

    #[test]
    fn the_log_grows_by_need_up_to_16_kb() {
        for (spacing, slots) in [(20_000, 64), (3_200, 256), (500, 1_024), (50, 2_048)] {
            let mut log = SendLog::default();
            for packet in 0..20_000_u64 {
                let at = spacing * packet as Micros;
                let number = log.sent(packet as u16, 1_200, Kind::Video, None, at).unwrap();
                if let Some(old) = number.checked_sub(100_000 / spacing.unsigned_abs()) {
                    log.arrived(old);
                }
            }
            assert_eq!(log.memory(), 8 * slots, "a packet each {spacing} µs");
            assert_eq!(log.forgotten(), 0);
        }
    }

    #[test]
    fn what_is_never_reported_is_forgotten_and_counted() {
        let log = log_of(3_000, 100);
        assert_eq!(log.forgotten(), 3_000 - 2_048);
        assert_eq!(log.in_flight(), 2_048_000);
    }

    #[test]
    fn bytes_without_a_number_count_with_the_next_packet() {
        let mut log = log_of(1, 0);
        log.sent_unnumbered(90, Kind::Audio);
        assert_eq!(log.sent(65_530, 400, Kind::Video, None, 0), None, "the same bytes once more");
        let number = log.sent(65_531, 1_000, Kind::Video, None, 0).unwrap();
        assert_eq!(log.arrived(number).unwrap().size, 1_490);
        assert_eq!((log.total(Kind::Audio), log.total(Kind::Video)), (90, 2_400));
    }

    #[test]
    fn each_packet_gets_its_final_fate_once() {
        let mut log = log_of(6, 0);
        let first = log.extend(65_530).unwrap();
        log.arrived(first);
        log.missing(first + 1..first + 3);
        log.untold(first + 3..first + 4);
        let mut fates = Vec::new();
        log.settle(first + 2, |packet| fates.push(packet.fate));
        log.settle(first + 4, |packet| fates.push(packet.fate));
        log.settle(first + 4, |packet| fates.push(packet.fate));
        assert_eq!(fates, [Fate::Arrived, Fate::Lost, Fate::Lost, Fate::Untold]);
    }
}
