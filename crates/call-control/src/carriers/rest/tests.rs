//! The REST API as clients see it.

mod access;
mod audit;
mod bad_input;
mod calls;
mod dev_sign_in;
mod document;
mod groups;
mod idempotency;
mod limits;
mod moderation;
mod operations;
mod provisioning;
mod recordings;

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{Request, StatusCode, header, request::Builder},
    middleware::from_fn_with_state,
};
use chrono::{DateTime, Utc};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use super::{cors, openapi, router, watch_for_proxies};
use crate::{
    ControlConfig,
    actor::Person,
    auth::{AuthConfig, SignIn},
    carriers::http::{Gate, note_client_address, pass_gate},
    clock::now,
    ids::UserId,
    testing::{SECRET, TestStore, World, slow_rules},
};

/// A server and the people who use it.
struct Api {
    world: World,
    gate: Gate,
    _store: TestStore,
}

struct Answer {
    status: StatusCode,
    content_type: String,
    headers: axum::http::HeaderMap,
    body: Value,
    bytes: Vec<u8>,
}

impl Api {
    async fn new() -> Self {
        Self::with(SignIn::Secret(SECRET.into())).await
    }

    async fn with(sign_in: SignIn) -> Self {
        Self::configured(|config| config.auth = AuthConfig::new(sign_in)).await
    }

    /// A server whose app has the service token [`SERVICE`].
    async fn of_an_app() -> Self {
        Self::configured(|config| config.auth.service_token = Some(SERVICE.into())).await
    }

    async fn configured(change: impl FnOnce(&mut ControlConfig)) -> Self {
        let store = TestStore::sqlite().await;
        let mut config = World::config(&store, slow_rules(), SignIn::Secret(SECRET.into()));
        change(&mut config);
        let world = World::with(config).await;
        let gate = Gate::new(Arc::clone(&world.control.limiter));
        Self { world, gate, _store: store }
    }

    /// A token of an app whose id for the user is `sub`.
    fn token_of(sub: &str, issued: DateTime<Utc>, more: &Value) -> String {
        let expires = issued + Duration::from_secs(3600);
        let mut claims = json!({"sub": sub, "iat": issued.timestamp(), "exp": expires.timestamp()});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
    }

    /// A user who has signed in once, with a token.
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
        let control = &self.world.control;
        let (method, path) = (request.method().to_string().to_lowercase(), request.uri().path().to_owned());
        let client_address = from_fn_with_state(Arc::clone(&control.trusted_proxies), note_client_address);
        let gate = from_fn_with_state(self.gate.clone(), pass_gate);
        let proxies = from_fn_with_state(control.clone(), watch_for_proxies);
        let router =
            router(control.clone()).layer(cors(control)).layer(gate).layer(client_address).layer(proxies);
        let response = router.oneshot(request).await.unwrap();
        assert_documented(&method, &path, response.status());
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let content_type =
            parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
        Answer {
            status: parts.status,
            content_type: content_type.unwrap_or_default(),
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            bytes: bytes.into(),
        }
    }

    /// Sends a request from this peer address, with the token besides the request's headers.
    async fn ask_from(&self, peer: &str, request: Builder, token: &str) -> Answer {
        let peer: SocketAddr = format!("{peer}:5000").parse().unwrap();
        let request =
            request.header(header::AUTHORIZATION, format!("Bearer {token}")).extension(ConnectInfo(peer));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// A running call of Ada in [`Api::team`]: Ada's token, Bob's token, the group, and the path of the call.
    async fn call(&self) -> (String, String, String, String) {
        let (ada, bob, group) = self.team().await;
        let call = self.post("/calls", &ada, json!({"groupId": group})).await.body;
        (ada, bob, group, format!("/calls/{}", call["id"].as_str().unwrap()))
    }

    async fn id_of(&self, token: &str) -> String {
        self.get("/users/me", token).await.body["id"].as_str().unwrap().to_owned()
    }

    /// A group with Ada as owner and Bob as member.
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

/// Checks that the OpenAPI document lists the status for this operation.
#[track_caller]
fn assert_documented(method: &str, path: &str, status: StatusCode) {
    let fits = |template: &str| {
        let (wanted, found): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        let same =
            wanted.iter().zip(&found).all(|(wanted, found)| wanted == found || wanted.starts_with('{'));
        same && wanted.len() == found.len()
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let best =
        paths.keys().filter(|template| fits(template)).min_by_key(|template| template.matches('{').count());
    let Some(operation) = best.and_then(|template| paths[template].get(method)) else { return };
    let named = &operation["responses"][status.as_str()];
    assert!(named.is_object(), "{method} {path} answered {status}: {}", operation["responses"]);
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(openapi()).unwrap());

const SERVICE: &str = "a token that only the app itself knows";
