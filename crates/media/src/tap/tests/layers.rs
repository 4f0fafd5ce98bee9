//! Layers: simulcast, spatial layers of one stream, turned phones.

use super::packets::{vp8_payloads, vp9_payloads};
use super::sender::{OPTIONS, Sender, Sent, Story, vp8_frame};
use crate::codec::Codec;
use crate::tap::{RecordedLayer, TapOptions};
use std::time::Duration;

#[test]
fn the_highest_encoding_is_recorded_and_a_lower_one_takes_over_at_its_key_frame() {
    let mut camera = Simulcast::new(RecordedLayer::High);
    assert_eq!(camera.story.subscriptions(), [0], "nothing is sent yet");
    camera.story.tell(|state| state.active = 0b001);
    camera.run(30, &[0]);
    camera.story.tell(|state| state.active = 0b111);
    assert_eq!(camera.story.subscriptions(), [0, 0b001, 0b101]);
    assert_eq!(camera.written(), [0]);
    camera.run(10, &[]);
    assert_eq!(camera.written(), [0], "until the key frame of the other");
    camera.run(30, &[2]);
    assert_eq!(camera.written(), [0, 2]);
    assert_eq!(*camera.story.subscriptions().last().unwrap(), 0b100);
    // The highest is no longer sent.
    camera.silent = Some(2);
    camera.run(45, &[]);
    camera.story.tell(|state| state.active = 0b011);
    assert_eq!(*camera.story.wishes().last().unwrap(), 1);
    camera.run(5, &[]);
    camera.run(30, &[1]);
    assert_eq!(camera.written(), [0, 2, 1]);
    camera.story.assert_times_rise();
    assert_eq!(camera.story.formats.len(), 1, "one part with several sizes");
    assert_eq!(camera.story.holes(), []);
}

#[test]
fn no_layer_above_the_recorded_one_is_subscribed_to() {
    for (layer, expected) in [(RecordedLayer::Low, 0b001), (RecordedLayer::Medium, 0b010)] {
        let mut camera = Simulcast::new(layer);
        camera.story.tell(|state| state.active = 0b111);
        assert_eq!(camera.story.subscriptions(), [0, expected]);
        camera.story.tell(|state| state.active = 0b100);
        assert_eq!(*camera.story.subscriptions().last().unwrap(), expected | 0b100, "better than nothing");
    }
}

#[test]
fn both_encodings_show_the_same_picture_and_the_switch_waits_for_no_other_key_frame() {
    let mut camera = Simulcast::new(RecordedLayer::High);
    camera.story.tell(|state| state.active = 0b001);
    camera.run(10, &[0]);
    camera.story.tell(|state| state.active = 0b101);
    // The key frames are of one picture, of which the lower encoding comes first.
    camera.run(1, &[0, 2]);
    camera.run(10, &[]);
    assert_eq!(camera.written(), [0, 2]);
    camera.story.assert_times_rise();
    assert_eq!(camera.story.samples.len(), 22);
}

#[test]
fn a_restarted_sender_goes_on_in_the_same_part_after_a_hole() {
    let mut camera = Simulcast::new(RecordedLayer::High);
    camera.story.tell(|state| state.active = 0b001);
    camera.run(30, &[0]);
    camera.senders[0].source.generation = 1;
    camera.senders[0].sequence = 17;
    camera.timestamps[0] = 5;
    camera.run(10, &[]);
    camera.run(30, &[0]);
    assert_eq!(camera.story.samples.len(), 60);
    assert_eq!(camera.story.formats.len(), 1);
    let [(from, to)] = camera.story.holes()[..] else { panic!() };
    assert!((to - from).as_millis().abs_diff(11 * 33) <= 5, "{:?}", to - from);
    camera.story.assert_times_rise();
}

#[test]
fn a_turned_phone_begins_a_part_at_the_next_key_frame_which_is_requested() {
    let mut camera = Simulcast::new(RecordedLayer::High);
    camera.story.tell(|state| state.active = 0b001);
    camera.run(10, &[0]);
    camera.senders[0].carried.video_orientation = Some(3);
    let wishes = camera.story.wishes().len();
    camera.run(10, &[]);
    assert_eq!(camera.story.wishes().len(), wishes + 1);
    assert_eq!(camera.story.formats.len(), 1);
    camera.run(10, &[0]);
    camera.senders[0].carried.video_orientation = None;
    camera.run(10, &[0]);
    let turns: Vec<u16> = camera.story.formats.iter().map(|format| format.rotation).collect();
    assert_eq!(turns, [0, 270]);
    assert_eq!(camera.story.samples.len(), 40);
}

