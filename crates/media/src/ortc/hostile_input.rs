//! Any input from a client is accepted or refused, and never causes a panic.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn arbitrary_json_never_panics(described in arbitrary_json(), capabilities in arbitrary_json()) {
        negotiate(&described, &capabilities);
    }

    #[test]
    fn a_real_description_with_one_part_replaced_never_panics(
        vector in any::<prop::sample::Index>(),
        path in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        in_capabilities in any::<bool>(),
        replacement in arbitrary_json(),
    ) {
        let golden: Value = serde_json::from_str(include_str!("golden.json")).unwrap();
        let vectors = golden["vectors"].as_array().unwrap();
        let mut described = vectors[vector.index(vectors.len())]["rtpParameters"].clone();
        let mut capabilities = golden["recvRtpCapabilities"]["chrome"].clone();
        replace_part(if in_capabilities { &mut capabilities } else { &mut described }, &path, replacement);
        negotiate(&described, &capabilities);
    }

    #[test]
    fn transport_descriptions_never_panic(json in arbitrary_json()) {
        let text = json.to_string();
        let _ = serde_json::from_str::<DtlsParameters>(&text).map(|parsed| parsed.validate());
        let _ = serde_json::from_str::<SctpStreamParameters>(&text).map(|parsed| parsed.validate());
        let _ = serde_json::from_str::<TransportParameters>(&text);
        let _ = serde_json::from_str::<Layers>(&text);
    }

    #[test]
    fn any_text_is_a_scalability_mode(name in ".{0,12}", like in "[LS][0-9]{0,3}T[0-9]{0,3}(_KEY)?.{0,3}") {
        for name in [name, like] {
            let mode = ScalabilityMode::parse(&name);
            prop_assert!((1..=99).contains(&mode.spatial_layers) && (1..=99).contains(&mode.temporal_layers));
        }
    }
}

fn seeded() -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(0x6f72_7463),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The whole negotiation, from two JSON documents to a consumer's parameters.
fn negotiate(described: &Value, capabilities: &Value) {
    let router = router_rtp_capabilities();
    let Ok(parameters) = serde_json::from_value::<RtpParameters>(described.clone()) else {
        return;
    };
    let Ok(receiver) = serde_json::from_value::<ReceiverCapabilities>(capabilities.clone()) else {
        return;
    };
    for kind in [MediaKind::Audio, MediaKind::Video] {
        // The highest first SSRC: shows that mapped SSRCs cannot overflow.
        let Ok(mapping) = producer_mapping(kind, &parameters, router, u32::MAX) else {
            continue;
        };
        let consumable = consumable_parameters(kind, &parameters, router, &mapping);
        let identity = ConsumerIdentity { ssrc: 1, rtx_ssrc: 2, mid: "0".into() };
        let told = consumer_parameters(&consumable, &receiver, identity);
        assert!(told.is_err() || can_consume(&consumable, &receiver));
        pipe_consumer_parameters(&consumable, router, u32::MAX);
        ProducerKind::of(&parameters);
    }
}

fn replace_part(value: &mut Value, path: &[prop::sample::Index], replacement: Value) {
    match (value, path.split_first()) {
        (Value::Array(items), Some((step, rest))) if !items.is_empty() => {
            let at = step.index(items.len());
            replace_part(&mut items[at], rest, replacement);
        }
        (Value::Object(fields), Some((step, rest))) if !fields.is_empty() => {
            let at = step.index(fields.len());
            replace_part(fields.values_mut().nth(at).unwrap(), rest, replacement);
        }
        (part, _) => *part = replacement,
    }
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0u8..=255).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop::sample::select(NAMES).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let key = prop_oneof![prop::sample::select(NAMES).prop_map(str::to_owned), ".{0,4}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..8).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

const NAMES: &[&str] = &[
    "codecs",
    "mimeType",
    "payloadType",
    "preferredPayloadType",
    "clockRate",
    "channels",
    "parameters",
    "apt",
    "rtcpFeedback",
    "type",
    "headerExtensions",
    "uri",
    "id",
    "preferredId",
    "encodings",
    "ssrc",
    "rid",
    "rtx",
    "scalabilityMode",
    "maxBitrate",
    "rtcp",
    "cname",
    "fingerprints",
    "algorithm",
    "value",
    "streamId",
    "video/VP8",
    "video/rtx",
    "audio/opus",
    "video/H264",
    "profile-level-id",
    "sha-256",
];
