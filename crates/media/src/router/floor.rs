//! Who of the call has the floor. The home shard ranks the speakers; the shard that receives the dominant speaker's
//! packets tells those that forward its cameras, because these get bandwidth before others.

use super::Router;
use crate::context::Context;
use crate::event::Event;
use crate::id::{ProducerId, ShardId};
use crate::keys::{ProducerKey, TransportKey};
use crate::ortc::MediaKind;
use crate::relay::Message;
use crate::speaker::{Activity, Speaker};
use crate::transport::Side;

impl Router {
    /// Handles the speech activity that another shard reports.
    pub(crate) fn receive_voices(
        &mut self,
        from: ShardId,
        voices: Vec<(ProducerId, Activity)>,
        ctx: &mut Context<'_>,
    ) {
        for (producer, activity) in voices {
            self.speakers.told(Speaker { shard: from, producer }, activity, ctx.now);
        }
        self.watch_speakers(ctx);
    }

    pub(super) fn watch_speakers(&mut self, ctx: &mut Context<'_>) {
        if !self.is_home(ctx) {
            return self.report_voices(ctx);
        }
        let before = self.speakers.dominant();
        if let Some(speaker) = self.speakers.tick(ctx.now) {
            self.announce_speaker(before, speaker, ctx);
        }
        if let Some(levels) = self.speakers.levels(ctx.now) {
            let levels = levels.into_iter().map(|(speaker, level)| (speaker.producer, level)).collect();
            ctx.outbox.events.push_back((self.id, Event::AudioLevels { levels }));
        }
    }

    /// Forgets a producer's speech activity and notifies the home shard.
    pub(crate) fn end_voice(&mut self, speaker: Speaker, ctx: &mut Context<'_>) {
        let change = self.speakers.remove(speaker);
        if !self.is_home(ctx) {
            self.send(self.home, Message::VoiceEnded(speaker.producer), ctx);
        } else if let Some(change) = change {
            self.announce_speaker(Some(speaker), change, ctx);
        }
    }

    /// The dominant speaker is this producer of this shard, or none of this shard's.
    pub(crate) fn take_floor(&mut self, speaker: Option<ProducerId>, ctx: &mut Context<'_>) {
        let mut producers = self.producers.values();
        let floor = speaker.and_then(|id| producers.find(|it| it.id == id)).and_then(|it| it.transport());
        let before = std::mem::replace(&mut self.floor, floor);
        if before == floor {
            return;
        }
        for transport in [before, floor].into_iter().flatten() {
            for producer in self.cameras_on(transport) {
                self.announce_state(producer, ctx);
                self.reconsider_consumers(producer, ctx);
            }
        }
    }

    /// Divides the bandwidth of all who watch a producer anew.
    pub(super) fn reconsider_consumers(&mut self, producer: ProducerKey, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get(producer) else { return };
        let consumers = producer.consumers.iter().filter_map(|&consumer| self.consumers.get(consumer));
        let transports: Vec<TransportKey> = consumers.map(|consumer| consumer.transport).collect();
        transports.into_iter().for_each(|transport| self.reconsider(transport, ctx));
    }

    fn cameras_on(&self, transport: TransportKey) -> Vec<ProducerKey> {
        let Some(Side::Uplink(uplink)) = self.transports.get(transport).map(|it| &it.side) else {
            return Vec::new();
        };
        let is_video =
            |&key: &ProducerKey| self.producers.get(key).is_some_and(|it| it.kind == MediaKind::Video);
        uplink.producers.iter().copied().filter(is_video).collect()
    }

    fn announce_speaker(&mut self, before: Option<Speaker>, now: Option<Speaker>, ctx: &mut Context<'_>) {
        ctx.outbox
            .events
            .push_back((self.id, Event::ActiveSpeaker { producer: now.map(|speaker| speaker.producer) }));
        if let Some(shard) = before.map(|it| it.shard).filter(|&shard| now.map(|it| it.shard) != Some(shard))
        {
            self.give_floor(shard, None, ctx);
        }
        if let Some(Speaker { shard, producer }) = now {
            self.give_floor(shard, Some(producer), ctx);
        }
    }

    fn give_floor(&mut self, shard: ShardId, speaker: Option<ProducerId>, ctx: &mut Context<'_>) {
        if shard == ctx.config.shard {
            self.take_floor(speaker, ctx);
        } else {
            self.send(shard, Message::Floor(speaker), ctx);
        }
    }

    /// Reports speech activity to the home shard, which ranks the speakers.
    fn report_voices(&mut self, ctx: &mut Context<'_>) {
        if let Some(voices) = self.speakers.activities(ctx.now) {
            let voices = voices.into_iter().map(|(speaker, activity)| (speaker.producer, activity)).collect();
            self.send(self.home, Message::Voices(voices), ctx);
        }
    }

    fn is_home(&self, ctx: &Context<'_>) -> bool {
        self.home == ctx.config.shard
    }
}
