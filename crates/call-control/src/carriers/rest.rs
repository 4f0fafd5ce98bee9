//! The REST API: one file per operation, each a thin layer over a service operation. The router and the
//! OpenAPI document come from the same declarations.

mod admin;
mod auth;
mod calls;
mod document;
mod extract;
mod groups;
mod health;
mod ice_servers;
mod once;
mod recordings;
mod rtp_capabilities;
mod users;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, HeaderValue, Method, header},
    routing::get,
};
use tower_http::{cors::CorsLayer, set_header::SetResponseHeaderLayer};
use utoipa::{OpenApi, openapi::OpenApi as Document};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};
use utoipa_swagger_ui::{Config, SwaggerUi};

pub use auth::watch_for_proxies;

use crate::{
    carriers::{
        http::{NO_STORE, method_not_allowed},
        origin::cors_rule,
    },
    control::Control,
    error::{ErrorCode, Refusal},
};

/// The router of all operations, `/openapi.json` and `/docs`. An unknown path is answered with a problem
/// document; a server that also has pages sets its own fallback. Pages of other origins need [`cors`] around
/// the router.
///
/// Dev sign-in only works when the server runs with `into_make_service_with_connect_info::<SocketAddr>()`.
pub fn router(control: Control) -> Router {
    let docs = Router::from(SwaggerUi::new("/docs").config(Config::from(DOCUMENT)));
    routed(DECLARED)
        .layer(unless_set(header::CACHE_CONTROL, NO_STORE))
        .merge(routed(PROBES))
        .route(DOCUMENT, get(document::serve))
        .merge(docs.layer(unless_set(header::CONTENT_SECURITY_POLICY, DOCS_POLICY)))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(control.limits.body_bytes))
        .with_state(control)
}

/// The OpenAPI 3.1 document of the router.
#[must_use]
pub fn openapi() -> Document {
    let api = OpenApiRouter::with_openapi(document::Api::openapi());
    DECLARED.iter().chain(PROBES).fold(api, |api, declare| api.routes(declare())).into_openapi()
}

/// CORS layer for the allowed origins. Tokens are sent in a header, so credentials need not be allowed.
pub fn cors(control: &Control) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(cors_rule(Arc::clone(&control.origins)))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::RANGE,
            header::IF_RANGE,
            HeaderName::from_static(once::HEADER),
        ])
        .expose_headers([
            header::RETRY_AFTER,
            header::ACCEPT_RANGES,
            header::CONTENT_DISPOSITION,
            header::CONTENT_RANGE,
            header::ETAG,
        ])
}

/// Adds the paths one by one, so that only one path's part of the OpenAPI document is in memory; the whole
/// takes megabytes.
fn routed(declared: &[Declare]) -> Router<Control> {
    declared.iter().fold(Router::new(), |router, declare| {
        router.merge(Router::from(OpenApiRouter::new().routes(declare())))
    })
}

fn unless_set(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

async fn not_found() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "there is nothing under this path")
}

/// The handlers of a path with their descriptions in the document.
type Declare = fn() -> UtoipaMethodRouter<Control>;

const DECLARED: &[Declare] = &[
    || routes!(calls::create::create_call),
    || routes!(calls::get::get_call),
    || routes!(calls::of_group::calls_of_group),
    || routes!(calls::active_of_group::active_call_of_group),
    || routes!(calls::active_of_user::active_calls_of_user),
    || routes!(calls::missed::missed_calls, calls::missed::see_missed_calls),
    || routes!(calls::ring::ring_people),
    || routes!(calls::decline::decline_call),
    || routes!(calls::invitations::invitations_of_call),
    || routes!(calls::join::join_call),
    || routes!(calls::leave::leave_call),
    || routes!(calls::end::end_call),
    || routes!(calls::metadata::update_metadata),
    || routes!(calls::legs::legs_of_call),
    || routes!(calls::events::events_of_call),
    || routes!(calls::participants::participants_of_call),
    || routes!(calls::permit::permit_participant, calls::remove::remove_participant),
    || routes!(calls::mute::mute_producer),
    || routes!(calls::lock::lock_call),
    || routes!(recordings::of_call::recordings_of_call, recordings::start::start_recording),
    || routes!(recordings::pause::pause_recording),
    || routes!(recordings::stop::stop_recording),
    || routes!(recordings::of_group::recordings_of_group),
    || routes!(recordings::get::get_recording, recordings::delete::delete_recording),
    || routes!(recordings::delete_track::delete_recording_track),
    || routes!(recordings::link::make_recording_link),
    || routes!(recordings::file::get_recording_file, recordings::file::head_recording_file),
    || routes!(recordings::live::get_live_track),
    || routes!(recordings::timeline::get_timeline),
    || routes!(recordings::captions::get_captions, recordings::put_captions::put_captions),
    || routes!(groups::create::create_group, groups::list::list_groups),
    || {
        routes!(
            groups::get::get_group,
            groups::put::put_group,
            groups::rename::rename_group,
            groups::delete::delete_group
        )
    },
    || routes!(groups::members::list_members, groups::add_member::add_member),
    || {
        routes!(
            groups::put_member::put_member,
            groups::set_role::set_role,
            groups::remove_member::remove_member
        )
    },
    || routes!(users::me::get_me, users::me::change_me),
    || routes!(users::put::put_user),
    || routes!(users::revoke_sessions::revoke_sessions),
    || routes!(users::search::search_users),
    || routes!(ice_servers::list_ice_servers),
    || routes!(rtp_capabilities::get_rtp_capabilities),
    || routes!(auth::dev_token),
    || routes!(admin::sweep::sweep),
    || routes!(admin::audit::list_audit),
];
/// The probes of load balancers. They are not rate limited: requests of its clients may count for the address
/// of a load balancer.
const PROBES: &[Declare] = &[|| routes!(health::live), || routes!(health::ready)];
const DOCUMENT: &str = "/openapi.json";
/// Swagger UI loads its own files, asks this server, and sets styles from its script.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests;
