//! What a change of media means to others.

use serde::Serialize;
use switchyard_media_worker::media::ProducerId;
use ts_rs::TS;

use crate::hub::Audience;
use crate::ids::{CallId, LegId, UserId};
use crate::wire::event::{NewProducer, ProducerChange, ProducerView, ServerEvent, Stamp};

/// Something others must be told.
#[derive(Debug)]
pub enum Notice {
    /// Part of the call's record: the owner stores it, numbers it and tells the call.
    Recorded(MediaChange),
    /// Latest wins, never stored: goes out as it is.
    Observed(Audience, Box<ServerEvent>),
}

/// A recorded change of what a call's people send.
#[derive(Debug, Clone)]
pub enum MediaChange {
    ProducerOpened(ProducerView),
    ProducerClosed(ProducerRef),
    ProducerPaused(ProducerRef),
    ProducerResumed(ProducerRef),
}

#[derive(Debug, Clone, Copy, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProducerRef {
    #[ts(type = "string")]
    pub producer_id: ProducerId,
    pub user_id: UserId,
    pub leg_id: LegId,
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

    /// The event that tells of this change, once it has its place in the call's order.
    pub fn into_event(self, call_id: CallId, stamp: Stamp) -> ServerEvent {
        let change = |producer| ProducerChange::new(call_id, stamp, producer);
        match self {
            Self::ProducerOpened(producer) => {
                ServerEvent::NewProducer(NewProducer { call_id, stamp, producer })
            }
            Self::ProducerClosed(producer) => ServerEvent::ProducerClosed(change(producer)),
            Self::ProducerPaused(producer) => ServerEvent::ProducerPaused(change(producer)),
            Self::ProducerResumed(producer) => ServerEvent::ProducerResumed(change(producer)),
        }
    }
}

impl From<&ProducerView> for ProducerRef {
    fn from(producer: &ProducerView) -> Self {
        Self { producer_id: producer.producer_id, user_id: producer.user_id, leg_id: producer.leg_id }
    }
}
