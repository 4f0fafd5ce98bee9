use super::*;
use crate::ids::{RecordingId, TrackId, TrackKey};
use crate::matroska::{ClusterBuilder, Header, write_mark};
use bytes::Bytes;
use proptest::prelude::*;
use std::cell::Cell;
use std::time::SystemTime;
use switchyard_media_worker::media::{RecordedCodec, TrackFormat};
use tempfile::tempdir;
use uuid::Uuid;

/// A file without an end: its bytes, and where each cluster ends.
struct Unfinished {
    bytes: Vec<u8>,
    header: usize,
    ends: Vec<usize>,
}

/// Clusters of one second with a key frame every second cluster.
fn unfinished(clusters: u64, picture: usize) -> Unfinished {
    let format =
        TrackFormat { codec: RecordedCodec::Vp8, private: Bytes::new(), size: Some((320, 180)), rotation: 0 };
    let tags = [(START_TAG, "2500".to_owned())];
    let mut bytes = Header { format: &format, date: SystemTime::now(), uid: 1, tags: &tags }.bytes();
    let (header, mut ends) = (bytes.len(), Vec::new());
    for number in 0..clusters {
        let mut cluster = ClusterBuilder::new(number * 1_000, number % 2 == 0);
        for block in 0..10 {
            let payload = vec![(number + block) as u8; picture];
            cluster.push(number * 1_000 + block * 100, number % 2 == 0 && block == 0, &payload);
        }
        bytes.extend_from_slice(&cluster.finish());
        ends.push(bytes.len());
    }
    Unfinished { bytes, header, ends }
}

