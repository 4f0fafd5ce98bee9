//! How a transport is reached and secured: ICE, DTLS and SCTP.

use super::OrtcError;
use super::lenient::null_as_default;
use crate::id::TransportId;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// What a client needs to connect to one transport.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransportParameters {
    pub id: TransportId,
    pub ice_parameters: IceParameters,
    pub ice_candidates: Vec<IceCandidate>,
    pub dtls_parameters: DtlsParameters,
    pub sctp_parameters: SctpParameters,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceParameters {
    pub username_fragment: String,
    pub password: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub ice_lite: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceCandidate {
    pub foundation: String,
    pub priority: u32,
    /// The same as `address`: clients differ in which of the two they read.
    pub ip: IpAddr,
    pub address: IpAddr,
    pub protocol: IceProtocol,
    pub port: u16,
    #[serde(rename = "type")]
    pub candidate_type: IceCandidateType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_type: Option<IceTcpType>,
}

impl IceCandidate {
    /// A host candidate. `rank` counts a transport's candidates from 0, the most preferred one.
    pub fn host(protocol: IceProtocol, address: SocketAddr, rank: u16) -> Self {
        let (name, tcp_type) = match protocol {
            IceProtocol::Udp => ("udp", None),
            IceProtocol::Tcp => ("tcp", Some(IceTcpType::Passive)),
        };
        Self {
            foundation: format!("{name}{rank}"),
            priority: host_priority(u16::MAX - rank),
            ip: address.ip(),
            address: address.ip(),
            protocol,
            port: address.port(),
            candidate_type: IceCandidateType::Host,
            tcp_type,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IceProtocol {
    Udp,
    Tcp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IceCandidateType {
    Host,
    Srflx,
    Prflx,
    Relay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IceTcpType {
    Active,
    Passive,
    So,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DtlsParameters {
    #[serde(default, deserialize_with = "null_as_default")]
    pub role: DtlsRole,
    /// A peer may list several; its certificate must match at least one (RFC 8122 §5).
    pub fingerprints: Vec<DtlsFingerprint>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsRole {
    /// The role is decided by the other side's role.
    #[default]
    Auto,
    Client,
    Server,
}

/// A certificate's digest (RFC 8122 §5). The algorithm may be any text: unknown algorithms are skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DtlsFingerprint {
    pub algorithm: String,
    /// Hexadecimal bytes separated by colons.
    pub value: String,
}

impl DtlsFingerprint {
    /// The algorithm and the digest's bytes; `None` when the algorithm is not accepted.
    ///
    /// # Errors
    /// [`OrtcError::Invalid`] when the value is not a digest of that algorithm.
    pub fn decode(&self) -> Result<Option<(FingerprintAlgorithm, Vec<u8>)>, OrtcError> {
        let Some(algorithm) = FingerprintAlgorithm::from_name(&self.algorithm) else {
            return Ok(None);
        };
        let digest = decode_hex(&self.value, algorithm.digest_len())
            .ok_or_else(|| OrtcError::Invalid(format!("not a {} fingerprint", algorithm.name())))?;
        Ok(Some((algorithm, digest)))
    }
}

/// The accepted digest algorithms: those strong enough to identify a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FingerprintAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl FingerprintAlgorithm {
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn digest_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SctpParameters {
    pub port: u16,
    /// OS: the number of outgoing streams that the server requests (RFC 9260 §3.3.2).
    #[serde(rename = "OS")]
    pub outgoing_streams: u16,
    /// MIS: the largest number of incoming streams that the server accepts.
    #[serde(rename = "MIS")]
    pub max_incoming_streams: u16,
    /// In bytes. Older clients read this field instead of the two below.
    pub max_message_size: u32,
    /// In bytes, seen from the server.
    pub max_send_message_size: u32,
    /// In bytes, seen from the server.
    pub max_receive_message_size: u32,
}

impl Default for SctpParameters {
    /// The parameters of every transport of this server.
    fn default() -> Self {
        Self {
            port: SCTP_PORT,
            outgoing_streams: SCTP_STREAMS,
            max_incoming_streams: SCTP_STREAMS,
            max_message_size: MAX_MESSAGE_SIZE,
            max_send_message_size: MAX_MESSAGE_SIZE,
            max_receive_message_size: MAX_MESSAGE_SIZE,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SctpStreamParameters {
    pub stream_id: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordered: Option<bool>,
    /// In milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_packet_life_time: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retransmits: Option<u16>,
}

impl SctpStreamParameters {
    /// `ordered`, or by default: `true` unless the stream is partially reliable.
    pub fn is_ordered(&self) -> bool {
        self.ordered.unwrap_or(self.max_packet_life_time.is_none() && self.max_retransmits.is_none())
    }
}

/// RFC 8445 §5.1.2.1, for component 1.
fn host_priority(local_preference: u16) -> u32 {
    (HOST_TYPE_PREFERENCE << 24) | (u32::from(local_preference) << 8) | 255
}

fn decode_hex(text: &str, len: usize) -> Option<Vec<u8>> {
    let bytes = text.split(':').map(decode_byte).take(len + 1).collect::<Option<Vec<u8>>>()?;
    (bytes.len() == len).then_some(bytes)
}

fn decode_byte(text: &str) -> Option<u8> {
    let is_hex = text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hex { u8::from_str_radix(text, 16).ok() } else { None }
}

/// RFC 8445 §5.1.2.2.
const HOST_TYPE_PREFERENCE: u32 = 126;
/// The only port clients accept for SCTP over DTLS.
const SCTP_PORT: u16 = 5000;
const SCTP_STREAMS: u16 = 1024;
/// Bytes; all browsers can receive messages of this size.
const MAX_MESSAGE_SIZE: u32 = 262_144;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_candidate_names_its_address_twice_and_prefers_the_first() {
        let address: SocketAddr = "192.0.2.1:40000".parse().unwrap();
        let first = IceCandidate::host(IceProtocol::Udp, address, 0);
        let expected = json!({
            "foundation": "udp0", "priority": 2_130_706_431, "ip": "192.0.2.1", "address": "192.0.2.1",
            "protocol": "udp", "port": 40000, "type": "host",
        });
        assert_eq!(serde_json::to_value(&first).unwrap(), expected);

        let second = IceCandidate::host(IceProtocol::Tcp, address, 1);
        assert!(second.priority < first.priority);
        assert_eq!(second.tcp_type, Some(IceTcpType::Passive));
    }

    #[test]
    fn a_fingerprint_is_read_in_either_case() {
        let text = ["9C"; 48].join(":");
        for value in [text.to_lowercase(), text] {
            let fingerprint = DtlsFingerprint { algorithm: "SHA-384".into(), value };
            assert_eq!(fingerprint.decode(), Ok(Some((FingerprintAlgorithm::Sha384, vec![0x9c; 48]))));
        }
    }

    #[test]
    fn a_fingerprint_of_the_wrong_length_or_alphabet_is_refused() {
        for value in ["", "AA", "AA:BB", &"AA:".repeat(32), &["ZZ"; 32].join(":"), &["+1"; 32].join(":")] {
            let fingerprint = DtlsFingerprint { algorithm: "sha-256".into(), value: value.into() };
            assert!(fingerprint.decode().is_err(), "{value}");
        }
    }

    #[test]
    fn every_transport_offers_data_channels_in_both_spellings() {
        let expected = json!({
            "port": 5000, "OS": 1024, "MIS": 1024, "maxMessageSize": 262_144,
            "maxSendMessageSize": 262_144, "maxReceiveMessageSize": 262_144,
        });
        assert_eq!(serde_json::to_value(SctpParameters::default()).unwrap(), expected);
    }

    #[test]
    fn a_missing_dtls_role_is_auto() {
        let parsed: DtlsParameters = serde_json::from_value(json!({"fingerprints": []})).unwrap();
        assert_eq!(parsed.role, DtlsRole::Auto);
    }
}
