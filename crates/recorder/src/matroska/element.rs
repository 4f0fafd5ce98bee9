//! Elements of EBML: an id, a size and a content (RFC 8794).

/// Ids of elements. They contain their own length marker.
pub(super) mod id {
    pub(crate) const EBML: u32 = 0x1A45_DFA3;
    pub(crate) const EBML_VERSION: u32 = 0x4286;
    pub(crate) const EBML_READ_VERSION: u32 = 0x42F7;
    pub(crate) const EBML_MAX_ID_LENGTH: u32 = 0x42F2;
    pub(crate) const EBML_MAX_SIZE_LENGTH: u32 = 0x42F3;
    pub(crate) const DOC_TYPE: u32 = 0x4282;
    pub(crate) const DOC_TYPE_VERSION: u32 = 0x4287;
    pub(crate) const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub(crate) const VOID: u32 = 0xEC;
    pub(crate) const CRC_32: u32 = 0xBF;

    pub(crate) const SEGMENT: u32 = 0x1853_8067;
    pub(crate) const SEEK_HEAD: u32 = 0x114D_9B74;
    pub(crate) const SEEK: u32 = 0x4DBB;
    pub(crate) const SEEK_ID: u32 = 0x53AB;
    pub(crate) const SEEK_POSITION: u32 = 0x53AC;

    pub(crate) const INFO: u32 = 0x1549_A966;
    pub(crate) const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
    pub(crate) const DURATION: u32 = 0x4489;
    pub(crate) const DATE_UTC: u32 = 0x4461;
    pub(crate) const MUXING_APP: u32 = 0x4D80;
    pub(crate) const WRITING_APP: u32 = 0x5741;

    pub(crate) const TRACKS: u32 = 0x1654_AE6B;
    pub(crate) const TRACK_ENTRY: u32 = 0xAE;
    pub(crate) const TRACK_NUMBER: u32 = 0xD7;
    pub(crate) const TRACK_UID: u32 = 0x73C5;
    pub(crate) const TRACK_TYPE: u32 = 0x83;
    pub(crate) const FLAG_LACING: u32 = 0x9C;
    pub(crate) const LANGUAGE: u32 = 0x22_B59C;
    pub(crate) const CODEC_ID: u32 = 0x86;
    pub(crate) const CODEC_PRIVATE: u32 = 0x63A2;
    pub(crate) const CODEC_DELAY: u32 = 0x56AA;
    pub(crate) const SEEK_PRE_ROLL: u32 = 0x56BB;
    pub(crate) const VIDEO: u32 = 0xE0;
    pub(crate) const PIXEL_WIDTH: u32 = 0xB0;
    pub(crate) const PIXEL_HEIGHT: u32 = 0xBA;
    pub(crate) const PROJECTION: u32 = 0x7670;
    pub(crate) const PROJECTION_TYPE: u32 = 0x7671;
    pub(crate) const PROJECTION_POSE_ROLL: u32 = 0x7675;
    pub(crate) const AUDIO: u32 = 0xE1;
    pub(crate) const SAMPLING_FREQUENCY: u32 = 0xB5;
    pub(crate) const CHANNELS: u32 = 0x9F;
    pub(crate) const BIT_DEPTH: u32 = 0x6264;

    pub(crate) const TAGS: u32 = 0x1254_C367;
    pub(crate) const TAG: u32 = 0x7373;
    pub(crate) const TARGETS: u32 = 0x63C0;
    pub(crate) const TAG_TRACK_UID: u32 = 0x63C5;
    pub(crate) const SIMPLE_TAG: u32 = 0x67C8;
    pub(crate) const TAG_NAME: u32 = 0x45A3;
    pub(crate) const TAG_STRING: u32 = 0x4487;

    pub(crate) const CLUSTER: u32 = 0x1F43_B675;
    pub(crate) const TIMESTAMP: u32 = 0xE7;
    pub(crate) const SIMPLE_BLOCK: u32 = 0xA3;

    pub(crate) const CUES: u32 = 0x1C53_BB6B;
    pub(crate) const CUE_POINT: u32 = 0xBB;
    pub(crate) const CUE_TIME: u32 = 0xB3;
    pub(crate) const CUE_TRACK_POSITIONS: u32 = 0xB7;
    pub(crate) const CUE_TRACK: u32 = 0xF7;
    pub(crate) const CUE_CLUSTER_POSITION: u32 = 0xF1;
}

/// The size of an element that lasts until the end of the file.
pub(super) const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

/// The largest size that 8 bytes can tell.
const MAX_SIZE: u64 = (1 << 56) - 2;

