//! Reads files with programs that others wrote.

use bytes::Bytes;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

/// Runs a program on a file. Fails when the program is not there or complains.
fn run(program: &str, arguments: &[&str], path: &Path) -> Vec<u8> {
    let output = Command::new(program).args(arguments).arg(path).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs the program {program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{program} {}: {errors}", path.display());
    output.stdout
}

/// A file as ffprobe reads it.
pub(super) struct Read(Value);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) ms: u64,
    pub(super) size: usize,
    pub(super) key_frame: bool,
}

/// Reads a whole file. mkvinfo and mkvmerge have to be content with it, too.
pub(super) fn read(path: &Path) -> Read {
    let info = info(path);
    assert!(!info.contains("Unknown element") && !info.contains("Error"), "{info}");
    let merged: Value = serde_json::from_slice(&run("mkvmerge", &["-J"], path)).unwrap();
    assert_eq!(merged["errors"], serde_json::json!([]));
    assert_eq!(merged["warnings"], serde_json::json!([]));
    probe(path)
}

/// Reads a file that may have no end.
pub(super) fn probe(path: &Path) -> Read {
    let shown = ["-v", "error", "-of", "json", "-show_packets", "-show_format", "-show_streams"];
    Read(serde_json::from_slice(&run("ffprobe", &shown, path)).unwrap())
}

/// Decodes a whole file, and returns the number of pictures or of audio frames.
pub(super) fn decode(path: &Path) -> usize {
    let shown = ["-v", "error", "-of", "json", "-count_frames", "-show_entries", "stream=nb_read_frames"];
    let value: Value = serde_json::from_slice(&run("ffprobe", &shown, path)).unwrap();
    value["streams"][0]["nb_read_frames"].as_str().unwrap().parse().unwrap()
}

impl Read {
    pub(super) fn packets(&self) -> Vec<Packet> {
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
        let packets = self.0["packets"].as_array().unwrap().iter();
        let read = |packet: &Value| Packet {
            ms: (number(&packet["pts_time"]).unwrap() * 1_000.0).round() as u64,
            size: number(&packet["size"]).unwrap() as usize,
            key_frame: packet["flags"].as_str().unwrap().starts_with('K'),
        };
        packets.map(read).collect()
    }

    pub(super) fn duration_ms(&self) -> Option<u64> {
        let duration = self.0["format"]["duration"].as_str()?.parse::<f64>().ok()?;
        Some((duration * 1_000.0).round() as u64)
    }

    pub(super) fn stream(&self, name: &str) -> String {
        let value = &self.0["streams"][0][name];
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    pub(super) fn tag(&self, name: &str) -> Option<&str> {
        let of = |part: &'static str| self.0[part]["tags"][name].as_str();
        of("format").or_else(|| self.0["streams"][0]["tags"][name].as_str())
    }
}

/// A picture that a real encoder made.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) key_frame: bool,
    pub(super) payload: Bytes,
}

/// Pictures of a moving scene, with a key frame every 30. `arguments` name the encoder.
pub(super) fn encode(arguments: &[&str], count: usize) -> Vec<Picture> {
    let scene = format!("testsrc=size=320x180:rate=30:duration={}", count.div_ceil(30));
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", &scene, "-g", "30"]).args(arguments);
    let encoded = ffmpeg(command.args(["-f", "ivf", "-"]));
    // IVF: a header of 32 bytes, and 12 bytes before each picture, of which four tell its size.
    let mut pictures = Vec::new();
    let mut rest = &encoded[32..];
    while let Some((head, content)) = rest.split_first_chunk::<12>() {
        let size = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let (payload, behind) = content.split_at(size);
        let key_frame = pictures.len() % 30 == 0;
        pictures.push(Picture { key_frame, payload: Bytes::copy_from_slice(payload) });
        rest = behind;
    }
    pictures.truncate(count);
    assert_eq!(pictures.len(), count);
    pictures
}

/// What ffmpeg writes to its output.
pub(super) fn ffmpeg(command: &mut Command) -> Vec<u8> {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("this test needs the program ffmpeg: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    output.stdout
}

/// Pictures of VP8.
pub(super) fn vp8_pictures() -> &'static [Picture] {
    static PICTURES: LazyLock<Vec<Picture>> =
        LazyLock::new(|| encode(&["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"], 300));
    &PICTURES
}

/// What mkvinfo says.
pub(super) fn info(path: &Path) -> String {
    String::from_utf8(run("mkvinfo", &["--ui-language", "en_US", "--all"], path)).unwrap()
}
