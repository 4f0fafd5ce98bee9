/// The audio level of a packet (RFC 6464 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AudioLevel {
    /// Whether the sender's voice activity detection found speech.
    pub(crate) voice: bool,
    /// Loudness as −dBov: 0 is the loudest, 127 is silence.
    pub(crate) level: u8,
}

impl AudioLevel {
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let &first = value.first()?;
        Some(Self { voice: first & 0x80 != 0, level: first & 0x7f })
    }
}

/// A packet's number among all packets of its transport, for congestion control feedback
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TransportSequence(pub(crate) u16);

impl TransportSequence {
    /// Reads the first two bytes; version 2 of the extension appends a feedback request to them.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        value.first_chunk().map(|&bytes| Self(u16::from_be_bytes(bytes)))
    }

    pub(crate) fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_level_is_a_voice_flag_and_seven_bits() {
        let level = AudioLevel::parse(&[0x80 | 42]).unwrap();
        assert_eq!(level, AudioLevel { voice: true, level: 42 });
        assert_eq!(AudioLevel::parse(&[127]), Some(AudioLevel { voice: false, level: 127 }));
        assert_eq!(AudioLevel::parse(&[]), None);
    }

    #[test]
    fn transport_sequence_takes_both_versions_of_the_extension() {
        assert_eq!(TransportSequence::parse(&[0x12, 0x34]), Some(TransportSequence(0x1234)));
        assert_eq!(TransportSequence::parse(&[0x12, 0x34, 0x80, 5]), Some(TransportSequence(0x1234)));
        assert_eq!(TransportSequence::parse(&[0x12]), None);
        assert_eq!(TransportSequence(0x1234).to_bytes(), [0x12, 0x34]);
    }
}
