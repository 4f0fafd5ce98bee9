//! Checks that a flight comes from the holder of its certificate, before the library reads it: the library cannot
//! take back what it has read, and anybody can send handshake messages in plaintext.

use super::DtlsRole;
use super::message::Message;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_crypto::{PublicKey, PublicKeyEncoding, RTCCryptoProvider, SignatureScheme};

/// What the flight of the peer may contain, if we are in this role.
pub(super) fn kinds(ours: DtlsRole) -> &'static [u8] {
    match ours {
        DtlsRole::Server => &[CERTIFICATE, CLIENT_KEY_EXCHANGE, CERTIFICATE_VERIFY],
        DtlsRole::Client => {
            &[SERVER_HELLO, CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE]
        }
    }
}

/// The client's answer: Certificate, ClientKeyExchange, CertificateVerify. The signature is over all messages since the
/// ClientHello (RFC 5246 §7.4.8); `before` are those that came before the answer.
pub(super) fn is_of_client(answer: &[Message], before: &[Message]) -> bool {
    let [certificate, exchange, verify] = answer else { return false };
    let kinds = [certificate.kind, exchange.kind, verify.kind];
    if kinds != [CERTIFICATE, CLIENT_KEY_EXCHANGE, CERTIFICATE_VERIFY] {
        return false;
    }
    let signed: Vec<u8> = before.iter().chain([certificate, exchange]).flat_map(Message::bytes).collect();
    leaf(certificate).is_some_and(|leaf| is_signed(leaf, &signed, &verify.body))
}

/// The server's flight: ServerHello, Certificate, ServerKeyExchange, perhaps CertificateRequest, ServerHelloDone. The
/// signature is over both randoms and the key (RFC 8422 §5.4); `before` is our ClientHello.
pub(super) fn is_of_server(flight: &[Message], before: &[Message]) -> bool {
    let ([client_hello, ..], [hello, certificate, exchange, .., done]) = (before, flight) else {
        return false;
    };
    let kinds = [hello.kind, certificate.kind, exchange.kind, done.kind];
    if kinds != [SERVER_HELLO, CERTIFICATE, SERVER_KEY_EXCHANGE, SERVER_HELLO_DONE] {
        return false;
    }
    let key = exchange.body.get(3).map_or(0, |&length| 4 + usize::from(length));
    let Some((parameters, signature)) = exchange.body.split_at_checked(key) else { return false };
    let randoms = client_hello.body.get(RANDOM).zip(hello.body.get(RANDOM));
    leaf(certificate).zip(randoms).is_some_and(|(leaf, (ours, theirs))| {
        is_signed(leaf, &[ours, theirs, parameters].concat(), signature)
    })
}

/// The first certificate of the chain.
fn leaf(message: &Message) -> Option<&[u8]> {
    let (&[_, _, _, high, middle, low], rest) = message.body.split_first_chunk::<6>()?;
    rest.get(..usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low))
}

/// `signature` is a DigitallySigned: algorithm, length, value (RFC 5246 §4.7).
fn is_signed(certificate: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Some((&[hash, kind, high, low], value)) = signature.split_first_chunk::<4>() else { return false };
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return false };
    let key = &certificate.tbs_certificate.subject_pki.subject_public_key.data;
    let Some((scheme, encoding)) = scheme(hash, kind, key.len()) else { return false };
    value.len() == usize::from(u16::from_be_bytes([high, low]))
        && AwsLcRsProvider::new()
            .crypto()
            .verify_signature(scheme, PublicKey { encoding, bytes: key }, message, value)
            .is_ok()
}

/// The numbers are those of RFC 5246 §7.4.1.4.1 and RFC 8422 §5.1.3.
fn scheme(hash: u8, kind: u8, key_length: usize) -> Option<(SignatureScheme, PublicKeyEncoding)> {
    let scheme = match (kind, hash) {
        (1, 4) => SignatureScheme::RsaPkcs1Sha256,
        (1, 5) => SignatureScheme::RsaPkcs1Sha384,
        (1, 6) => SignatureScheme::RsaPkcs1Sha512,
        (3, 4) if key_length == P384_POINT => SignatureScheme::EcdsaP384Sha256,
        (3, 4) => SignatureScheme::EcdsaP256Sha256,
        (3, 5) => SignatureScheme::EcdsaP384Sha384,
        (7, 8) => SignatureScheme::Ed25519,
        _ => return None,
    };
    let encoding = match kind {
        1 => PublicKeyEncoding::RsaPkcs1Der,
        3 => PublicKeyEncoding::EcUncompressedPoint,
        _ => PublicKeyEncoding::Ed25519Raw,
    };
    Some((scheme, encoding))
}

const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_KEY_EXCHANGE: u8 = 12;
const CERTIFICATE_REQUEST: u8 = 13;
pub(super) const SERVER_HELLO_DONE: u8 = 14;
pub(super) const CERTIFICATE_VERIFY: u8 = 15;
const CLIENT_KEY_EXCHANGE: u8 = 16;
/// Where a hello's random is.
const RANDOM: std::ops::Range<usize> = 2..34;
/// Bytes of an uncompressed point on P-384.
const P384_POINT: usize = 97;
