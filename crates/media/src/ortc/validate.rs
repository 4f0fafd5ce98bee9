//! Limits on a client's descriptions. The types define the format; these limits keep a valid but hostile
//! description from costing more than an honest one.

use super::{
    CodecFmtp, DtlsParameters, FmtpValue, MediaKind, MimeType, OrtcError, RtcpFeedback, RtpCapabilities,
    RtpEncodingParameters, RtpHeaderExtensionParameters, RtpParameters, SctpStreamParameters,
};
use std::collections::HashSet;
use std::hash::Hash;

impl RtpCapabilities {
    /// # Errors
    /// [`OrtcError::Invalid`] when a list, a text or an id is out of bounds.
    pub fn validate(&self) -> Result<(), OrtcError> {
        at_most(MAX_CODECS, self.codecs.len(), "codecs")?;
        for codec in &self.codecs {
            validate_codec(
                &codec.mime_type,
                codec.preferred_payload_type,
                &codec.parameters,
                &codec.rtcp_feedback,
            )?;
        }
        at_most(MAX_HEADER_EXTENSIONS, self.header_extensions.len(), "header extensions")?;
        self.header_extensions
            .iter()
            .try_for_each(|listed| validate_extension(&listed.uri, listed.preferred_id))
    }
}

impl RtpParameters {
    /// # Errors
    /// [`OrtcError::Invalid`] when something is out of bounds, named twice, or of another kind than `kind`.
    pub fn validate(&self, kind: MediaKind) -> Result<(), OrtcError> {
        short(MAX_MID, self.mid.as_deref(), "mid")?;
        short(MAX_CNAME, self.rtcp.cname.as_deref(), "cname")?;
        short(MAX_MSID, self.msid.as_deref(), "msid")?;
        self.validate_codecs(kind)?;
        validate_extensions(&self.header_extensions)?;
        validate_encodings(&self.encodings)
    }

    fn validate_codecs(&self, kind: MediaKind) -> Result<(), OrtcError> {
        at_most(MAX_CODECS, self.codecs.len(), "codecs")?;
        let first_is_media = self.codecs.first().is_some_and(|codec| !codec.mime_type.is_rtx());
        ensure(first_is_media, "the first codec must be a media codec")?;
        for codec in &self.codecs {
            validate_codec(&codec.mime_type, codec.payload_type, &codec.parameters, &codec.rtcp_feedback)?;
            ensure(codec.mime_type.kind() == Some(kind), "a codec is of another kind than the track")?;
        }
        distinct(self.codecs.iter().map(|codec| codec.payload_type), "payload type")
    }
}

impl DtlsParameters {
    /// # Errors
    /// [`OrtcError::Invalid`] for a malformed fingerprint, [`OrtcError::Unsupported`] when none is of an accepted
    /// algorithm.
    pub fn validate(&self) -> Result<(), OrtcError> {
        at_most(MAX_FINGERPRINTS, self.fingerprints.len(), "fingerprints")?;
        let mut accepted = false;
        for fingerprint in &self.fingerprints {
            accepted |= fingerprint.decode()?.is_some();
        }
        let missing =
            || OrtcError::Unsupported("a sha-256, sha-384 or sha-512 fingerprint is needed".to_owned());
        accepted.then_some(()).ok_or_else(missing)
    }
}

impl SctpStreamParameters {
    /// # Errors
    /// [`OrtcError::Invalid`] for a reserved stream or contradictory reliability (RFC 8831 §6.4).
    pub fn validate(&self) -> Result<(), OrtcError> {
        ensure(self.stream_id != RESERVED_STREAM, "SCTP stream id 65535 is reserved")?;
        let partial = [self.max_packet_life_time, self.max_retransmits].iter().flatten().count();
        ensure(partial < 2, "maxPacketLifeTime and maxRetransmits exclude each other")?;
        ensure(partial == 0 || !self.is_ordered(), "a partially reliable stream must be unordered")
    }
}

fn validate_codec(
    mime_type: &MimeType,
    payload_type: u8,
    parameters: &CodecFmtp,
    feedback: &[RtcpFeedback],
) -> Result<(), OrtcError> {
    short(MAX_MIME_TYPE, Some(&mime_type.0), "mimeType")?;
    ensure(payload_type <= MAX_PAYLOAD_TYPE, "a payload type is above 127")?;
    validate_fmtp(parameters)?;
    at_most(MAX_FEEDBACK, feedback.len(), "RTCP feedback entries")?;
    for listed in feedback {
        short(MAX_FEEDBACK_NAME, Some(&listed.feedback_type), "RTCP feedback type")?;
        short(MAX_FEEDBACK_NAME, Some(&listed.parameter), "RTCP feedback parameter")?;
    }
    Ok(())
}

