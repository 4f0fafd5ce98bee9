//! Video held to its share while there is too much to do.

use super::Router;
use crate::context::Context;
use crate::event::Event;
use crate::keys::ConsumerKey;

impl Router {
    /// Brings all consumers in line with what is to be left out.
    pub(crate) fn ration_video(&mut self, ctx: &mut Context<'_>) {
        let consumers: Vec<ConsumerKey> = self.consumers.keys().collect();
        consumers.into_iter().for_each(|consumer| self.ration(consumer, ctx));
        let producers: Vec<_> = self.producers.keys().collect();
        producers.into_iter().for_each(|producer| self.retarget(producer, ctx));
    }

    /// Brings a consumer in line with what is to be left out; its producer is to be retargeted then. Its client is
    /// told of a picture that stops, and of one that goes on by the key frame that it goes on with.
    pub(super) fn ration(&mut self, key: ConsumerKey, ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get_mut(key) else { return };
        let was_shed = consumer.is_shed();
        consumer.ration(ctx.shed.ration(consumer.id));
        if !was_shed && consumer.is_shed() {
            ctx.counters.video_shed += 1;
            if let Some(layers) = consumer.layers_change() {
                let event = Event::ConsumerLayers { consumer: consumer.id, layers };
                ctx.outbox.events.push_back((self.id, event));
            }
        }
    }
}
