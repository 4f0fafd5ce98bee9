//! One track: what its tap gives becomes files, and a record of what is in them.
//!
//! A file ends, and a new part of the track begins, when the format changes, at a pause of the recording, and after
//! a loss of audio: so the time in a file is always the time of the call, and nothing in a file was captured in a pause.
//! The last of [`MAX_PARTS`] goes on instead, as long as the codec is the same.

use crate::ids::{FileKey, TrackKey};
use crate::matroska::{Header, Kind};
use crate::part::{Dropped, Part};
use crate::queue::Queue;
use crate::repair::START_TAG;
use crate::report::{TrackNote, TrackReport};
use crate::story::Story;
use crate::time::Zero;
use std::time::Instant;
use switchyard_media_worker::media::{Sample, TapNotice, TrackFormat};

/// A sender that turns its device at each key frame makes no more files than this.
const MAX_PARTS: u32 = 128;

#[derive(Debug)]
pub(crate) struct Track {
    key: TrackKey,
    zero: Zero,
    tags: Vec<(&'static str, String)>,
    format: Option<TrackFormat>,
    next_part: u32,
    part: Option<Part>,
    gate: Gate,
    pub(crate) story: Story,
}

/// Why samples are not written at present.
#[derive(Debug, Default)]
struct Gate {
    paused: bool,
    /// The queue to the writer was full. Nothing is kept until there is room again.
    starved: bool,
    /// Pictures were left out: the next one has to be a key frame.
    needs_key_frame: bool,
    /// What was captured earlier was captured in a pause.
    not_before: Option<Instant>,
    /// Since when everything was dropped.
    lost_since: Option<Instant>,
}

impl Gate {
    fn admits(&self, sample: &Sample) -> bool {
        let waits = self.needs_key_frame && !sample.key_frame;
        !self.paused && !self.starved && !waits && self.not_before.is_none_or(|at| sample.at >= at)
    }
}

impl Track {
    pub(crate) fn new(key: TrackKey, zero: Zero, tags: Vec<(&'static str, String)>, paused: bool) -> Self {
        let mut track = Self {
            key,
            zero,
            tags,
            format: None,
            next_part: 0,
            part: None,
            gate: Gate { paused, ..Gate::default() },
            story: Story::default(),
        };
        track.story.record.pause(paused, 0);
        track
    }

    /// The next sample begins a new file.
    pub(crate) fn format(&mut self, format: TrackFormat, queue: &Queue) {
        self.story.format(&format);
        let same_codec = self.format.as_ref().is_some_and(|last| last.codec == format.codec);
        if same_codec && self.goes_on() {
            return;
        }
        self.end_part(queue);
        self.format = Some(format);
    }

    pub(crate) fn sample(&mut self, now: Instant, sample: &Sample, queue: &Queue) {
        if !self.gate.admits(sample) {
            return;
        }
        if sample.key_frame && self.part.as_ref().is_some_and(|part| part.is_over(sample.at)) {
            self.end_part(queue);
        }
        if self.part.is_none() && sample.key_frame {
            self.part = self.begin_part(sample.at);
        }
        let Some(part) = &mut self.part else {
            if self.next_part >= MAX_PARTS {
                self.gate.lost_since.get_or_insert(sample.at);
                self.story.record.note(TrackNote::ManyFiles);
                self.story.news();
            }
            return;
        };
        self.gate.needs_key_frame = false;
        self.story.record.sampled(self.zero.ms(sample.at));
        let pushed = part.push(now, sample, queue);
        self.tell_loss(sample.at);
        self.after(pushed, queue);
    }

    pub(crate) fn notice(&mut self, notice: TapNotice) {
        let record = &mut self.story.record;
        match notice {
            TapNotice::Sending(sending, at) => record.sending(sending, self.zero.ms(at)),
            TapNotice::Hole { from, to } => record.hole(self.zero.ms(from), self.zero.ms(to)),
            TapNotice::NoKeyFrame => record.note(TrackNote::NoKeyFrame),
            TapNotice::ClockSet(_) => record.note(TrackNote::ClockSet),
            TapNotice::Ended => {}
        }
        self.story.news();
    }

    pub(crate) fn pause(&mut self, now: Instant, paused: bool, queue: &Queue) {
        self.story.record.pause(paused, self.zero.ms(now));
        self.story.urgent_news();
        self.gate.paused = paused;
        if paused {
            if !self.goes_on() {
                self.end_part(queue);
            }
            self.tell_loss(now);
        } else {
            self.gate.not_before = Some(now);
            self.gate.needs_key_frame = true;
        }
    }

    /// Writes what has waited long enough.
    pub(crate) fn flush_old(&mut self, now: Instant, queue: &Queue) {
        if let Some(part) = &mut self.part {
            let flushed = part.flush_old(now, queue);
            self.after(flushed, queue);
        }
    }

    /// Whether there is room again after a loss.
    pub(crate) fn recovers(&mut self, queue: &Queue) -> bool {
        let recovers = self.gate.starved && queue.has_room();
        self.gate.starved &= !recovers;
        recovers
    }

    /// Whether it waits for a key frame, which its tap has to ask for after a loss or a pause.
    pub(crate) fn needs_key_frame(&self) -> bool {
        let is_video = |format: &TrackFormat| Kind::of(format.codec).is_video();
        self.gate.needs_key_frame && self.format.as_ref().is_some_and(is_video)
    }

    pub(crate) fn end(&mut self, now: Instant, queue: &Queue) {
        self.end_part(queue);
        self.tell_loss(now);
        self.story.end(self.zero.ms(now));
    }

    /// The report, if it is time for one.
    pub(crate) fn due_report(&mut self, now: Instant) -> Option<TrackReport> {
        let due = self.story.is_due(now, self.part.is_some());
        due.then(|| self.story.tell(now, self.zero.ms(now), self.key.track))
    }

    pub(crate) fn into_record(self, now: Instant) -> (TrackReport, Vec<(&'static str, String)>) {
        (self.story.report(self.zero.ms(now), self.key.track), self.tags)
    }

    /// Whether the present file is the last that the track may have, so that it goes on although another should begin:
    /// with what is turned otherwise, or behind a gap. Notes that it was so.
    fn goes_on(&mut self) -> bool {
        let goes_on = self.part.is_some() && self.next_part + 1 >= MAX_PARTS;
        if goes_on {
            self.story.record.note(TrackNote::ManyFiles);
            self.story.news();
        }
        goes_on
    }

    fn begin_part(&self, start: Instant) -> Option<Part> {
        let format = self.format.as_ref().filter(|_| self.next_part < MAX_PARTS)?;
        let file = FileKey { of: self.key, part: self.next_part };
        let mut tags = self.tags.clone();
        tags.push((START_TAG, self.zero.ms(start).to_string()));
        // Made of the random part of the id, and different in each part.
        let uid = (self.key.track.0.as_u64_pair().1 << 8 | u64::from(self.next_part & 0xFF)).max(1);
        Part::new(file, start, &Header { format, date: self.zero.date(start), uid, tags: &tags })
    }

    fn end_part(&mut self, queue: &Queue) {
        let Some(mut part) = self.part.take() else { return };
        let dropped = part.finish(queue);
        if part.is_made() {
            self.tell(&part);
            self.next_part += 1;
        }
        if let Some(dropped) = dropped {
            self.starve(&dropped);
        }
    }

    fn after(&mut self, written: Result<(), Dropped>, queue: &Queue) {
        let Some(part) = self.part.take() else { return };
        if part.is_made() {
            self.tell(&part);
        }
        let is_video = part.kind().is_video();
        self.part = Some(part);
        if let Err(dropped) = written {
            self.starve(&dropped);
            // Players of audio count samples: a gap in a file would shift all that follows.
            if !is_video && !self.goes_on() {
                self.end_part(queue);
            }
        }
    }

    fn tell(&mut self, part: &Part) {
        let (start, end) = (self.zero.ms(part.start()), self.zero.ms(part.end()));
        self.story.wrote(part.file(), part.kind(), start, part.length(), end);
    }

    /// A loss ends, because something is written again or nothing will be.
    fn tell_loss(&mut self, until: Instant) {
        if let Some(since) = self.gate.lost_since.take() {
            self.story.record.hole(self.zero.ms(since), self.zero.ms(until));
        }
    }

    fn starve(&mut self, dropped: &Dropped) {
        self.gate.starved = true;
        self.gate.needs_key_frame = true;
        self.story.clusters_dropped += 1;
        self.gate.lost_since.get_or_insert(dropped.from);
        self.story.record.note(TrackNote::Dropped);
        self.story.news();
    }
}
