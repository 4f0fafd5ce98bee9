use super::reader::{Packet, Picture, decode, probe, read, vp8_pictures};
use crate::growing::{self, Next, Start};
use crate::repair::repair_recording;
use crate::report::{Notice, Span};
use crate::testing::{Rig, opus, silence, vp8};
use std::fs;
use switchyard_media_worker::media::{RecordedLayer, TapNotice};
use tempfile::tempdir;

#[test]
fn a_camera_becomes_a_file_with_every_picture_at_its_time() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().join("recordings"));
    let camera = rig.add_track();
    rig.notice(camera, 0, TapNotice::Sending(true, rig.at(100)));
    rig.format(camera, 400, vp8());
    let times = (0..).map(|number| 400 + number * 33);
    for (picture, ms) in vp8_pictures().iter().zip(times.clone()) {
        rig.picture(camera, ms, picture.key_frame, &picture.payload);
        rig.tick(ms);
    }
    rig.close(10_400);

    let report = rig.report(camera).unwrap().clone();
    let file = read(&rig.files(camera)[0]);
    let packet = |(picture, ms): (&Picture, u64)| Packet {
        ms: ms - 400,
        size: picture.payload.len(),
        key_frame: picture.key_frame,
    };
    let expected: Vec<Packet> = vp8_pictures().iter().zip(times).map(packet).collect();
    assert_eq!(file.packets(), expected);
    assert_eq!(decode(&rig.files(camera)[0]), 300);
    assert_eq!(file.duration_ms(), Some(300 * 33));
    assert_eq!((file.stream("codec_name"), file.stream("width")), ("vp8".to_owned(), "320".to_owned()));
    assert_eq!(file.tag("CALL_ID"), Some("a call"));
    assert_eq!(file.tag("START_MS"), Some("400"));
    assert_eq!((report.start_ms, report.duration_ms, report.codec), (400, 9_900, "vp8"));
    assert_eq!(report.spans, [Span { from_ms: 100, to_ms: 10_400 }]);
    assert_eq!(report.size, Some((320, 180)));
    assert!(report.ended);
    let [told] = report.files.as_slice() else { panic!("{report:?}") };
    assert_eq!(told.bytes, fs::metadata(&rig.files(camera)[0]).unwrap().len());
    assert_eq!(told.sha256.as_ref().unwrap().len(), 64);
    assert_eq!(told.content_type, "video/webm");
    assert_eq!(folder.path().join("recordings").join(&told.key), rig.files(camera)[0]);
    assert_eq!(rig.notices.last(), Some(&Notice::Closed(rig.recording)));
}

#[test]
fn a_microphone_becomes_a_file_without_gaps_that_decodes() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let microphone = rig.add_track();
    rig.format(microphone, 0, opus());
    for number in 0..250 {
        rig.audio(microphone, number * 20, &silence());
        rig.tick(number * 20);
    }
    rig.close(5_000);
    let path = &rig.files(microphone)[0];
    let file = read(path);
    assert_eq!(file.packets().len(), 250);
    assert_eq!(
        file.packets().iter().map(|packet| packet.ms).collect::<Vec<_>>(),
        (0..250).map(|n| n * 20).collect::<Vec<_>>()
    );
    assert_eq!(file.duration_ms(), Some(5_000));
    assert_eq!(
        (file.stream("codec_name"), file.stream("sample_rate")),
        ("opus".to_owned(), "48000".to_owned())
    );
    assert_eq!(decode(path), 250);
}

#[test]
fn a_file_is_playable_while_it_grows_and_after_a_kill() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let camera = rig.add_track();
    rig.format(camera, 0, vp8());
    assert!(rig.files(camera).is_empty(), "no file without a sample");
    for (picture, ms) in vp8_pictures()[..100].iter().zip((0..).map(|number| number * 33)) {
        rig.picture(camera, ms, picture.key_frame, &picture.payload);
        rig.tick(ms);
    }
    rig.tick(5_000);
    let bytes = rig.report(camera).unwrap().bytes;
    rig.wait(5_000, |rig| rig.counters().bytes >= bytes && bytes > 0);
    let before = probe(&rig.files(camera)[0]);
    assert_eq!(before.packets().len(), 100, "all but what is younger than a second");

    let (recording, path) = (rig.recording, rig.files(camera)[0].clone());
    let whole = fs::read(&path).unwrap();
    let Start { header, mut position } = growing::start(&path, Some(0)).unwrap();
    assert_eq!(header.len() as u64, position);
    let mut live = header.to_vec();
    while let Next::Cluster(cluster) = growing::next(&path, position).unwrap() {
        live.extend_from_slice(&cluster);
        position += cluster.len() as u64;
    }
    assert_eq!(live, whole, "who reads while it is written gets all of it");

    let folder = rig.kill();
    let reports = repair_recording(&folder, recording).unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].file.part, reports[0].file.start_ms), (0, 0));
    assert_eq!(reports[0].file.bytes, fs::metadata(&path).unwrap().len());
    let repaired = read(&path);
    assert!(matches!(growing::next(&path, position).unwrap(), Next::End), "it is finished");
    assert_eq!(repaired.packets(), before.packets());
    assert_eq!(repaired.duration_ms(), Some(3_300));
    assert_eq!((reports[0].file.duration_ms, reports[0].codec), (3_300, "vp8"));
    assert!(reports[0].tags.contains(&("CALL_ID".to_owned(), "a call".to_owned())), "{:?}", reports[0].tags);
    let again = repair_recording(&folder, recording).unwrap();
    assert_eq!((reports[0].was_open, reports[0].size), (true, Some((320, 180))));
    assert_eq!(
        (again[0].was_open, &again[0].file),
        (false, &reports[0].file),
        "a finished file is left alone"
    );
}

#[test]
fn the_manifest_of_a_continued_recording_names_the_files_of_before_with_their_hashes() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let microphone = rig.add_track();
    rig.format(microphone, 0, opus());
    rig.audio(microphone, 0, &silence());
    rig.close(1_000);
    let [mut file] = repair_recording(&rig.folder, rig.recording).unwrap().try_into().unwrap();
    assert_eq!(file.file.sha256, None, "a repair reads no more than it has to");
    file.file.sha256.clone_from(&rig.report(microphone).unwrap().files[0].sha256);

    rig.notices.clear();
    rig.recordings.open(rig.recording, RecordedLayer::High, rig.began, vec![file.clone()]);
    rig.close(2_000);
    let manifest = fs::read(rig.folder.manifest(rig.recording)).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let listed = &manifest["tracks"][0]["files"][0];
    assert!(file.file.key.ends_with(listed["name"].as_str().unwrap()));
    assert_eq!(listed["sha256"], serde_json::json!(file.file.sha256.unwrap()));
}
