//! Recordings: who may do what with them, links and ranges.

use super::*;
use crate::{
    call::{RecordingRow, RecordingStatus},
    calls::{RecordingAccess, RecordingBy},
    ids::{CallId, GroupId, RecordingId},
    testing::Tape,
};

/// A group of Olga, the owner, with the admin Ann, whose member Ida has started a call. Pia was in it, Max was not, and
/// Fay is no member any more.
struct Studio {
    api: Api,
    group: GroupId,
    call: CallId,
    pia: UserId,
    /// By name.
    tokens: Vec<(&'static str, String)>,
}

impl Studio {
    async fn new(access: RecordingAccess) -> Self {
        Self::configured(|config| config.recording.access = access).await
    }

    async fn configured(change: impl FnOnce(&mut ControlConfig)) -> Self {
        let api = Api::configured(|config| {
            config.auth.service_token = Some(SERVICE.into());
            config.auth.admin_claim = Some("operator".to_owned());
            change(config);
        })
        .await;
        let (_, olga) = api.user("Olga").await;
        let group = api.post("/groups", &olga, json!({"name": "Team"})).await.body["id"].clone();
        let group_path = format!("/groups/{}", group.as_str().unwrap());
        let mut tokens = vec![("Olga", olga.clone())];
        let mut ids = Vec::new();
        for (name, role) in
            [("Ann", "admin"), ("Ida", "member"), ("Pia", "member"), ("Max", "member"), ("Fay", "member")]
        {
            let (id, token) = api.user(name).await;
            let member = json!({"userId": id, "role": role});
            assert_eq!(
                api.post(&format!("{group_path}/members"), &olga, member).await.status,
                StatusCode::CREATED
            );
            tokens.push((name, token));
            ids.push(id);
        }
        tokens.push(("Eve", api.user("Eve").await.1));
        tokens.push(("the app", SERVICE.to_owned()));
        tokens.push(("an operator", Api::token_of("operator", now(), &json!({"operator": true}))));
        let token = |name| tokens.iter().find(|(known, _)| *known == name).unwrap().1.clone();
        let call = api.post("/calls", &token("Ida"), json!({ "groupId": group })).await.body["id"].clone();
        let call = call.as_str().unwrap().to_owned();
        for name in ["Pia", "Fay"] {
            assert!(
                api.post(&format!("/calls/{call}/join"), &token(name), json!({})).await.status.is_success()
            );
        }
        let fay = format!("{group_path}/members/{}", ids[4]);
        assert!(api.ask("DELETE", &fay, &olga, None).await.status.is_success());
        let group = group.as_str().unwrap().parse().unwrap();
        Self { group, call: call.parse().unwrap(), pia: ids[2], tokens, api }
    }

    async fn tape(&self) -> Tape {
        self.api.world.tape(self.call, self.group, self.pia).await
    }

    /// A recording of a call that has not been stopped.
    async fn running(&self, call: CallId) -> Tape {
        let recording = |row: &mut RecordingRow| row.status = RecordingStatus::Recording;
        self.api.world.tape_with(call, self.group, self.pia, recording).await
    }

    fn token(&self, name: &str) -> &str {
        &self.tokens.iter().find(|(known, _)| *known == name).unwrap().1
    }

    async fn ask_for_link(&self, tape: &Tape, name: &str) -> Answer {
        let body = json!({"fileId": tape.files[0]});
        self.api.post(&format!("/recordings/{}/links", tape.id()), self.token(name), body).await
    }

    async fn link(&self, tape: &Tape, name: &str) -> String {
        let answer = self.ask_for_link(tape, name).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.body["url"].as_str().unwrap().to_owned()
    }

    /// Follows a link, without a token.
    async fn follow(&self, method: &str, link: &str, headers: &[(&str, &str)]) -> Answer {
        let request = Request::builder().method(method).uri(link);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.api.send(request.body(Body::empty()).unwrap()).await
    }

    /// Which people are allowed this; the others have to be refused with 403.
    async fn allowed(&self, mut ask: impl AsyncFnMut(&str) -> Answer) -> Vec<&'static str> {
        let mut allowed = Vec::new();
        for (name, token) in &self.tokens {
            let answer = ask(token).await;
            if answer.status.is_success() {
                allowed.push(*name);
            } else {
                assert!(answer.is_problem(403, "forbidden"), "{name} {} {}", answer.status, answer.body);
            }
        }
        allowed
    }
}

