//! `docs/signaling.md` is true: its transcript is what the server says, and its tables name every request and event.

use std::collections::HashMap;

use chrono::DateTime;
use serde_json::{Value, json};

use crate::call::CallType;
use crate::carriers::testing::websocket_client::PlainClient;
use crate::carriers::testing::world::World;
use crate::wire::ServerEvent;
use crate::wire::command::{ClientCommand, MediaCommand};

const GUIDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/signaling.md"));

#[tokio::test]
async fn the_transcript_in_the_guide_is_what_the_server_says() {
    let world = World::new().await;
    let (alice, bob) = (world.caller("Alice").await, world.caller("Bob").await);
    let group = world.group(&alice, &[&bob]).await;
    let call = world.call(&alice, group, CallType::Video).await;
    let (in_call, mut bobs) = (json!({ "callId": call }), world.connect_plain(&bob).await);

    let mut alices = PlainClient::anonymous(world.address).await;
    alices.sign_in(&alice.token).await;
    alices.event("active-calls").await;
    let joined = alices.ok("call:join", &json!({"callId": call, "device": "kitchen"})).await;
    let bob_joined = bobs.ok("call:join", &in_call).await;
    alices.event("call:updated").await;
    alices.ok("call:lock", &json!({"callId": call, "locked": true})).await;
    let wave = json!({"callId": call, "type": "wave", "payload": {"hand": "left"}});
    bobs.ok("call:signal", &wave).await;
    alices.event("call:signal").await;
    bobs.ok("call:leave", &in_call).await;
    alices.event("participant-left").await;
    let answer = json!({"callId": call, "type": "wave", "payload": {}, "targetUserId": bob.person.id});
    alices.refused("call:signal", &answer).await;
    alices.ok("call:sync", &json!({"callId": call, "epoch": 1, "sinceSeq": 3})).await;
    alices.ok("call:leave", &in_call).await;
    alices.event("call:ended").await;

    let names = [
        (json!(alice.person.id), "alice"),
        (json!(bob.person.id), "bob"),
        (json!(group), "group"),
        (call, "call"),
        (joined["legId"].clone(), "alice's leg"),
        (bob_joined["legId"].clone(), "bob's leg"),
        (joined["call"]["webrtcRoomId"].clone(), "room"),
        (joined["resumeToken"].clone(), "resume token"),
        (json!(alice.token), "token"),
    ];
    let names = names.map(|(value, name)| (value.as_str().unwrap().to_owned(), format!("<{name}>")));
    let fresh = written(&alices.frames, &HashMap::from(names));
    let (_, shown) = GUIDE.split_once("```text\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    assert!(fresh == shown, "replace the block ```text of docs/signaling.md by this one:\n\n{fresh}");
}

#[test]
fn the_tables_of_the_guide_name_every_request_and_event_once() {
    let (requests, events) = GUIDE.split_once("\n## Events\n").unwrap();
    let (_, requests) = requests.split_once("\n## Requests\n").unwrap();
    let rows = |text: &'static str| {
        let first_cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let mut rows: Vec<_> = first_cells.map(|(name, _)| name).collect();
        rows.sort_unstable();
        rows
    };
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    assert_eq!(rows(requests), sorted([ClientCommand::NAMES, MediaCommand::NAMES].concat()));
    assert_eq!(rows(events), sorted(ServerEvent::NAMES.to_vec()));
}

/// The frames as the guide shows them: with a name instead of everything that is another one in each run.
fn written(frames: &[(char, Value)], names: &HashMap<String, String>) -> String {
    let mut text = String::new();
    for (way, frame) in frames {
        let members = ["id", "event", "data"].into_iter().filter_map(|key| Some((key, frame.get(key)?)));
        let members: Vec<_> = members.map(|(key, value)| (key, settled(key, value, names))).collect();
        text += &format!("{way} {}\n", laid_out("{", &members, "}", 2));
    }
    text
}

/// The value without what changes from run to run, or is documented elsewhere.
fn settled(key: &str, value: &Value, names: &HashMap<String, String>) -> Value {
    match value {
        Value::Object(_) if key == "routerRtpCapabilities" => json!("<what GET /rtp-capabilities answers>"),
        Value::Object(members) => {
            let settle = |(key, value): (&String, &Value)| (key.clone(), settled(key, value, names));
            members.iter().map(settle).collect()
        }
        Value::Array(items) => items.iter().map(|item| settled(key, item, names)).collect(),
        Value::String(text) => match names.get(text) {
            Some(name) => json!(name),
            None if DateTime::parse_from_rfc3339(text).is_ok() => json!("<time>"),
            None if key == "duration" => json!("<duration>"),
            None => value.clone(),
        },
        Value::Number(_) if key == "durationSeconds" => json!("<seconds>"),
        Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
    }
}

/// JSON in one line where it fits, else in lines that hold as many members as fit.
fn laid_out(open: &str, members: &[(&str, Value)], close: &str, indent: usize) -> String {
    let label = |key: &str| if key.is_empty() { String::new() } else { format!("\"{key}\": ") };
    let parts = |depth| members.iter().map(move |(key, value)| label(key) + &pretty(value, depth));
    let line = format!("{open}{}{close}", parts(0).collect::<Vec<_>>().join(", "));
    if !line.contains('\n') && line.len() + indent <= WIDTH {
        return line;
    }
    let margin = " ".repeat(indent);
    let fits = |line: &str, part: &str| {
        !line.contains('\n') && !part.contains('\n') && indent + 4 + line.len() + part.len() < WIDTH
    };
    let mut lines: Vec<String> = Vec::new();
    for part in parts(indent + 2) {
        match lines.last_mut() {
            Some(line) if fits(line, &part) => *line += &format!(", {part}"),
            Some(_) | None => lines.push(part),
        }
    }
    format!("{open}\n{margin}  {}\n{margin}{close}", lines.join(&format!(",\n{margin}  ")))
}

fn pretty(value: &Value, indent: usize) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| (key.as_str(), value.clone()));
            let mut members: Vec<_> = members.collect();
            members.sort_by_key(|(key, _)| (!FIRST.contains(key), *key));
            laid_out("{", &members, "}", indent)
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| ("", item.clone())).collect();
            laid_out("[", &items, "]", indent)
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => value.to_string(),
    }
}

/// What says what the rest is.
const FIRST: [&str; 2] = ["ok", "event"];
/// Characters of a line.
const WIDTH: usize = 116;
