use axum::http::{HeaderName, header};
use switchyard_media_worker::media::ortc::{RtpCapabilities, router_rtp_capabilities};

use super::extract::Json;
use crate::carriers::http::problems::Limited;

/// What every router of this server can do
///
/// The `RtpCapabilities` that mediasoup-client's `device.load` takes; the same for every call.
#[utoipa::path(
    get, path = "/rtp-capabilities", tag = "media",
    responses((status = 200, body = serde_json::Value), Limited)
)]
pub(in crate::carriers::rest) async fn get_rtp_capabilities()
-> ([(HeaderName, &'static str); 1], Json<&'static RtpCapabilities>) {
    ([(header::CACHE_CONTROL, "public, max-age=3600")], Json(router_rtp_capabilities()))
}
