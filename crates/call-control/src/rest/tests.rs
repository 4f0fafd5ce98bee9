//! The REST surface as clients meet it.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use super::{cors, openapi, router};
use crate::{
    auth::SignIn,
    call::Person,
    ids::UserId,
    store::now,
    testing::{SECRET, TestStore, World, slow_rules},
};

/// A server and the people who use it.
struct Api {
    world: World,
    _store: TestStore,
}

struct Answer {
    status: StatusCode,
    content_type: String,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl Api {
    async fn new() -> Self {
        Self::with(SignIn::Secret(SECRET.into())).await
    }

    async fn with(sign_in: SignIn) -> Self {
        let store = TestStore::sqlite().await;
        Self { world: World::start(&store, slow_rules(), sign_in).await, _store: store }
    }

    /// A user who has signed in once, and their token.
    async fn user(&self, name: &str) -> (UserId, String) {
        let id = UserId(Uuid::new_v4());
        let hour = Duration::from_secs(3600);
        let token = self.world.control.auth.mint(&id.to_string(), Some(name), hour, now()).unwrap();
        let me = self.get("/users/me", &token).await;
        assert_eq!((me.body["id"].clone(), me.body["name"].clone()), (json!(id), json!(name)));
        (id, token)
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, None).await
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.ask("POST", path, token, Some(body)).await
    }

    async fn ask(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = match body {
            Some(body) => {
                request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))
            }
            None => request.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let router = router(self.world.control.clone()).layer(cors(&self.world.control));
        let response = router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let content_type =
            parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
        Answer {
            status: parts.status,
            content_type: content_type.unwrap_or_default(),
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    /// A group of Ada's, with Bob in it.
    async fn team(&self) -> (String, String, String) {
        let (_, ada) = self.user("Ada").await;
        let (bob_id, bob) = self.user("Bob").await;
        let group = self.post("/groups", &ada, json!({"name": "Team"})).await;
        assert_eq!(group.status, StatusCode::CREATED);
        let id = group.body["id"].as_str().unwrap().to_owned();
        let added = self.post(&format!("/groups/{id}/members"), &ada, json!({"userId": bob_id})).await;
        assert_eq!(added.status, StatusCode::CREATED);
        assert_eq!(added.body, json!({"userId": bob_id, "name": "Bob", "role": "member"}));
        (ada, bob, id)
    }
}

impl Answer {
    fn is_problem(&self, status: u16, code: &str) -> bool {
        let slug = code.replace('_', "-");
        self.status.as_u16() == status
            && self.content_type == "application/problem+json"
            && self.body["status"] == status
            && self.body["code"] == code
            && self.body["type"] == format!("/problems/{slug}")
            && self.body["title"].is_string()
            && self.body["detail"].is_string()
    }

