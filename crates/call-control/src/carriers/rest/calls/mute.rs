use axum::extract::State;
use serde::Deserialize;
use switchyard_media_worker::media::ProducerId;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    call::CallView,
    carriers::{
        http::problems::{About, Body, Counted, Running, Signed},
        rest::extract::{Caller, Json, OptionalJson, Path},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
};

#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"force": true}))]
pub(in crate::carriers::rest) struct MuteProducer {
    /// Pause it rather than ask its sender to.
    force: bool,
}

/// Ask somebody to pause what they send, or pause it
///
/// For the call's initiator and the group's admins, about people whose role is not above theirs. The sender may
/// resume; to prevent that, change what they may publish.
#[utoipa::path(
    post, path = "/calls/{id}/producers/{producerId}/mute", tag = "moderation", security(("token" = [])),
    params(("id" = CallId, Path), ("producerId" = Uuid, Path)),
    request_body = Option<MuteProducer>,
    responses(
        (status = 200, body = CallView),
        Counted, Signed, About, Body, Running,
    )
)]
pub(in crate::carriers::rest) async fn mute_producer(
    State(control): State<Control>,
    Caller(by): Caller,
    Path((call, producer)): Path<(CallId, Uuid)>,
    OptionalJson(body): OptionalJson<MuteProducer>,
) -> Result<Json<CallView>, Refusal> {
    control.calls.mute(&by, call, ProducerId(producer), body.force).await.map(Json)
}
