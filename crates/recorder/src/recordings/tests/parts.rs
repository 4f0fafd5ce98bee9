//! Senders and disks that would make a file each second.

use super::reader::{read, vp8_pictures};
use crate::report::{Span, TrackNote};
use crate::testing::{Rig, opus, silence, vp8};
use switchyard_media_worker::media::{RecordedCodec, TrackFormat};
use tempfile::tempdir;

const MAX_FILES: usize = 128;

#[test]
fn a_device_that_is_turned_at_each_picture_makes_128_files_and_no_picture_is_missing() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let camera = rig.add_track();
    let picture = &vp8_pictures()[0].payload;
    for number in 0..300u16 {
        let ms = u64::from(number) * 1_000;
        rig.format(camera, ms, TrackFormat { rotation: number % 2 * 90, ..vp8() });
        rig.picture(camera, ms, true, picture);
        rig.tick(ms);
    }
    rig.close(300_000);
    let report = rig.report(camera).unwrap();
    assert_eq!((report.files.len(), report.note), (MAX_FILES, Some(TrackNote::ManyFiles)));
    let times: Vec<u64> =
        read(rig.files(camera).last().unwrap()).packets().iter().map(|packet| packet.ms).collect();
    assert_eq!(times, (0..300 - 127).map(|number| number * 1_000).collect::<Vec<_>>());
}

#[test]
fn the_last_file_goes_on_behind_a_pause_at_the_time_of_the_call() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let microphone = rig.add_track();
    rig.format(microphone, 0, opus());
    for second in 0..200 {
        rig.pause(second * 1_000, false);
        (0..25).for_each(|number| rig.audio(microphone, second * 1_000 + number * 20, &silence()));
        rig.pause(second * 1_000 + 500, true);
        (25..50).for_each(|number| rig.audio(microphone, second * 1_000 + number * 20, &silence()));
        rig.tick(second * 1_000 + 900);
    }
    rig.close(200_000);
    let report = rig.report(microphone).unwrap();
    assert_eq!((report.files.len(), report.note), (MAX_FILES, Some(TrackNote::ManyFiles)));
    let last = read(rig.files(microphone).last().unwrap());
    let times: Vec<u64> = last.packets().iter().map(|packet| 127_000 + packet.ms).collect();
    assert_eq!((times.first(), times.last()), (Some(&127_000), Some(&199_480)));
    assert!(times.iter().all(|ms| ms % 1_000 < 500), "nothing of a pause is in it");
}

#[test]
fn another_codec_has_no_place_in_the_last_file_and_is_a_hole() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let camera = rig.add_track();
    let picture = &vp8_pictures()[0].payload;
    for number in 0..130u16 {
        let codec = if number % 2 == 0 { RecordedCodec::Vp8 } else { RecordedCodec::Vp9 };
        rig.format(camera, u64::from(number) * 1_000, TrackFormat { codec, ..vp8() });
        rig.picture(camera, u64::from(number) * 1_000, true, picture);
    }
    rig.close(131_000);
    let report = rig.report(camera).unwrap();
    assert_eq!((report.files.len(), report.note), (MAX_FILES, Some(TrackNote::ManyFiles)));
    assert_eq!(report.holes, [Span { from_ms: 128_000, to_ms: 131_000 }]);
}
