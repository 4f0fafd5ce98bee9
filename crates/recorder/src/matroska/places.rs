//! Where the header of a file has the places that its end fills in.

use super::element::{Child, Head, VOID_HEAD, children, id};
use super::header::{Kind, UNKNOWN_PICTURE_SIZE, codec_named};
use switchyard_media_worker::media::RecordedCodec;

/// The length of the place of the `SeekHead`: four entries and what is left of the `Void`.
pub(super) const SEEK_HEAD_LENGTH: usize = 109;
/// The length of the place of the `Duration`.
pub(super) const DURATION_LENGTH: usize = 18;
/// No header is longer.
pub(crate) const MAX_HEADER: usize = 64 * 1024;

/// The header of a file, as far as it is needed to end the file. Positions are those in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Places {
    pub(super) segment_size_at: u64,
    /// Where the content of the segment begins: with the place of the `SeekHead`.
    pub(super) segment_at: u64,
    pub(super) info_at: u64,
    pub(super) duration_at: u64,
    pub(super) tracks_at: u64,
    pub(super) tags_at: u64,
    /// Where the first cluster begins.
    pub(crate) clusters_at: u64,
    /// The size of the segment, if the file was finished.
    segment_size: Option<u64>,
    pub(crate) duration_ms: Option<u64>,
    pub(crate) codec: RecordedCodec,
    /// Width and height of the first picture, as far as the header tells them.
    pub(crate) size: Option<(u16, u16)>,
    pub(crate) tags: Vec<(String, String)>,
}

impl Places {
    /// Reads the header of a file that [`super::Header`] wrote, of which `bytes` are the first [`MAX_HEADER`].
    /// `None` if it is anything else.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let ebml = children(bytes).next().filter(|child| child.id == id::EBML)?;
        let segment_head_at = ebml.start + ebml.content.len();
        let segment = Head::read(bytes.get(segment_head_at..)?)
            .filter(|head| head.id == id::SEGMENT && head.length == 12)?;
        let segment_at = segment_head_at + 12;
        let content = bytes.get(segment_at..)?;
        let kept = content.get(..SEEK_HEAD_LENGTH)?;
        if !matches!(Head::read(kept)?.id, id::VOID | id::SEEK_HEAD) {
            return None;
        }
        let find = |id| Child::find(content, id);
        let (info, tracks, tags) = (find(id::INFO)?, find(id::TRACKS)?, find(id::TAGS)?);
        let duration = children(info.content).last()?;
        let entry = Child::find(tracks.content, id::TRACK_ENTRY)?;
        let codec = codec_named(Child::find(entry.content, id::CODEC_ID)?.text()?)?;
        let is_duration = duration.id == id::DURATION;
        let size = Child::find(entry.content, id::VIDEO).and_then(|video| picture_size(video.content));
        let position = |at: usize| (segment_at + at) as u64;
        Some(Self {
            segment_size_at: segment_head_at as u64 + 4,
            segment_at: segment_at as u64,
            info_at: position(info.at),
            duration_at: position(info.start + duration.at),
            tracks_at: position(tracks.at),
            tags_at: position(tags.at),
            clusters_at: position(tags.start + tags.content.len()),
            segment_size: segment.size,
            duration_ms: duration.float().filter(|_| is_duration).map(|ms| ms as u64),
            codec,
            size,
            tags: read_tags(tags.content),
        })
    }

    /// Whether a file of this length has its end.
    pub(crate) fn is_finished(&self, length: u64) -> bool {
        let end = self.segment_size.and_then(|size| self.segment_at.checked_add(size));
        self.duration_ms.is_some() && end == Some(length)
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::of(self.codec)
    }

    pub(crate) fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Where [`write_mark`]'s bytes belong, until the file is finished.
    pub(crate) fn mark_at(&self) -> u64 {
        self.segment_at + VOID_HEAD as u64
    }
}

/// The length of the header with which these bytes begin, up to the first cluster. `None` if it is not complete or not
/// valid.
pub(crate) fn header_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let Head { id, length, size } = Head::read(rest)?;
        let content = match id {
            id::CLUSTER => break,
            // What it contains comes next.
            id::SEGMENT => 0,
            _ => usize::try_from(size?).ok()?,
        };
        at = at.checked_add(length)?.checked_add(content)?;
    }
    (at <= bytes.len()).then_some(at)
}

/// `None` also for the size that a header has in place of one that is not known.
fn picture_size(video: &[u8]) -> Option<(u16, u16)> {
    let number = |id| u16::try_from(Child::find(video, id)?.number()?).ok();
    let size = (number(id::PIXEL_WIDTH)?, number(id::PIXEL_HEIGHT)?);
    (size != UNKNOWN_PICTURE_SIZE).then_some(size)
}

fn read_tags(content: &[u8]) -> Vec<(String, String)> {
    let simple = |tag: Child<'_>| {
        let name = Child::find(tag.content, id::TAG_NAME)?.text()?;
        let value = Child::find(tag.content, id::TAG_STRING)?.text()?;
        Some((name.to_owned(), value.to_owned()))
    };
    children(content)
        .filter(|child| child.id == id::TAG)
        .flat_map(|tag| children(tag.content).filter(|child| child.id == id::SIMPLE_TAG))
        .filter_map(simple)
        .collect()
}

/// The bytes that note up to which length a file is safely on the disk. They are stored in the place of the
/// `SeekHead`, where readers ignore them.
pub(crate) fn write_mark(length: u64) -> [u8; 12] {
    let mut mark = [0; 12];
    mark[..8].copy_from_slice(&length.to_be_bytes());
    mark[8..].copy_from_slice(&crc32fast::hash(&length.to_be_bytes()).to_be_bytes());
    mark
}

/// The length that [`write_mark`] noted; 0 if there is none or it is damaged.
pub(crate) fn read_mark(mark: &[u8]) -> u64 {
    let (Some(length), Some(crc)) = (mark.first_chunk::<8>(), mark.get(8..12)) else { return 0 };
    if crc == crc32fast::hash(length).to_be_bytes() { u64::from_be_bytes(*length) } else { 0 }
}
