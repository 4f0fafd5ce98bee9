//! The last recorded events as they were sent, for `call:sync`.

use std::collections::VecDeque;

use crate::{
    call::Stamp,
    wire::{Frame, command::Since},
};

#[derive(Default)]
pub(super) struct Recent {
    events: VecDeque<(i64, Frame)>,
    bytes: usize,
}

impl Recent {
    pub(super) fn push(&mut self, seq: i64, frame: Frame) {
        self.bytes += size(&frame);
        self.events.push_back((seq, frame));
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some((_, oldest)) = self.events.pop_front() else { return };
            self.bytes -= size(&oldest);
        }
    }

    /// The events after `since` up to `last`. `None` if some of them are not held, if `since` is ahead of
    /// `last`, or if it is from another epoch.
    pub(super) fn after(&self, since: Since, last: Stamp) -> Option<Vec<Frame>> {
        let oldest = self.events.front().map_or(last.seq + 1, |(seq, _)| *seq);
        let is_held = since.epoch.is_none_or(|epoch| epoch == last.epoch)
            && since.seq <= last.seq
            && since.seq >= oldest - 1;
        let missed = self.events.iter().filter(|(seq, _)| *seq > since.seq).map(|(_, frame)| frame.clone());
        is_held.then(|| missed.collect())
    }
}

fn size(frame: &Frame) -> usize {
    2 * frame.plain().len()
}

const MOST_EVENTS: usize = 500;
/// Bytes of texts that one call holds, of both carriers: the events of a large call list all its participants.
const MOST_BYTES: usize = 2 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{CallId, LegId, UserId},
        wire::event::{CallSignal, ServerEvent},
    };

    fn frame(seq: i64, filler: usize) -> Frame {
        let signal = CallSignal {
            call_id: CallId::random(),
            kind: seq.to_string(),
            payload: serde_json::value::to_raw_value(&"x".repeat(filler)).unwrap(),
            from_user_id: UserId::random(),
            from_leg_id: LegId::random(),
        };
        Frame::new(&ServerEvent::CallSignal(signal)).unwrap()
    }

    fn kind(frame: &Frame) -> String {
        let signal: serde_json::Value = serde_json::from_str(frame.data()).unwrap();
        signal["type"].as_str().unwrap().to_owned()
    }

    fn recent(seqs: std::ops::RangeInclusive<i64>, filler: usize) -> Recent {
        let mut recent = Recent::default();
        seqs.for_each(|seq| recent.push(seq, frame(seq, filler)));
        recent
    }

    fn since(seq: i64) -> Since {
        Since { seq, epoch: None }
    }

    #[test]
    fn what_was_missed_comes_again_in_order_and_nothing_else() {
        let (recent, last) = (recent(1..=10, 0), Stamp { epoch: 1, seq: 10 });
        let missed = recent.after(since(7), last).unwrap();
        let told: Vec<_> = missed.iter().map(kind).collect();
        assert_eq!(told, ["8", "9", "10"]);
        assert!(recent.after(since(10), last).unwrap().is_empty());
        assert_eq!(recent.after(since(0), last).unwrap().len(), 10);
    }

    #[test]
    fn what_is_gone_or_of_another_epoch_cannot_be_replayed() {
        let (recent, last) = (recent(1..=600, 0), Stamp { epoch: 2, seq: 600 });
        assert_eq!(recent.after(since(100), last).unwrap().len(), 500);
        assert!(recent.after(since(99), last).is_none());
        assert!(recent.after(since(601), last).is_none(), "nobody has seen what has not happened");
        assert!(recent.after(Since { seq: 599, epoch: Some(1) }, last).is_none());
        assert!(Recent::default().after(since(599), last).is_none());
        assert!(Recent::default().after(since(600), last).is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded_in_bytes() {
        let recent = recent(1..=300, 10_000);
        assert!(recent.bytes <= MOST_BYTES);
        assert!(recent.events.len() < 110);
    }
}
