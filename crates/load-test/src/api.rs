//! The REST requests of a run: users, a group of them, a call in the group.

use crate::advice::setting_to_raise;
use crate::cli::Options;
use anyhow::{Context, Result, anyhow, bail};
use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::{Client, Method, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// The server's REST interface.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    base: Url,
    token_secret: Option<String>,
    service_token: Option<String>,
}

/// A signed-in user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) token: String,
}

#[derive(Deserialize)]
struct Identified {
    id: String,
}

#[derive(Deserialize)]
struct DevToken {
    token: String,
    user: Identified,
}

impl Api {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let client =
            Client::builder().timeout(TIMEOUT).no_proxy().pool_max_idle_per_host(IDLE_CONNECTIONS).build()?;
        Ok(Self {
            client,
            base: options.server.url.clone(),
            token_secret: options.server.token_secret.clone(),
            service_token: options.server.service_token.clone(),
        })
    }

    /// Fails with advice if no server answers.
    pub(crate) async fn check_alive(&self) -> Result<()> {
        let health = self.client.get(self.base.join("/health/live")?).send().await;
        let advice = || format!("no Switchyard server answers at {}; `make run` starts one", self.base);
        health.and_then(reqwest::Response::error_for_status).map(drop).with_context(advice)
    }

    pub(crate) async fn sign_in(&self, name: &str) -> Result<User> {
        let Some(secret) = &self.token_secret else {
            let request = self.client.post(self.base.join("/auth/dev-token")?).json(&json!({ "name": name }));
            let advice = "signing in (a server with JWT_SECRET set needs --token-secret)";
            let DevToken { token, user } = serde_json::from_value(call(request).await.context(advice)?)?;
            return Ok(User { id: user.id, token });
        };
        let expires = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)? + TOKEN_LIFE;
        let subject = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        let claims = json!({ "sub": subject, "name": name, "exp": expires.as_secs() });
        let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))?;
        let me = self.request(Method::GET, "/users/me", &token)?;
        let Identified { id } = serde_json::from_value(call(me).await.context("signing in")?)?;
        Ok(User { id, token })
    }

    pub(crate) async fn rtp_capabilities(&self) -> Result<Value> {
        call(self.client.get(self.base.join("/rtp-capabilities")?)).await
    }

    /// Creates a group with the members `owner` and `others`.
    pub(crate) async fn create_group(&self, name: &str, owner: &User, others: &[User]) -> Result<String> {
        let group = match &self.service_token {
            Some(service) => {
                let group = Uuid::new_v4().to_string();
                self.put(service, &format!("/groups/{group}"), json!({ "name": name })).await?;
                self.add_member(&group, owner, owner).await?;
                group
            }
            None => {
                let request =
                    self.request(Method::POST, "/groups", &owner.token)?.json(&json!({ "name": name }));
                let made = call(request).await.context("creating a group")?;
                serde_json::from_value::<Identified>(made)?.id
            }
        };
        for user in others {
            self.add_member(&group, owner, user).await?;
        }
        Ok(group)
    }

    pub(crate) async fn add_member(&self, group: &str, owner: &User, user: &User) -> Result<()> {
        if let Some(service) = &self.service_token {
            return self.put(service, &format!("/groups/{group}/members/{}", user.id), json!({})).await;
        }
        let request = self.request(Method::POST, &format!("/groups/{group}/members"), &owner.token)?;
        call(request.json(&json!({ "userId": user.id }))).await.context("adding a member").map(drop)
    }

    pub(crate) async fn create_call(&self, group: &str, user: &User) -> Result<String> {
        let request = self.request(Method::POST, "/calls", &user.token)?;
        let call = call(request.json(&json!({ "groupId": group, "type": "video" })))
            .await
            .context("creating a call")?;
        Ok(serde_json::from_value::<Identified>(call)?.id)
    }

    pub(crate) async fn join_call(&self, call_id: &str, user: &User) -> Result<()> {
        call(self.request(Method::POST, &format!("/calls/{call_id}/join"), &user.token)?).await.map(drop)
    }

    pub(crate) async fn end_call(&self, call_id: &str, owner: &User) -> Result<()> {
        call(self.request(Method::PATCH, &format!("/calls/{call_id}/end"), &owner.token)?).await.map(drop)
    }

    /// Starts recording. Returns the recording's id.
    pub(crate) async fn start_recording(&self, call_id: &str, owner: &User) -> Result<String> {
        let request = self.request(Method::POST, &format!("/calls/{call_id}/recordings"), &owner.token)?;
        Ok(serde_json::from_value::<Identified>(call(request.json(&json!({}))).await?)?.id)
    }

    pub(crate) async fn stop_recording(&self, id: &str, owner: &User) -> Result<()> {
        call(self.request(Method::PATCH, &format!("/recordings/{id}/stop"), &owner.token)?).await.map(drop)
    }

    pub(crate) async fn recording(&self, id: &str, owner: &User) -> Result<Value> {
        call(self.request(Method::GET, &format!("/recordings/{id}"), &owner.token)?).await
    }

    /// Deletes the group, which ends its running call, so that a run leaves no data on the server.
    pub(crate) async fn delete_group(&self, group: &str, owner: &User) -> Result<()> {
        let token = self.service_token.as_ref().unwrap_or(&owner.token);
        call(self.request(Method::DELETE, &format!("/groups/{group}"), token)?).await.map(drop)
    }

    async fn put(&self, token: &str, path: &str, body: Value) -> Result<()> {
        call(self.request(Method::PUT, path, token)?.json(&body)).await.map(drop)
    }

    fn request(&self, method: Method, path: &str, token: &str) -> Result<RequestBuilder> {
        Ok(self.client.request(method, self.base.join(path)?).bearer_auth(token))
    }
}

/// Sends a request. Returns the body of a successful answer (null if it has none), or the problem as an
/// error.
async fn call(request: RequestBuilder) -> Result<Value> {
    let response = request.send().await?;
    let (status, path) = (response.status(), response.url().path().to_owned());
    let body = response.text().await?;
    let value: Value =
        if body.is_empty() { Value::Null } else { serde_json::from_str(&body).unwrap_or_default() };
    if status.is_success() {
        return Ok(value);
    }
    let setting = setting_to_raise(status.as_u16(), value["code"].as_str().unwrap_or_default());
    let detail = value["detail"].as_str().or(value["title"].as_str());
    match detail {
        Some(detail) => bail!("{path} answered {status}: {detail}{setting}"),
        None => Err(anyhow!("{path} answered {status}{setting}")),
    }
}

const TIMEOUT: Duration = Duration::from_secs(20);
/// Idle HTTP connections kept. Peers send no requests after sign-in, and idle connections would use the
/// server's memory.
const IDLE_CONNECTIONS: usize = 16;
/// Longer than any run.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3_600);
