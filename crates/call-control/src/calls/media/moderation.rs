//! Moderation of media: muting a producer and applying changed permissions.

use switchyard_media_worker::media::{DataConsumerCloseReason, ProducerId};

use super::{CallMedia, not_found};
use crate::{
    call::{Permissions, ProducerRef},
    error::Refusal,
    ids::UserId,
    wire::event::CloseReason,
};

impl CallMedia {
    /// The producer with the leg and the user that own it.
    ///
    /// # Errors
    /// `not_found`.
    pub fn producer(&self, id: ProducerId) -> Result<ProducerRef, Refusal> {
        self.producers
            .get(&id)
            .map(ProducerRef::from)
            .ok_or_else(|| not_found("no such producer in this call"))
    }

    /// Pauses a producer of any leg; its owner may resume it. Returns false if it was paused already.
    ///
    /// # Errors
    /// `not_found`, `unavailable` when the worker is gone.
    pub async fn silence(&mut self, id: ProducerId) -> Result<bool, Refusal> {
        self.producer(id)?;
        self.router.pause_producer(id).await?;
        let Some(producer) = self.producers.get_mut(&id) else { return Ok(false) };
        if std::mem::replace(&mut producer.paused, true) {
            return Ok(false);
        }
        self.tell_consumers_of_pause(id, true);
        Ok(true)
    }

    /// Applies new permissions to all legs of a user: closes their producers and consumers that are not
    /// permitted.
    pub async fn restrict(&mut self, user: UserId, permissions: &Permissions) {
        let theirs: Vec<_> =
            self.legs.iter().filter(|(_, leg)| leg.user == user).map(|(id, _)| *id).collect();
        for leg in theirs {
            let Some(owned) = self.legs.get_mut(&leg) else { continue };
            owned.permissions = permissions.clone();
            let producers: Vec<_> = owned.producers.iter().copied().collect();
            let data_producers: Vec<_> = owned.data_producers.iter().copied().collect();
            let consumers: Vec<_> = owned.consumers.keys().copied().collect();
            let data_consumers: Vec<_> = owned.data_consumers.keys().copied().collect();
            for producer in producers {
                let source = self.producers.get(&producer).map(|producer| producer.app_data.source);
                if source.is_some_and(|source| !permissions.can_publish.contains(&source)) {
                    // If the worker does not answer, its producers are gone too.
                    let _ = self.router.close_producer(producer).await;
                    self.forget_producer(producer);
                }
            }
            for data_producer in data_producers.into_iter().filter(|_| permissions.can_publish.is_empty()) {
                let _ = self.router.close_data_producer(data_producer).await;
                self.forget_data_producer(data_producer);
            }
            for consumer in consumers.into_iter().filter(|_| !permissions.can_subscribe) {
                let _ = self.router.close_consumer(consumer).await;
                self.forget_consumer(consumer, Some(CloseReason::NotPermitted));
            }
            for data_consumer in data_consumers.into_iter().filter(|_| !permissions.can_subscribe) {
                let _ = self.router.close_data_consumer(data_consumer).await;
                self.forget_data_consumer(data_consumer, Some(DataConsumerCloseReason::ProducerClosed));
            }
        }
    }
}
