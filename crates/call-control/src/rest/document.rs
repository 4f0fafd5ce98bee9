use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::signaling;

/// What the OpenAPI document says besides the paths.
#[derive(OpenApi)]
#[openapi(
    info(title = "Switchyard", description = "Calls for an app that already has people and groups."),
    // Its carrier routes it.
    paths(signaling::websocket::open_web_socket),
    modifiers(&Bearer),
    tags(
        (name = "calls", description = "The durable record of calls"),
        (name = "moderation", description = "Who may do what in a call"),
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
        let scheme =
            SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build());
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}