    #[track_caller]
    fn assert_problem(&self, status: u16, code: &str) {
        assert!(self.is_problem(status, code), "{} {} {}", self.status, self.content_type, self.body);
    }
}

#[tokio::test]
async fn a_call_from_start_to_history() {
    let api = Api::new().await;
    let (ada, bob, group) = api.team().await;
    let created = api.post("/calls", &ada, json!({"groupId": group, "metadata": {"title": "Standup"}})).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let mut fields: Vec<_> = created.body.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "createdAt",
            "duration",
            "durationSeconds",
            "endReason",
            "endedAt",
            "epoch",
            "errorMessage",
            "groupId",
            "id",
            "initiatedById",
            "locked",
            "maxParticipants",
            "metadata",
            "participants",
            "seq",
            "startedAt",
            "status",
            "type",
            "updatedAt",
            "webrtcRoomId",
        ]
    );
    assert_eq!((&created.body["status"], &created.body["type"]), (&json!("waiting"), &json!("video")));
    assert!(created.body["webrtcRoomId"].is_string());
    assert!(created.body["startedAt"].is_null());
    let id = created.body["id"].as_str().unwrap();

    let second = api.post("/calls", &bob, json!({"groupId": group})).await;
    second.assert_problem(409, "call_exists");
    assert_eq!(second.body["callId"], id);

    let joined = api.ask("POST", &format!("/calls/{id}/join"), &bob, None).await;
    assert_eq!((joined.status, &joined.body["status"]), (StatusCode::OK, &json!("active")));
    let active = api.get(&format!("/calls/group/{group}/active"), &bob).await;
    assert_eq!(active.body["participants"].as_array().unwrap().len(), 2);
    assert_eq!(api.get("/calls/user/active", &ada).await.body["items"][0]["id"], id);
    let left = api.post(&format!("/calls/{id}/leave"), &bob, json!({"callId": id})).await;
    assert_eq!(left.body["participants"].as_array().unwrap().len(), 1);
    let patched =
        api.ask("PATCH", &format!("/calls/{id}/metadata"), &ada, Some(json!({"title": null, "n": 1}))).await;
    assert_eq!(patched.body["metadata"], json!({"n": 1}));

    let ended = api.ask("PATCH", &format!("/calls/{id}/end"), &ada, Some(json!({"reason": "error"}))).await;
    assert_eq!((&ended.body["status"], &ended.body["endReason"]), (&json!("ended"), &json!("error")));
    assert_eq!(ended.body["maxParticipants"], 2);
    let again = api.ask("PATCH", &format!("/calls/{id}/end"), &ada, None).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &ended.body));
    api.ask("POST", &format!("/calls/{id}/join"), &bob, None).await.assert_problem(409, "call_ended");
    api.get(&format!("/calls/group/{group}/active"), &ada).await.assert_problem(404, "not_found");

    assert_eq!(api.get(&format!("/calls/{id}"), &bob).await.body, ended.body);
    let history = api.get(&format!("/calls/group/{group}?status=ended&limit=1"), &bob).await;
    assert_eq!(history.body, json!({"items": [ended.body]}));
    let legs = api.get(&format!("/calls/{id}/legs"), &ada).await.body;
    let reasons: Vec<_> = legs["items"].as_array().unwrap().iter().map(|leg| leg["reason"].clone()).collect();
    assert_eq!(reasons, [json!("call-ended"), json!("left")]);
    let events = api.get(&format!("/calls/{id}/events?limit=2"), &ada).await.body;
    assert_eq!(
        (events["items"][0]["kind"].clone(), events["nextCursor"].clone()),
        (json!("call-created"), json!("2"))
    );
}

