//! AV1 (RTP Payload Format for AV1, version 1.0): OBUs without size fields, each element preceded by its
//! length.

use super::{Frame, Packetizer, Payloads};
use crate::stamp::Stamp;

pub(super) fn packetize(cutter: &mut Packetizer, frame: Frame<'_>, payloads: &mut Payloads) {
    let mut writer = Writer::new(payloads, cutter.packet_size, frame.is_key);
    for obu in obus(frame.encoded) {
        writer.element(&[&[obu.header], obu.body]);
    }
    let wanted = frame.packets * (cutter.packet_size - AGGREGATION_LEN);
    let filling = wanted.saturating_sub(writer.used() + MAX_SIZE_LEN + 1 + Stamp::LEN + TRAILING_LEN);
    // An element split at a packet's end needs another length field, so some bytes stay free in each packet.
    let filling = filling.saturating_sub(frame.packets * MAX_SIZE_LEN);
    cutter.scratch.clear();
    cutter.scratch.resize(filling, PADDING_BYTE);
    let mut tail = [TRAILING_BITS; Stamp::LEN + TRAILING_LEN];
    tail[..Stamp::LEN].copy_from_slice(&frame.stamp.encode());
    writer.unbroken_tail(&[PADDING_OBU], &cutter.scratch, &tail);
    writer.finish();
}

struct Obu<'a> {
    /// The OBU header with the size flag cleared.
    header: u8,
    body: &'a [u8],
}

/// The OBUs of a temporal unit, without the temporal delimiter, which is not sent (§5). In the clips, which
/// have one layer, no OBU has the extension byte, and every OBU has a size field.
fn obus(mut unit: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    std::iter::from_fn(move || {
        let (&header, rest) = unit.split_first()?;
        let (size, rest) = read_leb128(rest)?;
        let (body, rest) = rest.split_at_checked(size)?;
        unit = rest;
        Some(Obu { header: header & !HAS_SIZE, body })
    })
    .filter(|obu| obu.header >> 3 != TEMPORAL_DELIMITER)
}

/// Writes elements into packets, and splits an element if a packet is full.
struct Writer<'a> {
    payloads: &'a mut Payloads,
    packet_size: usize,
    /// Offset of the current packet.
    start: usize,
    total: usize,
}

impl<'a> Writer<'a> {
    fn new(payloads: &'a mut Payloads, packet_size: usize, is_key: bool) -> Self {
        // N: the first packet of a new coded video sequence (§4.4). W is 0: every element has its length.
        payloads.bytes.push(if is_key { 0x08 } else { 0 });
        Self { payloads, packet_size, start: 0, total: 0 }
    }

    /// Bytes of elements and their lengths so far.
    fn used(&self) -> usize {
        self.total
    }

    fn element(&mut self, parts: &[&[u8]]) {
        let mut left: usize = parts.iter().map(|part| part.len()).sum();
        let mut bytes = parts.iter().flat_map(|part| part.iter().copied());
        while left > 0 {
            if self.room() <= MAX_SIZE_LEN {
                self.next_packet(false);
            }
            let take = left.min(self.room() - MAX_SIZE_LEN);
            self.write_size(take);
            self.payloads.bytes.extend(bytes.by_ref().take(take));
            self.total += take;
            left -= take;
            if left > 0 {
                self.next_packet(true);
            }
        }
    }

    /// Writes an element whose `tail` must not be split between packets.
    fn unbroken_tail(&mut self, head: &[u8], middle: &[u8], tail: &[u8]) {
        // If the tail would be split, the packet ends a few bytes earlier.
        let least = head.len() + tail.len() + MAX_SIZE_LEN;
        if self.room() < least {
            self.next_packet(false);
        }
        let mut middle = middle;
        let mut head = head;
        while self.room() < head.len() + middle.len() + tail.len() + MAX_SIZE_LEN {
            let take = (self.room() - MAX_SIZE_LEN - head.len()).min(middle.len());
            let (now, later) = middle.split_at(take);
            self.write_size(head.len() + now.len());
            self.payloads.bytes.extend_from_slice(head);
            self.payloads.bytes.extend_from_slice(now);
            (head, middle) = (&[], later);
            self.next_packet(true);
        }
        self.element(&[head, middle, tail]);
    }

    fn finish(self) {
        self.payloads.ends.push(self.payloads.bytes.len());
    }

    fn room(&self) -> usize {
        self.packet_size - (self.payloads.bytes.len() - self.start)
    }

    /// `broken`: the element continues in the next packet (sets Y in this packet and Z in the next).
    fn next_packet(&mut self, broken: bool) {
        if broken {
            self.payloads.bytes[self.start] |= 0x40;
        }
        self.start = self.payloads.bytes.len();
        self.payloads.ends.push(self.start);
        self.payloads.bytes.push(if broken { 0x80 } else { 0 });
    }

    fn write_size(&mut self, size: usize) {
        let before = self.payloads.bytes.len();
        let low = (size & 0x7f) as u8;
        if size < 0x80 {
            self.payloads.bytes.push(low);
        } else {
            self.payloads.bytes.extend_from_slice(&[0x80 | low, (size >> 7) as u8]);
        }
        self.total += self.payloads.bytes.len() - before;
    }
}

fn read_leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

const AGGREGATION_LEN: usize = 1;
/// Packets are shorter than 2^14 bytes.
const MAX_SIZE_LEN: usize = 2;
const HAS_SIZE: u8 = 0x02;
const TEMPORAL_DELIMITER: u8 = 2;
const PADDING_OBU: u8 = 15 << 3;
const PADDING_BYTE: u8 = 0;
/// The last byte of a padding OBU (AV1 §5.3.4).
const TRAILING_BITS: u8 = 0x80;
pub(super) const TRAILING_LEN: usize = 1;

#[cfg(test)]
mod tests {
    use super::super::VideoCodec;
    use super::super::tests::cut;
    use super::*;

    #[test]
    fn the_obus_come_back_whole_behind_them_one_of_padding() {
        let body: Vec<u8> = (0..2_000).map(|index| (index % 250) as u8).collect();
        let encoded = [&[0x12, 0, 0x0a, 3, 1, 2, 3, 0x32, 0xd0, 0x0f][..], &body].concat();
        let payloads = cut(VideoCodec::Av1, &encoded, 5);
        assert!(payloads.len() >= 4, "{} packets", payloads.len());
        assert_eq!(payloads.iter().map(|payload| payload[0] & 0x08 != 0).filter(|new| *new).count(), 1);
        let elements = reassemble(&payloads);
        assert_eq!(elements[0], [0x08, 1, 2, 3]);
        assert_eq!(elements[1], [&[0x30][..], &body].concat());
        assert_eq!((elements.len(), elements[2][0]), (3, PADDING_OBU));
    }

    /// Reassembles OBUs like a receiver: an element with Z continues the one with Y before it.
    fn reassemble(payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut elements: Vec<Vec<u8>> = Vec::new();
        let mut open = false;
        for payload in payloads {
            let (header, mut rest) = (payload[0], &payload[1..]);
            assert_eq!(header & 0x80 != 0, open, "Z after Y");
            let mut continues = open;
            while let Some((size, after)) = read_leb128(rest) {
                let (element, after) = after.split_at(size);
                match elements.last_mut() {
                    Some(last) if continues => last.extend_from_slice(element),
                    _ => elements.push(element.to_vec()),
                }
                continues = false;
                rest = after;
            }
            open = header & 0x40 != 0;
        }
        assert!(!open);
        elements
    }
}