#[test]
fn all_spatial_layers_of_a_picture_are_one_block_of_which_only_the_last_is_shown() {
    let mut story = Story::new(Codec::Vp9);
    let mut sender = Sender::new(Codec::Vp9, 0);
    for number in 0..3u32 {
        let picture = svc_picture(&mut sender, number * 3_000, number == 0, 3);
        story.receive(&picture);
        story.pass(33);
    }
    assert_eq!(story.samples.len(), 3);
    assert_eq!(story.formats[0].size, Some((1_280, 720)));
    for sample in &story.samples {
        let frames = frames(&sample.payload);
        let shown: Vec<bool> = frames.iter().map(|frame| frame[0] & 0x02 != 0).collect();
        assert_eq!(shown, [false, false, true]);
        for frame in &frames {
            assert!(frame.ends_with(&COMPRESSED), "what is compressed is untouched");
        }
    }
    assert_eq!(story.tap.counts(), Default::default());
}

#[test]
fn spatial_layers_above_the_recorded_one_are_left_out() {
    let options = TapOptions { layer: RecordedLayer::Low, ..OPTIONS };
    let mut story = Story::of(Codec::Vp9, 1, options);
    let mut sender = Sender::new(Codec::Vp9, 0);
    for number in 0..3u32 {
        let picture = svc_picture(&mut sender, number * 3_000, number == 0, 3);
        story.receive(&picture);
        story.pass(33);
    }
    assert_eq!(story.samples.len(), 3);
    assert_eq!(story.formats[0].size, Some((320, 180)));
    assert!(story.samples.iter().all(|sample| sample.payload[0] & 0x02 != 0), "the only one is shown");
    assert!(story.samples[0].payload == svc_frame(true, 0), "and untouched");
}

#[test]
fn a_picture_of_which_all_layers_are_left_out_is_no_damage() {
    let mut story = Story::of(Codec::Vp9, 1, TapOptions { layer: RecordedLayer::Low, ..OPTIONS });
    let mut sender = Sender::new(Codec::Vp9, 0);
    story.receive(&svc_picture(&mut sender, 0, true, 3));
    story.receive(&sender.picture(3_000, &vp9_payloads(&svc_frame(false, 2), false, 2, 20)));
    story.receive(&svc_picture(&mut sender, 6_000, false, 3));
    assert_eq!(story.samples.len(), 2);
    assert_eq!(story.tap.counts(), Default::default());
}

#[test]
fn a_picture_with_a_layer_that_cannot_be_hidden_is_a_hole() {
    let mut story = Story::new(Codec::Vp9);
    let mut sender = Sender::new(Codec::Vp9, 0);
    story.receive(&svc_picture(&mut sender, 0, true, 2));
    let mut picture = svc_picture(&mut sender, 3_000, false, 2);
    picture[0].payload[5] |= 0x08;
    story.receive(&picture);
    story.pass(33);
    story.receive(&svc_picture(&mut sender, 6_000, false, 2));
    assert_eq!(story.samples.len(), 1);
    assert_eq!(story.tap.counts().malformed, 1);
    story.receive(&svc_picture(&mut sender, 9_000, true, 2));
    assert_eq!(story.samples.len(), 2);
    assert_eq!(story.holes().len(), 1);
}

/// Three encodings, of pictures that say which is theirs.
struct Simulcast {
    story: Story,
    senders: [Sender; 3],
    timestamps: [u32; 3],
    silent: Option<u8>,
}

impl Simulcast {
    fn new(layer: RecordedLayer) -> Self {
        let story = Story::of(Codec::Vp8, 3, TapOptions { layer, ..OPTIONS });
        let senders = [0, 1, 2].map(|encoding| Sender::new(Codec::Vp8, encoding));
        Self { story, senders, timestamps: [4_000_000_000, 90, 7], silent: None }
    }

