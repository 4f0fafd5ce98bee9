mod media;
mod recording;

use std::time::Duration;

use axum::http::header;
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite, tungstenite::client::IntoClientRequest};

use crate::call::CallType;
use crate::carriers::testing::socketio_client::Client;
use crate::carriers::testing::world::World;
use crate::clock::now;
use crate::hub::{Audience, outbox::MOST_MESSAGES};
use crate::wire::event::ServerEvent;

#[tokio::test]
async fn a_socket_comes_in_with_a_valid_token_and_hears_of_its_calls() {
    let world = World::new().await;
    let alice = world.caller("Alice").await;
    let group = world.group(&alice, &[]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let mut socket = world.connect(&alice).await;
    let active = socket.event("active-calls").await;
    assert_eq!(active[0]["id"], call);
    assert_eq!(active[0]["status"], "waiting");
}

#[tokio::test]
async fn a_socket_without_a_valid_token_is_told_why_by_a_stable_code() {
    let world = World::new().await;
    let expired =
        world.control.auth.mint("alice", None, Duration::from_secs(60), chrono::DateTime::UNIX_EPOCH);
    for (auth, code) in [
        (json!({}), "unauthorized: missing_token"),
        (json!({"token": 7}), "unauthorized: missing_token"),
        (json!("token"), "unauthorized: missing_token"),
        (json!({"token": "nonsense"}), "unauthorized: invalid_token"),
        (json!({"token": expired.unwrap()}), "unauthorized: token_expired"),
    ] {
        let mut socket = Client::handshake(world.address).await;
        assert_eq!(socket.enter(&auth).await.unwrap_err(), code, "{auth}");
    }
    assert_eq!(world.control.hub.socket_count(), 0);
}

#[tokio::test]
async fn the_page_that_may_use_the_server_is_the_same_for_polling_and_web_sockets() {
    let world =
        World::configured(|config| config.origins = vec!["https://app.example".parse().unwrap()]).await;
    let path = format!("{}/socket.io/?EIO=4", world.address);
    let poll = async |origin: &str| {
        let request = reqwest::Client::new().get(format!("http://{path}&transport=polling"));
        let answer = request.header(header::ORIGIN, origin).send().await.unwrap();
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        answer.status().as_u16()
    };
    let upgrade = async |origin: &str| {
        let mut request = format!("ws://{path}&transport=websocket").into_client_request().unwrap();
        request.headers_mut().insert(header::ORIGIN, origin.parse().unwrap());
        match connect_async(request).await {
            Ok(_) => 200,
            Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    let own = format!("http://{}", world.address);
    for (origin, status) in
        [("https://app.example", 200), (own.as_str(), 200), ("https://evil.example", 403), ("null", 403)]
    {
        assert_eq!((poll(origin).await, upgrade(origin).await), (status, status), "{origin}");
    }
}

#[tokio::test]
async fn people_seen_before_come_back_while_the_database_is_away_and_others_are_told_to_wait() {
    let world = World::new().await;
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    world.connect(&alice).await;
    world.control.store.close().await;
    world.connect(&alice).await;
    let mut strangers = Client::handshake(world.address).await;
    assert_eq!(strangers.enter(&json!({"token": bob.token})).await, Err("unavailable".to_owned()));
}

#[tokio::test]
async fn a_revoked_token_opens_no_socket() {
    let world = World::new().await;
    let alice = world.caller("Alice").await;
    world.connect(&alice).await;
    world.control.revoke_sessions(&crate::actor::Actor::SERVER, alice.person.id, now()).await.unwrap();
    let mut socket = Client::handshake(world.address).await;
    let refused = socket.enter(&json!({"token": alice.token})).await;
    assert_eq!(refused, Err("unauthorized: token_revoked".to_owned()));
}

#[tokio::test]
async fn every_request_is_acknowledged_however_malformed() {
    let world = World::new().await;
    let alice = world.caller("Alice").await;
    let mut socket = world.connect(&alice).await;
    assert_eq!(socket.refused("call:dance", &json!({})).await, "unknown_event");
    assert_eq!(socket.refused("disconnecting", &json!({})).await, "unknown_event");
    assert_eq!(socket.refused("call:join", &json!({})).await, "bad_request");
    assert_eq!(socket.refused("call:join", &json!({"callId": 7})).await, "bad_request");
    assert_eq!(socket.refused("call:join", &json!("x")).await, "bad_request");
    assert_eq!(socket.refused("media:produce", &json!({"transportId": "x"})).await, "bad_request");
    for packet in [r#"["call:join"]"#, r#"["call:join",{},{}]"#, r#"["call:join",null]"#] {
        let id = socket.post_raw(packet).await;
        assert_eq!(socket.ack(id).await["error"]["code"], "bad_request", "{packet}");
    }
    let deep = format!(r#"["call:leave",{}{}]"#, "[".repeat(10_000), "]".repeat(10_000));
    let id = socket.post_raw(&deep).await;
    assert_eq!(socket.ack(id).await["error"]["code"], "bad_request");
    // A request without an ack id gets no answer, and the next request works.
    socket.send(r#"42/calls,["call:dance",{}]"#.to_owned()).await;
    assert_eq!(socket.ok("media:client-stats", &json!({})).await, json!({}));
}

#[tokio::test]
async fn another_namespace_is_refused_and_ours_can_still_be_entered() {
    let world = World::new().await;
    let alice = world.caller("Alice").await;
    let mut socket = Client::handshake(world.address).await;
    for (connect, refused) in [
        ("40", r#"44{"message":"Invalid namespace"}"#),
        ("40/admin,{}", r#"44/admin,{"message":"Invalid namespace"}"#),
    ] {
        socket.send(connect.to_owned()).await;
        assert_eq!(socket.frame().await, refused);
    }
    // Nobody has entered yet: nothing is answered.
    socket.send(r#"42/calls,1["media:client-stats",{}]"#.to_owned()).await;
    socket.enter(&json!({"token": alice.token})).await.unwrap();
    assert_eq!(socket.ok("media:client-stats", &json!({})).await, json!({}));
}

#[tokio::test]
async fn what_is_no_packet_ends_the_session() {
    let world = World::new().await;
    let alice = world.caller("Alice").await;
    let mut socket = world.connect(&alice).await;
    socket.send("4nonsense".to_owned()).await;
    assert_eq!(socket.goodbye().await, None);
    world.until_sockets(0).await;
}

#[tokio::test]
async fn an_attachment_is_refused_rather_than_lost() {
    let world = World::new().await;
    let alice = world.caller("Alice").await;
    let mut socket = world.connect(&alice).await;
    socket.send(r#"451-/calls,9["call:leave",{"_placeholder":true,"num":0}]"#.to_owned()).await;
    socket.send_binary(b"bytes").await;
    assert_eq!(socket.ack(9).await["error"]["code"], "bad_request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_one_socket_are_handled_in_the_order_sent() {
    let world = World::new().await;
    for _ in 0..20 {
        let (mut alice, mut bob, call) = two_in_a_call(&world).await;
        let mut ids = Vec::new();
        // Less than the allowed burst, so that none is refused.
        for number in 0..150 {
            ids.push(alice.post("call:signal", &numbered(&call, number)).await);
        }
        for (id, number) in ids.into_iter().zip(0..) {
            let ack = alice.ack(id).await;
            assert_eq!(ack["ok"], true, "{ack}");
            assert_eq!(bob.event("call:signal").await["payload"], number);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_answered_to_the_last_request_and_what_is_accepted_stays_in_order() {
    let world = World::new().await;
    let (mut alice, mut bob, call) = two_in_a_call(&world).await;
    let mut ids = Vec::new();
    // Nothing is read in between: the queue has room for all answers.
    for number in 0..2_048 {
        ids.push(alice.post("call:signal", &numbered(&call, number)).await);
    }
    let mut accepted = 0;
    for (id, number) in ids.into_iter().zip(0..) {
        let ack = alice.ack(id).await;
        if ack["ok"] == true {
            accepted += 1;
            assert_eq!(bob.event("call:signal").await["payload"], number);
        } else {
            assert_eq!(ack["error"]["code"], "rate_limited");
            assert_eq!(ack["error"]["retryable"], true);
        }
    }
    assert!(accepted >= 200, "only {accepted} requests were accepted");
}

#[tokio::test]
async fn a_client_that_cannot_keep_up_is_let_go() {
    let world = World::new().await;
    let alice = world.caller("Alice").await;
    let mut socket = world.connect(&alice).await;
    socket.event("active-calls").await;
    let (hub, audience) = (&world.control.hub, Audience::User(alice.person.id));
    // Nothing is sent in between: this loop never waits.
    for _ in 0..=MOST_MESSAGES {
        hub.send(&audience, &ServerEvent::ActiveCalls(Vec::new()));
    }
    assert_eq!(socket.goodbye().await, None, "a client does not come back after a disconnect packet");
    assert_eq!(hub.slow_sockets(), 1);
}

#[tokio::test]
async fn outsiders_are_refused_and_learn_nothing() {
    let world = World::new().await;
    let (alice, mallory) = (world.caller("Alice").await, world.caller("Mallory").await);
    let group = world.group(&alice, &[]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let mut socket = world.connect(&mallory).await;
    assert_eq!(socket.event("active-calls").await, json!([]));
    assert_eq!(socket.refused("call:join", &json!({"callId": call})).await, "forbidden");
    let unknown = json!({"callId": uuid::Uuid::new_v4()});
    assert_eq!(socket.refused("call:join", &unknown).await, "not_found");
    assert_eq!(socket.refused("call:end", &json!({"callId": call})).await, "forbidden");
    for (event, payload) in [
        ("call:leave", json!({"callId": call})),
        ("call:sync", json!({"callId": call})),
        ("call:signal", json!({"callId": call, "type": "offer", "payload": {}})),
        ("media:create-transport", json!({"callId": call, "direction": "send"})),
        ("media:close-transport", json!({"transportId": uuid::Uuid::new_v4()})),
    ] {
        assert_eq!(socket.refused(event, &payload).await, "not_in_call", "{event}");
    }
}

#[tokio::test]
async fn a_signal_stays_inside_its_call_and_goes_to_whom_it_is_for() {
    let world = World::new().await;
    let [alice, bob, carol] =
        [world.caller("Alice").await, world.caller("Bob").await, world.caller("Carol").await];
    let group = world.group(&alice, &[&bob, &carol]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let mut alices = world.connect(&alice).await;
    let mut bobs = [world.connect(&bob).await, world.connect(&bob).await];
    let mut carols = world.connect(&carol).await;
    let joined = alices.ok("call:join", &json!({"callId": call})).await;
    for socket in &mut bobs {
        socket.ok("call:join", &json!({"callId": call})).await;
    }

    let to = |target: Value| json!({"callId": call, "type": "offer", "payload": {"sdp": "v=0"}, "targetUserId": target});
    alices.ok("call:signal", &to(json!(bob.person.id))).await;
    for socket in &mut bobs {
        let signal = socket.event("call:signal").await;
        let expected = json!({
            "callId": call, "type": "offer", "payload": {"sdp": "v=0"},
            "fromUserId": alice.person.id, "fromLegId": joined["legId"],
        });
        assert_eq!(signal, expected);
    }
    assert_eq!(alices.refused("call:signal", &to(json!(carol.person.id))).await, "not_found");
    let everybody = json!({"callId": call, "type": "hello", "payload": 1});
    alices.ok("call:signal", &everybody).await;
    assert_eq!(bobs[0].event("call:signal").await["type"], "hello");
    // Events sent to Carol before this answer would have arrived before it.
    carols.ok("media:client-stats", &json!({})).await;
    alices.ok("media:client-stats", &json!({})).await;
    assert!(!carols.pending().contains(&"call:signal"));
    assert!(!alices.pending().contains(&"call:signal"));
}

#[tokio::test]
async fn an_expired_token_only_leaves() {
    let world = World::new().await;
    let alice = world.caller_until("Alice", Duration::from_secs(1)).await;
    let group = world.group(&alice, &[]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let mut socket = world.connect(&alice).await;
    assert_eq!(socket.refused("call:join", &json!({"callId": call})).await, "unauthorized");
    assert_eq!(socket.refused("call:leave", &json!({"callId": call})).await, "not_in_call");
}

#[tokio::test]
async fn a_socket_outlives_its_token_by_the_grace_and_no_longer() {
    let world = World::new().await;
    let alice = world.caller("Alice").await;
    let bob = world.caller_until("Bob", Duration::from_secs(60)).await;
    let group = world.group(&alice, &[&bob]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let (mut alices, mut bobs) = (world.connect(&alice).await, world.connect(&bob).await);
    for socket in [&mut alices, &mut bobs] {
        socket.ok("call:join", &json!({"callId": call})).await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60 + 300)).await;
    tokio::time::resume();
    let left = alices.event("participant-left").await;
    assert_eq!((&left["name"], &left["reason"]), (&json!("Bob"), &json!("removed")));
    assert_eq!(bobs.goodbye().await, Some("41/calls,".to_owned()));
    world.until_sockets(1).await;
}

#[tokio::test]
async fn a_newer_token_keeps_the_socket() {
    // Less than the 10 s within which a client answers a heartbeat: the clock skips no answer.
    let grace = Duration::from_secs(8);
    let world = World::configured(|config| config.token_grace = grace).await;
    let alice = world.caller_until("Alice", Duration::from_secs(1)).await;
    let group = world.group(&alice, &[]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let mut socket = world.connect(&alice).await;
    let renewed = world.token_of(&alice.person, Duration::from_secs(3600));
    let accepted = socket.ok("auth:refresh", &json!({"token": renewed})).await;
    assert!(accepted["expiresAt"].is_string());
    tokio::time::pause();
    tokio::time::advance(grace).await;
    tokio::time::resume();
    socket.ok("call:join", &json!({"callId": call})).await;
    let bob = world.caller("Bob").await;
    assert_eq!(socket.refused("auth:refresh", &json!({"token": bob.token})).await, "forbidden");
}

#[tokio::test]
async fn a_user_has_so_many_sockets_and_room_again_when_one_goes() {
    let world = World::configured(|config| config.limits.sockets_per_user = 2).await;
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    let first = world.connect(&alice).await;
    let _second = world.connect(&alice).await;
    let mut third = Client::handshake(world.address).await;
    let token = json!({"token": alice.token});
    assert_eq!(third.enter(&token).await, Err("too_many_sockets".to_owned()));
    let _bobs = world.connect(&bob).await;
    first.vanish();
    world.until_sockets(2).await;
    let mut again = Client::handshake(world.address).await;
    assert!(again.enter(&token).await.is_ok());
}

#[tokio::test]
async fn no_socket_id_reaches_anybody_else() {
    let world = World::new().await;
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    let group = world.group(&alice, &[&bob]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let mut bobs = world.connect(&bob).await;
    bobs.ok("call:join", &json!({"callId": call})).await;
    let mut alices = Client::handshake(world.address).await;
    let secret = alices.enter(&json!({"token": alice.token})).await.unwrap();
    alices.ok("call:join", &json!({"callId": call})).await;
    alices.ok("call:signal", &json!({"callId": call, "type": "x", "payload": {}})).await;
    alices.ok("call:leave", &json!({"callId": call})).await;
    bobs.event("participant-left").await;
    bobs.ok("call:sync", &json!({"callId": call})).await;
    assert!(bobs.frames.iter().all(|frame| !frame.contains(&secret)));
}

#[tokio::test]
async fn saying_goodbye_ends_the_leg_and_losing_the_connection_does_not() {
    let world = World::new().await;
    let (mut alice, mut bob, call) = two_in_a_call(&world).await;
    bob.send("41/calls,".to_owned()).await;
    let left = alice.event("participant-left").await;
    assert_eq!((&left["name"], &left["reason"]), (&json!("Bob"), &json!("left")));

    let (mut alice, bob, call_of_two) = two_in_a_call(&world).await;
    assert_ne!(call, call_of_two);
    bob.vanish();
    world.until_sockets(3).await;
    let found = alice.ok("call:sync", &json!({"callId": call_of_two})).await;
    assert_eq!(found["participants"].as_array().map(Vec::len), Some(2));
}

async fn two_in_a_call(world: &World) -> (Client, Client, Value) {
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    let group = world.group(&alice, &[&bob]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let mut sockets = [world.connect(&alice).await, world.connect(&bob).await];
    for socket in &mut sockets {
        socket.ok("call:join", &json!({"callId": call})).await;
    }
    let [alice, bob] = sockets;
    (alice, bob, call)
}

fn numbered(call: &Value, number: usize) -> Value {
    json!({"callId": call, "type": "number", "payload": number})
}

#[tokio::test]
async fn an_initiator_who_was_removed_moderates_over_sockets_no_more() {
    let world = World::new().await;
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    let group = world.group(&alice, &[&bob]).await;
    let call = world.call(&bob, group, CallType::Video).await;
    let (mut alices, mut bobs) = (world.connect(&alice).await, world.connect_plain(&bob).await);
    let of_call = json!({ "callId": call });
    alices.ok("call:join", &of_call).await;
    bobs.ok("call:join", &of_call).await;
    alices.ok("call:remove", &json!({"callId": call, "userId": bob.person.id})).await;
    let locked = json!({"callId": call, "locked": true});
    assert_eq!(bobs.refused("call:lock", &locked).await, "forbidden");
    assert_eq!(bobs.refused("call:end", &of_call).await, "forbidden");
    assert_eq!(
        bobs.refused("call:remove", &json!({"callId": call, "userId": alice.person.id})).await,
        "forbidden"
    );
    assert_eq!(bobs.refused("call:join", &of_call).await, "removed");
    let mut again = world.connect(&bob).await;
    assert_eq!(again.refused("call:lock", &locked).await, "forbidden");
}
