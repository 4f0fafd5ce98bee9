//! Applies the router's events to the call's media state and notifies the legs concerned.

use switchyard_media_worker::media::ortc::Layers;
use switchyard_media_worker::media::{
    ConsumerId, DtlsState, Event, IceState, ProducerId, TransportCloseReason, TransportId,
};

use super::CallMedia;
use crate::hub::Audience;
use crate::wire::event::{
    ActiveSpeaker, AudioLevel, AudioLevels, Bandwidth, CloseReason, ConsumerLayers, ServerEvent,
    TransportState,
};

impl CallMedia {
    /// Applies one event of the router. Events about objects that are already closed are ignored.
    pub fn observe(&mut self, event: Event) {
        match event {
            Event::TransportState { transport, ice, dtls } => self.tell_state(transport, ice, dtls),
            Event::TransportClosed { transport, reason } => self.transport_closed(transport, reason),
            Event::ProducerClosed { producer } => self.forget_producer(producer),
            Event::ConsumerClosed { consumer, producer } => self.consumer_closed(consumer, producer),
            Event::Bandwidth { transport, estimate, used, wanted } => {
                self.tell_bandwidth(transport, [estimate, used, wanted]);
            }
            Event::ConsumerLayers { consumer, layers } => self.tell_layers(consumer, layers),
            Event::ActiveSpeaker { producer } => self.tell_speaker(producer),
            Event::AudioLevels { levels } => self.tell_levels(levels),
            Event::DataProducerClosed { data_producer } => self.forget_data_producer(data_producer),
            Event::DataConsumerClosed { data_consumer, reason } => {
                self.forget_data_consumer(data_consumer, Some(reason));
            }
        }
    }

    fn transport_closed(&mut self, transport: TransportId, reason: TransportCloseReason) {
        match reason {
            TransportCloseReason::DtlsClosed => tracing::debug!(%transport, "the peer closed its transport"),
            TransportCloseReason::Fault => tracing::error!(%transport, "a transport failed and was removed"),
        }
        self.tell_state(transport, IceState::Disconnected, DtlsState::Closed);
        self.forget_transport(transport);
    }

    fn consumer_closed(&mut self, consumer: ConsumerId, producer: ProducerId) {
        let reason = if self.producers.contains_key(&producer) {
            CloseReason::TransportClosed
        } else {
            CloseReason::ProducerClosed
        };
        self.forget_consumer(consumer, Some(reason));
    }

    fn tell_state(&mut self, transport_id: TransportId, ice: IceState, dtls: DtlsState) {
        let Some(leg) = self.leg_by_transport.get(&transport_id) else { return };
        let state = TransportState { call_id: self.call, transport_id, ice, dtls };
        self.tell(Audience::Leg(*leg), ServerEvent::TransportState(state));
    }

    fn tell_bandwidth(&mut self, transport_id: TransportId, [estimate, used, wanted]: [u64; 3]) {
        let Some(leg) = self.leg_by_transport.get(&transport_id) else { return };
        let bandwidth = Bandwidth { call_id: self.call, transport_id, estimate, used, wanted };
        self.tell(Audience::Leg(*leg), ServerEvent::Bandwidth(bandwidth));
    }

    fn tell_layers(&mut self, consumer_id: ConsumerId, layers: Option<Layers>) {
        let Some(leg) = self.leg_by_consumer.get(&consumer_id) else { return };
        let layers = ConsumerLayers {
            call_id: self.call,
            consumer_id,
            spatial_layer: layers.map(|layers| layers.spatial),
            temporal_layer: layers.and_then(|layers| layers.temporal),
        };
        self.tell(Audience::Leg(*leg), ServerEvent::ConsumerLayers(layers));
    }

    fn tell_speaker(&mut self, producer: Option<ProducerId>) {
        let speaker = producer.and_then(|id| self.producers.get(&id));
        let event = ServerEvent::ActiveSpeaker(ActiveSpeaker {
            call_id: self.call,
            user_id: speaker.map(|producer| producer.user_id),
            producer_id: speaker.map(|producer| producer.producer_id),
        });
        self.tell(Audience::Call(self.call), event);
    }

    fn tell_levels(&mut self, levels: Vec<(ProducerId, i8)>) {
        if !self.level_reports.is_due(&levels, self.legs.len()) {
            return;
        }
        let level = |(producer_id, dbov): (ProducerId, i8)| {
            let user_id = self.producers.get(&producer_id)?.user_id;
            Some(AudioLevel { user_id, producer_id, dbov })
        };
        let levels = levels.into_iter().filter_map(level).collect();
        let event = ServerEvent::AudioLevels(AudioLevels { call_id: self.call, levels });
        self.tell(Audience::Call(self.call), event);
    }
}
