//! What a track's owner is told, and when.

use crate::event::FinishedFile;
use crate::ids::{FileKey, TrackId};
use crate::matroska::Kind;
use crate::record::Record;
use crate::report::{FileReport, TrackReport};
use crate::time::millis;
use std::time::{Duration, Instant};
use switchyard_media_worker::media::{RecordedCodec, TapCounts, TrackFormat};

/// A report is sent at least this often while something is written,
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// and for small news at most this often.
const NEWS_INTERVAL: Duration = Duration::from_secs(1);

/// All that a report has. Times are in milliseconds since the recording began.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) record: Record,
    pub(crate) counts: TapCounts,
    pub(crate) clusters_dropped: u64,
    codec: &'static str,
    largest: Option<(u16, u16)>,
    files: Vec<Written>,
    /// When the last written sample ends.
    end_ms: u64,
    told: Told,
}

#[derive(Debug)]
struct Written {
    file: FileKey,
    report: FileReport,
    finished: bool,
}

/// What the owner knows.
#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    /// There is something that it should know within a second,
    news: bool,
    /// or at once.
    urgent: bool,
    ended: bool,
}

impl Story {
    pub(crate) fn format(&mut self, format: &TrackFormat) {
        let area = |(width, height): &(u16, u16)| u32::from(*width) * u32::from(*height);
        self.largest = self.largest.into_iter().chain(format.size).max_by_key(area);
        self.codec = name(format.codec);
    }

    /// Something happened that the next report has to tell.
    pub(crate) fn news(&mut self) {
        self.told.news = true;
    }

    pub(crate) fn urgent_news(&mut self) {
        self.told.urgent = true;
    }

    /// A file was made, or has grown.
    pub(crate) fn wrote(&mut self, file: FileKey, kind: Kind, start_ms: u64, length: u64, end_ms: u64) {
        self.end_ms = self.end_ms.max(end_ms);
        if let Some(written) = self.files.last_mut().filter(|written| written.file == file) {
            written.report.bytes = length;
            written.report.duration_ms = end_ms.saturating_sub(written.report.start_ms);
            return;
        }
        let report = FileReport {
            track: file.of.track,
            part: file.part,
            key: file.path(kind),
            content_type: kind.content_type(),
            bytes: length,
            start_ms,
            duration_ms: end_ms.saturating_sub(start_ms),
            sha256: None,
        };
        self.files.push(Written { file, report, finished: false });
        self.urgent_news();
    }

    /// `None`: nothing of the file is left.
    pub(crate) fn finished(&mut self, file: FileKey, done: Option<FinishedFile>) {
        let Some(index) = self.files.iter().position(|written| written.file == file) else { return };
        match done {
            Some(done) => {
                let written = &mut self.files[index];
                written.finished = true;
                written.report.bytes = done.bytes;
                written.report.sha256 = done.sha256;
            }
            None => drop(self.files.remove(index)),
        }
        self.urgent_news();
    }

    pub(crate) fn end(&mut self, at_ms: u64) {
        self.record.end(at_ms);
        self.told.ended = true;
        self.urgent_news();
    }

    /// Whether the track has ended and all its files are finished.
    pub(crate) fn is_done(&self) -> bool {
        self.told.ended && self.files.iter().all(|written| written.finished)
    }

    /// Whether a report should be sent.
    pub(crate) fn is_due(&self, now: Instant, writes: bool) -> bool {
        let since = self.told.at.map(|at| now.saturating_duration_since(at));
        let old = |limit| since.is_none_or(|since| since >= limit);
        let known = self.told.ended || !self.files.is_empty() || self.record.told().is_some();
        // The end is told once, when the files are finished.
        let waits = self.told.ended && !self.is_done();
        let due =
            self.told.urgent || (self.told.news && old(NEWS_INTERVAL)) || (writes && old(REPORT_INTERVAL));
        known && due && !waits
    }

    pub(crate) fn tell(&mut self, now: Instant, now_ms: u64, track: TrackId) -> TrackReport {
        (self.told.at, self.told.news, self.told.urgent) = (Some(now), false, false);
        self.report(now_ms, track)
    }

    pub(crate) fn report(&self, now_ms: u64, track: TrackId) -> TrackReport {
        let files: Vec<FileReport> = self.files.iter().map(|written| written.report.clone()).collect();
        let start_ms = files.first().map_or(0, |file| file.start_ms);
        TrackReport {
            track,
            codec: self.codec,
            start_ms,
            duration_ms: self.end_ms.saturating_sub(start_ms),
            bytes: files.iter().map(|file| file.bytes).sum(),
            packets_lost: self.counts.packets_lost,
            concealed_ms: millis(self.counts.concealed),
            held_ms: millis(self.counts.held),
            size: self.largest,
            spans: self.record.spans(now_ms),
            holes: self.record.holes().to_vec(),
            note: self.record.told(),
            files,
            ended: self.is_done(),
        }
    }
}

/// As [`TrackReport::codec`].
pub(crate) fn name(codec: RecordedCodec) -> &'static str {
    match codec {
        RecordedCodec::Opus => "opus",
        RecordedCodec::Pcm => "pcm",
        RecordedCodec::Vp8 => "vp8",
        RecordedCodec::Vp9 => "vp9",
        RecordedCodec::H264 => "h264",
        RecordedCodec::Av1 => "av1",
    }
}
