mod transcript;

use std::time::Duration;

use axum::http::{HeaderValue, header};
use serde_json::{Value, json};
use tokio::time::{Instant, advance, pause, resume};

use crate::actor::Actor;
use crate::call::CallType;
use crate::carriers::testing::websocket_client::PlainClient;
use crate::carriers::testing::world::World;
use crate::clock::now;
use crate::hub::{Audience, outbox::MOST_MESSAGES};
use crate::wire::event::ServerEvent;

#[tokio::test]
async fn a_token_comes_in_the_header_or_in_the_first_frame() {
    let world = World::new().await;
    let alice = world.caller("Alice").await;
    let mut by_header = world.connect_plain(&alice).await;
    assert_eq!(by_header.event("active-calls").await, json!([]));

    let mut by_frame = PlainClient::anonymous(world.address).await;
    let ack = by_frame.sign_in(&alice.token).await;
    assert_eq!(ack["ok"], true);
    assert!(ack["data"]["expiresAt"].is_string());
    assert_eq!(by_frame.event("active-calls").await, json!([]));
    world.until_sockets(2).await;
}

#[tokio::test]
async fn a_handshake_with_a_bad_token_is_refused_before_it_is_a_web_socket() {
    let world = World::configured(|config| config.limits.sockets_per_user = 1).await;
    let alice = world.caller("Alice").await;
    let status = async |authorization: &str| {
        let authorization = HeaderValue::from_str(authorization).unwrap();
        let opened = PlainClient::open(world.address, "", &[(header::AUTHORIZATION, authorization)]).await;
        opened.err()
    };
    assert_eq!(status("Bearer nonsense").await, Some(401));
    assert_eq!(status("Basic YTpi").await, Some(401));
    let _first = world.connect_plain(&alice).await;
    assert_eq!(status(&format!("Bearer {}", alice.token)).await, Some(422));
}

#[tokio::test]
async fn a_first_frame_that_does_not_sign_in_is_answered_and_the_last() {
    let world = World::configured(|config| config.limits.sockets_per_user = 1).await;
    let alice = world.caller("Alice").await;
    let _first = world.connect_plain(&alice).await;
    let missing = "unauthorized: missing_token";
    for (frame, code, reason) in [
        (json!({"event": "auth", "data": {"token": "x"}}), "unauthorized", "unauthorized: invalid_token"),
        (json!({"event": "auth", "data": {"token": alice.token}}), "too_many_sockets", "too_many_sockets"),
        (json!({"event": "auth", "data": {}}), "bad_request", missing),
        (json!({"event": "call:join", "data": {}}), "unauthorized", missing),
        (json!("auth"), "bad_request", missing),
    ] {
        let mut client = PlainClient::anonymous(world.address).await;
        client.send(frame.to_string()).await;
        let (id, ack) = client.ack().await;
        assert_eq!((&id, &ack["error"]["code"]), (&Value::Null, &json!(code)), "{frame}");
        assert_eq!(client.end().await, Some((1008, reason.to_owned())), "{frame}");
    }
    let mut client = PlainClient::anonymous(world.address).await;
    client.send_binary(b"token").await;
    assert_eq!(client.ack().await.1["error"]["code"], "bad_request");
    assert_eq!(client.end().await, Some((1008, missing.to_owned())));
    world.until_sockets(1).await;
}

