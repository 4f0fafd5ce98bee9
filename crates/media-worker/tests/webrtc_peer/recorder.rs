//! Recording what another implementation sends, beside a call that is not disturbed by it.

use super::{KEY_FRAME, Publisher, Subscriber, number, payload_of};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use switchyard_media_worker::media::ortc::MediaKind;
use switchyard_media_worker::media::{
    ProducerId, RecordedCodec, RecordedLayer, Sample, Tap, TapNotice, TapOptions, TapOutput, TrackFormat,
};
use switchyard_media_worker::{Media, MediaConfig, Router, Sending, TapEnd};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_and_pictures_of_another_implementation_are_recorded_as_they_were_sent() {
    let media = media(2).await;
    let (router, _events) = media.create_router().await.unwrap();
    let mut end = media.take_tap_end().expect("nobody has it yet");
    assert!(media.take_tap_end().is_none(), "there is one recorder");
    let (publisher, producers) = Publisher::join(&router).await;
    let mut tracks = tap(&router, producers).await;
    let sending = tokio::spawn(publisher.send_forever());
    let deadline = Instant::now() + super::PATIENCE;
    while tracks.iter().any(|track| track.samples.len() < 200) {
        assert!(Instant::now() < deadline, "{:?}", tracks.map(|track| track.samples.len()));
        record(&mut end, &mut tracks).await;
    }
    let [sound, pictures] = &tracks;
    assert_eq!(sound.formats[0].codec, RecordedCodec::Opus);
    assert_eq!(pictures.formats[0].size, Some((640, 360)));
    for track in &tracks {
        assert!(track.samples.windows(2).all(|pair| pair[0].at < pair[1].at));
        assert_eq!(track.formats.len(), 1);
    }
    let first = number(&pictures.samples[0].payload);
    for (sample, number) in pictures.samples.iter().zip(first..) {
        // Without the payload descriptor, its first byte.
        assert_eq!(sample.payload, payload_of(MediaKind::Video, number).slice(1..));
        assert!(sample.key_frame && sample.payload.starts_with(&KEY_FRAME));
    }
    let heard: BTreeSet<u32> = sound.samples.iter().map(|sample| number(&sample.payload)).collect();
    assert!(heard.len() >= 195, "{} packets of 200", heard.len());

    let now = Instant::now();
    for track in &mut tracks {
        track.tap.close(now);
        track.collect(&mut end, now);
    }
    router.close_producer(producers[0]).await.unwrap();
    sending.abort();
    media.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_producer_is_told_to_its_tap() {
    let media = media(1).await;
    let (router, _events) = media.create_router().await.unwrap();
    let mut end = media.take_tap_end().unwrap();
    let (_publisher, producers) = Publisher::join(&router).await;
    let mut tracks = tap(&router, producers).await;
    tracks.iter_mut().for_each(|track| track.collect(&mut end, Instant::now()));
    // The subscriptions arrive in the order sent, before this answer.
    while tracks.iter().any(|track| track.states == 0) {
        record(&mut end, &mut tracks).await;
    }
    router.close_producer(producers[0]).await.unwrap();
    router.close().await;
    while tracks.iter().any(|track| !track.notices.contains(&TapNotice::Ended)) {
        record(&mut end, &mut tracks).await;
    }
    media.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_that_stands_still_loses_its_own_packets_and_nobody_elses() {
    let media = media(1).await;
    let (router, _events) = media.create_router().await.unwrap();
    let mut end = media.take_tap_end().unwrap();
    let (publisher, producers) = Publisher::join(&router).await;
    let mut tracks = tap(&router, producers).await;
    // It subscribes, and reads nothing any more.
    tracks.iter_mut().for_each(|track| track.collect(&mut end, Instant::now()));
    let mut subscriber = Subscriber::join(&router, &producers).await;
    let sending = tokio::spawn(publisher.send_forever());
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut seen = 0;
    let counters = loop {
        let payloads = subscriber.receive(MediaKind::Video, 200).await;
        let numbers: BTreeSet<u32> = payloads.iter().map(number).collect();
        let span = numbers.last().unwrap() - numbers.first().unwrap();
        assert!(span < 210, "pictures were lost: 200 packets of {span}");
        seen += payloads.len();
        let counters = media.counters().await;
        if counters[0].shell.recorder_video_dropped > 0 {
            break counters;
        }
        assert!(Instant::now() < deadline, "nothing is dropped after {seen} pictures");
    };
    let shell = counters[0].shell;
    assert_eq!(
        (shell.recorder_audio_dropped, shell.relay_video_dropped, shell.relay_audio_dropped),
        (0, 0, 0)
    );
    sending.abort();
    media.shutdown().await;
}

struct Track {
    tap: Tap,
    samples: Vec<Sample>,
    formats: Vec<TrackFormat>,
    notices: Vec<TapNotice>,
    /// Messages that came for it.
    states: usize,
}

impl Track {
    fn collect(&mut self, end: &mut TapEnd, now: Instant) {
        while let Some(output) = self.tap.poll_output() {
            match output {
                TapOutput::Relay { to, relay } => end.send(now, to, relay),
                TapOutput::Sample(sample) => self.samples.push(sample),
                TapOutput::Format(format) => self.formats.push(format),
                TapOutput::Notice(notice) => self.notices.push(notice),
            }
        }
    }
}

async fn media(workers: usize) -> Media {
    let config = MediaConfig {
        bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port: 0,
        workers,
        max_load: 1.0,
        max_packet_rate: 10_000,
        announced: vec![],
        sending: Sending::default(),
    };
    Media::start(config).await.unwrap()
}

async fn tap(router: &Router, producers: [ProducerId; 2]) -> [Track; 2] {
    let options = TapOptions { layer: RecordedLayer::High, key_frame_interval: Duration::from_secs(10) };
    let mut tracks = Vec::new();
    for producer in producers {
        let tapped = router.tap(producer).await.unwrap();
        let tap = Tap::new(tapped, options, Instant::now());
        assert_eq!(tap.producer(), producer);
        tracks.push(Track { tap, samples: vec![], formats: vec![], notices: vec![], states: 0 });
    }
    tracks.try_into().unwrap_or_else(|_| unreachable!())
}

/// One turn of a recorder.
async fn record(end: &mut TapEnd, tracks: &mut [Track]) {
    let now = Instant::now();
    tracks.iter_mut().for_each(|track| track.collect(end, now));
    let next = tracks.iter().filter_map(|track| track.tap.next_timeout()).min();
    let wait = next.map_or(Duration::from_secs(1), |next| next.saturating_duration_since(now));
    // Without a message it is a timeout of a tap that ends the wait.
    let _ = tokio::time::timeout(wait, end.ready()).await;
    let now = Instant::now();
    let relays: Vec<_> = end.take(256).collect();
    for track in tracks {
        for relay in &relays {
            track.states += usize::from(relay.producer() == Some(track.tap.producer()));
            track.tap.handle_relay(now, relay.clone());
        }
        if track.tap.next_timeout().is_some_and(|next| next <= now) {
            track.tap.handle_timeout(now);
        }
        track.collect(end, now);
    }
}
