//! What the recorder reported and the database does not have yet: the latest row of each track and file.

use std::collections::BTreeMap;

use sqlx::types::Json;
use switchyard_recorder::{FileReport, TrackReport};

use crate::{
    call::{FileKind, FilePlace, FileRow, RecordingEnd, Span, TrackNote, TrackRow, TrackTimes},
    ids::{CallId, FileId, RecordingId, RecordingTrackId},
};

#[derive(Default)]
pub(super) struct Shelf {
    recordings: BTreeMap<RecordingId, Shelved>,
}

struct Shelved {
    call: CallId,
    /// Why the call stopped it.
    end: Option<RecordingEnd>,
    /// How often it was opened and not yet closed: more than once while the recorder's word, that an earlier task's
    /// files are finished, is on its way.
    openings: u32,
    /// It never started: its files are to be removed.
    discarded: bool,
    /// The disk was too slow for some of it, there was no room for one of its tracks, or a crash cut it.
    has_gaps: bool,
    /// The disk failed: its rows may say what is not there.
    broken: bool,
    tracks: BTreeMap<RecordingTrackId, ShelvedTrack>,
}

struct ShelvedTrack {
    row: TrackRow,
    files: BTreeMap<String, ShelvedFile>,
    /// The recorder has it.
    open: bool,
    /// Number of changes, and how many of them are stored.
    changes: u64,
    stored: u64,
}

struct ShelvedFile {
    row: FileRow,
    /// With which of the track's changes it came to be like this.
    changed: u64,
}

/// Rows to write, and how to tell the shelf that they are stored.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) tracks: Vec<TrackRow>,
    pub(super) files: Vec<FileRow>,
    marks: Vec<(RecordingTrackId, u64)>,
}

/// A recording of which all is stored but how it ended up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finished {
    pub(super) end: RecordingEnd,
    pub(super) has_gaps: bool,
    pub(super) broken: bool,
}

impl Shelf {
    /// A recording is about to be opened, for the first time or again.
    pub(super) fn begin(&mut self, recording: RecordingId, call: CallId, has_gaps: bool) {
        let shelved = self.recordings.entry(recording).or_insert_with(|| Shelved {
            call,
            end: None,
            openings: 0,
            discarded: false,
            has_gaps: false,
            broken: false,
            tracks: BTreeMap::new(),
        });
        shelved.end = None;
        shelved.openings += 1;
        shelved.has_gaps |= has_gaps;
    }

    /// Returns false if there is no room for it.
    pub(super) fn add_track(&mut self, row: TrackRow, open: bool) -> bool {
        let is_full = self.tracks() >= MOST_TRACKS;
        let Some(shelved) = self.recordings.get_mut(&row.recording_id) else { return true };
        // Somebody who agreed is not recorded: the recording is not whole.
        shelved.has_gaps |= matches!(row.note, Some(TrackNote::Limit | TrackNote::Dropped));
        if let Some(known) = shelved.tracks.get_mut(&row.id) {
            (known.row, known.open) = (row, open);
            known.changes += 1;
            return true;
        }
        if is_full {
            shelved.has_gaps = true;
            return false;
        }
        let track = ShelvedTrack { files: BTreeMap::new(), open, changes: 1, stored: 0, row };
        shelved.tracks.insert(track.row.id, track);
        true
    }

    /// Returns false if its track is not known.
    pub(super) fn report(&mut self, recording: RecordingId, report: TrackReport) -> bool {
        let id = RecordingTrackId(report.track.0);
        let Some(shelved) = self.recordings.get_mut(&recording) else { return true };
        let Some(track) = shelved.tracks.get_mut(&id) else { return false };
        shelved.has_gaps |= report.note == Some(switchyard_recorder::TrackNote::Dropped);
        track.take_in(recording, report);
        true
    }

    pub(super) fn end(&mut self, recording: RecordingId, end: RecordingEnd) {
        if let Some(shelved) = self.recordings.get_mut(&recording) {
            shelved.end.get_or_insert(end);
        }
    }

    pub(super) fn note_gap(&mut self, recording: RecordingId) {
        if let Some(shelved) = self.recordings.get_mut(&recording) {
            shelved.has_gaps = true;
        }
    }

    /// Something of it could not be written.
    pub(super) fn broke(&mut self, recording: RecordingId) {
        if let Some(shelved) = self.recordings.get_mut(&recording) {
            (shelved.has_gaps, shelved.broken) = (true, true);
        }
    }

    pub(super) fn discard(&mut self, recording: RecordingId) {
        if let Some(shelved) = self.recordings.get_mut(&recording) {
            shelved.discarded = true;
        }
    }

    /// The files of the recording are finished. Returns whether they are to be removed.
    pub(super) fn closed(&mut self, recording: RecordingId) -> bool {
        let Some(shelved) = self.recordings.get_mut(&recording) else { return false };
        shelved.openings = shelved.openings.saturating_sub(1);
        if shelved.openings == 0 {
            shelved.tracks.values_mut().for_each(|track| track.open = false);
        }
        let discarded = shelved.discarded;
        if discarded {
            self.recordings.remove(&recording);
        }
        discarded
    }

