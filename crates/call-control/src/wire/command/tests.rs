use super::*;

const ID: &str = "7f9c24e5-2b1f-4c3e-9a36-1d0f5a8e6b11";

/// Every request with its smallest valid payload.
fn table() -> Vec<(&'static str, String)> {
    let call = format!(r#"{{"callId":"{ID}"}}"#);
    let transport = format!(r#"{{"transportId":"{ID}"}}"#);
    let producer = format!(r#"{{"producerId":"{ID}"}}"#);
    let consumer = format!(r#"{{"consumerId":"{ID}"}}"#);
    let id = format!(r#"{{"id":"{ID}"}}"#);
    let with = |base: &str, more: &str| format!("{},{more}}}", base.trim_end_matches('}'));
    vec![
        ("call:join", call.clone()),
        ("call:leave", call.clone()),
        ("call:end", call.clone()),
        ("call:signal", with(&call, r#""type":"offer","payload":{"sdp":"v=0"}"#)),
        ("call:sync", call.clone()),
        ("call:mute", with(&call, &format!(r#""producerId":"{ID}""#))),
        ("call:remove", with(&call, &format!(r#""userId":"{ID}""#))),
        ("call:permit", with(&call, &format!(r#""userId":"{ID}""#))),
        ("call:ring", with(&call, &format!(r#""userIds":["{ID}"]"#))),
        ("call:decline", call.clone()),
        ("call:lock", with(&call, r#""locked":true"#)),
        ("recording:start", with(&call, r#""mode":"audio","layer":"low","consent":"ask""#)),
        ("recording:pause", call.clone()),
        ("recording:resume", call.clone()),
        ("recording:stop", call.clone()),
        ("recording:consent", with(&call, r#""accept":true"#)),
        ("auth:refresh", r#"{"token":"x"}"#.to_owned()),
        ("media:router-capabilities", call.clone()),
        ("media:set-rtp-capabilities", with(&call, r#""rtpCapabilities":{}"#)),
        ("media:create-transport", with(&call, r#""direction":"recv""#)),
        (
            "media:connect-transport",
            with(
                &transport,
                r#""dtlsParameters":{"fingerprints":[{"algorithm":"sha-256","value":"AB:CD"}]}"#,
            ),
        ),
        ("media:restart-ice", transport.clone()),
        ("media:close-transport", transport.clone()),
        ("media:get-stats", transport.clone()),
        (
            "media:produce",
            with(
                &transport,
                r#""kind":"audio","appData":{"source":"mic","more":1},"rtpParameters":{"codecs":[
                    {"mimeType":"audio/opus","payloadType":100,"clockRate":48000,"channels":2}]}"#,
            ),
        ),
        ("media:pause-producer", producer.clone()),
        ("media:resume-producer", producer.clone()),
        ("media:close-producer", producer.clone()),
        ("media:consume", with(&transport, &format!(r#""producerIds":["{ID}"]"#))),
        ("media:pause-consumer", consumer.clone()),
        ("media:resume-consumer", format!(r#"{{"consumerIds":["{ID}"]}}"#)),
        ("media:close-consumer", consumer.clone()),
        ("media:set-preferred-layers", with(&consumer, r#""spatialLayer":1"#)),
        ("media:set-priority", with(&consumer, r#""priority":255"#)),
        ("media:request-key-frame", consumer),
        ("media:produce-data", with(&transport, r#""sctpStreamParameters":{"streamId":0}"#)),
        ("media:close-data-producer", id.clone()),
        ("media:consume-data", with(&transport, &format!(r#""dataProducerId":"{ID}""#))),
        ("media:close-data-consumer", id),
        ("media:client-stats", "{}".to_owned()),
    ]
}

#[test]
fn every_request_is_in_this_table() {
    let mut tested: Vec<_> = table().into_iter().map(|(name, _)| name).collect();
    let mut all = [ClientCommand::NAMES, MediaCommand::NAMES].concat();
    tested.sort_unstable();
    all.sort_unstable();
    assert_eq!(tested, all);
}

#[test]
fn every_event_becomes_its_command() {
    let parsed: Vec<String> = table()
        .iter()
        .map(|(name, payload)| {
            let command =
                ClientCommand::parse(name, payload).unwrap_or_else(|error| panic!("{name}: {error}"));
            let shown = format!("{command:?}");
            let variant = shown.trim_start_matches("Media(").split(['(', ' ', ')']).next();
            format!("{name} -> {}", variant.unwrap_or_default())
        })
        .collect();
    insta::assert_snapshot!(parsed.join("\n"));
}

#[test]
fn a_priority_is_a_number_or_null_and_never_left_out() {
    for good in ["1", "255", "null"] {
        let payload = format!(r#"{{"consumerId":"{ID}","priority":{good}}}"#);
        ClientCommand::parse("media:set-priority", &payload).unwrap();
    }
    let without = format!(r#"{{"consumerId":"{ID}"}}"#);
    ClientCommand::parse("media:set-priority", &without).unwrap_err();
    for bad in ["0", "256", "-1", "1.5", "\"high\""] {
        let payload = format!(r#"{{"consumerId":"{ID}","priority":{bad}}}"#);
        ClientCommand::parse("media:set-priority", &payload).unwrap_err();
    }
}

#[test]
fn a_payload_of_the_wrong_type_is_malformed_whatever_the_event() {
    for (name, payload) in table() {
        for bad in ["null", "7", "\"text\"", "[]", "{", ""] {
            if name == "media:client-stats" && !matches!(bad, "{" | "") {
                continue;
            }
            let error = ClientCommand::parse(name, bad).unwrap_err();
            assert!(matches!(error, CommandError::Malformed(_)), "{name} {bad}: {error}");
        }
        let fields: serde_json::Map<_, _> = serde_json::from_str(&payload).unwrap();
        let list = serde_json::to_string(&fields.values().collect::<Vec<_>>()).unwrap();
        assert!(
            ClientCommand::parse(name, &list).is_err(),
            "{name}: a list of its fields is not the payload"
        );
        let wrong_id = payload.replace(ID, "not-an-id");
        if wrong_id != payload {
            assert!(
                matches!(ClientCommand::parse(name, &wrong_id), Err(CommandError::Malformed(_))),
                "{name}"
            );
        }
    }
}

#[test]
fn an_event_of_another_name_is_unknown() {
    for name in ["", "call:create", "media:", "CALL:JOIN", "disconnect", "media:produce "] {
        assert!(matches!(ClientCommand::parse(name, "{}"), Err(CommandError::UnknownEvent)), "{name}");
    }
}

#[test]
fn what_is_wrong_is_said_by_field_name() {
    let refusal = Refusal::from(ClientCommand::parse("call:join", "{}").unwrap_err());
    assert_eq!(refusal.code, ErrorCode::BadRequest);
    assert!(refusal.detail.contains("callId"), "{}", refusal.detail);
}

#[test]
fn one_id_and_a_list_of_one_mean_the_same_but_not_both_and_not_too_many() {
    let consume =
        |ids: &str| ClientCommand::parse("media:consume", &format!(r#"{{"transportId":"{ID}",{ids}}}"#));
    for ids in [format!(r#""producerId":"{ID}""#), format!(r#""producerIds":["{ID}"]"#)] {
        let Ok(ClientCommand::Media(MediaCommand::Consume(consume))) = consume(&ids) else { panic!("{ids}") };
        assert_eq!(consume.producer_ids.len(), 1);
        assert!(consume.paused);
    }
    assert!(consume(&format!(r#""producerId":"{ID}","producerIds":["{ID}"]"#)).is_err());
    assert!(consume(r#""paused":true"#).is_err());
    let many = ids(201);
    assert!(consume(&format!(r#""producerIds":[{many}]"#)).is_err());
}

/// This many different ids.
fn ids(number: u128) -> String {
    let ids: Vec<_> = (0..number).map(|id| format!("\"{}\"", uuid::Uuid::from_u128(id))).collect();
    ids.join(",")
}

#[test]
fn an_id_is_listed_once() {
    for (event, field) in [("media:consume", "producerIds"), ("media:pause-consumer", "consumerIds")] {
        let list = |ids: String| {
            ClientCommand::parse(event, &format!(r#"{{"transportId":"{ID}","{field}":[{ids}]}}"#))
        };
        assert!(list(ids(200)).is_ok());
        assert!(list(format!("{},{}", ids(3), ids(1))).is_err(), "{event}");
    }
}

#[test]
fn a_request_costs_as_much_as_it_asks_for() {
    let cost = |event: &str, payload: &str| ClientCommand::parse(event, payload).unwrap().consumers();
    let list = |field: &str| format!(r#"{{"transportId":"{ID}","{field}":[{}]}}"#, ids(7));
    assert_eq!(cost("media:consume", &list("producerIds")), 7);
    for event in ["media:pause-consumer", "media:resume-consumer", "media:close-consumer"] {
        assert_eq!(cost(event, &list("consumerIds")), 7);
    }
    let join = |media: &str| format!(r#"{{"callId":"{ID}","media":{media}}}"#);
    assert_eq!(cost("call:join", &join(r#"{"recv":true,"consume":true}"#)), 200);
    assert_eq!(cost("call:join", &join(r#"{"recv":true}"#)), 0);
}

#[test]
fn text_and_passed_on_json_are_bounded() {
    let signal = |kind: &str, payload: &str| {
        ClientCommand::parse(
            "call:signal",
            &format!(r#"{{"callId":"{ID}","type":"{kind}","payload":"{payload}"}}"#),
        )
    };
    assert!(signal(&"x".repeat(32), "").is_ok());
    assert!(matches!(signal(&"x".repeat(33), ""), Err(CommandError::Malformed(_))));
    let refusal = Refusal::from(signal("offer", &"x".repeat(64 * 1024)).unwrap_err());
    assert_eq!(refusal.code, ErrorCode::TooLarge);
    let data = format!(
        r#"{{"transportId":"{ID}","sctpStreamParameters":{{"streamId":1}},"appData":"{}"}}"#,
        "x".repeat(1024)
    );
    assert!(matches!(ClientCommand::parse("media:produce-data", &data), Err(CommandError::TooLarge { .. })));
}

#[test]
fn an_unknown_source_is_refused_and_other_app_data_ignored() {
    let produce = |source: &str| {
        let (_, payload) = table().into_iter().find(|(name, _)| *name == "media:produce").unwrap();
        ClientCommand::parse("media:produce", &payload.replace("mic", source))
    };
    assert!(produce("screen-audio").is_ok());
    assert!(produce("telepathy").is_err());
}
