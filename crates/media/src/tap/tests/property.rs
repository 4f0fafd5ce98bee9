//! Whatever comes: times rise, memory is bounded, and what is written was sent.

use super::packets::{payloads, vp8_payloads};
use super::sender::{Sender, Sent, Story, vp8_frame};
use crate::codec::{Codec, describe};
use crate::tap::window::{MAX_BYTES, MAX_PACKETS};
use proptest::prelude::*;
use std::collections::HashSet;
use std::time::Duration;

/// What happens to a producer and its packets.
#[derive(Debug, Clone)]
enum Act {
    /// A picture, or a packet of sound: how its timestamp moves, and what becomes of each packet.
    Send {
        key: bool,
        step: i32,
        fates: Vec<Fate>,
    },
    Garbage(Vec<u8>, i32, bool),
    Pass(u64),
    Pause(bool),
    /// Of the clock: how far it is off, in ms.
    Report(i64),
    Restart(u64),
    Active(u8),
    StartOver,
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Arrives,
    Twice,
    Lost,
    /// It comes behind so many others.
    Late(usize),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn pictures_are_whole_or_not_there(acts in prop::collection::vec(act(), 1..120)) {
        let (story, sent) = play(Codec::Vp8, &acts);
        for sample in &story.samples {
            prop_assert!(sent.contains(&sample.payload[..]), "it was not sent");
        }
    }

    #[test]
    fn sound_is_no_longer_than_the_time_that_passed(acts in prop::collection::vec(act(), 1..120)) {
        let (story, _) = play(Codec::Opus, &acts);
        let length: Duration = story.samples.iter().map(|sample| sample.duration).sum();
        let passed = story.now - story.begin;
        prop_assert!(length <= passed + Duration::from_secs(2), "{length:?} in {passed:?}");
        for pair in story.samples.windows(2) {
            let gap = pair[1].at - pair[0].at;
            prop_assert!(gap.abs_diff(pair[0].duration) < Duration::from_micros(1), "{gap:?}");
        }
    }

    #[test]
    fn every_codec_survives_everything(
        codec in prop::sample::select(&[Codec::Vp9, Codec::H264, Codec::Av1, Codec::Pcma][..]),
        acts in prop::collection::vec(act(), 1..120),
    ) {
        play(codec, &acts);
    }
}

fn act() -> impl Strategy<Value = Act> {
    let fate = prop_oneof![
        20 => Just(Fate::Arrives),
        1 => Just(Fate::Twice),
        1 => Just(Fate::Lost),
        1 => (1usize..40).prop_map(Fate::Late),
    ];
    let step = prop_oneof![20 => Just(2_970), 1 => Just(0), 1 => -100_000i32..900_000];
    let send = (prop::bool::weighted(0.1), step.clone(), prop::collection::vec(fate, 1..5));
    prop_oneof![
        20 => send.prop_map(|(key, step, fates)| Act::Send { key, step, fates }),
        1 => (prop::collection::vec(any::<u8>(), 1..80), step, any::<bool>())
            .prop_map(|(payload, step, marker)| Act::Garbage(payload, step, marker)),
        20 => (0u64..50).prop_map(Act::Pass),
        1 => (0u64..20_000).prop_map(Act::Pass),
        1 => any::<bool>().prop_map(Act::Pause),
        2 => prop_oneof![-20i64..20, -3_600_000i64..3_600_000].prop_map(Act::Report),
        1 => any::<u32>().prop_map(|number| Act::Restart(number.into())),
        1 => any::<u8>().prop_map(Act::Active),
        1 => Just(Act::StartOver),
    ]
}

