//! Every codec in its file.

use super::reader::{Picture, decode, encode, ffmpeg, read};
use crate::testing::{Rig, silence};
use bytes::Bytes;
use std::process::Command;
use switchyard_media_worker::media::{RecordedCodec, TrackFormat};
use tempfile::tempdir;

const PICTURES: usize = 60;

fn format(codec: RecordedCodec, private: &[u8]) -> TrackFormat {
    TrackFormat { codec, private: Bytes::copy_from_slice(private), size: Some((320, 180)), rotation: 0 }
}

/// Records the pictures, and reads the file with all readers.
fn show(format: TrackFormat, pictures: &[Picture], extension: &str) {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let camera = rig.add_track();
    rig.format(camera, 0, format);
    for (picture, ms) in pictures.iter().zip((0..).map(|number| number * 33)) {
        rig.picture(camera, ms, picture.key_frame, &picture.payload);
    }
    rig.close(5_000);
    let path = &rig.files(camera)[0];
    assert_eq!(path.extension().unwrap(), extension);
    let read = read(path);
    assert_eq!(read.packets().len(), pictures.len());
    assert_eq!(decode(path), pictures.len());
    assert_eq!((read.stream("width"), read.stream("height")), ("320".to_owned(), "180".to_owned()));
}

#[test]
fn vp9_becomes_webm() {
    let arguments = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"];
    show(format(RecordedCodec::Vp9, &[]), &encode(&arguments, PICTURES), "webm");
}

#[test]
fn av1_becomes_webm() {
    let arguments = ["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8"];
    let pictures = encode(&arguments, PICTURES);
    // A temporal delimiter (two bytes), then the sequence header, with its size in the byte behind its header.
    let header = &pictures[0].payload[2..];
    let header = &header[..2 + usize::from(header[1])];
    let private = [&[0x81, 0x00, 0x0C, 0x00], header].concat();
    show(format(RecordedCodec::Av1, &private), &pictures, "webm");
}

#[test]
fn h264_becomes_matroska_with_its_parameter_sets_in_front_and_inside() {
    let scene = format!("testsrc=size=320x180:rate=30:duration={}", PICTURES / 30);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", &scene, "-pix_fmt", "yuv420p", "-c:v", "libx264"]);
    command.args([
        "-g",
        "30",
        "-bf",
        "0",
        "-preset",
        "ultrafast",
        "-x264-params",
        "log=-1:slices=1:sliced-threads=0",
    ]);
    let stream = ffmpeg(command.args(["-f", "h264", "-"]));
    let units = units(&stream);
    let find = |kind: u8| *units.iter().find(|unit| unit[0] & 0x1F == kind).unwrap();
    let (sps, pps) = (find(7), find(8));
    let mut private = vec![1, sps[1], sps[2], sps[3], 0xFF, 0xE1];
    for (unit, head) in [(sps, &[][..]), (pps, &[1][..])] {
        private.extend_from_slice(head);
        private.extend_from_slice(&(unit.len() as u16).to_be_bytes());
        private.extend_from_slice(unit);
    }
    let (mut pictures, mut payload) = (Vec::new(), Vec::new());
    for unit in units {
        payload.extend_from_slice(&(unit.len() as u32).to_be_bytes());
        payload.extend_from_slice(unit);
        if matches!(unit[0] & 0x1F, 1 | 5) {
            let key_frame = unit[0] & 0x1F == 5;
            pictures.push(Picture { key_frame, payload: std::mem::take(&mut payload).into() });
        }
    }
    assert_eq!(pictures.len(), PICTURES);
    show(format(RecordedCodec::H264, &private), &pictures, "mkv");
}

/// The NAL units of a stream with start codes.
fn units(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = (3..stream.len()).filter(|at| stream[at - 3..*at] == [0, 0, 1]).collect();
    let ends = starts.iter().skip(1).map(|next| next - 3).chain([stream.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let unit = &stream[*start..end];
        // Start codes may have four bytes.
        unit.strip_suffix(&[0]).unwrap_or(unit)
    };
    starts.iter().zip(ends).map(unit).collect()
}

#[test]
fn g711_becomes_matroska_audio() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let microphone = rig.add_track();
    let format = TrackFormat { codec: RecordedCodec::Pcm, private: Bytes::new(), size: None, rotation: 0 };
    rig.format(microphone, 0, format);
    for number in 0..100 {
        rig.audio(microphone, number * 20, &vec![number as u8; 320].into());
    }
    rig.close(2_000);
    let path = &rig.files(microphone)[0];
    assert_eq!(path.extension().unwrap(), "mka");
    let read = read(path);
    assert_eq!((read.packets().len(), decode(path)), (100, 100));
    assert_eq!(
        (read.stream("codec_name"), read.stream("sample_rate")),
        ("pcm_s16le".to_owned(), "8000".to_owned())
    );
    assert_eq!(read.duration_ms(), Some(2_000));
}

#[test]
fn a_turned_phone_begins_a_new_part_that_says_so() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let camera = rig.add_track();
    let pictures = super::reader::vp8_pictures();
    for (turn, rotation) in [(0, 0), (1, 90)] {
        let begin = 1_000 * turn;
        rig.format(camera, begin, TrackFormat { rotation, ..crate::testing::vp8() });
        for (picture, number) in pictures[..30].iter().zip(0..) {
            rig.picture(camera, begin + number * 33, picture.key_frame, &picture.payload);
        }
    }
    rig.close(2_000);
    let files = rig.files(camera);
    assert_eq!(files.len(), 2);
    let [upright, turned] = [read(&files[0]), read(&files[1])];
    assert_eq!((upright.packets().len(), turned.packets().len()), (30, 30));
    assert_eq!((upright.tag("START_MS"), turned.tag("START_MS")), (Some("0"), Some("1000")));
    let roll = |path| super::reader::info(path).contains("roll rotation: -90");
    assert!(!roll(&files[0]) && roll(&files[1]), "{}", super::reader::info(&files[1]));
    let report = rig.report(camera).unwrap();
    assert_eq!(
        report.files.iter().map(|file| (file.part, file.start_ms)).collect::<Vec<_>>(),
        [(0, 0), (1, 1_000)]
    );
    assert_eq!(report.duration_ms, 1_000 + 30 * 33);
}

#[test]
fn times_rise_in_the_file_whatever_the_times_of_samples_do() {
    let folder = tempdir().unwrap();
    let mut rig = Rig::new(folder.path().to_owned());
    let microphone = rig.add_track();
    rig.format(microphone, 0, crate::testing::opus());
    for ms in [500, 500, 480, 0, 520, 40_000, 39_000, 40_001] {
        rig.audio(microphone, ms, &silence());
    }
    rig.close(41_000);
    let times: Vec<u64> = read(&rig.files(microphone)[0]).packets().iter().map(|packet| packet.ms).collect();
    assert_eq!(times, [0, 1, 2, 3, 20, 39_500, 39_501, 39_502]);
}
