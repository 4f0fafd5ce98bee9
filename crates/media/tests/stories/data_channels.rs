//! Data channels: messages from a data producer to its data consumers.

use crate::world::{Client, HOME, World};
use std::time::Duration;
use switchyard_link::path::Path;
use switchyard_media::ortc::SctpStreamParameters;
use switchyard_media::{
    DataConsumerCloseReason, DataConsumerId, DataProduceOptions, DataProducerId, Event, RelayClass,
};

#[test]
fn messages_reach_everybody_who_consumes_them_in_order() {
    let (mut world, alice, readers) = call(2);
    let chat = produce(&mut world, alice, 7);
    let streams: Vec<_> = readers.iter().map(|reader| consume(&mut world, *reader, chat).1).collect();
    for number in 0..50 {
        say(&mut world, alice, 7, &format!("message {number}"));
        world.run(Duration::from_millis(10));
    }
    world.run(Duration::from_secs(1));
    for (reader, stream) in readers.iter().zip(streams) {
        let received = &world.party(*reader).connection.data.received;
        let expected: Vec<_> =
            (0..50).map(|number| (stream, format!("message {number}").into_bytes())).collect();
        assert_eq!(*received, expected);
    }
}

#[test]
fn messages_survive_loss() {
    let (mut world, alice, readers) = call(1);
    let chat = produce(&mut world, alice, 0);
    consume(&mut world, readers[0], chat);
    for party in world.parties_mut() {
        party.set_paths(Path::losing(0.1));
    }
    for number in 0..100 {
        say(&mut world, alice, 0, &format!("{number}"));
        world.run(Duration::from_millis(20));
    }
    world.run(Duration::from_secs(20));
    let received = &world.party(readers[0]).connection.data.received;
    assert_eq!(received.len(), 100);
    assert!(received.iter().enumerate().all(|(number, (_, text))| *text == number.to_string().into_bytes()));
}

#[test]
fn closing_a_producer_closes_its_consumers_and_tells_why() {
    let (mut world, alice, readers) = call(1);
    let chat = produce(&mut world, alice, 3);
    let (consumer, _) = consume(&mut world, readers[0], chat);
    say(&mut world, alice, 3, "hello");
    world.run(Duration::from_secs(1));
    world.sfu.close_data_producer(world.now, chat).unwrap();
    world.run(Duration::from_secs(1));
    let closed = Event::DataConsumerClosed {
        data_consumer: consumer,
        reason: DataConsumerCloseReason::ProducerClosed,
    };
    assert!(world.has_event(|event| *event == closed));
    assert_eq!((world.sfu.population().data_producers, world.sfu.population().data_consumers), (0, 0));
    say(&mut world, alice, 3, "is anybody there?");
    world.run(Duration::from_secs(1));
    assert_eq!(world.party(readers[0]).connection.data.received.len(), 1);
}

#[test]
fn messages_cross_to_readers_on_other_shards() {
    let (mut world, alice, readers) = call_on(&[0, 1, 1, 2]);
    let chat = produce(&mut world, alice, 7);
    let streams: Vec<_> = readers.iter().map(|reader| consume(&mut world, *reader, chat).1).collect();
    for number in 0..50 {
        say(&mut world, alice, 7, &format!("message {number}"));
        world.run(Duration::from_millis(10));
    }
    world.run(Duration::from_secs(1));
    for (reader, stream) in readers.iter().zip(streams) {
        let received = &world.party(*reader).connection.data.received;
        let expected: Vec<_> =
            (0..50).map(|number| (stream, format!("message {number}").into_bytes())).collect();
        assert_eq!(*received, expected);
    }
    world.close(alice);
    world.run(Duration::from_secs(1));
    for shard in world.shards() {
        let population = world.shard(shard).population();
        assert_eq!((population.data_producers, population.data_consumers), (0, 0));
    }
}

#[test]
fn a_reliable_reader_on_a_shard_that_messages_got_lost_to_is_told() {
    let (mut world, alice, readers) = call_on(&[0, 1]);
    let chat = produce(&mut world, alice, 7);
    let (near, far) = (consume(&mut world, readers[0], chat).0, consume(&mut world, readers[1], chat).0);
    world.run(Duration::from_millis(100));
    world.filter_relays(|relay| !matches!(relay.class(), RelayClass::Data(_)));
    say(&mut world, alice, 7, "lost");
    world.run(Duration::from_secs(1));
    let overflow = |data_consumer| Event::DataConsumerClosed {
        data_consumer,
        reason: DataConsumerCloseReason::Overflow,
    };
    assert!(world.has_event(|event| *event == overflow(far)));
    assert!(!world.has_event(|event| *event == overflow(near)));
    assert_eq!(world.party(readers[0]).connection.data.received.len(), 1);
}