impl Unfinished {
    /// Notes that the file was synced at this length.
    fn sync(&mut self, length: usize) {
        let at = Places::read(&self.bytes).unwrap().mark_at() as usize;
        self.bytes[at..at + 12].copy_from_slice(&write_mark(length as u64));
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

fn whole_length(bytes: &Vec<u8>) -> Option<usize> {
    match scan(bytes, bytes.len() as u64).unwrap() {
        Scanned::Unfinished { length, .. } => Some(length as usize),
        Scanned::Empty | Scanned::Foreign => None,
        Scanned::Finished(_) => panic!("it has no end"),
    }
}

#[test]
fn a_file_that_is_cut_anywhere_keeps_its_whole_clusters() {
    let file = unfinished(4, 20);
    for length in 0..file.bytes.len() {
        let whole = file.ends.iter().copied().filter(|end| *end <= length).max();
        assert_eq!(whole_length(&file.bytes[..length].to_vec()), whole, "cut at {length}");
    }
}

#[test]
fn zeros_at_the_end_are_cut_even_where_the_length_of_a_cluster_is_on_the_disk() {
    let file = unfinished(4, 200);
    for zeros_from in file.header..file.bytes.len() {
        let mut bytes = file.bytes.clone();
        bytes[zeros_from..].fill(0);
        let whole = file.ends.iter().copied().filter(|end| *end <= zeros_from).max();
        // The last bytes of a cluster may be zeros by themselves.
        let found = whole_length(&bytes);
        assert_eq!(found, whole, "zeros from {zeros_from}");
    }
}

#[test]
fn what_was_synced_is_trusted_and_what_was_not_is_checked() {
    let mut file = unfinished(6, 100);
    file.sync(file.ends[2]);
    let mut damaged = file.bytes.clone();
    damaged[file.ends[0] + 300] ^= 1;
    assert_eq!(whole_length(&damaged), Some(file.bytes.len()), "only heads are read of what was synced");
    damaged[file.ends[3] + 300] ^= 1;
    assert_eq!(whole_length(&damaged), Some(file.ends[3]));
}

#[test]
fn a_repaired_file_has_its_end_and_is_left_alone_the_next_time() {
    let folder = tempdir().unwrap();
    let folder = Folder::open(folder.path().to_owned()).unwrap();
    let recording = RecordingId(Uuid::new_v4());
    folder.make_recording(recording).unwrap();
    let of = TrackKey { recording, track: TrackId(Uuid::new_v4()) };
    let path = folder.file(FileKey { of, part: 3 }, Kind::WebmVideo);
    let file = unfinished(5, 100);
    fs::write(&path, [&file.bytes[..file.ends[4] - 1], &[0; 500]].concat()).unwrap();
    let empty = folder.file(FileKey { of, part: 4 }, Kind::WebmVideo);
    fs::write(&empty, &file.bytes[..file.header + 10]).unwrap();
    let foreign = folder.recording(recording).join("notes.webm");
    fs::write(&foreign, "something else").unwrap();

    let reports = repair_recording(&folder, recording).unwrap();
    let [RepairedFile { file: report, .. }] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((report.part, report.start_ms, report.content_type), (3, 2_500, "video/webm"));
    assert_eq!((reports[0].was_open, reports[0].size), (true, Some((320, 180))));
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len() as u64, report.bytes);
    assert_eq!(bytes[file.header..file.ends[3]], file.bytes[file.header..file.ends[3]]);
    let places = Places::read(&bytes).unwrap();
    assert!(places.is_finished(bytes.len() as u64));
    assert_eq!(places.duration_ms, Some(4_000));
    assert!(!empty.exists(), "a file without a sample is removed");
    assert!(foreign.exists(), "what is not ours stays");
    let again = repair_recording(&folder, recording).unwrap();
    assert_eq!(again, [RepairedFile { was_open: false, ..reports[0].clone() }]);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_kill_between_the_steps_of_an_end_is_repaired_too() {
    let file = unfinished(4, 100);
    let length = file.bytes.len() as u64;
    let Scanned::Unfinished { places, cues, duration_ms, .. } = scan(&file.bytes, length).unwrap() else {
        panic!("it has no end");
    };
    let trailer = Trailer::new(&places, &cues, length, duration_ms);
    let folder = tempdir().unwrap();
    let path = folder.path().join("file.webm");
    for step in 0..4 {
        let mut bytes = file.bytes.clone();
        bytes.extend_from_slice(&trailer.index[..trailer.index.len() * usize::from(step > 0)]);
        for (at, patch) in [&trailer.duration, &trailer.seek_head].into_iter().take(step.max(1) - 1) {
            bytes[*at as usize..*at as usize + patch.len()].copy_from_slice(patch);
        }
        fs::write(&path, &bytes).unwrap();
        assert!(repair_file(&path).unwrap().unwrap().was_open);
        let repaired = fs::read(&path).unwrap();
        let places = Places::read(&repaired).unwrap();
        assert!(places.is_finished(repaired.len() as u64), "step {step}");
        assert_eq!(repaired.len(), file.bytes.len() + trailer.index.len(), "step {step}");
    }
}

#[test]
fn of_an_hour_that_was_synced_only_heads_are_read() {
    struct Counted(Vec<u8>, Cell<usize>);
    impl ReadAt for Counted {
        fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
            let read = self.0.read_at(buffer, at)?;
            self.1.set(self.1.get() + read);
            Ok(read)
        }
    }
    let mut file = unfinished(3_600, 1_000);
    file.sync(file.ends[3_594]);
    let length = file.bytes.len();
    let counted = Counted(file.bytes, Cell::new(0));
    let scanned = scan(&counted, length as u64).unwrap();
    assert!(matches!(scanned, Scanned::Unfinished { length: whole, .. } if whole as usize == length));
    assert!(counted.1.get() < 300_000, "{} of {length} bytes were read", counted.1.get());
}

proptest! {
    #[test]
    fn a_scan_survives_any_damage_and_keeps_only_whole_clusters(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut in any::<prop::sample::Index>(),
        synced in prop_oneof![Just(0), 0..3_000usize, Just(usize::MAX)],
    ) {
        let mut file = unfinished(5, 30);
        file.sync(synced);
        let length = cut.index(file.bytes.len() + 1);
        file.bytes.truncate(length);
        for (at, value) in changes.iter().filter(|_| length > 0) {
            let at = at.index(length);
            file.bytes[at] = *value;
        }
        let scanned = scan(&file.bytes, length as u64).unwrap();
        if let Scanned::Unfinished { places, length: whole, cues, duration_ms } = scanned {
            prop_assert!(whole <= length as u64 && places.clusters_at < whole);
            let trailer = Trailer::new(&places, &cues, whole, duration_ms);
            for (at, bytes) in [&trailer.duration, &trailer.seek_head] {
                prop_assert!(*at as usize + bytes.len() <= whole as usize, "an end within the file");
            }
        }
    }
}

#[test]
fn a_file_is_hashed_unless_there_is_no_time_for_it() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("file.webm");
    fs::write(&path, "abc").unwrap();
    let hurry = AtomicBool::new(false);
    let FinishedFile { bytes, sha256 } = describe(&path, &hurry).unwrap().unwrap();
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!((bytes, sha256.as_deref()), (3, Some(known)));
    hurry.store(true, Ordering::Relaxed);
    let unhashed = Some(FinishedFile { bytes: 3, sha256: None });
    assert_eq!(describe(&path, &hurry).unwrap(), unhashed);
}
