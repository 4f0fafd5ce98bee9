//! Field types of payloads: bounded text, and one id or a list of ids.

use std::{collections::HashSet, hash::Hash};

use serde::{Deserialize, Serialize};
use switchyard_media_worker::media::ortc::Layers;
use switchyard_media_worker::media::{ConsumerId, ProducerId, TransportId};
use ts_rs::TS;

use super::{Consume, Consumers};
use crate::ids::UserId;

/// Text of at most `MAX` bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = TooMany;

    fn try_from(text: String) -> Result<Self, TooMany> {
        if text.len() > MAX { Err(TooMany { limit: MAX, what: "bytes" }) } else { Ok(Self(text)) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("more than {limit} {what}")]
pub struct TooMany {
    limit: usize,
    what: &'static str,
}

#[derive(Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields)]
pub(super) struct RawConsume {
    #[ts(type = "string")]
    transport_id: TransportId,
    #[ts(type = "string", optional)]
    producer_id: Option<ProducerId>,
    #[ts(type = "string[]", optional)]
    producer_ids: Option<Vec<ProducerId>>,
    paused: Option<bool>,
    #[ts(type = "{ spatialLayer: number; temporalLayer?: number }", optional)]
    preferred_layers: Option<Layers>,
}

impl TryFrom<RawConsume> for Consume {
    type Error = IdsError;

    fn try_from(raw: RawConsume) -> Result<Self, IdsError> {
        Ok(Self {
            transport_id: raw.transport_id,
            producer_ids: one_or_many(raw.producer_id, raw.producer_ids)?,
            paused: raw.paused.unwrap_or(true),
            preferred_layers: raw.preferred_layers,
        })
    }
}

#[derive(Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawConsumers {
    #[ts(type = "string", optional)]
    consumer_id: Option<ConsumerId>,
    #[ts(type = "string[]", optional)]
    consumer_ids: Option<Vec<ConsumerId>>,
}

impl TryFrom<RawConsumers> for Consumers {
    type Error = IdsError;

    fn try_from(raw: RawConsumers) -> Result<Self, IdsError> {
        Ok(Self { consumer_ids: one_or_many(raw.consumer_id, raw.consumer_ids)? })
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum IdsError {
    #[error("give one id or a list of ids")]
    OneOfBoth,
    #[error("the same id is given twice")]
    Repeated,
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

fn one_or_many<T: Eq + Hash>(one: Option<T>, many: Option<Vec<T>>) -> Result<Vec<T>, IdsError> {
    match (one, many) {
        (Some(id), None) => Ok(vec![id]),
        (None, Some(ids)) if ids.len() > MAX_IDS => Err(TooMany { limit: MAX_IDS, what: "ids" }.into()),
        (None, Some(ids)) if ids.iter().collect::<HashSet<_>>().len() < ids.len() => Err(IdsError::Repeated),
        (None, Some(ids)) => Ok(ids),
        (None, None) | (Some(_), Some(_)) => Err(IdsError::OneOfBoth),
    }
}

/// The users to ring: at most [`Rung::MOST`], each once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<UserId>")]
pub struct Rung(Vec<UserId>);

impl Rung {
    pub const MOST: usize = 50;

    pub fn into_vec(self) -> Vec<UserId> {
        self.0
    }
}

impl TryFrom<Vec<UserId>> for Rung {
    type Error = TooMany;

    fn try_from(mut users: Vec<UserId>) -> Result<Self, TooMany> {
        users.sort_unstable();
        users.dedup();
        if users.len() > Self::MOST {
            Err(TooMany { limit: Self::MOST, what: "ids" })
        } else {
            Ok(Self(users))
        }
    }
}

/// The maximum number of consumers of one transport.
pub(super) const MAX_IDS: usize = 200;