#[tokio::test]
async fn whoever_does_not_sign_in_within_3_seconds_is_shown_out() {
    let world = World::new().await;
    let mut client = PlainClient::anonymous(world.address).await;
    pause();
    let start = Instant::now();
    assert_eq!(client.end().await, Some((1008, "unauthorized: missing_token".to_owned())));
    assert!((2..=3).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_token_in_the_address_and_a_foreign_page_are_refused() {
    let world =
        World::configured(|config| config.origins = vec!["https://app.example".parse().unwrap()]).await;
    let alice = world.caller("Alice").await;
    let query = format!("?token={}", alice.token);
    assert_eq!(PlainClient::open(world.address, &query, &[]).await.err(), Some(400));
    let from = async |origin: String| {
        let origin = origin.parse().unwrap();
        PlainClient::open(world.address, "", &[(header::ORIGIN, origin)]).await.err()
    };
    assert_eq!(from("https://evil.example".to_owned()).await, Some(403));
    assert_eq!(from("https://app.example".to_owned()).await, None);
    assert_eq!(from(format!("http://{}", world.address)).await, None);
}

#[tokio::test]
async fn every_frame_is_acknowledged_however_malformed() {
    let world = World::new().await;
    let alice = world.caller("Alice").await;
    let mut client = world.connect_plain(&alice).await;
    assert_eq!(client.refused("call:dance", &json!({})).await, "unknown_event");
    assert_eq!(client.refused("auth", &json!({"token": alice.token})).await, "unknown_event");
    assert_eq!(client.refused("call:join", &json!({})).await, "bad_request");
    for (frame, id) in [
        ("", Value::Null),
        ("{", Value::Null),
        ("[]", Value::Null),
        (r#"{"event":"call:join"}"#, Value::Null),
        (r#"{"id":"mine","event":"call:join"}"#, json!("mine")),
        (r#"{"id":[1],"event":"call:join","data":{}}"#, Value::Null),
        (&format!(r#"{{"id":9,"event":"call:leave","data":{}}}"#, "[".repeat(10_000)), Value::Null),
    ] {
        client.send(frame.to_owned()).await;
        let (answered, ack) = client.ack().await;
        assert_eq!((answered, &ack["error"]["code"]), (id, &json!("bad_request")), "{frame:.80}");
    }
    client.send_binary(b"{}").await;
    assert_eq!(client.ack().await.1["error"]["code"], "bad_request");
    client.send(r#"{"event":"media:client-stats","data":{}}"#.to_owned()).await;
    assert_eq!(client.ack().await, (Value::Null, json!({"ok": true, "data": {}})));
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_connection_but_not_the_leg() {
    let world = World::new().await;
    let (mut alice, mut bob, call) = two_in_a_call(&world).await;
    let long = json!({"event": "call:signal", "data": {"payload": "x".repeat(256 * 1024)}});
    bob.send(long.to_string()).await;
    assert_eq!(bob.end().await, Some((1009, "too_large".to_owned())));
    world.until_sockets(1).await;
    let found = alice.ok("call:sync", &json!({"callId": call})).await;
    assert_eq!(found["participants"].as_array().map(Vec::len), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_in_the_order_sent() {
    let world = World::configured(|config| config.limits.requests_per_user = 0).await;
    let (mut alice, mut bob, call) = two_in_a_call(&world).await;
    let mut ids = Vec::new();
    for number in 0..200 {
        // Quick and slow requests alternate.
        let signal = json!({"callId": call, "type": "number", "payload": number});
        ids.push(alice.post("call:signal", &signal).await);
        ids.push(alice.post("call:lock", &json!({"callId": call, "locked": number % 2 == 0})).await);
    }
    for id in ids {
        let (answered, ack) = alice.ack().await;
        assert_eq!((answered, &ack["ok"]), (json!(id), &json!(true)), "{ack}");
    }
    for number in 0..200 {
        assert_eq!(bob.event("call:signal").await["payload"], number);
    }
}

#[tokio::test]
async fn signals_come_in_bursts_but_not_without_end() {
    let world = World::new().await;
    let (mut alice, _bob, call) = two_in_a_call(&world).await;
    let signal = json!({"callId": call, "type": "x", "payload": {}});
    for _ in 0..400 {
        alice.post("call:signal", &signal).await;
    }
    let mut refused = 0;
    for _ in 0..400 {
        let (_, ack) = alice.ack().await;
        if ack["ok"] != true {
            assert_eq!(
                (&ack["error"]["code"], &ack["error"]["retryable"]),
                (&json!("rate_limited"), &json!(true))
            );
            refused += 1;
        }
    }
    assert!((1..=200).contains(&refused), "{refused}");
    alice.ok("call:sync", &json!({"callId": call})).await;
}

#[tokio::test]
async fn a_signal_costs_its_bytes_for_each_receiver() {
    let world = World::new().await;
    let (mut alice, mut bob, call) = two_in_a_call(&world).await;
    let long = json!({"callId": call, "type": "x", "payload": "x".repeat(60 * 1024)});
    for _ in 0..100 {
        alice.post("call:signal", &long).await;
    }
    let mut accepted = 0;
    for _ in 0..100 {
        let (_, ack) = alice.ack().await;
        if ack["ok"] == true {
            accepted += 1;
            bob.event("call:signal").await;
        } else {
            assert_eq!(ack["error"]["code"], "rate_limited");
        }
    }
    assert!((60..90).contains(&accepted), "{accepted}: 4 MiB at once, and 1 MiB per second");
}

#[tokio::test]
async fn who_may_not_signal_is_refused_until_it_is_permitted_again() {
    let world = World::new().await;
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    let group = world.group(&alice, &[&bob]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let (mut alices, mut bobs) = (world.connect_plain(&alice).await, world.connect_plain(&bob).await);
    let signal = json!({"callId": call, "type": "x", "payload": {}});
    let permit = |permitted| json!({"callId": call, "userId": bob.person.id, "canSignal": permitted});
    alices.ok("call:join", &json!({ "callId": call })).await;
    // Before Bob joins, and while he is there.
    alices.ok("call:permit", &permit(false)).await;
    bobs.ok("call:join", &json!({ "callId": call })).await;
    assert_eq!(bobs.refused("call:signal", &signal).await, "forbidden");
    alices.ok("call:permit", &permit(true)).await;
    bobs.ok("call:signal", &signal).await;
    alices.ok("call:permit", &permit(false)).await;
    assert_eq!(bobs.refused("call:signal", &signal).await, "forbidden");
    alices.ok("call:signal", &signal).await;
}

#[tokio::test]
async fn lists_of_consumers_cost_as_much_as_they_are_long() {
    let world = World::new().await;
    let (mut alice, _bob, call) = two_in_a_call(&world).await;
    let ids: Vec<_> = (0..200).map(uuid::Uuid::from_u128).collect();
    let close = json!({"consumerIds": ids});
    let mut codes = Vec::new();
    for _ in 0..20 {
        alice.post("media:close-consumer", &close).await;
    }
    for _ in 0..20 {
        codes.push(alice.ack().await.1["error"]["code"].clone());
    }
    assert_eq!(codes[..5], vec![json!("not_found"); 5], "the burst");
    assert!(codes.contains(&json!("rate_limited")), "{codes:?}");
    alice.ok("call:sync", &json!({"callId": call})).await;
}

#[tokio::test]
async fn only_1000_is_a_goodbye() {
    let world = World::new().await;
    let (mut alice, bob, call) = two_in_a_call(&world).await;
    bob.close(1001).await;
    world.until_sockets(1).await;
    let found = alice.ok("call:sync", &json!({"callId": call})).await;
    assert_eq!(found["participants"].as_array().map(Vec::len), Some(2));

    let (mut alice, bob, _) = two_in_a_call(&world).await;
    bob.close(1000).await;
    let left = alice.event("participant-left").await;
    assert_eq!((&left["name"], &left["reason"]), (&json!("Bob"), &json!("left")));
}

#[tokio::test]
async fn a_client_that_answers_pings_stays_and_a_silent_one_is_given_up() {
    let world = World::new().await;
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    let mut lively = world.connect_plain(&alice).await;
    let mut silent = world.connect_plain(&bob).await;
    lively.event("active-calls").await;
    silent.event("active-calls").await;
    pause();
    let start = Instant::now();
    tokio::select! {
        end = lively.end() => panic!("{end:?}"),
        () = world.until_sockets_patiently(1) => {}
    }
    assert!((19..=21).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_socket_outlives_its_token_by_the_grace_unless_it_gets_another() {
    let world = World::new().await;
    let (alice, bob) = (world.caller("Alice").await, world.caller_until("Bob", Duration::from_secs(1)).await);
    let group = world.group(&alice, &[&bob]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let (mut alices, mut bobs) = (world.connect_plain(&alice).await, world.connect_plain(&bob).await);
    alices.ok("call:join", &json!({"callId": call})).await;
    assert_eq!(bobs.refused("call:join", &json!({"callId": call})).await, "unauthorized");
    assert_eq!(bobs.refused("call:leave", &json!({"callId": call})).await, "not_in_call");
    let renewed = world.token_of(&bob.person, Duration::from_secs(60));
    bobs.ok("auth:refresh", &json!({"token": renewed})).await;
    bobs.ok("call:join", &json!({"callId": call})).await;

    pause();
    advance(Duration::from_secs(300)).await;
    resume();
    for client in [&mut alices, &mut bobs] {
        client.ok("call:sync", &json!({"callId": call})).await;
    }
    pause();
    advance(Duration::from_secs(60)).await;
    resume();
    assert_eq!(bobs.end().await, Some((1008, "unauthorized: token_expired".to_owned())));
    let left = alices.event("participant-left").await;
    assert_eq!((&left["name"], &left["reason"]), (&json!("Bob"), &json!("removed")));
}

#[tokio::test]
async fn revoked_sessions_and_a_stopping_server_say_so() {
    let world = World::new().await;
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    let (mut alices, mut bobs) = (world.connect_plain(&alice).await, world.connect_plain(&bob).await);
    let mut nobodys = PlainClient::anonymous(world.address).await;
    world.control.revoke_sessions(&Actor::SERVER, alice.person.id, now()).await.unwrap();
    assert_eq!(alices.end().await, Some((1008, "unauthorized: token_revoked".to_owned())));
    let (_, bobs_end, nobodys_end) = tokio::join!(world.web_sockets.close(), bobs.end(), nobodys.end());
    assert_eq!(bobs_end, Some((1012, "restart".to_owned())));
    assert_eq!(nobodys_end, Some((1012, "restart".to_owned())));
    assert_eq!(world.control.hub.socket_count(), 0);
}

#[tokio::test]
async fn a_client_that_cannot_keep_up_is_let_go() {
    let world = World::new().await;
    let alice = world.caller("Alice").await;
    let mut client = world.connect_plain(&alice).await;
    client.event("active-calls").await;
    let (hub, audience) = (&world.control.hub, Audience::User(alice.person.id));
    // Nothing is sent in between: this loop never waits.
    for _ in 0..=MOST_MESSAGES {
        hub.send(&audience, &ServerEvent::ActiveCalls(Vec::new()));
    }
    assert_eq!(client.end().await, Some((1013, "too_slow".to_owned())));
    assert_eq!(hub.slow_sockets(), 1);
}

#[tokio::test]
async fn both_carriers_tell_the_same() {
    let world = World::new().await;
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    let group = world.group(&alice, &[&bob]).await;
    let (mut plain, mut socketio) = (world.connect_plain(&bob).await, world.connect(&bob).await);
    plain.ok("media:client-stats", &json!({})).await;
    socketio.ok("media:client-stats", &json!({})).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let mut alices = world.connect(&alice).await;
    let in_call = json!({"callId": call});
    alices.ok("call:join", &in_call).await;
    plain.ok("call:join", &in_call).await;
    socketio.ok("call:join", &in_call).await;

    alices.ok("call:signal", &json!({"callId": call, "type": "x", "payload": {"a": [1, "é"]}})).await;
    alices.ok("call:lock", &json!({"callId": call, "locked": true})).await;
    let permit = json!({"callId": call, "userId": bob.person.id, "canPublish": ["mic"]});
    alices.ok("call:permit", &permit).await;
    alices.ok("call:end", &in_call).await;
    for name in
        ["active-calls", "call:created", "call:signal", "call:locked", "call:permissions", "call:ended"]
    {
        assert_eq!(plain.event(name).await, socketio.event(name).await, "{name}");
    }
}

async fn two_in_a_call(world: &World) -> (PlainClient, PlainClient, Value) {
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    let group = world.group(&alice, &[&bob]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let mut clients = [world.connect_plain(&alice).await, world.connect_plain(&bob).await];
    for client in &mut clients {
        client.ok("call:join", &json!({"callId": call})).await;
    }
    let [alice, bob] = clients;
    (alice, bob, call)
}
