//! RTP packets as publishers write them.

use bytes::Bytes;
use rtc_rtp::{Header, Packet};
use rtc_shared::marshal::Marshal;

/// The fields of an RTP header, without extensions.
#[derive(Debug, Clone, Copy)]
pub struct Fixed {
    pub payload_type: u8,
    pub ssrc: u32,
    pub sequence_number: u16,
    pub timestamp: u32,
    pub marker: bool,
}

pub fn write(fixed: Fixed, extensions: &[(u8, Vec<u8>)], payload: &[u8]) -> Vec<u8> {
    let mut header = Header {
        version: 2,
        padding: payload.is_empty(),
        marker: fixed.marker,
        payload_type: fixed.payload_type,
        sequence_number: fixed.sequence_number,
        timestamp: fixed.timestamp,
        ssrc: fixed.ssrc,
        ..Header::default()
    };
    if !extensions.is_empty() {
        header.extension = true;
        let fits_one_byte_form = extensions.iter().all(|(_, value)| (1..=16).contains(&value.len()));
        header.extension_profile = if fits_one_byte_form { 0xbede } else { 0x1000 };
    }
    for (id, value) in extensions {
        header.set_extension(*id, Bytes::copy_from_slice(value)).unwrap();
    }
    let packet = Packet { header, payload: Bytes::copy_from_slice(payload) };
    packet.marshal().unwrap().to_vec()
}
