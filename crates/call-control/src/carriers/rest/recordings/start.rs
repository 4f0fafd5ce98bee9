use axum::{
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    call::{Consent, RecordingLayer, RecordingMode},
    calls::RecordingWish,
    carriers::{
        http::problems::{About, Body, Counted, Signed, Taping},
        rest::extract::{Caller, Json, OptionalJson, Path},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
    recordings::RecordingView,
};

#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"mode": "video"}))]
pub(in crate::carriers::rest) struct StartRecording {
    /// `video` by default: sound and pictures.
    mode: Option<RecordingMode>,
    /// The highest of the three sizes of a video that is recorded; by default `RECORDING_LAYER`.
    layer: Option<RecordingLayer>,
    /// By default `RECORDING_CONSENT`, and not less than that: where it is `ask`, so is this.
    consent: Option<Consent>,
}

/// Start recording a call
///
/// What each device sends becomes files of its own, as it was sent. Everybody in the call is told. For those whom
/// `RECORDING_BY` names, server admins and the service.
#[utoipa::path(
    post, path = "/calls/{id}/recordings", tag = "recordings", security(("token" = [])),
    params(("id" = CallId, Path)),
    request_body = Option<StartRecording>,
    responses(
        (status = 201, body = RecordingView,
            headers(("Location" = String, description = "The path of the recording"))),
        Counted, Signed, About, Body, Taping,
    )
)]
pub(in crate::carriers::rest) async fn start_recording(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
    OptionalJson(body): OptionalJson<StartRecording>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<RecordingView>), Refusal> {
    let StartRecording { mode, layer, consent } = body;
    let wish = RecordingWish { mode, layer, consent };
    let (id, _) = control.calls.start_recording(&by, call, wish).await?;
    let view = control.recordings.changed(id).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/recordings/{id}"))], Json(view)))
}
