//! What becomes of packets: stories of one producer.

use super::packets::vp8_payloads;
use super::sender::{Sender, Sent, Story, vp8_frame};
use crate::codec::Codec;
use crate::tap::{RecordedCodec, TapNotice};
use std::time::Duration;

#[test]
fn a_camera_is_recorded_picture_by_picture_with_the_times_of_its_clock() {
    let mut camera = Camera::new();
    assert_eq!(camera.story.subscriptions(), [1]);
    assert_eq!(camera.story.wishes(), [0]);
    for number in 0..90 {
        let packets = camera.shoot(number == 0);
        camera.story.receive(&packets);
        camera.story.pass(33);
    }
    assert_eq!(camera.story.formats.len(), 1);
    let format = &camera.story.formats[0];
    assert_eq!((format.codec, format.size, format.rotation), (RecordedCodec::Vp8, Some((640, 360)), 0));
    assert!(camera.story.payloads() == camera.frames);
    assert_eq!(camera.story.samples.iter().filter(|sample| sample.key_frame).count(), 1);
    let expected: Vec<u64> = (0..90).map(|number| number * 33).collect();
    assert_eq!(camera.story.times(), expected);
    assert_eq!(camera.story.holes(), []);
}

#[test]
fn a_lost_picture_leaves_a_hole_that_ends_with_a_key_frame_and_is_told() {
    let mut camera = Camera::new();
    for number in 0..60 {
        let mut packets = camera.shoot(number == 0 || number == 50);
        if number == 20 {
            packets.remove(1);
        }
        camera.story.receive(&packets);
        camera.story.pass(33);
    }
    let written: Vec<Vec<u8>> = (0..60)
        .filter(|number| !(20..50).contains(number))
        .map(|number| camera.frames[number].clone())
        .collect();
    assert!(camera.story.payloads() == written);
    let [(from, to)] = camera.story.holes()[..] else { panic!() };
    assert_eq!((from, to), (camera.story.samples[19].at, camera.story.samples[20].at));
    let counts = camera.story.tap.counts();
    assert_eq!((counts.packets_lost, counts.held), (1, to - from));
    assert_eq!(camera.story.requested().len(), 1);
    assert_eq!(camera.story.wishes().len(), 2, "at the beginning, and when the loss was certain");
}

#[test]
fn what_comes_late_or_in_another_order_is_put_in_its_place() {
    let mut camera = Camera::new();
    let mut late: Vec<Sent> = Vec::new();
    for number in 0..57 {
        let mut packets = camera.shoot(number == 0);
        if number > 0 {
            packets.reverse();
        }
        if number % 7 == 3 {
            late.push(packets.remove(0));
        }
        camera.story.receive(&packets);
        camera.story.pass(33);
        if number % 7 == 5 {
            camera.story.receive(&late);
            late.clear();
        }
    }
    assert!(camera.story.payloads() == camera.frames);
    assert_eq!(camera.story.tap.counts().packets_lost, 0);
}

#[test]
fn packets_lost_before_the_recorder_are_requested_once() {
    let mut camera = Camera::new();
    for number in 0..30 {
        let packets = camera.shoot(number == 0);
        if number == 10 {
            let lost: Vec<u64> = packets.iter().map(|packet| packet.sequence).collect();
            for _ in 0..10 {
                camera.story.pass(33);
                let next = camera.shoot(false);
                camera.story.receive(&next);
            }
            assert_eq!(camera.story.requested(), lost);
            camera.story.receive(&packets);
        } else {
            camera.story.receive(&packets);
            camera.story.pass(33);
        }
    }
    assert!(camera.story.payloads() == camera.frames);
    assert_eq!(camera.story.holes(), []);
}

#[test]
fn without_a_key_frame_nothing_is_written_and_that_is_told_after_ten_seconds() {
    let mut camera = Camera::new();
    for _ in 0..400 {
        let packets = camera.shoot(false);
        camera.story.receive(&packets);
        camera.story.pass(33);
    }
    assert!(camera.story.samples.is_empty() && camera.story.formats.is_empty());
    let told = camera.story.notices.iter().filter(|notice| **notice == TapNotice::NoKeyFrame);
    assert_eq!(told.count(), 1);
    let wishes = camera.story.wishes().len();
    assert!((13..=15).contains(&wishes), "{wishes} in 13 s");
}

#[test]
fn a_pause_is_told_and_is_no_hole() {
    let mut camera = Camera::new();
    for round in 0..3 {
        for number in 0..30 {
            let packets = camera.shoot(number == 0);
            camera.story.receive(&packets);
            camera.story.pass(33);
        }
        let written = camera.story.samples.len();
        assert_eq!(written, 30 * (round + 1));
        camera.story.tell(|state| state.paused = true);
        camera.shoot(false);
        camera.frames.pop();
        camera.story.pass(60_000);
        camera.story.tell(|state| state.paused = false);
        assert_eq!(camera.story.samples.len(), written);
    }
    let told = camera.story.notices.iter().filter(|notice| matches!(notice, TapNotice::Sending(..)));
    assert_eq!(told.count(), 7);
    assert_eq!(camera.story.tap.counts(), Default::default());
    assert!(camera.story.payloads() == camera.frames);
}

#[test]
fn a_recorder_that_lost_samples_starts_over_with_a_key_frame() {
    let mut camera = Camera::new();
    for number in 0..60 {
        if number == 30 {
            camera.story.tap.start_over(camera.story.now);
            camera.story.collect();
        }
        let packets = camera.shoot(number == 0 || number == 40);
        camera.story.receive(&packets);
        camera.story.pass(33);
    }
    assert_eq!(camera.story.samples.len(), 50);
    assert!(camera.story.samples[30].key_frame);
    assert_eq!(camera.story.holes().len(), 1);
}

