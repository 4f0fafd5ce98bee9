//! Whether the client is at the address that media is sent to.
//!
//! A valid check and valid SRTP prove that their sender has the client's keys, but not where it is: a client can forge
//! both from another's address, which would be flooded. Until something comes back that only a receiver at the new
//! address can know, little is sent there (RFC 9000 §8.2, §9.3). That is either of two:
//!
//! - feedback about transport-wide sequence numbers, some of which are skipped at random (RFC 9000 §21.4);
//! - the time in a sender report, which is moved back at random, echoed in a receiver report.

use super::quiz::Quiz;
use crate::clock::NtpTime;
use crate::due::Due;
use crate::ice::Tuple;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Path {
    doubt: Option<Doubt>,
    /// Tuples where the client was, as long as they are valid.
    proven: Vec<Tuple>,
    /// Video packets that wait for a proof.
    held: Vec<Due>,
    spent: Spent,
    /// The last sender report's time in doubt, in 1/65536 s, and by how much it was moved back.
    challenge: Option<(u32, u16)>,
}

#[derive(Debug)]
struct Doubt {
    tuple: Tuple,
    since: Instant,
    /// What was spent before.
    before: Spent,
    quiz: Quiz,
    /// The challenge may still be answered: no answer was wrong.
    answerable: bool,
}

/// What was sent to unproven addresses in this minute.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    minute: Option<Instant>,
    bytes: usize,
    report_bytes: usize,
    audio: Duration,
}

/// What is to be done once the path is proven.
#[derive(Debug, Default)]
pub(crate) struct Release {
    /// Packets that may leave.
    pub(crate) held: Vec<Due>,
    /// So many packets waited that consumers must start over.
    pub(crate) overflowed: bool,
}

impl Path {
    pub(crate) fn new() -> Self {
        Self { doubt: None, proven: Vec::new(), held: Vec::new(), spent: Spent::default(), challenge: None }
    }

    /// The client is at this tuple: it has just completed a handshake over it.
    pub(crate) fn trust(&mut self, tuple: Tuple) {
        self.doubt = None;
        self.remember(tuple);
    }

    /// Media goes to this tuple from here on. `random` are random bits, `sequence` is the next transport-wide number.
    /// True if the client has to prove that it is there.
    pub(crate) fn enter(&mut self, tuple: Tuple, random: u64, sequence: u16, now: Instant) -> bool {
        self.leave(now);
        if self.proven.contains(&tuple) {
            return false;
        }
        self.refresh(now);
        let before = self.spent;
        let quiz = Quiz::new(random, sequence);
        self.doubt = Some(Doubt { tuple, since: now, before, quiz, answerable: false });
        self.challenge = None;
        self.held.reserve(MAX_HELD);
        true
    }

    pub(crate) fn forget(&mut self, tuple: Tuple) {
        self.proven.retain(|other| *other != tuple);
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.doubt.is_none()
    }

    /// Whether a consumer's packets may be sent or held. If not, the consumer must start over later.
    pub(crate) fn takes(&self, video: bool, now: Instant) -> bool {
        match &self.doubt {
            None => true,
            Some(_) if video => self.held.len() < MAX_HELD,
            Some(doubt) => now.saturating_duration_since(doubt.since) < MAX_AUDIO - self.spent.audio,
        }
    }

    /// Whether a video packet may be sent at once.
    pub(crate) fn has_room(&self) -> bool {
        self.doubt.is_none() || self.spent.bytes < MAX_BYTES
    }

    /// Keeps a packet for later; false if too many wait already.
    pub(crate) fn hold(&mut self, due: Due) -> bool {
        let room = self.held.len() < MAX_HELD;
        if room {
            self.held.push(due);
        }
        room
    }

    /// Takes note of bytes sent that are not audio.
    pub(crate) fn spend(&mut self, bytes: usize) {
        if self.doubt.is_some() {
            self.spent.bytes += bytes;
        }
    }