/// Plays all acts; returns what was written, and everything that was sent whole.
fn play(codec: Codec, acts: &[Act]) -> (Story, HashSet<Vec<u8>>) {
    let mut story = Story::new(codec);
    let mut sender = Sender::new(codec, 0);
    let (mut timestamp, mut sent, mut late) = (0u32, HashSet::new(), Vec::<(usize, Sent)>::new());
    for (number, act) in acts.iter().enumerate() {
        match act {
            Act::Send { key, step, fates } => {
                timestamp = timestamp.wrapping_add_signed(*step);
                let (frame, packets) = frame(codec, *key, number, fates.len());
                let packets = sender.picture(timestamp, &packets);
                sent.insert(frame);
                for (packet, fate) in packets.into_iter().zip(fates.iter().cycle()) {
                    match fate {
                        Fate::Arrives => story.receive(&[packet]),
                        Fate::Twice => story.receive(&[packet.clone(), packet]),
                        Fate::Lost => {}
                        Fate::Late(by) => late.push((*by, packet)),
                    }
                }
            }
            Act::Garbage(payload, step, marker) if describe(codec, payload, None).is_some() => {
                let packet = sender.packet(timestamp.wrapping_add_signed(*step), *marker, payload.clone());
                sent.insert(payload.clone());
                sent.extend(crate::codec::frame_bytes(codec, payload).map(<[u8]>::to_vec));
                story.receive(&[packet]);
            }
            Act::Garbage(..) => {}
            Act::Pass(millis) => story.pass(*millis),
            Act::Pause(paused) => story.tell(|state| state.paused = *paused),
            Act::Report(off) => {
                let ago = Duration::from_millis(off.unsigned_abs());
                story.report(sender.source, timestamp.wrapping_add_signed(*off as i32), ago);
            }
            Act::Restart(number) => {
                sender.source.generation = sender.source.generation.wrapping_add(1);
                (sender.sequence, timestamp) = (number + 70_000, *number as u32);
            }
            Act::Active(mask) => story.tell(|state| state.active = *mask),
            Act::StartOver => {
                story.tap.start_over(story.now);
                story.collect();
            }
        }
        late.iter_mut().for_each(|(by, _)| *by = by.saturating_sub(1));
        let due: Vec<Sent> = late.extract_if(.., |(by, _)| *by == 0).map(|(_, packet)| packet).collect();
        story.receive(&due);
        assert!(story.tap.waiting() <= MAX_BYTES + 65_536);
    }
    story.tap.close(story.now);
    story.collect();
    story.assert_times_rise();
    (story, sent)
}

/// What is sent, and its payloads.
fn frame(codec: Codec, key: bool, number: usize, packets: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    match codec {
        Codec::Vp8 => {
            let mut frame = vp8_frame(key, number as u8, packets * 50);
            frame.extend((number as u32).to_be_bytes());
            let payloads = vp8_payloads(&frame, 54);
            (frame, payloads)
        }
        Codec::Opus | Codec::Pcmu | Codec::Pcma => (Vec::new(), vec![vec![0x78, 1, 2]]),
        Codec::Vp9 | Codec::H264 | Codec::Av1 => {
            let frame = super::packets::clip(codec)[if key { 0 } else { 1 }];
            (frame.to_vec(), payloads(codec, frame, key, frame.len().div_ceil(packets)))
        }
    }
}

#[test]
fn pictures_of_ten_thousand_packets_and_gaps_that_never_end_stay_within_bounds() {
    for size in [1_200, 20] {
        let mut story = Story::new(Codec::Vp8);
        let mut sender = Sender::new(Codec::Vp8, 0);
        let frame = vp8_frame(true, 1, 10_000 * size);
        let packets = sender.picture(0, &vp8_payloads(&frame, size));
        story.receive(&packets);
        assert_eq!(story.samples.len(), usize::from(size == 20), "12 MB are too much, 200 kB are not");
        assert_eq!(story.tap.counts().malformed, u64::from(size != 20));
    }
    let mut story = Story::new(Codec::Vp8);
    let mut sender = Sender::new(Codec::Vp8, 0);
    for number in 0..5_000u32 {
        let frame = vp8_frame(number % 100 == 0, number as u8, 1_000);
        let packets = sender.picture(number, &vp8_payloads(&frame, 1_100));
        sender.sequence += 1;
        story.receive(&packets);
        assert!(story.tap.waiting() <= MAX_PACKETS * 1_100);
    }
}
