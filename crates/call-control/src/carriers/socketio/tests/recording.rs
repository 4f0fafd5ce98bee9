//! Recording over sockets: who may, and what is refused.

use super::*;
use crate::{
    actor::{Actor, Who},
    calls::{RecordingBy, RecordingWish},
    store::Role,
    testing::by as actor,
};

const REQUESTS: [&str; 4] = ["recording:start", "recording:pause", "recording:resume", "recording:stop"];

async fn recording_world(by: RecordingBy, on: bool) -> World {
    World::configured(|config| {
        (config.recording.by, config.recording.on) = (by, on);
        config.recording.recorder.min_free = 0;
    })
    .await
}

/// Which requests succeed, and the codes of the others.
async fn ask_all(socket: &mut Client, call: &Value) -> Vec<String> {
    let mut answers = Vec::new();
    for request in REQUESTS {
        let ack = socket.request(request, &json!({ "callId": call })).await;
        answers.push(ack["error"]["code"].as_str().unwrap_or("ok").to_owned());
    }
    answers
}

#[tokio::test]
async fn role_and_setting_decide_who_records_over_sockets() {
    for (by, may) in [
        (RecordingBy::Moderators, ["Olga", "Ann", "Ida"].as_slice()),
        (RecordingBy::Members, &["Olga", "Ann", "Ida", "Max"]),
        (RecordingBy::Service, &[]),
    ] {
        let world = recording_world(by, true).await;
        let [olga, ann, ida, max, fay, eve] = [
            world.caller("Olga").await,
            world.caller("Ann").await,
            world.caller("Ida").await,
            world.caller("Max").await,
            world.caller("Fay").await,
            world.caller("Eve").await,
        ];
        let group = world.group(&olga, &[&ann, &ida, &max, &fay]).await;
        let (groups, owner) = (&world.control.groups, actor(&olga.person));
        groups.set_role(&owner, group, ann.person.id, Role::Admin).await.unwrap();
        let call = world.call(&ida, group, CallType::Video).await;
        let mut fays = world.connect(&fay).await;
        fays.ok("call:join", &json!({ "callId": call })).await;
        groups.remove_member(&owner, group, fay.person.id).await.unwrap();

        let (service, id) =
            (Actor { who: Who::Service, address: None }, call.as_str().unwrap().parse().unwrap());
        for caller in [&olga, &ann, &ida, &max, &fay, &eve] {
            let (name, mut socket) = (caller.person.name.as_str(), world.connect(caller).await);
            let (is_member, may) =
                (![&fay, &eve].iter().any(|other| other.person == caller.person), may.contains(&name));
            if is_member {
                let joined = socket.ok("call:join", &json!({ "callId": call })).await;
                assert_eq!(joined["mayRecord"], json!(may), "{name} {by:?}");
            }
            if !may {
                world.control.calls.start_recording(&service, id, RecordingWish::default()).await.unwrap();
            }
            let expected = if may { ["ok"; 4] } else { ["forbidden"; 4] };
            assert_eq!(ask_all(&mut socket, &call).await, expected, "{name} {by:?}");
            world.control.calls.stop_recording(&service, id, None).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_initiator_who_was_removed_records_over_sockets_no_more() {
    let world = recording_world(RecordingBy::Moderators, true).await;
    let (olga, ida) = (world.caller("Olga").await, world.caller("Ida").await);
    let group = world.group(&olga, &[&ida]).await;
    let call = world.call(&ida, group, CallType::Video).await;
    let (mut olgas, mut idas) = (world.connect(&olga).await, world.connect(&ida).await);
    let of_call = json!({ "callId": call });
    olgas.ok("call:join", &of_call).await;
    assert_eq!(idas.ok("call:join", &of_call).await["mayRecord"], true);
    idas.ok("recording:start", &of_call).await;
    olgas.ok("call:remove", &json!({"callId": call, "userId": ida.person.id})).await;
    assert_eq!(ask_all(&mut idas, &call).await, ["forbidden"; 4]);
    assert_eq!(
        idas.refused("recording:consent", &json!({"callId": call, "accept": true})).await,
        "not_in_call"
    );
    olgas.ok("recording:stop", &of_call).await;
}

#[tokio::test]
async fn of_two_starts_at_once_over_sockets_one_wins() {
    let world = recording_world(RecordingBy::Members, true).await;
    let (mut alice, mut bob, call) = two_in_a_call(&world).await;
    let start = json!({ "callId": call });
    let (first, second) =
        (alice.post("recording:start", &start).await, bob.post("recording:start", &start).await);
    let mut answers = [alice.ack(first).await, bob.ack(second).await]
        .map(|ack| ack["error"]["code"].as_str().unwrap_or("ok").to_owned());
    answers.sort();
    assert_eq!(answers, ["already_recording", "ok"]);
}

#[tokio::test]
async fn requests_that_do_not_fit_the_recording_say_why() {
    let world = recording_world(RecordingBy::Moderators, true).await;
    let (mut alice, mut bob, call) = two_in_a_call(&world).await;
    let of_call = json!({ "callId": call });
    let answer = json!({"callId": call, "accept": true});
    assert_eq!(bob.refused("recording:consent", &answer).await, "not_recording");
    assert_eq!(ask_all(&mut alice, &call).await, ["ok"; 4]);
    for request in ["recording:pause", "recording:resume"] {
        assert_eq!(alice.refused(request, &of_call).await, "not_recording");
    }
    alice.ok("recording:stop", &of_call).await;
    alice.ok("recording:start", &of_call).await;
    assert_eq!(bob.refused("recording:consent", &answer).await, "conflict", "nobody is asked");
    let outsider = world.caller("Eve").await;
    let mut outside = world.connect(&outsider).await;
    assert_eq!(outside.refused("recording:consent", &answer).await, "not_in_call");
    let unknown = json!({"callId": uuid::Uuid::new_v4()});
    for request in REQUESTS {
        assert_eq!(alice.refused(request, &unknown).await, "not_found", "{request}");
    }

    let off = recording_world(RecordingBy::Moderators, false).await;
    let (mut alice, _bob, call) = two_in_a_call(&off).await;
    assert_eq!(alice.refused("recording:start", &json!({ "callId": call })).await, "recording_off");
}