#[tokio::test]
async fn groups_and_their_members() {
    let api = Api::new().await;
    let (ada, bob, group) = api.team().await;
    let (eve_id, eve) = api.user("Eve").await;
    let path = format!("/groups/{group}");
    assert_eq!(api.get("/groups", &bob).await.body["items"][0]["id"], group);
    assert_eq!(api.get(&path, &bob).await.body["name"], "Team");
    api.get(&path, &eve).await.assert_problem(403, "forbidden");
    api.get(&format!("/groups/{}", Uuid::new_v4()), &ada).await.assert_problem(404, "not_found");

    api.ask("PATCH", &path, &bob, Some(json!({"name": "Crew"}))).await.assert_problem(403, "forbidden");
    assert_eq!(api.ask("PATCH", &path, &ada, Some(json!({"name": "Crew"}))).await.body["name"], "Crew");

    let members = format!("{path}/members");
    api.post(&members, &bob, json!({"userId": eve_id})).await.assert_problem(403, "forbidden");
    api.post(&members, &ada, json!({"userId": Uuid::new_v4()})).await.assert_problem(404, "not_found");
    assert_eq!(api.post(&members, &ada, json!({"userId": eve_id, "role": "admin"})).await.status, 201);
    api.post(&members, &ada, json!({"userId": eve_id})).await.assert_problem(409, "conflict");
    let listed = api.get(&members, &bob).await.body;
    let roles: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|member| member["role"].clone()).collect();
    assert_eq!(roles, [json!("owner"), json!("member"), json!("admin")]);

    let me = api.get("/users/me", &ada).await.body;
    let (ada_path, eve_path) =
        (format!("{members}/{}", me["id"].as_str().unwrap()), format!("{members}/{eve_id}"));
    api.ask("PATCH", &eve_path, &eve, Some(json!({"role": "owner"}))).await.assert_problem(403, "forbidden");
    api.ask("DELETE", &ada_path, &eve, None).await.assert_problem(403, "forbidden");
    api.ask("DELETE", &ada_path, &ada, None).await.assert_problem(409, "conflict");
    api.ask("PATCH", &ada_path, &ada, Some(json!({"role": "member"}))).await.assert_problem(409, "conflict");
    assert_eq!(api.ask("DELETE", &eve_path, &eve, None).await.status, StatusCode::NO_CONTENT);
    api.ask("DELETE", &eve_path, &ada, None).await.assert_problem(404, "not_found");
    api.ask("DELETE", &path, &bob, None).await.assert_problem(403, "forbidden");
    assert_eq!(api.ask("DELETE", &path, &ada, None).await.status, StatusCode::NO_CONTENT);
    api.get(&path, &ada).await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn nothing_personal_without_a_good_token() {
    let api = Api::new().await;
    let auth = &api.world.control.auth;
    let expired = auth.mint("ada", None, Duration::from_secs(60), now() - Duration::from_secs(3600)).unwrap();
    for token in ["", "nonsense", expired.as_str()] {
        let answer = api.get("/users/me", token).await;
        answer.assert_problem(401, "unauthorized");
        assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
    }
    let basic =
        Request::get("/users/me").header(header::AUTHORIZATION, "Basic YTpi").body(Body::empty()).unwrap();
    api.send(basic).await.assert_problem(401, "unauthorized");
    let lower = auth.mint("ada", Some("Ada"), Duration::from_secs(60), now()).unwrap();
    let lower = Request::get("/users/me").header(header::AUTHORIZATION, format!("bearer {lower}"));
    assert_eq!(api.send(lower.body(Body::empty()).unwrap()).await.body["name"], "Ada");
}

