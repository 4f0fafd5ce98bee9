//! Media requests over Socket.IO: what is allowed and what is refused.

use serde_json::{Value, json};

use crate::call::CallType;
use crate::carriers::testing::socketio_client::Client;
use crate::carriers::testing::world::World;

#[tokio::test]
async fn a_joining_leg_gets_transports_and_paused_consumers_in_one_round_trip() {
    let world = World::new().await;
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    let group = world.group(&alice, &[&bob]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let mut alices = world.connect(&alice).await;
    let joined = alices.ok("call:join", &json!({"callId": call, "media": {"send": true}})).await;
    assert!(joined["transports"]["send"]["iceParameters"]["usernameFragment"].is_string());
    assert!(joined["transports"].get("recv").is_none() && joined.get("consumers").is_none());
    let producer = produce(&mut alices, &joined["transports"]["send"]["id"], "mic").await;

    let mut bobs = world.connect(&bob).await;
    let all = json!({
        "callId": call, "device": "tab-1", "rtpCapabilities": joined["routerRtpCapabilities"],
        "media": {"send": true, "recv": true, "consume": true},
    });
    let joined = bobs.ok("call:join", &all).await;
    assert!(joined["transports"]["send"].is_object() && joined["transports"]["recv"].is_object());
    assert_eq!(joined["producers"][0]["producerId"], producer);
    let consumer = &joined["consumers"][0];
    assert_eq!((&consumer["producerId"], &consumer["paused"]), (&producer, &json!(true)));
    assert_eq!(consumer["appData"], json!({"source": "mic"}));
    bobs.ok("media:resume-consumer", &json!({"consumerIds": [consumer["id"]]})).await;

    alices.ok("media:pause-producer", &json!({"producerId": producer})).await;
    assert_eq!(bobs.event("media:producer-paused").await["producerId"], producer);
    assert_eq!(bobs.event("media:consumer-paused").await["by"], "producer");
    alices.ok("call:leave", &json!({"callId": call})).await;
    let mut ended = [bobs.any_event().await, bobs.any_event().await, bobs.any_event().await];
    ended.sort();
    assert_eq!(ended, ["media:consumer-closed", "media:producer-closed", "participant-left"]);
}

#[tokio::test]
async fn new_producers_are_announced_in_the_calls_order() {
    let world = World::new().await;
    let (mut alices, mut bobs, call) = sender_and_receiver(&world, CallType::Video).await;
    let transport = transport(&mut alices, &call, "send").await;
    let mut last = 0;
    for source in ["mic", "camera", "screen"] {
        let producer = produce(&mut alices, &transport, source).await;
        let announced = bobs.event("media:new-producer").await;
        assert_eq!((&announced["producerId"], &announced["callId"]), (&producer, &call));
        assert_eq!(announced["appData"]["source"], source);
        let seq = announced["seq"].as_i64().unwrap();
        assert!(seq > last);
        last = seq;
    }
    alices.ok("media:close-transport", &json!({"transportId": transport})).await;
    for _ in 0..3 {
        let closed = bobs.event("media:producer-closed").await;
        assert_eq!(closed["seq"].as_i64().unwrap(), last + 1);
        last += 1;
    }
}

#[tokio::test]
async fn a_leg_reaches_only_what_is_its_own() {
    let world = World::new().await;
    let (mut alices, mut bobs, call) = sender_and_receiver(&world, CallType::Video).await;
    let send = transport(&mut alices, &call, "send").await;
    let producer = produce(&mut alices, &send, "mic").await;
    let recv = transport(&mut bobs, &call, "recv").await;
    for (event, payload) in [
        ("media:connect-transport", json!({"transportId": send, "dtlsParameters": {"fingerprints": []}})),
        ("media:restart-ice", json!({"transportId": send})),
        ("media:close-transport", json!({"transportId": send})),
        ("media:get-stats", json!({"transportId": send})),
        ("media:produce", mic_on(&send)),
        ("media:pause-producer", json!({"producerId": producer})),
        ("media:close-producer", json!({"producerId": producer})),
        ("media:consume", json!({"transportId": send, "producerId": producer})),
        ("media:resume-consumer", json!({"consumerId": producer})),
    ] {
        assert_eq!(bobs.refused(event, &payload).await, "not_found", "{event}");
    }
    assert_eq!(bobs.refused("media:produce", &mic_on(&recv)).await, "bad_request");
    let unable = json!({"transportId": recv, "producerId": producer});
    assert_eq!(bobs.refused("media:consume", &unable).await, "bad_request");
}

#[tokio::test]
async fn consuming_says_for_each_producer_whether_it_worked() {
    let world = World::new().await;
    let (mut alices, mut bobs, call) = sender_and_receiver(&world, CallType::Video).await;
    let send = transport(&mut alices, &call, "send").await;
    let producer = produce(&mut alices, &send, "mic").await;
    let recv = transport(&mut bobs, &call, "recv").await;
    let capabilities = bobs.ok("media:router-capabilities", &json!({"callId": call})).await;
    let set = json!({"callId": call, "rtpCapabilities": capabilities["routerRtpCapabilities"]});
    bobs.ok("media:set-rtp-capabilities", &set).await;
    let elsewhere = uuid::Uuid::new_v4();
    let consume = json!({"transportId": recv, "producerIds": [producer, elsewhere]});
    let consumed = bobs.ok("media:consume", &consume).await;
    assert_eq!(consumed["consumers"][0]["producerId"], producer);
    assert_eq!(consumed["failed"], json!([{"producerId": elsewhere, "code": "not_found"}]));
    let again = bobs.ok("media:consume", &json!({"transportId": recv, "producerId": producer})).await;
    assert_eq!(again["failed"][0]["code"], "conflict");
    let consumer = json!({"consumerId": consumed["consumers"][0]["id"]});
    bobs.ok("media:close-consumer", &consumer).await;
    assert_eq!(bobs.refused("media:close-consumer", &consumer).await, "not_found");
}

#[tokio::test]
async fn a_call_carries_the_sources_of_its_type_and_no_more_than_its_limits() {
    let world = World::new().await;
    let (mut alices, _bobs, call) = sender_and_receiver(&world, CallType::Audio).await;
    let send = transport(&mut alices, &call, "send").await;
    let create = json!({"callId": call, "direction": "send"});
    assert_eq!(alices.refused("media:create-transport", &create).await, "limit_exceeded");
    assert_eq!(alices.refused("media:produce", &video_on(&send, "camera")).await, "unsupported");
    assert_eq!(alices.refused("media:produce", &video_on(&send, "mic")).await, "bad_request");
    produce(&mut alices, &send, "mic").await;
}

#[tokio::test]
async fn data_producers_are_announced_and_consumed() {
    let world = World::new().await;
    let (mut alices, mut bobs, call) = sender_and_receiver(&world, CallType::Video).await;
    let send = transport(&mut alices, &call, "send").await;
    let produce = json!({
        "transportId": send, "sctpStreamParameters": {"streamId": 0, "ordered": true},
        "label": "chat", "appData": {"room": 1},
    });
    let id = alices.ok("media:produce-data", &produce).await["id"].clone();
    let announced = bobs.event("media:new-data-producer").await;
    assert_eq!((&announced["dataProducerId"], &announced["label"]), (&id, &json!("chat")));
    assert_eq!(announced["appData"], json!({"room": 1}));
    let recv = transport(&mut bobs, &call, "recv").await;
    let consume = json!({"transportId": recv, "dataProducerId": id});
    let consumer = bobs.ok("media:consume-data", &consume).await;
    assert_eq!(consumer["label"], "chat");
    alices.ok("media:close-data-producer", &json!({"id": id})).await;
    assert_eq!(bobs.event("media:data-consumer-closed").await["dataConsumerId"], consumer["id"]);
}

async fn sender_and_receiver(world: &World, call_type: CallType) -> (Client, Client, Value) {
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    let group = world.group(&alice, &[&bob]).await;
    let call = world.call(&alice, group, call_type).await;
    let mut sockets = [world.connect(&alice).await, world.connect(&bob).await];
    for socket in &mut sockets {
        socket.ok("call:join", &json!({"callId": call})).await;
    }
    let [alice, bob] = sockets;
    (alice, bob, call)
}

async fn transport(socket: &mut Client, call: &Value, direction: &str) -> Value {
    let create = json!({"callId": call, "direction": direction});
    socket.ok("media:create-transport", &create).await["id"].clone()
}

async fn produce(socket: &mut Client, transport: &Value, source: &str) -> Value {
    let request = if source == "mic" { mic_on(transport) } else { video_on(transport, source) };
    socket.ok("media:produce", &request).await["id"].clone()
}

fn mic_on(transport: &Value) -> Value {
    json!({
        "transportId": transport, "kind": "audio", "appData": {"source": "mic"},
        "rtpParameters": {
            "mid": "0",
            "codecs": [{"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}],
            "encodings": [{"ssrc": 1000}],
            "rtcp": {"cname": "alice"},
        },
    })
}

/// Each source has its own SSRC and mid, as each has its own m-section.
fn video_on(transport: &Value, source: &str) -> Value {
    let ssrc = if source == "camera" { 2000 } else { 3000 };
    json!({
        "transportId": transport, "kind": "video", "appData": {"source": source},
        "rtpParameters": {
            "mid": source,
            "codecs": [{"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000}],
            "encodings": [{"ssrc": ssrc}],
            "rtcp": {"cname": "alice"},
        },
    })
}
