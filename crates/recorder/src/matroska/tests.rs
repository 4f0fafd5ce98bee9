use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::time::{Duration, SystemTime};
use switchyard_media_worker::media::{RecordedCodec, TrackFormat};

fn format(codec: RecordedCodec) -> TrackFormat {
    TrackFormat { codec, private: Bytes::new(), size: Some((640, 360)), rotation: 0 }
}

fn header(format: &TrackFormat) -> Vec<u8> {
    let tags = [("CALL_ID", "7f".to_owned()), ("START_MS", "1200".to_owned())];
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    Header { format, date, uid: 7, tags: &tags }.bytes()
}

#[test]
fn a_header_is_read_as_it_was_written() {
    for codec in [RecordedCodec::Opus, RecordedCodec::Pcm, RecordedCodec::H264, RecordedCodec::Av1] {
        let bytes = header(&format(codec));
        let places = Places::read(&bytes).unwrap();
        assert_eq!(places.codec, codec);
        assert_eq!(places.clusters_at as usize, bytes.len());
        assert_eq!(places.tag("START_MS"), Some("1200"));
        assert_eq!(places.duration_ms, None);
        let is_video = places.kind().is_video();
        assert_eq!(places.size, is_video.then_some((640, 360)), "{codec:?}");
        assert!(!places.is_finished(bytes.len() as u64));
    }
}

#[test]
fn a_header_without_a_size_tells_none() {
    let bytes = header(&TrackFormat { size: None, ..format(RecordedCodec::H264) });
    assert_eq!(Places::read(&bytes).unwrap().size, None);
}

#[test]
fn the_end_of_a_file_fits_into_the_places_that_its_beginning_keeps() {
    let mut file = header(&format(RecordedCodec::Vp8));
    let places = Places::read(&file).unwrap();
    let before = file.len();
    let mut cues = Cues::default();
    cues.push(0, before as u64);
    let trailer = Trailer::new(&places, &cues, before as u64, 5_000);
    file.extend_from_slice(&trailer.index);
    for (at, bytes) in [&trailer.duration, &trailer.seek_head] {
        file[*at as usize..*at as usize + bytes.len()].copy_from_slice(bytes);
    }
    file[trailer.size.0 as usize..trailer.size.0 as usize + 8].copy_from_slice(&trailer.size.1);
    let finished = Places::read(&file).unwrap();
    assert!(finished.is_finished(file.len() as u64));
    assert_eq!(finished.duration_ms, Some(5_000));
    assert_eq!(finished.clusters_at as usize, before, "nothing moved");
}

#[test]
fn a_mark_is_read_back_and_a_damaged_one_counts_as_none() {
    let mut mark = write_mark(123_456_789_012);
    assert_eq!(read_mark(&mark), 123_456_789_012);
    mark[3] ^= 1;
    assert_eq!(read_mark(&mark), 0);
    assert_eq!(read_mark(&[0; 100]), 0, "zeros are no mark");
    assert_eq!(read_mark(&[]), 0);
}

#[test]
fn hours_of_key_frames_need_bounded_memory_and_stay_seekable_from_the_beginning() {
    let mut cues = Cues::default();
    (0..1_000_000).for_each(|number| cues.push(number * 1_000, 400 + number * 50_000));
    assert!(cues.len() <= 16_384);
    assert!(cues.len() >= 8_192);
    let places = Places::read(&header(&format(RecordedCodec::Vp8))).unwrap();
    let index = cues.element(places.segment_at);
    assert!(index.len() < 1024 * 1024);
}

proptest! {
    #[test]
    fn blocks_of_a_cluster_are_read_as_they_were_written(
        start in 0..u64::MAX / 2,
        payloads in prop::collection::vec((0..1_000u64, any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 1..30)
    ) {
        let key_frame = payloads[0].1;
        let mut builder = ClusterBuilder::new(start, key_frame);
        for (time, key_frame, payload) in &payloads {
            builder.push(start + time, *key_frame, payload);
        }
        let cluster = builder.finish();
        let head = ClusterHead::read(&cluster).unwrap();
        prop_assert_eq!(head, ClusterHead { length: cluster.len() as u64, start_ms: start, key_frame });
        prop_assert!(crc_is_right(&cluster));
        let read: Vec<_> = blocks(&cluster).collect();
        prop_assert_eq!(read.len(), payloads.len());
        for (block, (time, key_frame, payload)) in read.iter().zip(&payloads) {
            prop_assert_eq!((block.time_ms, block.key_frame), (start + time, *key_frame));
            prop_assert_eq!(block.payload, payload.as_slice());
        }
    }

    #[test]
    fn one_changed_byte_of_a_cluster_is_found(payload in prop::collection::vec(any::<u8>(), 1..300), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut builder = ClusterBuilder::new(0, true);
        builder.push(0, true, &payload);
        let mut cluster = builder.finish().to_vec();
        let at = at.index(cluster.len() - 18) + 18;
        cluster[at] ^= 1 << bit;
        prop_assert!(!crc_is_right(&cluster));
    }

    #[test]
    fn readers_survive_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Places::read(&bytes), ClusterHead::read(&bytes), crc_is_right(&bytes), read_mark(&bytes));
        prop_assert!(blocks(&bytes).count() < 200);
    }

    #[test]
    fn readers_survive_a_changed_header(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = header(&format(RecordedCodec::Vp9));
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Some(places) = Places::read(&bytes) {
            prop_assert!(places.clusters_at as usize <= bytes.len());
        }
    }
}
