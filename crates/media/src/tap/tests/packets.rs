//! Payloads of every codec, made of encoded frames.

use crate::codec::Codec;

/// The clips that load tests send: frames, of which only the first is a key frame.
pub(super) fn clip(codec: Codec) -> Vec<&'static [u8]> {
    let mut clip: &[u8] = match codec {
        Codec::Vp8 => include_bytes!("../../../../load-test/clips/vp8.clip"),
        Codec::Vp9 => include_bytes!("../../../../load-test/clips/vp9.clip"),
        Codec::H264 => include_bytes!("../../../../load-test/clips/h264.clip"),
        Codec::Av1 => include_bytes!("../../../../load-test/clips/av1.clip"),
        Codec::Opus | Codec::Pcmu | Codec::Pcma => include_bytes!("../../../../load-test/clips/opus.clip"),
    };
    let mut frames = Vec::new();
    while let Some((length, rest)) = clip.split_first_chunk::<4>() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        frames.push(frame);
        clip = rest;
    }
    frames
}

/// The payloads of a clip's frame, of about `size` bytes at most.
pub(super) fn payloads(codec: Codec, frame: &[u8], is_key: bool, size: usize) -> Vec<Vec<u8>> {
    match codec {
        Codec::Vp8 => vp8_payloads(frame, size),
        Codec::Vp9 => vp9_payloads(frame, is_key, 0, size),
        Codec::H264 => h264_payloads(frame, size),
        Codec::Av1 => av1_payloads(frame, is_key, size),
        Codec::Opus | Codec::Pcmu | Codec::Pcma => vec![frame.to_vec()],
    }
}

pub(super) fn vp8_payloads(frame: &[u8], size: usize) -> Vec<Vec<u8>> {
    let packet = |(index, part): (usize, &[u8])| {
        let mut payload = vec![if index == 0 { 0x10 } else { 0x00 }];
        payload.extend_from_slice(part);
        payload
    };
    frame.chunks(size).enumerate().map(packet).collect()
}

/// One layer's frame, in non-flexible mode.
pub(super) fn vp9_payloads(frame: &[u8], is_key: bool, spatial: u8, size: usize) -> Vec<Vec<u8>> {
    let last = frame.len().div_ceil(size) - 1;
    let packet = |(index, part): (usize, &[u8])| {
        // I, P, L, B, E, then the picture id, the layer and TL0PICIDX.
        let flags = 0x80
            | if is_key { 0 } else { 0x40 }
            | 0x20
            | if index == 0 { 0x08 } else { 0 }
            | if index == last { 0x04 } else { 0 };
        let mut payload = vec![flags, 0x81, 0x02, spatial << 1 | u8::from(spatial > 0), 9];
        payload.extend_from_slice(part);
        payload
    };
    frame.chunks(size).enumerate().map(packet).collect()
}

/// The NAL units of a clip's frame, which stand behind their lengths, in fragments if they are larger.
pub(super) fn h264_payloads(mut frame: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    while let Some((length, rest)) = frame.split_first_chunk::<4>() {
        let (unit, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        frame = rest;
        if unit.len() <= size {
            payloads.push(unit.to_vec());
            continue;
        }
        let chunks = unit[1..].chunks(size);
        let last = chunks.len() - 1;
        for (index, chunk) in chunks.enumerate() {
            let ends = if index == 0 { 0x80 } else { 0 } | if index == last { 0x40 } else { 0 };
            let mut payload = vec![unit[0] & 0xe0 | 28, ends | unit[0] & 0x1f];
            payload.extend_from_slice(chunk);
            payloads.push(payload);
        }
    }
    payloads
}

/// The OBUs of a temporal unit, without their sizes and without the temporal delimiter.
pub(super) fn obus(mut unit: &[u8]) -> Vec<Vec<u8>> {
    let mut obus = Vec::new();
    while let Some((header, rest)) = unit.split_first() {
        let (size, rest) = crate::codec::leb128(rest).unwrap();
        let (body, rest) = rest.split_at(size);
        unit = rest;
        if header >> 3 != 2 {
            obus.push([&[header & !2], body].concat());
        }
    }
    obus
}

/// Each OBU in one element a packet, continued in the next packet if it is larger.
pub(super) fn av1_payloads(unit: &[u8], is_key: bool, size: usize) -> Vec<Vec<u8>> {
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    for obu in obus(unit) {
        let chunks = obu.chunks(size);
        let last = chunks.len() - 1;
        for (index, chunk) in chunks.enumerate() {
            // Z, Y, W = 1, N.
            let aggregation = if index > 0 { 0x80 } else { 0 }
                | if index < last { 0x40 } else { 0 }
                | 0x10
                | if is_key && payloads.is_empty() { 0x08 } else { 0 };
            payloads.push([&[aggregation], chunk].concat());
        }
    }
    payloads
}
