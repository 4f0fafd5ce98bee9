//! Queues events for a router's owner without blocking the worker and without losing a state change.

use std::collections::VecDeque;
use switchyard_media::Event;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

/// The owner's queue, and a backlog of events that did not fit.
///
/// In the backlog, an event that reports a state (levels, speaker, layers, transport state) replaces the
/// older one of the same subject, so that only closings pile up. If the backlog reaches [`BACKLOG`] events,
/// the owner is considered gone.
pub(crate) struct Outbox {
    queue: Sender<Event>,
    backlog: VecDeque<Event>,
}

/// The result of posting an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    Queued,
    /// The event was added to the backlog.
    Waiting,
    /// The event replaced an older one of the same subject in the backlog.
    Superseded,
    /// The owner is gone: it dropped the queue or let the backlog become full.
    Abandoned,
}

impl Outbox {
    pub(crate) fn new(queue: Sender<Event>) -> Self {
        Self { queue, backlog: VecDeque::new() }
    }

    pub(crate) fn post(&mut self, event: Event) -> Posted {
        if self.flush() == Flushed::Abandoned {
            return Posted::Abandoned;
        }
        if !self.backlog.is_empty() {
            return self.hold(event);
        }
        match self.queue.try_send(event) {
            Ok(()) => Posted::Queued,
            Err(TrySendError::Full(event)) => self.hold(event),
            Err(TrySendError::Closed(_)) => Posted::Abandoned,
        }
    }

    /// Moves events from the backlog to the owner's queue, as far as it has room.
    pub(crate) fn flush(&mut self) -> Flushed {
        while let Some(event) = self.backlog.pop_front() {
            match self.queue.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.backlog.push_front(event);
                    return Flushed::Waiting;
                }
                Err(TrySendError::Closed(_)) => return Flushed::Abandoned,
            }
        }
        Flushed::Empty
    }

    fn hold(&mut self, event: Event) -> Posted {
        if let Some(older) = self.backlog.iter().position(|waiting| is_superseded(waiting, &event)) {
            self.backlog.remove(older);
            self.backlog.push_back(event);
            return Posted::Superseded;
        }
        if self.backlog.len() == BACKLOG {
            return Posted::Abandoned;
        }
        self.backlog.push_back(event);
        Posted::Waiting
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    Empty,
    Waiting,
    Abandoned,
}

/// Whether `newer` makes `older` obsolete.
fn is_superseded(older: &Event, newer: &Event) -> bool {
    match newer {
        Event::TransportState { transport, .. } => {
            matches!(older, Event::TransportState { transport: old, .. } if old == transport)
        }
        Event::Bandwidth { transport, .. } => {
            matches!(older, Event::Bandwidth { transport: old, .. } if old == transport)
        }
        Event::ConsumerLayers { consumer, .. } => {
            matches!(older, Event::ConsumerLayers { consumer: old, .. } if old == consumer)
        }
        Event::ActiveSpeaker { .. } => matches!(older, Event::ActiveSpeaker { .. }),
        Event::AudioLevels { .. } => matches!(older, Event::AudioLevels { .. }),
        Event::TransportClosed { .. }
        | Event::ProducerClosed { .. }
        | Event::ConsumerClosed { .. }
        | Event::DataProducerClosed { .. }
        | Event::DataConsumerClosed { .. } => false,
    }
}

/// Events per router: as many as are closed when ten publishers with eight tracks each leave a call of 200.
const BACKLOG: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use switchyard_media::{DtlsState, IceState, ProducerId, TransportId};
    use tokio::sync::mpsc;
    use uuid::Uuid;

    #[test]
    fn a_slow_owner_gets_every_closing_and_only_the_newest_levels() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        assert_eq!(outbox.post(closed(1)), Posted::Queued);
        for producer in 2..5 {
            assert_eq!(outbox.post(closed(producer)), Posted::Waiting);
            outbox.post(Event::AudioLevels { levels: vec![(id(producer), -20)] });
        }
        let read = read_all(&mut outbox, &mut receiver);
        let levels = Event::AudioLevels { levels: vec![(id(4), -20)] };
        assert_eq!(read, [closed(1), closed(2), closed(3), closed(4), levels]);
    }

    #[test]
    fn a_transports_newer_state_replaces_its_older_one_but_not_anothers() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        outbox.post(closed(1));
        let (first, second) = (TransportId(Uuid::from_u128(1)), TransportId(Uuid::from_u128(2)));
        outbox.post(state(first, DtlsState::Connecting));
        outbox.post(state(second, DtlsState::Connecting));
        assert_eq!(outbox.post(state(first, DtlsState::Connected)), Posted::Superseded);
        let read = read_all(&mut outbox, &mut receiver);
        assert_eq!(read[1..], [state(second, DtlsState::Connecting), state(first, DtlsState::Connected)]);
    }

    #[test]
    fn an_owner_that_is_gone_or_never_reads_is_told_apart_from_a_slow_one() {
        let (sender, receiver) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        outbox.post(closed(0));
        for producer in 0..BACKLOG as u128 {
            assert_eq!(outbox.post(closed(producer)), Posted::Waiting);
        }
        assert_eq!(outbox.post(closed(0)), Posted::Abandoned);
        drop(receiver);
        assert_eq!(outbox.flush(), Flushed::Abandoned);
    }

    fn read_all(outbox: &mut Outbox, receiver: &mut mpsc::Receiver<Event>) -> Vec<Event> {
        let mut read = Vec::new();
        loop {
            let flushed = outbox.flush();
            while let Ok(event) = receiver.try_recv() {
                read.push(event);
            }
            if flushed == Flushed::Empty {
                return read;
            }
        }
    }

    fn id(producer: u128) -> ProducerId {
        ProducerId(Uuid::from_u128(producer))
    }

    fn closed(producer: u128) -> Event {
        Event::ProducerClosed { producer: id(producer) }
    }

    fn state(transport: TransportId, dtls: DtlsState) -> Event {
        Event::TransportState { transport, ice: IceState::New, dtls }
    }
}