    /// Whether a datagram of reports may be sent, which is then noted.
    pub(crate) fn admits_report(&mut self, bytes: usize) -> bool {
        if self.doubt.is_none() {
            return true;
        }
        self.spent.report_bytes += bytes;
        self.spent.report_bytes <= MAX_REPORT_BYTES
    }

    /// Notes that a new minute has begun.
    pub(crate) fn refresh(&mut self, now: Instant) {
        if self.spent.minute.is_none_or(|minute| now.saturating_duration_since(minute) >= MINUTE) {
            self.spent = Spent { minute: Some(now), ..Spent::default() };
            if let Some(doubt) = &mut self.doubt {
                doubt.since = now;
            }
        }
    }

    /// The number of the next packet with a transport-wide number, given the next one in line.
    pub(crate) fn number(&mut self, next: u16) -> u16 {
        self.doubt.as_mut().map_or(next, |doubt| doubt.quiz.number(next))
    }

    /// The time to write in sender reports, given the true one; it is moved back at random.
    pub(crate) fn disguise(&mut self, now: NtpTime, random: u16) -> NtpTime {
        let Some(doubt) = &mut self.doubt else { return now };
        let back = random % MAX_BACK;
        let told = now.offset(-(i64::from(back) << 16));
        doubt.answerable = true;
        self.challenge = Some((told.middle(), back));
        told
    }

    /// By how much the time that a report echoes was moved back, in 1/65536 s.
    pub(crate) fn moved_back(&self, echoed: u32) -> u32 {
        self.challenge.filter(|(told, _)| *told == echoed).map_or(0, |(_, back)| back.into())
    }

    /// A report says that these transport-wide numbers arrived.
    pub(crate) fn arrived(&mut self, numbers: impl Iterator<Item = u16>, now: Instant) -> Option<Release> {
        let doubt = self.doubt.as_mut()?;
        doubt.quiz.answer(numbers);
        doubt.quiz.is_solved().then(|| self.prove(now))
    }

    /// A report echoes the time of a sender report. One wrong guess is one too many.
    pub(crate) fn echoed(&mut self, echoed: u32, now: Instant) -> Option<Release> {
        let doubt = self.doubt.as_mut().filter(|doubt| doubt.answerable)?;
        let (told, back) = self.challenge?;
        if echoed == told {
            return Some(self.prove(now));
        }
        let latest = told.wrapping_add(back.into());
        if latest.wrapping_sub(echoed) < MAX_BACK.into() {
            doubt.answerable = false;
        }
        None
    }

    /// Drops what waits, because there is no tuple any more. Returns how much it was.
    pub(crate) fn drop_held(&mut self, now: Instant) -> usize {
        self.leave(now);
        std::mem::take(&mut self.held).len()
    }

    fn prove(&mut self, now: Instant) -> Release {
        if let Some(doubt) = self.doubt.take() {
            // Only what unproven addresses got counts.
            self.spent = doubt.before;
            self.remember(doubt.tuple);
        }
        self.refresh(now);
        let held = std::mem::take(&mut self.held);
        if held.len() < MAX_HELD {
            Release { held, overflowed: false }
        } else {
            Release { held: Vec::new(), overflowed: true }
        }
    }

    fn leave(&mut self, now: Instant) {
        if let Some(doubt) = self.doubt.take() {
            let heard = now.saturating_duration_since(doubt.since);
            self.spent.audio = (self.spent.audio + heard).min(MAX_AUDIO);
        }
    }

    fn remember(&mut self, tuple: Tuple) {
        if !self.proven.contains(&tuple) {
            self.proven.push(tuple);
        }
    }
}

/// Bytes of everything but sound and reports, per minute.
const MAX_BYTES: usize = 14 * 1_024 - crate::batch::MAX_PACKET;
/// Bytes per minute.
const MAX_REPORT_BYTES: usize = 2 * 1_024;
/// Per minute.
const MAX_AUDIO: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);
/// Packets: half a second at 5 Mbit/s.
const MAX_HELD: usize = 256;
/// In 1/65536 s, 62.5 ms: guessed right once in so many times.
const MAX_BACK: u16 = 4_096;

#[cfg(test)]
mod tests;