fn validate_fmtp(parameters: &CodecFmtp) -> Result<(), OrtcError> {
    at_most(MAX_FMTP, parameters.iter().len(), "format parameters")?;
    for (key, value) in parameters.iter() {
        short(MAX_FMTP_KEY, Some(key), "format parameter name")?;
        match value {
            FmtpValue::Number(_) => {}
            FmtpValue::Text(text) => short(MAX_FMTP_VALUE, Some(text), "format parameter value")?,
        }
    }
    Ok(())
}

fn validate_extensions(extensions: &[RtpHeaderExtensionParameters]) -> Result<(), OrtcError> {
    at_most(MAX_HEADER_EXTENSIONS, extensions.len(), "header extensions")?;
    for extension in extensions {
        validate_extension(&extension.uri, extension.id)?;
        validate_fmtp(&extension.parameters)?;
    }
    distinct(extensions.iter().map(|extension| extension.id), "header extension id")
}

fn validate_extension(uri: &str, id: u8) -> Result<(), OrtcError> {
    short(MAX_URI, Some(uri), "header extension uri")?;
    ensure(id != 0 && id != RESERVED_EXTENSION_ID, "header extension ids 0 and 15 are reserved")
}

fn validate_encodings(encodings: &[RtpEncodingParameters]) -> Result<(), OrtcError> {
    at_most(MAX_ENCODINGS, encodings.len(), "encodings")?;
    for encoding in encodings {
        short(MAX_SCALABILITY_MODE, encoding.scalability_mode.as_deref(), "scalabilityMode")?;
        if let Some(rid) = &encoding.rid {
            ensure(is_rid(rid), "a rid is 1 to 16 letters, digits, '-' or '_'")?;
        }
    }
    distinct(encodings.iter().filter_map(|encoding| encoding.rid.as_deref()), "rid")?;
    let media = encodings.iter().filter_map(|encoding| encoding.ssrc);
    let repair = encodings.iter().filter_map(|encoding| encoding.rtx).map(|rtx| rtx.ssrc);
    distinct(media.chain(repair), "ssrc")
}

/// RFC 8851 §10, with the length that fits a one-byte header extension.
fn is_rid(rid: &str) -> bool {
    let is_rid_char = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_RID).contains(&rid.len()) && rid.bytes().all(is_rid_char)
}

fn at_most(limit: usize, count: usize, what: &str) -> Result<(), OrtcError> {
    if count <= limit { Ok(()) } else { Err(OrtcError::Invalid(format!("more than {limit} {what}"))) }
}

fn short(limit: usize, text: Option<&str>, what: &str) -> Result<(), OrtcError> {
    match text {
        Some(text) if text.len() > limit => {
            Err(OrtcError::Invalid(format!("{what} is longer than {limit} bytes")))
        }
        Some(_) | None => Ok(()),
    }
}

fn distinct<T: Hash + Eq>(values: impl Iterator<Item = T>, what: &str) -> Result<(), OrtcError> {
    let mut seen = HashSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(OrtcError::Invalid(format!("the same {what} is given twice")));
        }
    }
    Ok(())
}

fn ensure(holds: bool, otherwise: &str) -> Result<(), OrtcError> {
    if holds { Ok(()) } else { Err(OrtcError::Invalid(otherwise.to_owned())) }
}