const ABOVE: [&str; 2] = ["the app", "an operator"];

#[tokio::test]
async fn role_presence_and_setting_decide_about_every_operation() {
    for (access, readers) in [
        (RecordingAccess::Participants, &["Olga", "Ann", "Ida", "Pia"][..]),
        (RecordingAccess::Members, &["Olga", "Ann", "Ida", "Pia", "Max"]),
        (RecordingAccess::Moderators, &["Olga", "Ann", "Ida"]),
    ] {
        let studio = Studio::new(access).await;
        let (tape, api) = (studio.tape().await, &studio.api);
        let path = format!("/recordings/{}", tape.id());
        let captions = format!("{path}/captions/de");
        let put = async |token: &str| {
            let request = Request::put(&captions).header(header::AUTHORIZATION, format!("Bearer {token}"));
            let request = request.header(header::CONTENT_TYPE, "text/vtt").body(Body::from("WEBVTT"));
            api.send(request.unwrap()).await
        };
        assert_eq!(studio.allowed(put).await, ABOVE, "{access:?}");
        let readers = [readers, &ABOVE].concat();
        let of_call = format!("/calls/{}/recordings", studio.call);
        let timeline = format!("{path}/timeline");
        for path in [&path, &captions, &timeline, &of_call] {
            let allowed = studio.allowed(async |token| api.get(path, token).await).await;
            assert_eq!(allowed, readers, "{access:?} {path}");
        }
        let told = api.get(&path, SERVICE).await.body["access"].clone();
        let listed = api.get(&of_call, SERVICE).await.body["items"][0]["access"].clone();
        assert_eq!((told, listed), (json!(access), json!(access)));
        let link = async |token: &str| {
            api.post(&format!("{path}/links"), token, json!({"fileId": tape.files[0]})).await
        };
        assert_eq!(studio.allowed(link).await, readers, "{access:?}");
        let mut listed = Vec::new();
        let of_group = format!("/recordings/group/{}", studio.group);
        for (name, token) in &studio.tokens {
            let answer = api.get(&of_group, token).await;
            if answer.body["items"].as_array().is_some_and(|items| items.len() == 1) {
                listed.push(*name);
            }
        }
        assert_eq!(listed, readers, "{access:?}");
        for whole in [false, true] {
            let mut deleters = Vec::new();
            for (name, token) in &studio.tokens {
                let tape = studio.tape().await;
                let track = if whole { String::new() } else { format!("/tracks/{}", tape.tracks[0]) };
                let path = format!("/recordings/{}{track}", tape.id());
                let answer = api.ask("DELETE", &path, token, None).await;
                if answer.status == StatusCode::NO_CONTENT {
                    deleters.push(*name);
                } else {
                    assert!(answer.is_problem(403, "forbidden"), "{name} {}", answer.body);
                    assert!(!tape.is_erased());
                }
            }
            assert_eq!(deleters, ["Olga", "Ida", "the app", "an operator"], "{access:?}");
        }
    }
}

#[tokio::test]
async fn role_and_setting_decide_who_records() {
    for (by, may) in [
        (RecordingBy::Moderators, ["Olga", "Ann", "Ida"].as_slice()),
        (RecordingBy::Members, &["Olga", "Ann", "Ida", "Pia", "Max"]),
        (RecordingBy::Service, &[]),
    ] {
        let studio = Studio::configured(|config| config.recording.by = by).await;
        let (api, may) = (&studio.api, [may, &ABOVE].concat());
        let of_call = format!("/calls/{}/recordings", studio.call);
        for (name, token) in &studio.tokens {
            let mut answers = Vec::new();
            let started = api.post(&of_call, token, json!({})).await;
            answers.push(started.status);
            let running = if started.status == StatusCode::CREATED {
                started
            } else {
                assert!(started.is_problem(403, "forbidden"), "{name} {by:?} {}", started.body);
                api.post(&of_call, SERVICE, json!({})).await
            };
            let path = format!("/recordings/{}", running.body["id"].as_str().unwrap());
            for (change, body) in [
                ("pause", Some(json!({"paused": true}))),
                ("pause", Some(json!({"paused": false}))),
                ("stop", None),
            ] {
                answers.push(api.ask("PATCH", &format!("{path}/{change}"), token, body).await.status);
            }
            assert_eq!(api.ask("PATCH", &format!("{path}/stop"), SERVICE, None).await.status, StatusCode::OK);
            let (created, ok, forbidden) = (StatusCode::CREATED, StatusCode::OK, StatusCode::FORBIDDEN);
            let expected = if may.contains(name) { [created, ok, ok, ok] } else { [forbidden; 4] };
            assert_eq!(answers, expected, "{name} {by:?}");
        }
    }
}

