//! Transport-wide feedback of subscribers whose paths carry everything at once
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).

use anyhow::{Context, Result};
use rtc_rtp::Header;
use switchyard_media::ortc::router_rtp_capabilities;

/// What a subscriber has received since its last report.
#[derive(Debug, Default)]
pub(crate) struct Feedback {
    /// The beginnings of packets, as they arrived, with the time in µs.
    heads: Vec<([u8; HEAD], u64)>,
    reports: u8,
}

impl Feedback {
    pub(crate) fn note(&mut self, packet: &[u8], at: u64) {
        let mut head = [0; HEAD];
        let length = HEAD.min(packet.len());
        head[..length].copy_from_slice(&packet[..length]);
        self.heads.push((head, at));
    }

    /// A report of all that came since the last one; `None` if nothing did. Each gap between arrivals must be shorter
    /// than 64 ms.
    pub(crate) fn report(&mut self) -> Result<Option<Vec<u8>>> {
        let Some((first, begin)) = self.heads.first() else { return Ok(None) };
        let (base, reference) = (number(first)?, begin / REFERENCE);
        let count = self.heads.len() as u16;
        let mut content = Vec::with_capacity(HEAD + self.heads.len());
        content.extend([base.to_be_bytes(), count.to_be_bytes()].concat());
        content.extend(&(reference as u32).to_be_bytes()[1..]);
        content.push(self.reports);
        content.extend((ALL_SMALL | count).to_be_bytes());
        let mut before = reference * REFERENCE / UNIT;
        for (_, at) in &self.heads {
            let delta = at / UNIT - before;
            before += delta;
            content.push(u8::try_from(delta).context("a long gap between arrivals")?);
        }
        content.resize(content.len().next_multiple_of(4), 0);
        let words = (content.len() / 4 + 2) as u16;
        let mut packet = vec![0x80 | FORMAT, TRANSPORT_FEEDBACK];
        packet.extend(words.to_be_bytes());
        packet.extend([[0; 3].as_slice(), &[1], &[0; 3], &[2]].concat());
        packet.extend(content);
        self.heads.clear();
        self.reports = self.reports.wrapping_add(1);
        Ok(Some(packet))
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
/// µs per unit of the reference time and of deltas.
const REFERENCE: u64 = 64_000;
const UNIT: u64 = 250;
/// A run of small deltas.
const ALL_SMALL: u16 = 0x2000;
const FORMAT: u8 = 15;
const TRANSPORT_FEEDBACK: u8 = 205;