#[tokio::test]
async fn outsiders_and_unknown_ids_get_a_problem() {
    let api = Api::new().await;
    let (ada, _, group) = api.team().await;
    let (_, eve) = api.user("Eve").await;
    let call = api.post("/calls", &ada, json!({"groupId": group})).await.body;
    let call = call["id"].as_str().unwrap();
    let (nobody, body) = (Uuid::new_v4(), json!({"title": "x"}));
    for (method, path) in [
        ("GET", ""),
        ("POST", "/join"),
        ("POST", "/leave"),
        ("PATCH", "/end"),
        ("PATCH", "/metadata"),
        ("GET", "/legs"),
        ("GET", "/events"),
    ] {
        let sent = (method == "PATCH" && path == "/metadata").then(|| body.clone());
        let outside = api.ask(method, &format!("/calls/{call}{path}"), &eve, sent.clone()).await;
        outside.assert_problem(403, "forbidden");
        let unknown = api.ask(method, &format!("/calls/{nobody}{path}"), &ada, sent.clone()).await;
        unknown.assert_problem(404, "not_found");
        let malformed = api.ask(method, &format!("/calls/not-an-id{path}"), &ada, sent).await;
        malformed.assert_problem(400, "bad_request");
    }
    api.post("/calls", &eve, json!({"groupId": group})).await.assert_problem(403, "forbidden");
    api.post("/calls", &ada, json!({"groupId": nobody})).await.assert_problem(403, "forbidden");
    api.get(&format!("/calls/group/{group}"), &eve).await.assert_problem(403, "forbidden");
    assert_eq!(
        api.get(&format!("/calls/{call}"), &ada).await.body["participants"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn bodies_and_parameters_that_do_not_fit_get_a_problem() {
    let api = Api::new().await;
    let (ada, _, group) = api.team().await;
    for body in [
        json!([]),
        json!({}),
        json!({"groupId": 7}),
        json!({"groupId": "x"}),
        json!({"groupId": group, "type": "smoke"}),
        json!({"groupId": group, "metadata": []}),
        json!({"groupId": group, "metadata": {"a": "\u{0}"}}),
    ] {
        api.post("/calls", &ada, body).await.assert_problem(400, "bad_request");
    }
    let large = json!({"groupId": group, "metadata": {"a": "x".repeat(17 * 1024)}});
    api.post("/calls", &ada, large).await.assert_problem(413, "metadata_too_large");
    let huge = json!({"groupId": group, "metadata": {"a": "x".repeat(70 * 1024)}});
    api.post("/calls", &ada, huge).await.assert_problem(413, "too_large");
    for body in ["{", "nonsense", ""] {
        let request = Request::post("/calls")
            .header(header::AUTHORIZATION, format!("Bearer {ada}"))
            .header(header::CONTENT_TYPE, "application/json");
        api.send(request.body(Body::from(body)).unwrap()).await.assert_problem(400, "bad_request");
    }
    let plain = Request::post("/calls").header(header::AUTHORIZATION, format!("Bearer {ada}"));
    let plain = plain.header(header::CONTENT_TYPE, "text/plain").body(Body::from("{}")).unwrap();
    api.send(plain).await.assert_problem(415, "unsupported_media_type");
    for query in ["limit=0", "limit=101", "limit=x", "cursor=nonsense", "status=nonsense"] {
        api.get(&format!("/calls/group/{group}?{query}"), &ada).await.assert_problem(400, "bad_request");
    }
    for name in [json!(""), json!("  "), json!("a\nb"), json!("x".repeat(101)), json!(7), json!(null)] {
        api.post("/groups", &ada, json!({ "name": name })).await.assert_problem(400, "bad_request");
    }

    let call = api.post("/calls", &ada, json!({"groupId": group})).await.body;
    let path = format!("/calls/{}", call["id"].as_str().unwrap());
    let other = json!({"callId": Uuid::new_v4()});
    for (method, verb) in [("POST", "/join"), ("POST", "/leave"), ("PATCH", "/end")] {
        api.ask(method, &format!("{path}{verb}"), &ada, Some(other.clone()))
            .await
            .assert_problem(400, "bad_request");
    }
    let reason = json!({"reason": "last-left"});
    api.ask("PATCH", &format!("{path}/end"), &ada, Some(reason)).await.assert_problem(400, "bad_request");
    api.ask("PATCH", &format!("{path}/metadata"), &ada, None)
        .await
        .assert_problem(415, "unsupported_media_type");
    let leg = json!({"legId": Uuid::new_v4()});
    api.post(&format!("{path}/leave"), &ada, leg).await.assert_problem(404, "not_found");
    assert_eq!(api.get(&path, &ada).await.body["status"], "waiting");
}

#[tokio::test]
async fn unknown_paths_and_methods_get_a_problem() {
    let api = Api::new().await;
    api.get("/nothing/here", "").await.assert_problem(404, "not_found");
    api.ask("DELETE", "/calls", "", None).await.assert_problem(405, "method_not_allowed");
    api.ask("PUT", "/users/me", "", None).await.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn what_anyone_may_ask() {
    let api = Api::new().await;
    assert_eq!(api.get("/health/live", "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.get("/health/ready", "").await.status, StatusCode::NO_CONTENT);
    let capabilities = api.get("/rtp-capabilities", "").await;
    assert!(capabilities.body["codecs"].is_array());
    assert!(capabilities.headers.contains_key(header::CACHE_CONTROL));
    api.get("/ice-servers", "").await.assert_problem(401, "unauthorized");
    let (_, ada) = api.user("Ada").await;
    assert_eq!(api.get("/ice-servers", &ada).await.body, json!({"iceServers": []}));
    assert_eq!(api.get("/openapi.json", "").await.body["openapi"], "3.1.0");
    assert_eq!(api.get("/docs/", "").await.status, StatusCode::OK);
    api.world.control.store.close().await;
    let down = api.get("/health/ready", "").await;
    down.assert_problem(503, "unavailable");
    assert!(down.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn only_pages_of_allowed_origins_may_ask() {
    let api = Api::new().await;
    let ask = async |origin: &str| {
        let request =
            Request::get("/health/live").header(header::ORIGIN, origin).body(Body::empty()).unwrap();
        let headers = api.send(request).await.headers;
        headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|origin| origin.to_str().unwrap().to_owned())
    };
    assert_eq!(ask("http://localhost:5173").await.as_deref(), Some("http://localhost:5173"));
    assert_eq!(ask("https://evil.example").await, None);
}

fn sign_in(host: &str, peer: &str, more: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = Request::post("/auth/dev-token").header(header::HOST, host);
    request = request.header(header::CONTENT_TYPE, "application/json");
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let peer: SocketAddr = peer.parse().unwrap();
    request.extension(ConnectInfo(peer)).body(Body::from(r#"{"name":"Ada"}"#)).unwrap()
}

#[tokio::test]
async fn dev_sign_in_is_for_this_machine_alone() {
    let data = tempfile::tempdir().unwrap();
    let api = Api::with(SignIn::Dev { data_dir: data.path().to_owned() }).await;
    let first = api.send(sign_in("localhost:3000", "127.0.0.1:5000", &[])).await;
    let second = api.send(sign_in("[::1]:3000", "[::1]:5000", &[("origin", "http://localhost:5173")])).await;
    assert_eq!((first.status, &first.body["user"]), (StatusCode::OK, &second.body["user"]));
    assert_eq!(first.body["user"]["name"], "Ada");
    let token = first.body["token"].as_str().unwrap();
    assert_eq!(api.get("/users/me", token).await.body["id"], first.body["user"]["id"]);
    assert_eq!(api.get("/users?name=a", token).await.body["items"], json!([first.body["user"]]));

    for request in [
        sign_in("localhost:3000", "10.0.0.2:5000", &[]),
        sign_in("calls.example", "127.0.0.1:5000", &[]),
        sign_in("localhost", "127.0.0.1:5000", &[("origin", "https://evil.example")]),
        sign_in("localhost", "127.0.0.1:5000", &[("x-forwarded-for", "10.0.0.2")]),
        sign_in("localhost", "127.0.0.1:5000", &[("forwarded", "for=10.0.0.2")]),
    ] {
        api.send(request).await.assert_problem(403, "forbidden");
    }
    let nowhere =
        Request::post("/auth/dev-token").header(header::HOST, "localhost").body(Body::empty()).unwrap();
    api.send(nowhere).await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn a_server_with_a_secret_has_no_dev_sign_in() {
    let api = Api::new().await;
    api.send(sign_in("localhost:3000", "127.0.0.1:5000", &[])).await.assert_problem(404, "not_found");
    let (_, ada) = api.user("Ada").await;
    api.get("/users?name=A", &ada).await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn a_new_name_in_the_token_is_the_users_name() {
    let api = Api::new().await;
    let (id, _) = api.user("Ada").await;
    let renamed =
        api.world.control.auth.mint(&id.to_string(), Some("Ada L."), Duration::from_secs(60), now()).unwrap();
    api.get("/users/me", &renamed).await;
    assert_eq!(api.world.control.store.user(id).await.unwrap().unwrap().name, "Ada L.");
    let person = Person { id, name: "Ada L.".to_owned() };
    let group = api.world.group(&person, &[]).await;
    let members = api.get(&format!("/groups/{group}/members"), &renamed).await.body;
    assert_eq!(members["items"][0]["name"], "Ada L.");
}

#[test]
fn the_document_names_every_operation_once_and_its_problems() {
    let document = serde_json::to_value(openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations: Vec<_> = paths.values().flat_map(|path| path.as_object().unwrap().values()).collect();
    let mut ids: Vec<_> =
        operations.iter().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), operations.len());
    assert_eq!(operations.len(), 39);
    for operation in operations {
        let (signed, refuses) = (operation["security"].is_array(), operation["responses"]["401"].is_object());
        assert_eq!(signed, refuses, "{operation}");
    }
    assert_eq!(document["info"]["license"]["name"], "Apache-2.0");
}
