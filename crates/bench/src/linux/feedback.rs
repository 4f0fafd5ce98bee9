//! Transport-wide feedback of subscribers whose paths carry everything at once.

use anyhow::{Context, Result};
use rtc_rtp::Header;
use std::time::Duration;
use switchyard_media::ortc::router_rtp_capabilities;
use switchyard_peer::TwccRecorder;

/// What a subscriber has received since its last report.
#[derive(Debug, Default)]
pub(crate) struct Feedback {
    /// The beginnings of packets with their times of arrival: they are read when the measured time is over.
    heads: Vec<([u8; HEAD], Duration)>,
    recorder: TwccRecorder,
}

impl Feedback {
    /// Notes a sealed packet that arrives at a time since the beginning.
    pub(crate) fn note(&mut self, packet: &[u8], at: Duration) {
        let mut head = [0; HEAD];
        let length = HEAD.min(packet.len());
        head[..length].copy_from_slice(&packet[..length]);
        self.heads.push((head, at));
    }

    /// A report of all that came since the last one; empty if nothing did.
    pub(crate) fn report(&mut self) -> Result<Vec<u8>> {
        for (head, at) in self.heads.drain(..) {
            self.recorder.record(number(&head)?, at.as_nanos() as u64);
        }
        let mut packet = Vec::new();
        self.recorder.report(SENDER, MEDIA, &mut packet);
        Ok(packet)
    }
}

/// The transport-wide sequence number.
fn number(mut head: &[u8]) -> Result<u16> {
    use rtc_shared::marshal::Unmarshal as _;
    let header = Header::unmarshal(&mut head).context("a header that cannot be read")?;
    let wanted = |uri: &str| uri.ends_with("draft-holmer-rmcat-transport-wide-cc-extensions-01");
    let extensions = &router_rtp_capabilities().header_extensions;
    let id = extensions.iter().find(|it| wanted(&it.uri)).context("no such extension")?.preferred_id;
    let value = header.get_extension(id).context("a packet without number")?;
    Ok(u16::from_be_bytes(value.as_ref().try_into()?))
}

/// Bytes that hold the header with its extensions.
const HEAD: usize = 64;
const SENDER: u32 = 1;
const MEDIA: u32 = 2;
