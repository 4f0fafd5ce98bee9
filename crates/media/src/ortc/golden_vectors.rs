//! Descriptions recorded from Chromium and Firefox, and what mediasoup derives from them: the expected
//! results of this layer.

use super::*;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn capabilities_survive_a_round_trip() {
    let recorded: Value = serde_json::from_str(include_str!("golden.json")).unwrap();
    let fixture = fixture();
    assert_eq!(serde_json::to_value(&fixture.router).unwrap(), recorded["routerRtpCapabilities"]);
    for (browser, receiver) in &fixture.receivers {
        assert_eq!(
            serde_json::to_value(receiver).unwrap(),
            recorded["recvRtpCapabilities"][browser],
            "{browser}"
        );
        assert_eq!(receiver.validate(), Ok(()), "{browser}");
    }
}

#[test]
fn producer_parameters_survive_a_round_trip() {
    for vector in fixture().vectors {
        let parsed = vector.sent();
        assert_eq!(serde_json::to_value(parsed).unwrap(), vector.rtp_parameters, "{}", vector.title());
    }
}

#[test]
fn every_producer_maps_as_recorded() {
    let fixture = fixture();
    for vector in &fixture.vectors {
        let mapping = serde_json::to_value(vector.map(&fixture.router)).unwrap();
        assert_eq!(mapping, vector.mapping, "{}", vector.title());
    }
}

#[test]
fn every_producer_is_consumable_as_recorded() {
    let fixture = fixture();
    for vector in &fixture.vectors {
        let consumable = serde_json::to_value(vector.consume_from(&fixture.router)).unwrap();
        assert_eq!(consumable, vector.consumable, "{}", vector.title());
    }
}

#[test]
fn every_browser_is_told_as_recorded_or_cannot_consume() {
    let fixture = fixture();
    for vector in &fixture.vectors {
        let consumable = vector.consume_from(&fixture.router);
        for (browser, expected) in &vector.consumers {
            let receiver = &fixture.receiver(browser);
            assert_eq!(can_consume(&consumable, receiver), expected.can, "{} to {browser}", vector.title());
            let told = consumer_parameters(&consumable, receiver, expected.identity());
            let told = told.map(|told| serde_json::to_value(RtpParameters { mid: None, ..told }).unwrap());
            let recorded = expected.rtp_parameters.clone().ok_or(OrtcError::CannotConsume);
            assert_eq!(told, recorded, "{} to {browser}", vector.title());
        }
    }
}

#[test]
fn every_producer_is_piped_as_recorded() {
    let fixture = fixture();
    for vector in &fixture.vectors {
        let consumable = vector.consume_from(&fixture.router);
        let piped = pipe_consumer_parameters(
            &consumable,
            &fixture.router,
            ssrc(&vector.pipe["encodings"][0]["ssrc"]),
        );
        assert_eq!(serde_json::to_value(piped).unwrap(), vector.pipe, "{}", vector.title());
    }
}

#[test]
fn both_browsers_consume_everything_but_h264_in_firefox() {
    let fixture = fixture();
    let router = router_rtp_capabilities();
    for vector in &fixture.vectors {
        for browser in fixture.receivers.keys() {
            let receiver = &fixture.receiver(browser);
            let expected = !(vector.name.starts_with("h264") && browser == "firefox");
            let consumable = vector.consume_from(router);
            assert_eq!(can_consume(&consumable, receiver), expected, "{} to {browser}", vector.title());
        }
    }
}

#[derive(Deserialize)]
struct Fixture {
    #[serde(rename = "routerRtpCapabilities")]
    router: RtpCapabilities,
    #[serde(rename = "recvRtpCapabilities")]
    receivers: BTreeMap<String, RtpCapabilities>,
    vectors: Vec<Vector>,
}

impl Fixture {
    fn receiver(&self, browser: &str) -> ReceiverCapabilities {
        ReceiverCapabilities::of(&self.receivers[browser], &self.router).unwrap()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    producer: String,
    name: String,
    kind: MediaKind,
    rtp_parameters: Value,
    mapping: Value,
    consumable: Value,
    pipe: Value,
    consumers: BTreeMap<String, Consumer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consumer {
    can: bool,
    rtp_parameters: Option<Value>,
}

impl Vector {
    fn title(&self) -> String {
        format!("{} from {}", self.name, self.producer)
    }

    fn sent(&self) -> RtpParameters {
        serde_json::from_value(self.rtp_parameters.clone()).unwrap()
    }

    fn map(&self, router: &RtpCapabilities) -> RtpMapping {
        let first = ssrc(&self.mapping["encodings"][0]["mappedSsrc"]);
        producer_mapping(self.kind, &self.sent(), router, first).unwrap()
    }

    fn consume_from(&self, router: &RtpCapabilities) -> RtpParameters {
        consumable_parameters(self.kind, &self.sent(), router, &self.map(router))
    }
}

impl Consumer {
    /// The recorded SSRCs were random, so they are inputs and not derived.
    fn identity(&self) -> ConsumerIdentity {
        let ssrc = self.rtp_parameters.as_ref().map_or(1, |told| ssrc(&told["encodings"][0]["ssrc"]));
        ConsumerIdentity { ssrc, rtx_ssrc: ssrc + 1, mid: "0".into() }
    }
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("golden.json")).unwrap()
}

fn ssrc(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}
