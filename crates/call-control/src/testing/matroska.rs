//! Recorded files as a crash leaves them: a header and whole clusters, without an end.

/// A file of pictures, of so many seconds.
pub(crate) struct Reel {
    pub(crate) start_ms: u64,
    pub(crate) seconds: u64,
    pub(crate) size: (u16, u16),
    /// Names and values.
    pub(crate) tags: Vec<(&'static str, String)>,
}

impl Reel {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let tags = self.tags.iter().cloned().chain([("START_MS", self.start_ms.to_string())]);
        let tags: Vec<u8> = tags.flat_map(|(name, value)| tag(name, &value)).collect();
        let size = [(0xB0, self.size.0), (0xBA, self.size.1)];
        let size: Vec<u8> = size.iter().flat_map(|(id, side)| element(*id, &side.to_be_bytes())).collect();
        let track = [element(0x86, b"V_VP8"), element(0xE0, &size)].concat();
        let mut bytes = [
            element(0x1A45_DFA3, &[]),
            // A segment of unknown size, with room for a seek head and a duration.
            [id(0x1853_8067).as_slice(), &[1, 255, 255, 255, 255, 255, 255, 255]].concat(),
            element(0xEC, &[0; 100]),
            element(0x1549_A966, &element(0xEC, &[0; 9])),
            element(0x1654_AE6B, &element(0xAE, &track)),
            element(0x1254_C367, &element(0x7373, &tags)),
        ]
        .concat();
        (0..self.seconds).for_each(|second| bytes.extend(cluster(second * 1_000)));
        bytes
    }
}

/// Ten pictures in a second.
fn cluster(start_ms: u64) -> Vec<u8> {
    let picture = |number: u16| {
        let [high, low] = (number * 100).to_be_bytes();
        let key_frame = if number == 0 { 0x80 } else { 0 };
        [[0xA3, 0x10, 0, 0, 5, 0x81, high, low, key_frame].as_slice(), &[7]].concat()
    };
    let content = [[0xE7, 0x88].as_slice(), &start_ms.to_be_bytes()].concat();
    let content = [content, (0..10).flat_map(picture).collect()].concat();
    let crc = [[0xBF, 0x84].as_slice(), &crc32fast::hash(&content).to_le_bytes()].concat();
    element(0x1F43_B675, &[crc, content].concat())
}

fn tag(name: &str, value: &str) -> Vec<u8> {
    element(0x67C8, &[element(0x45A3, name.as_bytes()), element(0x4487, value.as_bytes())].concat())
}

fn element(number: u32, content: &[u8]) -> Vec<u8> {
    let size = (content.len() as u64 | 1 << 56).to_be_bytes();
    [id(number).as_slice(), &size, content].concat()
}

fn id(number: u32) -> Vec<u8> {
    number.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}
