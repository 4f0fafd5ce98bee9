//! Encoded clips, in packets and back again.

use super::packets::{av1_payloads, clip, h264_payloads, obus, payloads};
use super::sender::{Sender, Story};
use crate::codec::Codec;
use crate::tap::RecordedCodec;

#[test]
fn every_codec_comes_back_as_it_was_encoded_whatever_the_size_of_packets() {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
        for size in [1_100, 100, 37] {
            let mut story = Story::new(codec);
            let mut sender = Sender::new(codec, 0);
            for (index, frame) in clip(codec).into_iter().enumerate() {
                let packets = sender.picture(index as u32 * 3_000, &payloads(codec, frame, index == 0, size));
                story.receive(&packets);
                story.pass(33);
            }
            let expected: Vec<Vec<u8>> = clip(codec).into_iter().map(|frame| written(codec, frame)).collect();
            assert!(story.payloads() == expected, "{codec:?} in packets of {size}");
            assert!(story.samples[0].key_frame, "{codec:?}");
            assert!(story.samples[1..].iter().all(|sample| !sample.key_frame), "{codec:?}");
            let [format] = &story.formats[..] else { panic!("{codec:?}: {:?}", story.formats) };
            assert_eq!(format.size, Some((320, 180)), "{codec:?}");
            assert_eq!(story.tap.counts(), Default::default());
        }
    }
}

/// What is written of a clip's frame.
fn written(codec: Codec, frame: &[u8]) -> Vec<u8> {
    match codec {
        // Without the temporal delimiter, which takes two bytes.
        Codec::Av1 => frame.strip_prefix(&[0x12, 0]).unwrap_or(frame).to_vec(),
        Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::Opus | Codec::Pcmu | Codec::Pcma => frame.to_vec(),
    }
}

#[test]
fn what_a_player_must_know_of_h264_is_the_parameter_sets() {
    let mut story = Story::new(Codec::H264);
    let frame = clip(Codec::H264)[0];
    story.receive(&Sender::new(Codec::H264, 0).picture(0, &h264_payloads(frame, 1_100)));
    let format = &story.formats[0];
    assert_eq!(format.codec, RecordedCodec::H264);
    let [1, profile, _, level, 0xff, 0xe1, high, low, rest @ ..] = &format.private[..] else { panic!() };
    assert_eq!((*profile, *level), (0x42, 31));
    let sps = usize::from(u16::from_be_bytes([*high, *low]));
    assert_eq!((rest[0] & 0x1f, rest[sps]), (7, 1));
    assert_eq!(rest[sps + 3] & 0x1f, 8);
    let pps = usize::from(u16::from_be_bytes([rest[sps + 1], rest[sps + 2]]));
    assert_eq!(rest.len(), sps + 3 + pps, "the baseline profile has no extension");
}

#[test]
fn delimiters_and_filler_of_h264_are_left_out_and_aggregates_are_split() {
    let mut story = Story::new(Codec::H264);
    let mut sender = Sender::new(Codec::H264, 0);
    let frame = clip(Codec::H264)[0];
    let units = h264_payloads(frame, usize::MAX);
    let mut aggregate = vec![0x78, 0, 2, 9, 0xf0];
    for unit in &units[..2] {
        aggregate.extend((unit.len() as u16).to_be_bytes());
        aggregate.extend(unit);
    }
    let mut all = vec![aggregate];
    all.extend_from_slice(&units[2..]);
    all.push(vec![12, 0xff, 0x80]);
    story.receive(&sender.picture(0, &all));
    assert!(story.payloads() == [frame]);
}

#[test]
fn what_a_player_must_know_of_av1_is_the_sequence_header() {
    let mut story = Story::new(Codec::Av1);
    let frame = clip(Codec::Av1)[0];
    story.receive(&Sender::new(Codec::Av1, 0).picture(0, &av1_payloads(frame, true, 1_100)));
    let private = &story.formats[0].private;
    let header = obus(frame).into_iter().find(|obu| obu[0] >> 3 == 1).unwrap();
    assert_eq!(private[..4], [0x81, 0x00, 0x0c, 0x00], "profile 0, level 2.0, 8 bits, 4:2:0");
    assert_eq!(private[4], header[0] | 2);
    assert_eq!(private[6..], header[1..]);
}

#[test]
fn obus_that_bear_their_size_on_the_wire_and_lists_of_tiles_make_no_difference() {
    let mut story = Story::new(Codec::Av1);
    let frame = clip(Codec::Av1)[0];
    let mut payload = vec![0x08];
    let size =
        |bytes: usize| [bytes & 0x7f | 0x80, bytes >> 7 & 0x7f | 0x80, bytes >> 14].map(|byte| byte as u8);
    let mut element = |obu: &[u8]| {
        payload.extend(size(obu.len()));
        payload.extend_from_slice(obu);
    };
    element(&[8 << 3, 1, 2, 3]);
    for obu in obus(frame) {
        element(&[&[obu[0] | 2], &size(obu.len() - 1)[..], &obu[1..]].concat());
    }
    story.receive(&Sender::new(Codec::Av1, 0).picture(0, &[payload]));
    assert!(story.payloads() == [&frame[2..]]);
}

#[test]
fn g711_is_expanded_and_opus_is_not() {
    let mut story = Story::new(Codec::Pcmu);
    let mut sender = Sender::new(Codec::Pcmu, 0);
    story.receive(&[sender.packet(0, false, [0x80; 160]), sender.packet(160, false, [0xff; 160])]);
    assert_eq!(story.formats[0].codec, RecordedCodec::Pcm);
    assert_eq!(story.samples.len(), 2);
    assert_eq!(story.samples[0].duration.as_millis(), 20);
    assert_eq!(story.samples[0].payload[..4], [0x7c, 0x7d, 0x7c, 0x7d]);
    assert!(story.samples[1].payload.iter().all(|byte| *byte == 0));

    let mut story = Story::new(Codec::Opus);
    let mut sender = Sender::new(Codec::Opus, 0);
    for (index, packet) in clip(Codec::Opus).into_iter().enumerate() {
        story.receive(&[sender.packet(index as u32 * 960, false, packet)]);
        story.pass(20);
    }
    assert!(story.payloads() == clip(Codec::Opus));
    assert_eq!(story.formats[0].private[..], *b"OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00");
}