#[test]
fn a_stream_id_is_taken_once() {
    let (mut world, alice, _) = call(0);
    produce(&mut world, alice, 3);
    let options = options(3);
    let id = DataProducerId(world.uuid());
    let refused = world.sfu.produce_data(world.now, world.transport(alice), id, options);
    assert!(refused.is_err());
    assert_eq!(world.sfu.population().data_producers, 1);
}

#[test]
fn channels_that_never_carried_a_message_close_at_both_ends_whoever_closes_them() {
    let (mut world, alice, readers) = call(1);
    let [chat, notes] = [5, 6].map(|stream| produce(&mut world, alice, stream));
    let (consumer, read) = consume(&mut world, readers[0], chat);
    for (client, stream) in [(alice, 5), (alice, 6), (readers[0], read)] {
        world.party_mut(client).connection.data.open_channel(stream);
    }
    let now = world.now;
    world.party_mut(alice).connection.data.close_channel(now, 6);
    world.sfu.close_data_consumer(now, consumer).unwrap();
    world.run(Duration::from_secs(1));
    assert!(world.has_event(|event| *event == Event::DataProducerClosed { data_producer: notes }));
    world.sfu.close_data_producer(world.now, chat).unwrap();
    world.run(Duration::from_secs(1));
    assert_eq!(world.party(alice).connection.data.closed_streams, [6, 5]);
    assert_eq!(world.party(readers[0]).connection.data.closed_streams, [read]);
}

#[test]
fn more_channels_than_there_are_stream_ids_come_and_go_on_one_transport() {
    let (mut world, alice, readers) = call(1);
    let chat = produce(&mut world, alice, 7);
    let mut last = 0;
    for number in 0..1_100 {
        let (consumer, stream) = consume(&mut world, readers[0], chat);
        world.party_mut(readers[0]).connection.data.open_channel(stream);
        if number % 100 == 0 || number > 1_050 {
            say(&mut world, alice, 7, &format!("message {number}"));
            world.run(Duration::from_millis(300));
            let received = world.party(readers[0]).connection.data.received.last().cloned();
            assert_eq!(received, Some((stream, format!("message {number}").into_bytes())));
        }
        world.sfu.close_data_consumer(world.now, consumer).unwrap();
        world.run(Duration::from_millis(300));
        last = stream;
    }
    assert_eq!(last, 1_099 - 1_024);
}

/// A writer and some readers, all with an association.
fn call(readers: usize) -> (World, Client, Vec<Client>) {
    call_on(&vec![0; readers])
}

/// As [`call`], with the readers on these shards.
fn call_on(readers: &[u16]) -> (World, Client, Vec<Client>) {
    let mut world = World::sharded(1, 1 + readers.iter().max().copied().unwrap_or(0));
    let alice = world.publisher();
    let readers: Vec<_> = readers.iter().map(|shard| world.subscriber_on(*shard)).collect();
    world.run(Duration::from_secs(1));
    let now = world.now;
    for party in world.parties_mut() {
        party.connection.data.open(now);
    }
    world.run(Duration::from_secs(1));
    assert!(world.parties_mut().all(|party| party.connection.data.connected));
    (world, alice, readers)
}

fn produce(world: &mut World, client: Client, stream: u16) -> DataProducerId {
    let id = DataProducerId(world.uuid());
    world.sfu.produce_data(world.now, world.transport(client), id, options(stream)).unwrap();
    id
}

fn options(stream_id: u16) -> DataProduceOptions {
    let sctp_stream_parameters = SctpStreamParameters {
        stream_id,
        ordered: Some(true),
        max_packet_life_time: None,
        max_retransmits: None,
    };
    DataProduceOptions { sctp_stream_parameters, label: "chat".to_owned(), protocol: String::new() }
}

fn consume(world: &mut World, client: Client, producer: DataProducerId) -> (DataConsumerId, u16) {
    let id = DataConsumerId(world.uuid());
    let (now, transport) = (world.now, world.transport(client));
    let parameters = if world.party(client).shard == HOME {
        world.sfu.consume_data(now, transport, id, producer).unwrap()
    } else {
        let relayed = world.sfu.describe_data_producer(now, producer).unwrap();
        world.shard_of(client).consume_relayed_data(now, transport, id, relayed).unwrap()
    };
    assert_eq!(parameters.label, "chat");
    (id, parameters.sctp_stream_parameters.stream_id)
}

fn say(world: &mut World, client: Client, stream: u16, text: &str) {
    let now = world.now;
    world.party_mut(client).connection.data.send(now, stream, text);
}