// Counts: browsers stay well below half of each.
const MAX_CODECS: usize = 64;
const MAX_HEADER_EXTENSIONS: usize = 32;
const MAX_ENCODINGS: usize = 8;
const MAX_FINGERPRINTS: usize = 8;
const MAX_FMTP: usize = 32;
const MAX_FEEDBACK: usize = 16;
// Lengths, in bytes.
const MAX_MIME_TYPE: usize = 64;
const MAX_FMTP_KEY: usize = 64;
/// H.264 parameter sets are the longest value in use.
const MAX_FMTP_VALUE: usize = 512;
const MAX_FEEDBACK_NAME: usize = 32;
const MAX_URI: usize = 256;
const MAX_SCALABILITY_MODE: usize = 16;
/// Two ids of 64 characters and a space (RFC 8830 §2).
const MAX_MSID: usize = 129;
/// The longest value of an SDES item (RFC 3550 §6.5).
const MAX_CNAME: usize = 255;
/// The longest value of a one-byte header extension (RFC 8285 §4.2).
const MAX_MID: usize = 16;
const MAX_RID: usize = 16;
/// Seven bits (RFC 3550 §5.1).
const MAX_PAYLOAD_TYPE: u8 = 127;
/// RFC 8285 §4.2.
const RESERVED_EXTENSION_ID: u8 = 15;
/// RFC 8831 §6.2.
const RESERVED_STREAM: u16 = 65_535;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn an_honest_description_passes() {
        assert_eq!(check(&json!({})), Ok(()));
        let layers = json!([{"rid": "r0"}, {"rid": "r1"}, {"ssrc": 5, "rtx": {"ssrc": 6}}]);
        assert_eq!(check(&json!({"encodings": layers})), Ok(()));
    }

    #[test]
    fn counts_lengths_and_ids_are_bounded() {
        let extension = |id: u32| json!({"uri": format!("urn:{id}"), "id": id});
        for broken in [
            json!({"codecs": []}),
            json!({"codecs": vec![codec(96); 65]}),
            json!({"codecs": [codec(128)]}),
            json!({"codecs": [codec(96), codec(96)]}),
            json!({"codecs": [with(codec(96), "mimeType", json!("x".repeat(65)))]}),
            json!({"codecs": [with(codec(96), "mimeType", json!("video/rtx"))]}),
            json!({"codecs": [with(codec(96), "parameters", json!({"k": "x".repeat(513)}))]}),
            json!({"codecs": [with(codec(96), "rtcpFeedback", json!(vec![json!({"type": "nack"}); 17]))]}),
            json!({"headerExtensions": [extension(0)]}),
            json!({"headerExtensions": [extension(15)]}),
            json!({"headerExtensions": [extension(3), extension(3)]}),
            json!({"headerExtensions": (16..49).map(extension).collect::<Vec<_>>()}),
            json!({"encodings": vec![json!({}); 9]}),
            json!({"encodings": [{"rid": "r0"}, {"rid": "r0"}]}),
            json!({"encodings": [{"rid": ""}]}),
            json!({"encodings": [{"rid": "a b"}]}),
            json!({"encodings": [{"ssrc": 7, "rtx": {"ssrc": 7}}]}),
            json!({"encodings": [{"scalabilityMode": "L".repeat(17)}]}),
            json!({"mid": "m".repeat(17)}),
            json!({"msid": "m".repeat(130)}),
            json!({"rtcp": {"cname": "c".repeat(256)}}),
        ] {
            assert!(matches!(check(&broken), Err(OrtcError::Invalid(_))), "{broken}");
        }
    }

    #[test]
    fn dtls_needs_one_fingerprint_it_can_trust() {
        let sha256 = json!({"algorithm": "sha-256", "value": vec!["AB"; 32].join(":")});
        let sha1 = json!({"algorithm": "sha-1", "value": vec!["AB"; 20].join(":")});
        let check = |fingerprints: Value| {
            serde_json::from_value::<DtlsParameters>(json!({"fingerprints": fingerprints}))
                .unwrap()
                .validate()
        };
        assert_eq!(check(json!([sha1, sha256])), Ok(()));
        assert!(matches!(check(json!([sha1])), Err(OrtcError::Unsupported(_))));
        assert!(matches!(check(json!([])), Err(OrtcError::Unsupported(_))));
        assert!(matches!(
            check(json!([{"algorithm": "sha-256", "value": "AB"}])),
            Err(OrtcError::Invalid(_))
        ));
    }

    #[test]
    fn a_data_stream_is_reliable_in_one_way_only() {
        let check = |extra: Value| {
            let stream = with(extra, "streamId", json!(1));
            serde_json::from_value::<SctpStreamParameters>(stream).unwrap().validate()
        };
        assert_eq!(check(json!({"ordered": true})), Ok(()));
        assert_eq!(check(json!({"maxRetransmits": 1})), Ok(()));
        assert_eq!(check(json!({"ordered": false, "maxPacketLifeTime": 100})), Ok(()));
        assert!(check(json!({"ordered": true, "maxRetransmits": 1})).is_err());
        assert!(check(json!({"maxPacketLifeTime": 1, "maxRetransmits": 1})).is_err());
    }

    fn check(change: &Value) -> Result<(), OrtcError> {
        let mut described = json!({"codecs": [codec(96)]});
        for (key, value) in change.as_object().unwrap() {
            described[key] = value.clone();
        }
        serde_json::from_value::<RtpParameters>(described).unwrap().validate(MediaKind::Video)
    }

    fn codec(payload_type: u8) -> Value {
        json!({"mimeType": "video/VP8", "payloadType": payload_type, "clockRate": 90000})
    }

    fn with(mut object: Value, key: &str, value: Value) -> Value {
        object[key] = value;
        object
    }
}