pub(super) fn put_id(out: &mut Vec<u8>, id: u32) {
    let bytes = id.to_be_bytes();
    let zeros = id.leading_zeros() as usize / 8;
    out.extend_from_slice(&bytes[zeros..]);
}

/// A size in 8 bytes. The sizes of all elements that are changed or searched later have this length.
pub(super) fn long_size(size: u64) -> [u8; 8] {
    (size.min(MAX_SIZE) | 1 << 56).to_be_bytes()
}

/// A size in as few bytes as possible.
fn put_short_size(out: &mut Vec<u8>, size: usize) {
    match size {
        0..0x7F => out.push(size as u8 | 0x80),
        0x7F..0x3FFF => out.extend_from_slice(&(size as u16 | 0x4000).to_be_bytes()),
        _ => out.extend_from_slice(&long_size(size as u64)),
    }
}

pub(super) fn put_binary(out: &mut Vec<u8>, id: u32, content: &[u8]) {
    put_id(out, id);
    put_short_size(out, content.len());
    out.extend_from_slice(content);
}

pub(super) fn put_text(out: &mut Vec<u8>, id: u32, content: &str) {
    put_binary(out, id, content.as_bytes());
}

pub(super) fn put_number(out: &mut Vec<u8>, id: u32, number: u64) {
    let zeros = (number.leading_zeros() as usize / 8).min(7);
    put_binary(out, id, &number.to_be_bytes()[zeros..]);
}

pub(super) fn put_float(out: &mut Vec<u8>, id: u32, number: f64) {
    put_binary(out, id, &number.to_be_bytes());
}

/// An element that contains elements.
pub(super) fn put_master(out: &mut Vec<u8>, id: u32, content: impl FnOnce(&mut Vec<u8>)) {
    put_id(out, id);
    let size_at = out.len();
    out.extend_from_slice(&UNKNOWN_SIZE);
    content(out);
    let size = out.len() - size_at - 8;
    out[size_at..size_at + 8].copy_from_slice(&long_size(size as u64));
}

/// As [`put_master`], for small elements of which there are many.
pub(super) fn put_small_master(out: &mut Vec<u8>, id: u32, content: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::with_capacity(64);
    content(&mut inner);
    put_binary(out, id, &inner);
}

/// An element without meaning that takes `length` bytes, its own head included. `length` is at least 9.
pub(super) fn put_void(out: &mut Vec<u8>, length: usize) {
    put_id(out, id::VOID);
    let content = length.saturating_sub(VOID_HEAD);
    out.extend_from_slice(&long_size(content as u64));
    out.resize(out.len() + content, 0);
}

pub(super) const VOID_HEAD: usize = 9;

/// The head of an element in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: u32,
    /// The length of id and size.
    pub(super) length: usize,
    /// `None` if it is unknown.
    pub(super) size: Option<u64>,
}

impl Head {
    /// Reads the head of an element at the beginning of `bytes`. `None` if it is not complete or not valid.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let id_length = bytes.first()?.leading_zeros() as usize + 1;
        if id_length > 4 {
            return None;
        }
        let id = bytes.get(..id_length)?.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
        let rest = bytes.get(id_length..)?;
        let size_length = rest.first()?.leading_zeros() as usize + 1;
        if size_length > 8 {
            return None;
        }
        let size = rest.get(..size_length)?.iter().fold(0, |size, byte| size << 8 | u64::from(*byte));
        let mask = (1 << (7 * size_length)) - 1;
        let known = size & mask != mask;
        Some(Self { id, length: id_length + size_length, size: known.then_some(size & mask) })
    }
}

/// The elements in `bytes` with their positions, up to the first that is not complete.
pub(super) fn children(bytes: &[u8]) -> impl Iterator<Item = Child<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = Head::read(bytes.get(at..)?)?;
        let start = at + head.length;
        let end = start.checked_add(usize::try_from(head.size?).ok()?)?;
        let child = Child { id: head.id, at, start, content: bytes.get(start..end)? };
        at = end;
        Some(child)
    })
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Child<'a> {
    pub(super) id: u32,
    pub(super) at: usize,
    /// Where the content begins.
    pub(super) start: usize,
    pub(super) content: &'a [u8],
}

impl<'a> Child<'a> {
    pub(super) fn find(bytes: &'a [u8], id: u32) -> Option<Self> {
        children(bytes).find(|child| child.id == id)
    }

    pub(super) fn float(&self) -> Option<f64> {
        Some(f64::from_be_bytes(self.content.try_into().ok()?))
    }

    pub(super) fn number(&self) -> Option<u64> {
        let is_short = self.content.len() <= 8;
        is_short.then(|| self.content.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.content).ok()
    }
}
