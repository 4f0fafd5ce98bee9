//! What a file begins with.

use super::element::{
    UNKNOWN_SIZE, id, put_binary, put_float, put_id, put_master, put_number, put_text, put_void,
};
use super::places::{DURATION_LENGTH, SEEK_HEAD_LENGTH};
use std::time::SystemTime;
use switchyard_media_worker::media::{RecordedCodec, TrackFormat};

/// What a file says about itself before its first cluster.
#[derive(Debug)]
pub(crate) struct Header<'a> {
    pub(crate) format: &'a TrackFormat,
    /// When the first sample was captured.
    pub(crate) date: SystemTime,
    /// Identifies the track among all files; not 0.
    pub(crate) uid: u64,
    pub(crate) tags: &'a [(&'static str, String)],
}

/// The kind of file that a codec needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    WebmAudio,
    WebmVideo,
    MatroskaAudio,
    MatroskaVideo,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] =
        [Self::WebmAudio, Self::WebmVideo, Self::MatroskaAudio, Self::MatroskaVideo];

    pub(crate) fn of(codec: RecordedCodec) -> Self {
        match codec {
            RecordedCodec::Opus => Self::WebmAudio,
            RecordedCodec::Pcm => Self::MatroskaAudio,
            RecordedCodec::Vp8 | RecordedCodec::Vp9 | RecordedCodec::Av1 => Self::WebmVideo,
            RecordedCodec::H264 => Self::MatroskaVideo,
        }
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::WebmAudio | Self::WebmVideo => "webm",
            Self::MatroskaAudio => "mka",
            Self::MatroskaVideo => "mkv",
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::WebmAudio => "audio/webm",
            Self::WebmVideo => "video/webm",
            Self::MatroskaAudio => "audio/x-matroska",
            Self::MatroskaVideo => "video/x-matroska",
        }
    }

    pub(crate) fn is_video(self) -> bool {
        match self {
            Self::WebmVideo | Self::MatroskaVideo => true,
            Self::WebmAudio | Self::MatroskaAudio => false,
        }
    }

    pub(super) fn doc_type(self) -> &'static str {
        match self {
            Self::WebmAudio | Self::WebmVideo => "webm",
            Self::MatroskaAudio | Self::MatroskaVideo => "matroska",
        }
    }
}

/// The names of codecs in the file.
const CODECS: [(RecordedCodec, &str); 6] = [
    (RecordedCodec::Opus, "A_OPUS"),
    (RecordedCodec::Pcm, "A_PCM/INT/LIT"),
    (RecordedCodec::Vp8, "V_VP8"),
    (RecordedCodec::Vp9, "V_VP9"),
    (RecordedCodec::H264, "V_MPEG4/ISO/AVC"),
    (RecordedCodec::Av1, "V_AV1"),
];

pub(super) fn codec_named(name: &str) -> Option<RecordedCodec> {
    CODECS.iter().find(|(_, known)| *known == name).map(|(codec, _)| *codec)
}

const APP: &str = "Switchyard";
/// Time stamps count milliseconds.
const SCALE_NS: u64 = 1_000_000;
/// A decoder of Opus needs this much audio before its output is right (RFC 7845 section 4.6).
const OPUS_PRE_ROLL_NS: u64 = 80_000_000;
const TRACK_VIDEO: u64 = 1;
const TRACK_AUDIO: u64 = 2;
/// Decoders take the size from the pictures where it is not known; but the elements are mandatory, and not 0.
pub(super) const UNKNOWN_PICTURE_SIZE: (u16, u16) = (1, 1);
/// DateUTC counts from 2001-01-01T00:00:00 UTC.
const EPOCH_UNIX_NS: i128 = 978_307_200_000_000_000;

