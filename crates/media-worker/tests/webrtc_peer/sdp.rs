//! Converts between ORTC and the SDP of peer connections, as far as one audio and one video track need it. In
//! an app, mediasoup-client does this.

use serde_json::json;
use std::fmt::Write;
use switchyard_media_worker::media::ortc::{
    DtlsFingerprint, DtlsParameters, DtlsRole, MediaKind, RtpParameters, TransportParameters,
};

/// A parsed SDP description of a peer connection.
pub struct Description {
    fingerprint: String,
    /// The peer's DTLS role, as far as it is negotiated.
    role: DtlsRole,
    pub sections: Vec<Section>,
}

/// A media section.
pub struct Section {
    kind: String,
    mid: String,
    payload_type: u8,
    lines: Vec<String>,
}

impl Description {
    pub fn parse(sdp: &str) -> Self {
        let mut description = Self { fingerprint: String::new(), role: DtlsRole::Auto, sections: Vec::new() };
        for line in sdp.lines().map(str::trim) {
            if let Some(media) = line.strip_prefix("m=") {
                let mut words = media.split(' ');
                let kind = words.next().unwrap().to_owned();
                let payload_type = words.nth(2).unwrap().parse().unwrap();
                let section = Section { kind, mid: String::new(), payload_type, lines: Vec::new() };
                description.sections.push(section);
            } else if let Some(fingerprint) = line.strip_prefix("a=fingerprint:sha-256 ") {
                fingerprint.clone_into(&mut description.fingerprint);
            } else if line == "a=setup:passive" {
                description.role = DtlsRole::Server;
            }
            let Some(section) = description.sections.last_mut() else { continue };
            if let Some(mid) = line.strip_prefix("a=mid:") {
                mid.clone_into(&mut section.mid);
            }
            section.lines.push(line.to_owned());
        }
        description
    }

    pub fn dtls_parameters(&self) -> DtlsParameters {
        let fingerprint =
            DtlsFingerprint { algorithm: "sha-256".to_owned(), value: self.fingerprint.clone() };
        DtlsParameters { role: self.role, fingerprints: vec![fingerprint] }
    }
}

impl Section {
    pub fn rtp_parameters(&self, ssrc: u32) -> RtpParameters {
        let (mime_type, clock_rate, channels) = match self.kind.as_str() {
            "audio" => ("audio/opus", 48_000, Some(2)),
            "video" => ("video/VP8", 90_000, None),
            kind => panic!("no m-section of {kind} was asked for"),
        };
        let extension = |line: &String| {
            let (id, uri) = line.strip_prefix("a=extmap:")?.split_once(' ')?;
            Some(json!({"id": id.parse::<u8>().ok()?, "uri": uri}))
        };
        let extensions: Vec<_> = self.lines.iter().filter_map(extension).collect();
        let feedback = json!([{"type": "nack"}, {"type": "nack", "parameter": "pli"}]);
        let parameters = json!({
            "mid": self.mid,
            "codecs": [{
                "mimeType": mime_type, "payloadType": self.payload_type, "clockRate": clock_rate,
                "channels": channels, "rtcpFeedback": feedback,
            }],
            "headerExtensions": extensions,
            "encodings": [{"ssrc": ssrc}],
        });
        serde_json::from_value(parameters).unwrap()
    }
}

/// The server's answer to a publisher.
pub fn answer(offer: &Description, transport: &TransportParameters) -> String {
    let mut sdp = session(offer.sections.iter().map(|section| section.mid.as_str()));
    for section in &offer.sections {
        let kept = |line: &&String| line.starts_with("a=rtpmap:") || line.starts_with("a=extmap:");
        let lines = section.lines.iter().filter(kept).map(String::as_str);
        media(&mut sdp, &section.kind, &section.mid, section.payload_type, transport);
        sdp.push_str("a=setup:passive\r\na=recvonly\r\n");
        lines.for_each(|line| write!(sdp, "{line}\r\n").unwrap());
    }
    sdp
}

/// The server's offer to a subscriber.
pub fn offer(consumers: &[(MediaKind, &RtpParameters)], transport: &TransportParameters) -> String {
    let mid = |parameters: &RtpParameters| parameters.mid.clone().unwrap();
    let mids: Vec<_> = consumers.iter().map(|(_, parameters)| mid(parameters)).collect();
    let mut sdp = session(mids.iter().map(String::as_str));
    for (kind, parameters) in consumers {
        let (kind, encoding) = match kind {
            MediaKind::Audio => ("audio", "opus/48000/2"),
            MediaKind::Video => ("video", "VP8/90000"),
        };
        let payload_type = parameters.codecs[0].payload_type;
        media(&mut sdp, kind, &mid(parameters), payload_type, transport);
        let ssrc = parameters.encodings[0].ssrc.unwrap();
        write!(sdp, "a=setup:actpass\r\na=sendonly\r\na=rtpmap:{payload_type} {encoding}\r\n").unwrap();
        write!(sdp, "a=msid:switchyard {kind}\r\na=ssrc:{ssrc} cname:switchyard\r\n").unwrap();
        for extension in &parameters.header_extensions {
            write!(sdp, "a=extmap:{} {}\r\n", extension.id, extension.uri).unwrap();
        }
    }
    sdp
}

fn session<'a>(mids: impl Iterator<Item = &'a str>) -> String {
    let mids: Vec<_> = mids.collect();
    let mids = mids.join(" ");
    format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=group:BUNDLE {mids}\r\n")
}

fn media(sdp: &mut String, kind: &str, mid: &str, payload_type: u8, transport: &TransportParameters) {
    let (ice, candidate) = (&transport.ice_parameters, &transport.ice_candidates[0]);
    let fingerprint = &transport.dtls_parameters.fingerprints[0];
    let (ip, port) = (candidate.ip, candidate.port);
    write!(sdp, "m={kind} {port} UDP/TLS/RTP/SAVPF {payload_type}\r\nc=IN IP4 {ip}\r\na=mid:{mid}\r\n")
        .unwrap();
    write!(sdp, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", ice.username_fragment, ice.password).unwrap();
    write!(sdp, "a=fingerprint:{} {}\r\n", fingerprint.algorithm, fingerprint.value).unwrap();
    write!(sdp, "a=candidate:1 1 udp {} {ip} {port} typ host\r\n", candidate.priority).unwrap();
    sdp.push_str("a=end-of-candidates\r\na=rtcp-mux\r\na=rtcp-rsize\r\n");
}