#[test]
fn the_end_of_a_producer_gives_out_what_is_complete() {
    let mut camera = Camera::new();
    for number in 0..10 {
        let packets = camera.shoot(number == 0);
        camera.story.receive(&packets);
        camera.story.pass(33);
    }
    let packets = camera.shoot(false);
    camera.story.receive(&packets[1..]);
    camera.story.tap.close(camera.story.now);
    camera.story.collect();
    assert_eq!(camera.story.samples.len(), 10);
    assert_eq!(camera.story.tap.next_timeout(), None);
    let packets = camera.shoot(true);
    camera.story.receive(&packets);
    assert_eq!(camera.story.samples.len(), 10);
}

#[test]
fn a_voice_has_no_gaps_and_says_what_of_it_is_concealed() {
    let mut voice = Voice::new();
    for number in 0..200 {
        let packet = voice.speak();
        if !(50..55).contains(&number) {
            voice.story.receive(&[packet]);
        }
        voice.story.pass(20);
    }
    voice.story.pass(1_000);
    voice.assert_no_gaps();
    assert_eq!(voice.story.samples.len(), 200);
    let counts = voice.story.tap.counts();
    assert_eq!((counts.packets_lost, counts.concealed), (5, Duration::from_millis(100)));
}

#[test]
fn silence_that_a_sender_leaves_out_is_filled_and_not_counted_as_lost() {
    let mut voice = Voice::new();
    for number in 0..500 {
        if number % 100 < 30 || number % 20 == 0 {
            let packet = voice.speak();
            voice.story.receive(&[packet]);
        } else {
            voice.timestamp = voice.timestamp.wrapping_add(960);
        }
        voice.story.pass(20);
    }
    voice.assert_no_gaps();
    let length = voice.length();
    assert!((9_600..=10_020).contains(&length), "{length} ms of 10 s");
    assert_eq!(voice.story.tap.counts(), Default::default());
}

#[test]
fn a_muted_microphone_is_silence_as_long_as_the_server_waits() {
    let mut voice = Voice::new();
    for _ in 0..50 {
        let packet = voice.speak();
        voice.story.receive(&[packet]);
        voice.story.pass(20);
    }
    voice.story.tell(|state| state.paused = true);
    voice.story.pass(40 * 60_000);
    voice.assert_no_gaps();
    let length = voice.length();
    assert!((2_400_000..2_401_000).contains(&(length + 4_000)) || length > 2_396_000, "{length} ms");
    assert!(length < 2_401_000, "{length} ms");
    voice.story.tell(|state| state.paused = false);
    // The sender's clock stood still.
    for _ in 0..50 {
        let packet = voice.speak();
        voice.story.receive(&[packet]);
        voice.story.pass(20);
    }
    voice.assert_no_gaps();
    let length = voice.length();
    assert!((2_401_900..=2_402_100).contains(&length), "{length} ms");
    assert_eq!(voice.story.tap.counts(), Default::default());
}

#[test]
fn a_timestamp_far_ahead_does_not_fill_the_disk() {
    let mut voice = Voice::new();
    for number in 0..500 {
        if number % 100 == 50 {
            voice.timestamp = voice.timestamp.wrapping_add(9 * 48_000);
        }
        let packet = voice.speak();
        voice.story.receive(&[packet]);
        voice.story.pass(20);
    }
    voice.assert_no_gaps();
    let length = voice.length();
    assert!(length <= 10_600, "{length} ms of 10 s");
}

struct Camera {
    story: Story,
    sender: Sender,
    timestamp: u32,
    frames: Vec<Vec<u8>>,
}

impl Camera {
    fn new() -> Self {
        let (story, sender) = (Story::new(Codec::Vp8), Sender::new(Codec::Vp8, 0));
        Self { story, sender, timestamp: u32::MAX - 90_000, frames: Vec::new() }
    }

    /// The packets of the next picture.
    fn shoot(&mut self, is_key: bool) -> Vec<Sent> {
        let frame = vp8_frame(is_key, self.frames.len() as u8, 3_000);
        let packets = self.sender.picture(self.timestamp, &vp8_payloads(&frame, 1_100));
        self.frames.push(frame);
        self.timestamp = self.timestamp.wrapping_add(2_970);
        packets
    }
}

struct Voice {
    story: Story,
    sender: Sender,
    timestamp: u32,
}

impl Voice {
    fn new() -> Self {
        let (story, sender) = (Story::new(Codec::Opus), Sender::new(Codec::Opus, 0));
        Self { story, sender, timestamp: 7 }
    }

    fn speak(&mut self) -> Sent {
        let packet = self.sender.packet(self.timestamp, false, [0x78, 1, 2, 3]);
        self.timestamp = self.timestamp.wrapping_add(960);
        packet
    }

    fn assert_no_gaps(&self) {
        for pair in self.story.samples.windows(2) {
            let gap = pair[1].at - pair[0].at;
            assert!(gap.abs_diff(pair[0].duration) < Duration::from_micros(1), "{gap:?}");
        }
    }

    /// Milliseconds recorded.
    fn length(&self) -> u64 {
        let durations = self.story.samples.iter().map(|sample| sample.duration);
        durations.sum::<Duration>().as_millis() as u64
    }
}
