//! Extractors: parse requests into types, and answer a malformed request with a problem document.

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, JsonRejection},
    },
    http::request::Parts,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::IntoParams;

use crate::{
    actor::{Actor, Who},
    auth::Identity,
    carriers::http::{bearer, client_address, status},
    control::Control,
    error::{ErrorCode, Refusal},
    ids::{GroupId, UserId, made_here},
    store::{Cursor, PageRequest},
};

/// The caller, according to the bearer token: a user, or the app with its service token.
pub(super) struct Caller(pub(super) Actor);

/// The calling user, according to the bearer token.
pub(super) struct User(pub(super) Identity);

impl FromRequestParts<Control> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Refusal> {
        let address = client_address(&parts.extensions);
        let token = bearer(&parts.headers)?;
        if control.auth.is_service(token) {
            return Ok(Self(Actor { who: Who::Service, address }));
        }
        Ok(Self(authenticate(control, token).await?.actor(address)))
    }
}

impl FromRequestParts<Control> for User {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Refusal> {
        let token = bearer(&parts.headers)?;
        if control.auth.is_service(token) {
            return Err(Refusal::new(
                ErrorCode::Forbidden,
                "only a user can do this, with a token of their own",
            ));
        }
        Ok(Self(authenticate(control, token).await?))
    }
}

async fn authenticate(control: &Control, token: &str) -> Result<Identity, Refusal> {
    let identity = control.authenticate(token).await?;
    control.limiter.count_user(identity.user_id)?;
    Ok(identity)
}

/// The ids in a path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(ids)| Self(ids)).map_err(|rejection| bad_request(rejection.body_text()))
    }
}

/// The user that a path names.
pub(super) fn user_of(control: &Control, id: &str) -> Result<UserId, Refusal> {
    control.auth.user_in_path(id).ok_or_else(|| bad_request(EXTERNAL_ID.to_owned()))
}

/// The user that a path names, for a request that may store a new one: under an id that this server makes
/// from texts, nobody is stored but whom that text names.
pub(super) async fn user_to_put(control: &Control, id: &str) -> Result<UserId, Refusal> {
    let user = user_of(control, id)?;
    if made_here(id).is_some() && control.store.user(user).await?.is_none() {
        return Err(Refusal::new(ErrorCode::NotFound, UNMADE));
    }
    Ok(user)
}

/// The group that a path names.
pub(super) fn group_of(id: &str) -> Result<GroupId, Refusal> {
    GroupId::from_path(id).ok_or_else(|| bad_request(EXTERNAL_ID.to_owned()))
}

/// As [`user_to_put`], for groups.
pub(super) async fn group_to_put(control: &Control, id: &str) -> Result<GroupId, Refusal> {
    let group = group_of(id)?;
    if made_here(id).is_some() && control.store.group(group).await?.is_none() {
        return Err(Refusal::new(ErrorCode::NotFound, UNMADE));
    }
    Ok(group)
}

/// The query parameters.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| bad_request(rejection.body_text()))
    }
}

/// A time in a query, of the years 1970 to 9999: SQLite compares times as text.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "DateTime<Utc>")]
pub(super) struct Moment(pub(super) DateTime<Utc>);

#[derive(Debug, thiserror::Error)]
#[error("a time lies in the years 1970 to 9999")]
pub(super) struct UnusualTime;

impl TryFrom<DateTime<Utc>> for Moment {
    type Error = UnusualTime;

    fn try_from(time: DateTime<Utc>) -> Result<Self, UnusualTime> {
        if (1970..=9999).contains(&time.year()) { Ok(Self(time)) } else { Err(UnusualTime) }
    }
}

/// The JSON body of a request or an answer.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let body = body.map_err(|rejection| refuse_bytes(&rejection))?;
        let is_object = is_object(&body);
        let body = axum::Json::from_request(Request::from_parts(parts, body.into()), state).await;
        match body {
            // serde also accepts an array of a struct's fields; only an object is allowed here.
            Ok(_) if !is_object => Err(bad_request("the body has to be a JSON object".to_owned())),
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(refuse_json(&rejection)),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// An optional JSON body.
pub(super) struct OptionalJson<T>(pub(super) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let body = body.map_err(|rejection| refuse_bytes(&rejection))?;
        if body.is_empty() || body.trim_ascii() == b"null" {
            return Ok(Self(T::default()));
        }
        let Json(body) = Json::from_request(Request::from_parts(parts, body.into()), state).await?;
        Ok(Self(body))
    }
}

/// Which part of a list is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// How many items, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u8>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

impl Paging {
    pub(super) fn request<C: Cursor>(self) -> Result<PageRequest<C>, Refusal> {
        page_request(self.limit, self.cursor.as_deref())
    }
}

pub(super) fn page_request<C: Cursor>(
    limit: Option<u8>,
    cursor: Option<&str>,
) -> Result<PageRequest<C>, Refusal> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(bad_request("limit is 1 to 100".to_owned()));
    }
    let decode = |text| C::decode(text).ok_or_else(|| bad_request("the cursor is not ours".to_owned()));
    Ok(PageRequest { limit, after: cursor.map(decode).transpose()? })
}

fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

fn refuse_json(rejection: &JsonRejection) -> Refusal {
    if let JsonRejection::BytesRejection(rejection) = rejection {
        refuse_bytes(rejection)
    } else if matches!(rejection, JsonRejection::MissingJsonContentType(_)) {
        Refusal::new(ErrorCode::UnsupportedMediaType, "the body has to be application/json")
    } else {
        bad_request(rejection.body_text())
    }
}

pub(super) fn refuse_bytes(rejection: &BytesRejection) -> Refusal {
    if rejection.status() == status(ErrorCode::TooLarge) {
        Refusal::new(ErrorCode::TooLarge, "the body is too large")
    } else {
        bad_request(rejection.body_text())
    }
}

pub(super) fn bad_request(detail: String) -> Refusal {
    Refusal::new(ErrorCode::BadRequest, detail)
}

const EXTERNAL_ID: &str = "an id has 1 to 255 characters";
const UNMADE: &str = "a UUID of version 5 is an id that this server makes, and it made no such one; \
    if it is an id of your app, write `external:` before it";
const DEFAULT_LIMIT: u8 = 50;
const MAX_LIMIT: u8 = 100;