impl Header<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        self.put_ebml(&mut out);
        put_id(&mut out, id::SEGMENT);
        out.extend_from_slice(&UNKNOWN_SIZE);
        put_void(&mut out, SEEK_HEAD_LENGTH);
        self.put_info(&mut out);
        put_master(&mut out, id::TRACKS, |out| {
            put_master(out, id::TRACK_ENTRY, |out| self.put_track(out));
        });
        self.put_tags(&mut out);
        out
    }

    fn put_ebml(&self, out: &mut Vec<u8>) {
        put_master(out, id::EBML, |out| {
            put_number(out, id::EBML_VERSION, 1);
            put_number(out, id::EBML_READ_VERSION, 1);
            put_number(out, id::EBML_MAX_ID_LENGTH, 4);
            put_number(out, id::EBML_MAX_SIZE_LENGTH, 8);
            put_text(out, id::DOC_TYPE, Kind::of(self.format.codec).doc_type());
            put_number(out, id::DOC_TYPE_VERSION, 4);
            put_number(out, id::DOC_TYPE_READ_VERSION, 2);
        });
    }

    fn put_info(&self, out: &mut Vec<u8>) {
        put_master(out, id::INFO, |out| {
            put_number(out, id::TIMESTAMP_SCALE, SCALE_NS);
            put_binary(out, id::DATE_UTC, &self.date_utc().to_be_bytes());
            put_text(out, id::MUXING_APP, APP);
            put_text(out, id::WRITING_APP, APP);
            put_void(out, DURATION_LENGTH);
        });
    }

    fn date_utc(&self) -> i64 {
        let unix = match self.date.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => since.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        i64::try_from(unix - EPOCH_UNIX_NS).unwrap_or_default()
    }

    fn put_track(&self, out: &mut Vec<u8>) {
        let TrackFormat { codec, private, .. } = self.format;
        let kind = if Kind::of(*codec).is_video() { TRACK_VIDEO } else { TRACK_AUDIO };
        let name = CODECS.iter().find(|(known, _)| known == codec).map_or("", |(_, name)| name);
        put_number(out, id::TRACK_NUMBER, 1);
        put_number(out, id::TRACK_UID, self.uid.max(1));
        put_number(out, id::TRACK_TYPE, kind);
        put_number(out, id::FLAG_LACING, 0);
        put_text(out, id::LANGUAGE, "und");
        put_text(out, id::CODEC_ID, name);
        if !private.is_empty() {
            put_binary(out, id::CODEC_PRIVATE, private);
        }
        match codec {
            RecordedCodec::Opus => {
                put_number(out, id::CODEC_DELAY, 0);
                put_number(out, id::SEEK_PRE_ROLL, OPUS_PRE_ROLL_NS);
                put_audio(out, 48_000.0, opus_channels(private), None);
            }
            RecordedCodec::Pcm => put_audio(out, 8_000.0, 1, Some(16)),
            RecordedCodec::Vp8 | RecordedCodec::Vp9 | RecordedCodec::H264 | RecordedCodec::Av1 => {
                self.put_video(out);
            }
        }
    }

    fn put_video(&self, out: &mut Vec<u8>) {
        let (width, height) = self.format.size.unwrap_or(UNKNOWN_PICTURE_SIZE);
        put_master(out, id::VIDEO, |out| {
            put_number(out, id::PIXEL_WIDTH, u64::from(width.max(1)));
            put_number(out, id::PIXEL_HEIGHT, u64::from(height.max(1)));
            if self.format.rotation != 0 {
                put_master(out, id::PROJECTION, |out| {
                    put_number(out, id::PROJECTION_TYPE, 0);
                    put_float(out, id::PROJECTION_POSE_ROLL, pose_roll(self.format.rotation));
                });
            }
        });
    }

    fn put_tags(&self, out: &mut Vec<u8>) {
        put_master(out, id::TAGS, |out| {
            put_master(out, id::TAG, |out| {
                put_master(out, id::TARGETS, |out| put_number(out, id::TAG_TRACK_UID, self.uid.max(1)));
                for (name, value) in self.tags {
                    put_master(out, id::SIMPLE_TAG, |out| {
                        put_text(out, id::TAG_NAME, name);
                        put_text(out, id::TAG_STRING, value);
                    });
                }
            });
        });
    }
}

fn put_audio(out: &mut Vec<u8>, frequency: f64, channels: u8, depth: Option<u64>) {
    put_master(out, id::AUDIO, |out| {
        put_float(out, id::SAMPLING_FREQUENCY, frequency);
        put_number(out, id::CHANNELS, u64::from(channels.max(1)));
        if let Some(depth) = depth {
            put_number(out, id::BIT_DEPTH, depth);
        }
    });
}

/// The number of channels is the tenth byte of OpusHead (RFC 7845 section 5.1).
fn opus_channels(private: &[u8]) -> u8 {
    private.get(9).copied().unwrap_or(2)
}

/// The roll counts counter-clockwise, from -180 to 180 degrees (RFC 9559 section 5.1.4.1.28.46).
fn pose_roll(clockwise: u16) -> f64 {
    let counter = f64::from((360 - clockwise % 360) % 360);
    if counter > 180.0 { counter - 360.0 } else { counter }
}
