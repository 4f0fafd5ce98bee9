//! What the SFU forwards to a client, before the client's line loses any of it.

use super::secure::Srtp;
use super::view::View;
use rtc_shared::error::Error;
use rtc_shared::marshal::Unmarshal;
use std::time::Instant;

/// Opens all media at the beginning of a line, with keys of its own, and keeps it as streams.
#[derive(Default)]
pub struct Tap {
    srtp: Option<Srtp>,
    /// What came before the client knew the keys.
    sealed: Vec<(Instant, Vec<u8>)>,
    /// One for each of the client's views.
    pub views: Vec<View>,
}

impl Tap {
    pub fn set_keys(&mut self, srtp: Srtp) {
        self.srtp = Some(srtp);
        for (at, datagram) in std::mem::take(&mut self.sealed) {
            self.take(at, &datagram);
        }
    }

    /// Takes a datagram that the SFU sends.
    pub fn take(&mut self, now: Instant, datagram: &[u8]) {
        let is_media = (128..=191).contains(&datagram[0]) && !(192..=223).contains(&datagram[1]);
        if !is_media {
            return;
        }
        let Some(srtp) = &mut self.srtp else { return self.sealed.push((now, datagram.to_vec())) };
        let mut plain = match srtp.open_rtp(datagram) {
            Ok(plain) => plain,
            // The very same packet again.
            Err(Error::SrtpSsrcDuplicated(..)) => return,
            Err(error) => panic!("SRTP that does not open: {error}"),
        };
        let packet = rtc_rtp::Packet::unmarshal(&mut plain).expect("malformed RTP");
        if let Some(view) = self.views.iter_mut().find(|view| view.carries(packet.header.ssrc)) {
            view.handle_packet(now, &packet);
        }
    }
}