    /// Sends some pictures of each encoding that is subscribed to; the first is a key frame in `keys`.
    fn run(&mut self, pictures: usize, keys: &[u8]) {
        for picture in 0..pictures {
            for (encoding, sender) in (0u8..).zip(&mut self.senders) {
                let timestamp = &mut self.timestamps[usize::from(encoding)];
                *timestamp = timestamp.wrapping_add(2_970);
                let subscribed = self.story.subscriptions().last().unwrap() >> encoding & 1 == 1;
                if !subscribed || self.silent == Some(encoding) {
                    continue;
                }
                let frame = vp8_frame(picture == 0 && keys.contains(&encoding), encoding, 2_000);
                let packets: Vec<Sent> = sender.picture(*timestamp, &vp8_payloads(&frame, 1_100));
                self.story.receive(&packets);
            }
            self.story.pass(33);
        }
    }

    /// The encodings in the file, one after another.
    fn written(&self) -> Vec<u8> {
        let mut written: Vec<u8> = self.story.samples.iter().map(|sample| sample.payload[1]).collect();
        written.dedup();
        written
    }
}

/// A picture of some spatial layers.
fn svc_picture(sender: &mut Sender, timestamp: u32, is_key: bool, layers: u8) -> Vec<Sent> {
    let payloads: Vec<Vec<u8>> = (0..layers)
        .flat_map(|spatial| {
            vp9_payloads(&svc_frame(is_key && spatial == 0, spatial), is_key && spatial == 0, spatial, 20)
        })
        .collect();
    sender.picture(timestamp, &payloads)
}

/// A frame with the headers of libvpx's: a key frame, or one that refers to a frame of its layer or below.
fn svc_frame(is_key: bool, spatial: u8) -> Vec<u8> {
    let mut bits = Vec::new();
    let mut put = |value: u32, count: u32| bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    let (width, height) = ([320, 640, 1_280][usize::from(spatial)], [180, 360, 720][usize::from(spatial)]);
    put(0b1000, 4);
    put(0, 1);
    put(u32::from(!is_key), 1);
    put(1, 1);
    put(0, 1);
    if is_key {
        put(0x49_83_42, 24);
        put(2, 3);
        put(0, 1);
        put(width - 1, 16);
        put(height - 1, 16);
        put(0, 1);
    } else {
        put(0, 2);
        put(1 << spatial, 8);
        (0..3).for_each(|_| put(u32::from(spatial) << 1, 4));
        // The base layer has the size of its reference.
        put(u32::from(spatial == 0), 1);
        if spatial > 0 {
            put(0, 2);
            put(width - 1, 16);
            put(height - 1, 16);
        }
        put(0, 1);
        put(1, 1);
        put(1, 1);
    }
    put(0b11, 2);
    put(0, 2);
    put(12, 6);
    put(0, 3);
    put(0b11_0000_00, 8);
    put(60, 8);
    put(0, 3);
    put(0, 1);
    // Tiles: of four superblocks a width or more, one bit for each doubling.
    put(0, if width >= 512 { 1 } else { 0 });
    put(0, 1);
    put(COMPRESSED.len() as u32 - 2, 16);
    let mut frame: Vec<u8> = bits
        .chunks(8)
        .map(|bits| {
            bits.iter().enumerate().fold(0, |byte, (index, bit)| byte | u8::from(*bit) << (7 - index))
        })
        .collect();
    frame.extend(COMPRESSED);
    frame
}

/// The frames of a block, by its index.
fn frames(block: &[u8]) -> Vec<&[u8]> {
    let marker = *block.last().unwrap();
    assert_eq!(marker >> 5, 0b110);
    let (count, width) = (usize::from(marker & 7) + 1, usize::from(marker >> 3 & 3) + 1);
    let (mut rest, index) = block.split_at(block.len() - 2 - count * width);
    assert_eq!(index[0], marker);
    let sizes = index[1..=count * width].chunks(width);
    let mut frames = Vec::new();
    for size in sizes {
        let size = size.iter().rev().fold(0, |size, byte| size << 8 | usize::from(*byte));
        let (frame, after) = rest.split_at(size);
        frames.push(frame);
        rest = after;
    }
    assert!(rest.is_empty());
    frames
}

const COMPRESSED: [u8; 40] = [0xa5; 40];

#[test]
fn a_still_screen_is_asked_for_a_key_frame_now_and_then() {
    let mut camera = Simulcast::new(RecordedLayer::High);
    camera.story.tell(|state| state.active = 0b001);
    camera.run(10, &[0]);
    let wishes = camera.story.wishes().len();
    camera.story.run_to(camera.story.now + Duration::from_secs(61));
    assert_eq!(camera.story.wishes().len(), wishes + 6);
}
