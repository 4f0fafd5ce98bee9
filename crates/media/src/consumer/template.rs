//! The header of nearly all packets of a consumer, prepared once; only the values that vary are filled in per
//! packet.

use crate::rtp::{ExtensionForm, FIXED_LEN, FixedHeader, HeaderWriter, TransportSequence};

#[derive(Debug)]
pub(crate) struct HeaderTemplate {
    bytes: [u8; MAX_LEN],
    len: u8,
    /// Byte offsets of the values that differ from packet to packet; `None` if not written.
    transport_cc: Option<u8>,
    abs_send_time: Option<u8>,
    audio_level: Option<u8>,
}

/// The values that differ from packet to packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values {
    pub(crate) fixed: FixedHeader,
    pub(crate) transport_sequence: u16,
    /// Send time in units of 2^-18 s.
    pub(crate) sent: u32,
    /// RFC 6464 value.
    pub(crate) audio_level: u8,
}

/// The ids of the elements, in the order written; MID with its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elements<'a> {
    pub(crate) mid: Option<(u8, &'a [u8])>,
    pub(crate) transport_cc: Option<u8>,
    pub(crate) abs_send_time: Option<u8>,
    pub(crate) audio_level: Option<u8>,
}

impl HeaderTemplate {
    /// `None` if the header would be longer than [`MAX_LEN`].
    pub(crate) fn new(fixed: FixedHeader, form: ExtensionForm, elements: Elements<'_>) -> Option<Self> {
        let mut bytes = [0; MAX_LEN];
        let mut writer = HeaderWriter::new(&mut bytes, fixed, form).ok()?;
        if let Some((id, value)) = elements.mid {
            writer.extension(id, value).ok()?;
        }
        let mut place = |id: Option<u8>, value: &[u8]| {
            id.map(|id| writer.extension(id, value)).transpose().map(|at| at.map(|at| at as u8))
        };
        let transport_cc = place(elements.transport_cc, &[0; 2]).ok()?;
        let abs_send_time = place(elements.abs_send_time, &[0; 3]).ok()?;
        let audio_level = place(elements.audio_level, &[0]).ok()?;
        let len = writer.finish() as u8;
        Some(Self { bytes, len, transport_cc, abs_send_time, audio_level })
    }

    pub(crate) fn len(&self) -> usize {
        self.len.into()
    }

    /// Writes the header to the start of `room` and returns its length; `None` if `room` is under [`MAX_LEN`]
    /// bytes.
    pub(crate) fn write(&self, values: &Values, room: &mut [u8]) -> Option<usize> {
        // Copying a fixed length is faster. Bytes behind the header are overwritten later.
        let header = room.first_chunk_mut::<MAX_LEN>()?;
        *header = self.bytes;
        values.fixed.fill(header.first_chunk_mut::<FIXED_LEN>()?);
        if let Some(at) = self.transport_cc.map(usize::from) {
            let value = TransportSequence(values.transport_sequence).to_bytes();
            header.get_mut(at..at + 2)?.copy_from_slice(&value);
        }
        if let Some(at) = self.abs_send_time.map(usize::from) {
            header.get_mut(at..at + 3)?.copy_from_slice(&values.sent.to_be_bytes()[1..]);
        }
        if let Some(at) = self.audio_level {
            *header.get_mut(usize::from(at))? = values.audio_level;
        }
        Some(self.len())
    }
}

/// Bytes: fixed header, extension block header, a MID of the length browsers use, and the other elements.
const MAX_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{PayloadType, Ssrc};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_filled_in_template_is_the_header_that_would_be_written(
            (marker, number, timestamp, ssrc) in (any::<bool>(), any::<u16>(), any::<u32>(), any::<u32>()),
            (transport_sequence, sent, audio_level) in (any::<u16>(), any::<u32>(), any::<u8>()),
            mid in prop::option::of("[a-z0-9]{1,4}"),
            ids in prop::array::uniform3(any::<bool>()),
            one_byte in any::<bool>(),
        ) {
            let form = if one_byte { ExtensionForm::OneByte } else { ExtensionForm::TwoByte };
            let payload_type = PayloadType(96);
            let fixed =
                FixedHeader { marker, payload_type, sequence_number: number, timestamp, ssrc: Ssrc(ssrc) };
            let elements = Elements {
                mid: mid.as_ref().map(|mid| (1, mid.as_bytes())),
                transport_cc: ids[0].then_some(2),
                abs_send_time: ids[1].then_some(3),
                audio_level: ids[2].then_some(4),
            };
            let other = FixedHeader { marker: !marker, sequence_number: 0, timestamp: 0, ..fixed };
            let template = HeaderTemplate::new(other, form, elements).unwrap();
            let mut filled = [0xff; MAX_LEN];
            let values = Values { fixed, transport_sequence, sent, audio_level };
            let len = template.write(&values, &mut filled).unwrap();

            let mut written = [0xff; MAX_LEN];
            let mut writer = HeaderWriter::new(&mut written, fixed, form).unwrap();
            let wanted: [(Option<u8>, Vec<u8>); 4] = [
                (elements.mid.map(|(id, _)| id), mid.clone().unwrap_or_default().into_bytes()),
                (elements.transport_cc, transport_sequence.to_be_bytes().to_vec()),
                (elements.abs_send_time, sent.to_be_bytes()[1..].to_vec()),
                (elements.audio_level, vec![audio_level]),
            ];
            for (id, value) in wanted {
                if let Some(id) = id {
                    writer.extension(id, &value).unwrap();
                }
            }
            prop_assert_eq!(len, writer.finish());
            prop_assert_eq!(&filled[..len], &written[..len]);
        }
    }
}
