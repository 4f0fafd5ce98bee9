//! The parts of the OpenAPI document that belong to no operation.

use std::sync::LazyLock;

use axum::http::{HeaderName, header};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::openapi;
use crate::{
    carriers::{self, http::Problem},
    error::{ErrorCode, Refusal},
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Switchyard", description = PROSE),
    // The WebSocket carrier routes this path.
    paths(carriers::websocket::open_web_socket),
    components(schemas(Problem)),
    modifiers(&Bearer),
    tags(
        (name = "calls", description = "The durable record of calls"),
        (name = "moderation", description = "Who may do what in a call"),
        (name = "recordings", description = "What was recorded of calls"),
        (name = "groups", description = "The people who may take part"),
        (name = "users", description = "Who is who"),
        (name = "media", description = "What clients need to connect"),
        (name = "admin", description = "For the app that embeds the server, and for admins"),
        (name = "operations", description = "Is it up?"),
    )
)]
pub(super) struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = SecurityScheme::Http(
            Http::builder()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .description(Some(TOKEN))
                .build(),
        );
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// Answers with the document. It is generated at the first request, and kept as text.
pub(super) async fn serve() -> Result<([(HeaderName, &'static str); 1], &'static str), Refusal> {
    static TEXT: LazyLock<Option<String>> = LazyLock::new(|| openapi().to_json().ok());
    let text = TEXT.as_deref().ok_or(Refusal::new(ErrorCode::Internal, "the document cannot be written"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text))
}

const PROSE: &str = "\
Calls for an app that already has people and groups.

Whatever does not work is answered with an `application/problem+json` (RFC 9457) whose `code` is stable. A path that \
is none is a 404 `not_found`, a method that its path does not know a 405 `method_not_allowed`. Bodies are refused for \
members that are not described here. Where a `Retry-After` comes with a problem, the same request may succeed then.

Live clients talk over sockets instead, which this document is not about.";
const TOKEN: &str = "\
The token of a user: a JWT signed with `JWT_SECRET` or by the provider behind `JWKS_URL`. Or the `SERVICE_TOKEN` of \
the app itself, which is no JWT: it does what the tag `admin` holds, and reads and moderates everything, but takes \
part in nothing.";