    pub(super) fn forget(&mut self, recording: RecordingId) {
        self.recordings.remove(&recording);
    }

    pub(super) fn call_of(&self, recording: RecordingId) -> Option<CallId> {
        self.recordings.get(&recording).filter(|shelved| !shelved.discarded).map(|shelved| shelved.call)
    }

    pub(super) fn all(&self) -> Vec<RecordingId> {
        self.recordings.iter().filter(|(_, shelved)| !shelved.discarded).map(|(id, _)| *id).collect()
    }

    /// Those that were not stopped.
    pub(super) fn running(&self) -> Vec<(RecordingId, CallId)> {
        let running = self.recordings.iter().filter(|(_, shelved)| shelved.is_running());
        running.map(|(id, shelved)| (*id, shelved.call)).collect()
    }

    /// Those whose files are finished and of which nothing is missing, neither in the files nor in the database.
    pub(super) fn whole(&self) -> Vec<RecordingId> {
        let is_whole = |shelved: &Shelved| shelved.is_stored() && !shelved.has_gaps && !shelved.discarded;
        self.recordings.iter().filter(|(_, shelved)| is_whole(shelved)).map(|(id, _)| *id).collect()
    }

    /// What of the recording is not stored yet.
    pub(super) fn batch(&self, recording: RecordingId) -> Batch {
        let mut batch = Batch::default();
        let Some(shelved) = self.recordings.get(&recording) else { return batch };
        for track in shelved.tracks.values().filter(|track| track.changes > track.stored) {
            batch.tracks.push(track.row.clone());
            let changed = track.files.values().filter(|file| file.changed > track.stored);
            batch.files.extend(changed.map(|file| file.row.clone()));
            batch.marks.push((track.row.id, track.changes));
        }
        batch
    }

    /// The batch is stored.
    pub(super) fn stored(&mut self, recording: RecordingId, batch: &Batch) {
        let Some(shelved) = self.recordings.get_mut(&recording) else { return };
        for (id, changes) in &batch.marks {
            if let Some(track) = shelved.tracks.get_mut(id) {
                track.stored = track.stored.max(*changes);
            }
        }
    }

    /// How the recording ended, once it is closed and all its rows are stored.
    pub(super) fn finished(&self, recording: RecordingId) -> Option<Finished> {
        let shelved = self.recordings.get(&recording)?;
        let end = shelved.end.filter(|_| shelved.is_stored())?;
        Some(Finished { end, has_gaps: shelved.has_gaps, broken: shelved.broken })
    }

    /// Recordings that have not been stopped.
    pub(super) fn active(&self) -> usize {
        self.recordings.values().filter(|shelved| shelved.is_running()).count()
    }

    pub(super) fn open_tracks(&self) -> usize {
        let open = |shelved: &Shelved| shelved.tracks.values().filter(|track| track.open).count();
        self.recordings.values().map(open).sum()
    }

    fn tracks(&self) -> usize {
        self.recordings.values().map(|shelved| shelved.tracks.len()).sum()
    }
}

impl Shelved {
    fn is_running(&self) -> bool {
        self.end.is_none() && !self.discarded
    }

    /// Its files are finished, and the database has all that was reported.
    fn is_stored(&self) -> bool {
        self.openings == 0 && self.tracks.values().all(|track| track.changes == track.stored)
    }
}

impl ShelvedTrack {
    fn take_in(&mut self, recording: RecordingId, report: TrackReport) {
        let spans = |spans: Vec<switchyard_recorder::Span>| spans.into_iter().map(span).collect();
        let row = &mut self.row;
        row.codec = Some(report.codec.to_owned()).filter(|codec| !codec.is_empty());
        row.start_ms = whole(report.start_ms);
        row.duration_ms = whole(report.duration_ms);
        row.bytes = whole(report.bytes);
        row.packets_lost = whole(report.packets_lost);
        row.concealed_ms = whole(report.concealed_ms);
        row.held_ms = whole(report.held_ms);
        (row.width, row.height) =
            report.size.map(|(width, height)| (i64::from(width), i64::from(height))).unzip();
        row.spans = Json(TrackTimes { spans: spans(report.spans), holes: spans(report.holes) });
        row.note = report.note.map(note);
        self.changes += 1;
        for file in report.files {
            let known = self.files.get(&file.key);
            let row = file_row(recording, known.map_or_else(FileId::random, |known| known.row.id), file);
            if known.is_none_or(|known| known.row != row) {
                self.files.insert(row.key.clone(), ShelvedFile { row, changed: self.changes });
            }
        }
        self.open &= !report.ended;
    }
}

pub(super) fn file_row(recording_id: RecordingId, id: FileId, file: FileReport) -> FileRow {
    FileRow {
        id,
        recording_id,
        track_id: Some(RecordingTrackId(file.track.0)),
        kind: FileKind::Track,
        part: file.part.into(),
        content_type: file.content_type.to_owned(),
        place: FilePlace::Local,
        key: file.key,
        bytes: whole(file.bytes),
        start_ms: whole(file.start_ms),
        sha256: file.sha256,
    }
}

