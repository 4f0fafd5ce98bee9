//! Producers as other legs see them, and their recorded changes.

use serde::Serialize;
use serde_json::value::RawValue;
use switchyard_media_worker::media::ortc::{MediaKind, ProducerKind};
use switchyard_media_worker::media::{DataProducerId, ProducerId};
use ts_rs::TS;

use super::AppData;
use crate::ids::{LegId, UserId};

/// A producer as other legs see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProducerView {
    #[ts(type = "string")]
    pub producer_id: ProducerId,
    pub user_id: UserId,
    pub leg_id: LegId,
    #[ts(type = "MediaKind")]
    pub kind: MediaKind,
    #[serde(rename = "type")]
    #[ts(type = "'simple' | 'simulcast' | 'svc'")]
    pub producer_kind: ProducerKind,
    pub paused: bool,
    pub app_data: AppData,
}

/// Which producer, and whose.
#[derive(Debug, Clone, Copy, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProducerRef {
    #[ts(type = "string")]
    pub producer_id: ProducerId,
    pub user_id: UserId,
    pub leg_id: LegId,
}

/// A recorded change of a producer.
#[derive(Debug, Clone)]
pub enum MediaChange {
    ProducerOpened(ProducerView),
    ProducerClosed(ProducerRef),
    ProducerPaused(ProducerRef),
    ProducerResumed(ProducerRef),
}

/// A data producer as other legs see it.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DataProducerView {
    #[ts(type = "string")]
    pub data_producer_id: DataProducerId,
    pub user_id: UserId,
    pub leg_id: LegId,
    pub label: String,
    pub protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(type = "unknown", optional)]
    pub app_data: Option<Box<RawValue>>,
}

impl MediaChange {
    pub fn leg(&self) -> LegId {
        match self {
            Self::ProducerOpened(producer) => producer.leg_id,
            Self::ProducerClosed(producer)
            | Self::ProducerPaused(producer)
            | Self::ProducerResumed(producer) => producer.leg_id,
        }
    }
}

impl From<&ProducerView> for ProducerRef {
    fn from(producer: &ProducerView) -> Self {
        Self { producer_id: producer.producer_id, user_id: producer.user_id, leg_id: producer.leg_id }
    }
}