#[tokio::test]
async fn of_two_starts_at_once_one_wins() {
    let studio = Studio::new(RecordingAccess::Participants).await;
    let of_call = format!("/calls/{}/recordings", studio.call);
    let start = |name| studio.api.post(&of_call, studio.token(name), json!({}));
    let (one, other) = tokio::join!(start("Olga"), start("Ida"));
    let (won, lost) = if one.status == StatusCode::CREATED { (one, other) } else { (other, one) };
    assert_eq!(won.status, StatusCode::CREATED);
    lost.assert_problem(409, "already_recording");
    let listed = studio.api.get(&of_call, SERVICE).await.body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_link_gives_the_file_whole_in_part_or_not_at_all() {
    let studio = Studio::new(RecordingAccess::Participants).await;
    let tape = studio.tape().await;
    let link = studio.link(&tape, "Pia").await;
    let whole = studio.follow("GET", &link, &[]).await;
    assert_eq!((whole.status, &whole.bytes), (StatusCode::OK, &tape.bytes));
    for (name, value) in [
        ("content-type", "video/webm"),
        ("content-length", "1000"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "inline"),
    ] {
        assert_eq!(whole.headers[name], value, "{name}");
    }
    let etag = whole.headers["etag"].to_str().unwrap();
    for (asked, range, first, end) in [
        (&[("range", "bytes=0-99")][..], "bytes 0-99/1000", 0, 100),
        (&[("range", "bytes=900-")], "bytes 900-999/1000", 900, 1000),
        (&[("range", "bytes=-1")], "bytes 999-999/1000", 999, 1000),
        (&[("range", "bytes=10-9999"), ("if-range", etag)], "bytes 10-999/1000", 10, 1000),
    ] {
        let part = studio.follow("GET", &link, asked).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{asked:?}");
        assert_eq!(part.headers["content-range"], range);
        assert_eq!(part.headers["content-length"], (end - first).to_string().as_str());
        assert_eq!(part.bytes, &tape.bytes[first..end], "{asked:?}");
    }
    for asked in [
        &[("range", "bytes=0-1,5-6")][..],
        &[("range", "bytes=9-1")],
        &[("range", "lines=1-2")],
        &[("range", "bytes=0-1"), ("if-range", "\"another\"")],
    ] {
        let answer = studio.follow("GET", &link, asked).await;
        assert_eq!((answer.status, answer.bytes.len()), (StatusCode::OK, 1000), "{asked:?}");
        assert!(!answer.headers.contains_key("content-range"));
    }
    let outside = studio.follow("GET", &link, &[("range", "bytes=1000-")]).await;
    outside.assert_problem(416, "range_not_satisfiable");
    assert_eq!(outside.headers["content-range"], "bytes */1000");
    let known = studio.follow("GET", &link, &[("if-none-match", etag)]).await;
    assert_eq!((known.status, known.bytes.len()), (StatusCode::NOT_MODIFIED, 0));
    let head = studio.follow("HEAD", &link, &[("range", "bytes=0-1")]).await;
    assert_eq!((head.status, head.bytes.len()), (StatusCode::OK, 0));
    assert_eq!(
        (&head.headers["content-length"], &head.headers["etag"]),
        (&"1000".parse().unwrap(), &whole.headers["etag"])
    );
    let saved = studio.follow("GET", &format!("{link}&download"), &[]).await;
    let name = saved.headers["content-disposition"].to_str().unwrap();
    assert!(name.starts_with("attachment; filename=\"") && name.contains("Pia mic 0.webm\""), "{name}");
}

/// The link, altered in each of its parts, and in ways that are none.
struct Forged {
    /// Well-formed.
    altered: Vec<(&'static str, String)>,
    malformed: Vec<String>,
}

impl Forged {
    fn from(link: &str) -> Self {
        let (path, query) = link.split_once('?').unwrap();
        let parameters: Vec<_> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        let [("reader", reader), ("issued", issued), ("expires", expires), ("signature", signature)] =
            parameters[..]
        else {
            panic!("{query}")
        };
        let later = |time: &str| (time.parse::<i64>().unwrap() + 1).to_string();
        let of = |reader: &str, issued: &str, expires: &str, signature: &str| {
            format!("{path}?reader={reader}&issued={issued}&expires={expires}&signature={signature}")
        };
        let altered = vec![
            ("another user", of(&Uuid::new_v4().to_string(), issued, expires, signature)),
            ("a higher rank", of(&format!("admin-{reader}"), issued, expires, signature)),
            ("the app", of("service", issued, expires, signature)),
            ("a later issue", of(reader, &later(issued), expires, signature)),
            ("a longer life", of(reader, issued, &later(expires), signature)),
            ("no signature", of(reader, issued, expires, "")),
            ("a cut signature", of(reader, issued, expires, &signature[1..])),
        ];
        let malformed = vec![
            path.to_owned(),
            format!("{path}?reader={reader}"),
            of("nobody", issued, expires, signature),
            of(reader, "once", expires, signature),
            of(reader, issued, "never", signature),
        ];
        Self { altered, malformed }
    }
}

#[tokio::test]
async fn a_link_that_is_not_ours_opens_nothing() {
    let studio = Studio::new(RecordingAccess::Participants).await;
    let (tape, other) = (studio.tape().await, studio.tape().await);
    let link = studio.link(&tape, "Pia").await;
    let (_, query) = link.split_once('?').unwrap();
    let mut forged = Forged::from(&link);
    forged.altered.push(("another file", format!("/recordings/files/{}?{query}", other.files[0])));
    for (what, forged) in forged.altered {
        let answer = studio.follow("GET", &forged, &[]).await;
        assert!(answer.is_problem(403, "forbidden"), "{what} {}", answer.body);
        assert_eq!(studio.follow("HEAD", &forged, &[]).await.status, StatusCode::FORBIDDEN, "{what}");
    }
    let unknown = format!("/recordings/files/{}?{query}", Uuid::new_v4());
    studio.follow("GET", &unknown, &[]).await.assert_problem(404, "not_found");
    forged.malformed.push(format!("/recordings/files/..%2F..%2Flink-key?{query}"));
    forged.malformed.push(format!("/recordings/files/not-an-id?{query}"));
    for malformed in forged.malformed {
        studio.follow("GET", &malformed, &[]).await.assert_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn a_live_link_that_is_not_ours_opens_nothing() {
    let studio = Studio::new(RecordingAccess::Participants).await;
    let (tape, other) = (studio.running(studio.call).await, studio.running(CallId::random()).await);
    let links = format!("/recordings/{}/links", tape.id());
    let body = json!({"trackId": tape.tracks[1], "live": true});
    let made = studio.api.post(&links, studio.token("Pia"), body).await;
    let link = made.body["url"].as_str().unwrap();
    let (_, query) = link.split_once('?').unwrap();
    let address = |recording: &dyn std::fmt::Display, track: &dyn std::fmt::Display| {
        format!("/recordings/{recording}/tracks/{track}/live?{query}")
    };
    let mut forged = Forged::from(link);
    forged.altered.push(("another track", address(&tape.id(), &tape.tracks[0])));
    forged.altered.push(("another recording", address(&other.id(), &tape.tracks[1])));
    forged.altered.push(("a file of the same id", format!("/recordings/files/{}?{query}", tape.files[1])));
    for (what, forged) in forged.altered {
        let answer = studio.follow("GET", &forged, &[]).await;
        assert!(answer.is_problem(403, "forbidden"), "{what} {}", answer.body);
    }
    let unknown = address(&RecordingId::random(), &tape.tracks[1]);
    studio.follow("GET", &unknown, &[]).await.assert_problem(404, "not_found");
    forged.malformed.push(address(&"..%2F..", &tape.tracks[1]));
    forged.malformed.push(address(&tape.id(), &"..%2Flink-key"));
    for malformed in forged.malformed {
        studio.follow("GET", &malformed, &[]).await.assert_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn an_old_link_says_that_it_has_expired() {
    let studio = Studio::configured(|config| config.recording.link_validity = Duration::ZERO).await;
    let link = studio.link(&studio.tape().await, "Pia").await;
    studio.follow("GET", &link, &[]).await.assert_problem(403, "link_expired");
    assert_eq!(studio.follow("HEAD", &link, &[]).await.status, StatusCode::FORBIDDEN);
    let tape = studio.running(studio.call).await;
    let body = json!({"trackId": tape.tracks[1], "live": true});
    let made = studio.api.post(&format!("/recordings/{}/links", tape.id()), studio.token("Pia"), body).await;
    let link = made.body["url"].as_str().unwrap();
    studio.follow("GET", link, &[]).await.assert_problem(403, "link_expired");
}

#[tokio::test]
async fn each_link_is_in_the_audit_log_and_their_number_is_limited_also_where_requests_are_not() {
    let studio = Studio::configured(|config| config.limits.requests_per_user = 0).await;
    let tape = studio.tape().await;
    studio.link(&tape, "Pia").await;
    let log = studio.api.get("/audit?action=RECORDING_DOWNLOADED", SERVICE).await.body;
    let [entry] = log["items"].as_array().unwrap().as_slice() else { panic!("{log}") };
    assert_eq!(entry["actorId"], json!(studio.pia));
    assert_eq!(entry["callId"], json!(studio.call));
    assert_eq!(entry["details"], json!({"recordingId": tape.id(), "fileId": tape.files[0]}));
    let mut made = 1;
    let refused = loop {
        let answer = studio.ask_for_link(&tape, "Pia").await;
        if answer.status != StatusCode::CREATED {
            break answer;
        }
        made += 1;
        assert!(made < 1000, "links are not limited");
    };
    refused.assert_problem(429, "rate_limited");
    assert!(made >= 400, "{made}");
    studio.link(&tape, "Ida").await;
    let delete = format!("/recordings/{}", tape.id());
    studio.api.ask("DELETE", &delete, studio.token("Ida"), None).await;
    let log = studio.api.get("/audit?action=RECORDING_DELETED", SERVICE).await.body;
    assert_eq!(log["items"][0]["details"], json!({"recordingId": tape.id()}));
}

#[tokio::test]
async fn captions_are_web_vtt_of_a_language_and_bounded() {
    let studio = Studio::new(RecordingAccess::Participants).await;
    let tape = studio.tape().await;
    let put = async |language: &str, kind: &str, text: String| {
        let path = format!("/recordings/{}/captions/{language}", tape.id());
        let request = Request::put(path).header(header::AUTHORIZATION, format!("Bearer {SERVICE}"));
        studio.api.send(request.header(header::CONTENT_TYPE, kind).body(Body::from(text)).unwrap()).await
    };
    let text = "WEBVTT\n\n00:00.000 --> 00:02.000\nGrüß Gott".to_owned();
    assert_eq!(put("de", "text/vtt; charset=utf-8", text.clone()).await.status, StatusCode::CREATED);
    assert_eq!(put("DE", "text/vtt", text.clone()).await.status, StatusCode::NO_CONTENT);
    // More than other bodies may have.
    let long = format!("WEBVTT\n\n{}", "x".repeat(5 * 1024 * 1024 - 8));
    assert_eq!(put("en", "text/vtt", long.clone()).await.status, StatusCode::CREATED);
    put("en", "text/vtt", format!("{long}x")).await.assert_problem(413, "too_large");
    put("en", "application/json", text.clone()).await.assert_problem(415, "unsupported_media_type");
    put("en", "text/vtt", "1\nHello".to_owned()).await.assert_problem(400, "bad_request");
    for language in ["e", "..", "..%2Fx", "de_AT", "en-"] {
        put(language, "text/vtt", text.clone()).await.assert_problem(400, "bad_request");
    }
    let read = studio.api.get(&format!("/recordings/{}/captions/de", tape.id()), studio.token("Pia")).await;
    assert_eq!((read.content_type.as_str(), read.bytes), ("text/vtt; charset=utf-8", text.into_bytes()));
    let unknown = format!("/recordings/{}/captions/de", RecordingId::random());
    studio.api.get(&unknown, studio.token("Pia")).await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn a_recording_tells_of_its_tracks_and_files() {
    let studio = Studio::new(RecordingAccess::Participants).await;
    let tape = studio.tape().await;
    let told = studio.api.get(&format!("/recordings/{}", tape.id()), studio.token("Pia")).await.body;
    assert_eq!(told["status"], "ready");
    assert_eq!(told["callId"], json!(studio.call));
    let tracks = told["tracks"].as_array().unwrap();
    assert_eq!(tracks.len(), 2);
    let mic = tracks.iter().find(|track| track["source"] == "mic").unwrap();
    assert_eq!((&mic["name"], &mic["spans"], &mic["holes"]), (&json!("Pia"), &json!([]), &json!([])));
    assert_eq!((&mic["files"][0]["id"], &mic["files"][0]["bytes"]), (&json!(tape.files[0]), &json!(1000)));
    assert!(!told.to_string().contains(".webm"), "where files are is nobody's business");
    for id in ["not-an-id", "..%2F..%2Flink-key", "%2E%2E"] {
        for path in ["", "/tracks/not-an-id", "/captions/de"] {
            let method = if path.starts_with("/tracks") { "DELETE" } else { "GET" };
            let answer = studio.api.ask(method, &format!("/recordings/{id}{path}"), SERVICE, None).await;
            answer.assert_problem(400, "bad_request");
        }
    }
}

#[tokio::test]
async fn the_time_line_is_read_as_far_as_it_is_written() {
    let studio = Studio::new(RecordingAccess::Participants).await;
    let tape = studio.tape().await;
    let path = format!("/recordings/{}/timeline", tape.id());
    let empty = studio.api.get(&path, studio.token("Pia")).await;
    assert_eq!((empty.status, empty.bytes), (StatusCode::OK, Vec::new()));
    let written = format!("{{\"atMs\":1200,\"speaker\":\"{}\"}}\n", tape.tracks[0]);
    let file = tape.paths[0].with_file_name("timeline.jsonl");
    std::fs::write(file, format!("{written}{{\"atMs\":34")).unwrap();
    let read = studio.api.get(&path, studio.token("Pia")).await;
    assert_eq!((read.content_type.as_str(), read.bytes), ("application/jsonl", written.into_bytes()));
    studio.api.get("/recordings/not-an-id/timeline", SERVICE).await.assert_problem(400, "bad_request");
}

#[tokio::test]
async fn a_running_track_is_read_by_a_link_of_its_own() {
    let studio = Studio::new(RecordingAccess::Participants).await;
    let tape = studio.running(studio.call).await;
    // A header, a cluster that begins with a key frame, and cues.
    let mut file =
        vec![0x1A, 0x45, 0xDF, 0xA3, 0x80, 0x18, 0x53, 0x80, 0x67, 1, 255, 255, 255, 255, 255, 255, 255];
    file.extend_from_slice(&[0x1F, 0x43, 0xB6, 0x75, 1, 0, 0, 0, 0, 0, 0, 25, 0xBF, 0x84, 1, 2, 3, 4]);
    file.extend_from_slice(&[0xE7, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0xA3, 0x10, 0, 0, 4, 0x81, 0, 0, 0x80]);
    let (sent, cues) = (file.clone(), [0x1C, 0x53, 0xBB, 0x6B, 0x80]);
    file.extend_from_slice(&cues);
    std::fs::write(&tape.paths[1], &file).unwrap();

    let links = format!("/recordings/{}/links", tape.id());
    let (pia, max) = (studio.token("Pia"), studio.token("Max"));
    let live = json!({"trackId": tape.tracks[1], "live": true});
    studio.api.post(&links, max, live.clone()).await.assert_problem(403, "forbidden");
    let link = studio.api.post(&links, pia, live).await.body["url"].as_str().unwrap().to_owned();
    let read = studio.follow("GET", &link, &[]).await;
    assert_eq!((read.status, read.bytes), (StatusCode::OK, sent.clone()));
    assert_eq!(read.headers["content-location"], format!("/recordings/files/{}", tape.files[1]));
    assert_eq!(
        (&read.headers["cache-control"], &read.headers["referrer-policy"]),
        (&"no-store".parse().unwrap(), &"no-referrer".parse().unwrap())
    );
    assert_eq!(studio.follow("GET", &format!("{link}&from=60"), &[]).await.bytes, sent);
    studio.follow("GET", &format!("{link}&from=soon"), &[]).await.assert_problem(400, "bad_request");
    let other = link.replace(&tape.tracks[1].to_string(), &tape.tracks[0].to_string());
    studio.follow("GET", &other, &[]).await.assert_problem(403, "forbidden");
    let file_link = json!({"fileId": tape.files[1]});
    studio.api.post(&links, pia, file_link).await.assert_problem(409, "conflict");
    for wrong in [
        json!({}),
        json!({"trackId": tape.tracks[1]}),
        json!({"trackId": tape.tracks[1], "live": false}),
        json!({"fileId": tape.files[1], "live": true}),
        json!({"fileId": tape.files[1], "trackId": tape.tracks[1], "live": true}),
    ] {
        studio.api.post(&links, pia, wrong).await.assert_problem(400, "bad_request");
    }
}