fn span(span: switchyard_recorder::Span) -> Span {
    Span { from_ms: span.from_ms, to_ms: span.to_ms }
}

fn note(note: switchyard_recorder::TrackNote) -> TrackNote {
    match note {
        switchyard_recorder::TrackNote::NoKeyFrame => TrackNote::NoKeyFrame,
        switchyard_recorder::TrackNote::ClockSet => TrackNote::ClockSet,
        switchyard_recorder::TrackNote::ManyFiles => TrackNote::ManyFiles,
        switchyard_recorder::TrackNote::Dropped => TrackNote::Dropped,
    }
}

pub(super) fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Rows of all recordings that have not been settled: those of hours of busy calls.
const MOST_TRACKS: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        call::Source,
        ids::{LegId, UserId},
    };
    use switchyard_media_worker::media::ProducerId;
    use uuid::Uuid;

    #[test]
    fn a_recording_is_not_whole_if_somebody_found_no_room_in_it() {
        for (note, has_gaps) in [
            (None, false),
            (Some(TrackNote::Declined), false),
            (Some(TrackNote::Limit), true),
            (Some(TrackNote::Dropped), true),
        ] {
            let (mut shelf, recording) = (Shelf::default(), RecordingId::random());
            shelf.begin(recording, CallId::random(), false);
            let whose = (LegId::random(), UserId::random(), Source::Mic);
            let producer = ProducerId(Uuid::new_v4());
            let mut row = TrackRow::empty(RecordingTrackId::random(), recording, producer, whose, 0);
            row.note = note;
            shelf.add_track(row, false);
            shelf.end(recording, RecordingEnd::Stopped);
            shelf.closed(recording);
            let batch = shelf.batch(recording);
            shelf.stored(recording, &batch);
            assert_eq!(shelf.finished(recording).unwrap().has_gaps, has_gaps, "{note:?}");
        }
    }

    #[test]
    fn of_a_track_with_many_files_only_those_that_changed_are_written_again() {
        let (mut shelf, recording) = (Shelf::default(), RecordingId::random());
        shelf.begin(recording, CallId::random(), false);
        let whose = (LegId::random(), UserId::random(), Source::Camera);
        let row =
            TrackRow::empty(RecordingTrackId::random(), recording, ProducerId(Uuid::new_v4()), whose, 0);
        let track = switchyard_recorder::TrackId(row.id.0);
        shelf.add_track(row, true);
        let mut files: Vec<FileReport> = Vec::new();
        for part in 0..100 {
            files.push(FileReport {
                track,
                part,
                key: format!("{recording}/{}-{part}.webm", track.0),
                content_type: "video/webm",
                bytes: 1_000,
                start_ms: u64::from(part),
                duration_ms: 1,
                sha256: None,
            });
            shelf.report(recording, report(track, &files));
            let batch = shelf.batch(recording);
            assert_eq!(batch.files.iter().map(|file| file.part).collect::<Vec<_>>(), [i64::from(part)]);
            shelf.stored(recording, &batch);
        }
        // What changes while a batch is written is in the next one.
        files[7].bytes = 2_000;
        shelf.report(recording, report(track, &files));
        let batch = shelf.batch(recording);
        files[9].sha256 = Some("hash".to_owned());
        shelf.report(recording, report(track, &files));
        shelf.stored(recording, &batch);
        assert_eq!(batch.files.iter().map(|file| (file.part, file.bytes)).collect::<Vec<_>>(), [(7, 2_000)]);
        let parts: Vec<_> = shelf.batch(recording).files.iter().map(|file| file.part).collect();
        assert_eq!(parts, [9]);
    }

    fn report(track: switchyard_recorder::TrackId, files: &[FileReport]) -> TrackReport {
        TrackReport {
            track,
            codec: "vp8",
            start_ms: 0,
            duration_ms: 1_000,
            bytes: 1_000,
            packets_lost: 0,
            concealed_ms: 0,
            held_ms: 0,
            size: None,
            spans: Vec::new(),
            holes: Vec::new(),
            note: None,
            files: files.to_vec(),
            ended: false,
        }
    }

    #[test]
    fn a_recording_that_was_opened_again_is_not_finished_by_the_end_of_what_was_before() {
        let (mut shelf, recording, call) = (Shelf::default(), RecordingId::random(), CallId::random());
        shelf.begin(recording, call, false);
        shelf.end(recording, RecordingEnd::ServerRestart);
        shelf.begin(recording, call, true);
        shelf.closed(recording);
        shelf.end(recording, RecordingEnd::Stopped);
        assert!(shelf.finished(recording).is_none());
        shelf.closed(recording);
        let finished = shelf.finished(recording).unwrap();
        assert_eq!((finished.end, finished.has_gaps), (RecordingEnd::Stopped, true));
        assert!(shelf.whole().is_empty());
    }
}
