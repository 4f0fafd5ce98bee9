//! Answers receivers' NACKs, within the budget of their transport.

use super::Router;
use crate::arrival::{Arrival, EncodingLife};
use crate::codec::Descriptor;
use crate::congestion::{Controller, Fate};
use crate::consumer::{Consumer, MAX_RETRANSMISSIONS, Record, Rewrite};
use crate::context::Context;
use crate::counters::Counters;
use crate::due::{Due, DueKind};
use crate::history::RETENTION;
use crate::keys::{ConsumerKey, TransportKey};
use crate::producer::Producer;
use crate::transport::{RepairBudget, Side};
use std::cmp::Reverse;
use std::time::{Duration, Instant};

/// A packet to repeat.
#[derive(Debug, Clone, Copy)]
struct Repair {
    /// Extended sequence number.
    outgoing: u64,
    kind: DueKind,
    /// Its RTP timestamp at the producer: packets of one picture are repaired together or not at all.
    picture: Option<u32>,
    /// Bytes of the sealed packet.
    size: u64,
    /// The stream cannot be decoded without it, until the next key frame.
    essential: bool,
}

/// Judges the packets that one receiver misses.
struct Triage<'a> {
    consumer: &'a mut Consumer,
    producer: &'a Producer,
    /// Knows which packets have arrived.
    congestion: Option<&'a Controller>,
    rtt: Duration,
    now: Instant,
    /// In the units of [`Record::sent`].
    ticks: u32,
    /// The receiver cannot go on without a key frame.
    hopeless: bool,
}

impl Router {
    /// Queues the packets that a receiver misses and that are worth to be repeated: the newest picture first, as
    /// far as the budget goes. A picture that exceeds it is not repaired, nor are those before it. If that is too
    /// much to be repaired soon, and the receiver cannot go on without it, a key frame is requested instead.
    pub(super) fn retransmit(
        &mut self,
        key: TransportKey,
        consumer_key: ConsumerKey,
        missing: &[u16],
        ctx: &mut Context<'_>,
    ) {
        let Some(consumer) = self.consumers.get_mut(consumer_key) else { return };
        let Some(transport) = self.transports.get_mut(key) else { return };
        let Some(producer) = self.producers.get(consumer.producer) else { return };
        let (rtt, sent, producer_key) = (transport.rtt(), transport.traffic.bytes_sent, consumer.producer);
        let Side::Downlink(downlink) = &mut transport.side else { return };
        downlink.repair.refill(sent, rtt, ctx.now);
        let ticks = ctx.epoch.ntp(ctx.now).send_ticks();
        let congestion = downlink.congestion.as_deref();
        let mut triage = Triage { consumer, producer, congestion, rtt, now: ctx.now, ticks, hopeless: false };
        let (repairs, unsent) = triage.judge(missing, ctx.counters);
        let granted = triage.grant(&repairs, &mut downlink.repair, ctx.counters);
        let source = triage.consumer.source().filter(|_| triage.hopeless);
        for Repair { outgoing, kind, .. } in granted {
            let due = Due::new(consumer_key, *outgoing as u32, 0, *kind);
            transport.queue(due, &mut ctx.outbox.due, ctx.counters);
        }
        if let Some(source) = source {
            self.wish_key_frame(producer_key, source.encoding, ctx);
        }
        if !unsent.is_empty() {
            self.ask_for_missing(consumer_key, &unsent, ctx);
        }
    }
}

impl Repair {
    /// An empty packet under the number of one that the receiver does not need, so that it stops asking.
    fn padding(outgoing: u64) -> Self {
        Self { outgoing, kind: DueKind::FillAgain, picture: None, size: FILL_SIZE, essential: false }
    }
}

