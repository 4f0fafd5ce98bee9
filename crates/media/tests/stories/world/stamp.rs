//! The stamp that publishers write at the end of every payload, so that receivers can identify it.

use std::time::Duration;

/// Identifies a payload's frame and packet, and the frames that must be decoded before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    pub track: u16,
    /// Simulcast layer.
    pub encoding: u8,
    /// Spatial layer within the encoding.
    pub spatial: u8,
    pub temporal: u8,
    pub key: bool,
    /// Index among the frame's `packets`, from 0.
    pub packet: u16,
    pub packets: u16,
    /// Frame number within the encoding, from 1.
    pub frame: u32,
    /// Frames this one refers to; 0 is none.
    pub references: [u32; 2],
    /// Capture time, since the start of the world.
    pub captured: Duration,
}

impl Stamp {
    pub const LEN: usize = 34;

    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.extend(self.track.to_be_bytes());
        bytes.extend([self.encoding, self.spatial, self.temporal, u8::from(self.key)]);
        bytes.extend(self.packet.to_be_bytes());
        bytes.extend(self.packets.to_be_bytes());
        bytes.extend(self.frame.to_be_bytes());
        bytes.extend(self.references.into_iter().flat_map(u32::to_be_bytes));
        bytes.extend((self.captured.as_micros() as u64).to_be_bytes());
        bytes.extend(MAGIC);
        assert_eq!(bytes.len(), Self::LEN);
        bytes
    }

    /// Reads the stamp at the end of a payload.
    pub fn of(payload: &[u8]) -> Self {
        Self::find(payload).expect("a damaged payload")
    }

    /// As [`Self::of`]; `None` if the payload is damaged.
    pub fn find(payload: &[u8]) -> Option<Self> {
        let bytes = payload.get(payload.len().checked_sub(Self::LEN)?..)?;
        if bytes[30..] != MAGIC {
            return None;
        }
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let half = |at: usize| u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap());
        Some(Self {
            track: half(0),
            encoding: bytes[2],
            spatial: bytes[3],
            temporal: bytes[4],
            key: bytes[5] == 1,
            packet: half(6),
            packets: half(8),
            frame: word(10),
            references: [word(14), word(18)],
            captured: Duration::from_micros(u64::from_be_bytes(bytes[22..30].try_into().unwrap())),
        })
    }

    pub fn opens_key_frame(&self) -> bool {
        self.key && self.packet == 0
    }

    pub fn is_last(&self) -> bool {
        self.packet + 1 == self.packets
    }
}

const MAGIC: [u8; 4] = *b"?end";