impl Triage<'_> {
    /// The packets worth to be repeated, the newest first, and the numbers that were not sent.
    fn judge(&mut self, missing: &[u16], counters: &mut Counters) -> (Vec<Repair>, Vec<u16>) {
        let (mut repairs, mut unsent) = (Vec::new(), Vec::new());
        for &number in missing {
            let outgoing = self.consumer.extend(number);
            let record = outgoing.and_then(|outgoing| self.consumer.record(outgoing as u32)).copied();
            match outgoing.zip(record) {
                Some((outgoing, record)) => repairs.extend(self.judge_one(outgoing, &record, counters)),
                None => unsent.push(number),
            }
        }
        repairs.sort_unstable_by_key(|repair| Reverse(repair.outgoing));
        repairs.dedup_by_key(|repair| repair.outgoing);
        (repairs, unsent)
    }

    /// Whether feedback told of a packet's arrival: the receiver asked before the packet, overtaken by others, came.
    fn has_arrived(&self, record: &Record) -> bool {
        let is_told = record.retransmissions == 0 && self.consumer.plan.extensions.transport_cc.is_some();
        is_told && self.congestion.is_some_and(|it| it.fate(record.transport_sequence) == Fate::Arrived)
    }

    fn judge_one(&mut self, outgoing: u64, record: &Record, counters: &mut Counters) -> Option<Repair> {
        let age = self.age(record);
        if record.retransmissions >= MAX_RETRANSMISSIONS {
            counters.retransmissions_exhausted += 1;
            return None;
        }
        if record.retransmissions > 0 && age.saturating_sub(from_units(record.repeated)) < self.rtt {
            counters.retransmissions_too_soon += 1;
            return None;
        }
        if record.fill {
            return Some(Repair::padding(outgoing));
        }
        if self.has_arrived(record) {
            counters.retransmissions_needless += 1;
            return None;
        }
        let Some((source, packet, media)) = self.find(outgoing) else {
            counters.retransmissions_unavailable += 1;
            return None;
        };
        let consumer = &self.consumer;
        if consumer.has_left(source, &media, self.producer.is_simulcast()) {
            // Asked for before it can have arrived: padding and the packet would contradict each other.
            if age < self.rtt {
                counters.retransmissions_too_soon += 1;
                return None;
            }
            counters.retransmissions_left_out += 1;
            return consumer.plan.rtx.map(|_| Repair::padding(outgoing));
        }
        let essential = consumer.is_video() && media.temporal == 0 && consumer.is_since_key_frame(outgoing);
        if age > MAX_AGE.max(self.rtt * 3 / 2).min(RETENTION) {
            counters.retransmissions_too_late += 1;
            self.hopeless |= essential;
            return None;
        }
        let size = u64::from(consumer.plan.packet_len(&packet.extent)) + OVERHEAD;
        let picture = Some(packet.timestamp);
        Some(Repair { outgoing, kind: DueKind::Again, picture, size, essential })
    }

    /// A packet as it was received; `None` if its payload is gone.
    fn find(&mut self, outgoing: u64) -> Option<(EncodingLife, Arrival, Descriptor)> {
        let Rewrite { source, record, .. } = self.consumer.rewrite(outgoing as u32)?;
        let stream = self.producer.stream(source).filter(|stream| stream.source == source)?;
        let packet = stream.again(stream.extend(record.incoming), self.now)?;
        Some((source, packet, packet.media?))
    }

    /// Spends the budget on the pictures, given with the newest first, and notes what is repeated.
    fn grant<'a>(
        &mut self,
        repairs: &'a [Repair],
        budget: &mut RepairBudget,
        counters: &mut Counters,
    ) -> &'a [Repair] {
        let mut count = 0;
        for picture in repairs.chunk_by(|a, b| a.picture.is_some() && a.picture == b.picture) {
            let size = picture.iter().map(|repair| repair.size).sum();
            if !budget.has_room(size) {
                break;
            }
            budget.spend(size);
            count += picture.len();
        }
        let (granted, refused) = repairs.split_at(count);
        counters.retransmissions_over_budget += refused.len() as u64;
        let missed: u64 = refused.iter().filter(|repair| repair.essential).map(|repair| repair.size).sum();
        self.hopeless |= missed > budget.soon();
        for repair in granted {
            let Some(record) = self.consumer.record(repair.outgoing as u32) else { continue };
            let age = self.ticks.wrapping_sub(record.sent) >> UNIT_SHIFT;
            record.repeated = u8::try_from(age).unwrap_or(u8::MAX);
            record.retransmissions += 1;
        }
        granted
    }

    /// The time since the packet was first sent.
    fn age(&self, record: &Record) -> Duration {
        let ticks = self.ticks.wrapping_sub(record.sent);
        Duration::from_micros((u64::from(ticks) * 1_000_000) >> TICK_SHIFT)
    }
}

/// `units` of [`Record::repeated`].
fn from_units(units: u8) -> Duration {
    Duration::from_micros((u64::from(units) * 1_000_000) >> (TICK_SHIFT - UNIT_SHIFT))
}

/// A unit of [`Record::sent`] is 2^-18 s, one of [`Record::repeated`] 2^-8 s.
const TICK_SHIFT: u32 = 18;
const UNIT_SHIFT: u32 = 10;
/// A picture that comes later is not shown, except where the round trip is so long that receivers wait.
const MAX_AGE: Duration = Duration::from_millis(500);
/// Bytes of an SRTP tag and of the original sequence number (RFC 4588 §4).
const OVERHEAD: u64 = 16 + 2;
/// Bytes of an RTX packet without payload, about.
const FILL_SIZE: u64 = 50;
