//! An hour of a person's voice and camera, whose clocks run wrong, over a line that delays and loses.

use super::packets::vp8_payloads;
use super::sender::{OPTIONS, Sender, Sent, Story, relay, vp8_frame};
use crate::arrival::{Captured, Carried};
use crate::client_clock::{ClientClock, Heard};
use crate::clock::NtpTime;
use crate::codec::Codec;
use crate::tap::Sample;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[test]
fn sound_and_pictures_stay_together_for_an_hour() {
    for (seed, card, system) in
        [(1, 100.0, 100.0), (2, 100.0, -100.0), (3, -100.0, 100.0), (4, -100.0, -100.0)]
    {
        let mut hour = Hour::new(seed, card, system);
        hour.run(3_600);
        let Curve { worst, range, points } = hour.curve();
        println!(
            "sound card {card:+} ppm, system {system:+} ppm: at most {worst:.1} ms apart, {range:.1?} ms late"
        );
        for (minute, voice, camera) in points {
            println!("  {minute:2} min: voice {voice:5.1} ms, camera {camera:5.1} ms late");
        }
        assert!(worst <= 40.0, "{worst} ms apart");
        // Of two persons, one may be at one end and one at the other.
        assert!(range.1 - range.0 <= 80.0, "{range:?} ms late");
        let (voice, camera) = (hour.voice.tap.counts(), hour.camera.tap.counts());
        println!("  {voice:?}\n  {camera:?}");
        assert!(camera.held < Duration::from_secs(1_800));
        hour.voice.assert_times_rise();
        hour.camera.assert_times_rise();
    }
}

struct Hour {
    rng: StdRng,
    voice: Story,
    camera: Story,
    clock: ClientClock,
    /// How fast the client's clocks run.
    card: f64,
    system: f64,
    microphone: Sender,
    encodings: [Sender; 2],
    /// What is on its way, by arrival in ns.
    line: BTreeMap<(u64, u64), Event>,
    sent: u64,
    /// Packets of sound.
    spoken: u32,
    keys: [bool; 2],
    wishes: usize,
}

enum Event {
    Voice(Sent),
    Picture(Vec<Sent>),
    /// The client's time in ns, and the timestamps that belong to it.
    Report {
        ntp: u64,
        voice: u32,
        camera: [u32; 2],
    },
    Active(u8),
}

struct Curve {
    /// Milliseconds.
    worst: f64,
    range: (f64, f64),
    points: Vec<(u64, f64, f64)>,
}

impl Hour {
    fn new(seed: u64, card: f64, system: f64) -> Self {
        let (voice, mut camera) = (Story::new(Codec::Opus), Story::of(Codec::Vp8, 2, OPTIONS));
        camera.begin = voice.begin;
        Self {
            rng: StdRng::seed_from_u64(seed),
            voice,
            camera,
            clock: ClientClock::default(),
            card: 1.0 + card / 1e6,
            system: 1.0 + system / 1e6,
            microphone: Sender::new(Codec::Opus, 0),
            encodings: [0, 1].map(|encoding| Sender::new(Codec::Vp8, encoding)),
            line: BTreeMap::new(),
            sent: 0,
            spoken: 0,
            keys: [true; 2],
            wishes: 0,
        }
    }

    fn run(&mut self, seconds: u64) {
        for second in 0..seconds {
            self.send_second(second * SECOND);
            while let Some(entry) = self.line.first_entry()
                && entry.key().0 < (second + 1) * SECOND
            {
                let ((at, _), event) = entry.remove_entry();
                self.arrive(at, event);
            }
        }
    }

    /// Everything that the client does in a second, `begin` ns after the begin.
    fn send_second(&mut self, begin: u64) {
        let second = begin / SECOND;
        if second.is_multiple_of(20) {
            let mask = if (second / 20).is_multiple_of(2) { 0b11 } else { 0b01 };
            self.post(begin, Event::Active(mask));
        }
        // A packet of the sound card lasts 20 ms by its own clock.
        while let at = (self.spoken as f64 * 20e6 / self.card) as u64
            && at < begin + SECOND
        {
            let level = if second.is_multiple_of(5) { 80 } else { 20 };
            self.microphone.carried = Carried { audio_level: Some(level), ..Carried::default() };
            let timestamp = self.spoken * 960;
            let packet = self.microphone.packet(timestamp, false, [&[0x78], &at.to_be_bytes()[..]].concat());
            if !self.rng.random_bool(LOSS) {
                self.post(at, Event::Voice(packet));
            }
            self.spoken += 1;
        }
        for number in 0..30 {
            let at = begin + number * SECOND / 30;
            self.shoot(at, second);
        }
        let at = begin + self.rng.random_range(0..SECOND);
        // The pairs of times are wrong by up to 3 ms.
        let [a, b, c] =
            [48e-6, 90e-6, 90e-6].map(|rate| (self.rng.random_range(-3e6..3e6) * rate) as i64 as u32);
        let voice = ((at as f64 * self.card * 48e-6) as u32).wrapping_add(a);
        let camera = [self.video_time(at, 0).wrapping_add(b), self.video_time(at, 1).wrapping_add(c)];
        let ntp = (at as f64 * self.system) as u64;
        self.post(at, Event::Report { ntp, voice, camera });
    }

    fn shoot(&mut self, at: u64, second: u64) {
        let wanted = *self.camera.subscriptions().last().unwrap_or(&0);
        for encoding in 0..2u8 {
            let is_off = encoding == 1 && second / 20 % 2 == 1;
            if is_off || wanted >> encoding & 1 == 0 {
                continue;
            }
            let index = usize::from(encoding);
            let timestamp = self.video_time(at, index);
            let mut frame = vp8_frame(std::mem::take(&mut self.keys[index]), encoding, 30);
            frame[12..20].copy_from_slice(&at.to_be_bytes());
            let packets = self.encodings[index].picture(timestamp, &vp8_payloads(&frame, 1_100));
            if !self.rng.random_bool(LOSS) {
                self.post(at, Event::Picture(packets));
            }
        }
    }

    /// The timestamp of an encoding at a time; each began with another.
    fn video_time(&self, at: u64, encoding: usize) -> u32 {
        ((at as f64 * self.system * 90e-6) as u64 as u32).wrapping_add([4_000_000_000, 77][encoding])
    }

    /// 20 ms and an exponential 10 ms on the way, at most 150.
    fn post(&mut self, at: u64, event: Event) {
        let jitter = (-10e6 * (1.0 - self.rng.random::<f64>()).ln()).min(130e6) as u64;
        self.sent += 1;
        self.line.insert((at + 20_000_000 + jitter, self.sent), event);
    }

    fn arrive(&mut self, at: u64, event: Event) {
        let now = self.voice.begin + Duration::from_nanos(at);
        self.voice.run_to(now);
        self.camera.run_to(now);
        match event {
            Event::Voice(packet) => self.voice.hear(relay(&[packet], now)),
            Event::Picture(packets) => self.camera.hear(relay(&packets, now)),
            Event::Active(mask) => self.camera.tell(|state| state.active = mask),
            Event::Report { ntp, voice, camera } => self.report(ntp, voice, camera, now),
        }
        let wishes = self.camera.wishes();
        for wish in &wishes[self.wishes..] {
            self.keys[usize::from(*wish)] = true;
        }
        self.wishes = wishes.len();
    }

    fn report(&mut self, ntp: u64, voice: u32, camera: [u32; 2], now: Instant) {
        let ntp = NtpTime(((u128::from(ntp + 1_000 * SECOND) << 32) / u128::from(SECOND)) as u64);
        let Some(Heard { at, sets }) = self.clock.hear(ntp, now) else { return };
        assert_eq!(sets, 0);
        let captured = |timestamp| Captured { timestamp, at, sets };
        let source = self.microphone.source;
        self.voice.tell(|state| state.captured = vec![(source, captured(voice))]);
        let sources = [0, 1].map(|index| (self.encodings[index].source, captured(camera[index])));
        self.camera.tell(|state| state.captured = sources.to_vec());
    }

    /// How late everything is in the record, and how far apart.
    fn curve(&self) -> Curve {
        let late = |sample: &Sample, place: usize| {
            let stamp = sample.payload.get(place..place + 8)?.try_into().ok()?;
            let captured = Duration::from_nanos(u64::from_be_bytes(stamp));
            let at = sample.at - self.voice.begin;
            Some((at.as_secs_f64(), (at.as_secs_f64() - captured.as_secs_f64()) * 1e3))
        };
        // Silence that was put in has no stamp.
        let voice: Vec<_> = self.voice.samples.iter().filter_map(|sample| late(sample, 1)).collect();
        let camera: Vec<_> = self.camera.samples.iter().filter_map(|sample| late(sample, 12)).collect();
        let (mut worst, mut next, mut points) = (0f64, 0, Vec::new());
        for &(at, shown) in &camera {
            while voice.get(next + 1).is_some_and(|(heard, _)| *heard <= at) {
                next += 1;
            }
            let heard = voice[next].1;
            worst = worst.max((shown - heard).abs());
            if points.len() as f64 * 300.0 <= at {
                points.push((points.len() as u64 * 5, heard, shown));
            }
        }
        let all = || voice.iter().chain(&camera).map(|(_, late)| *late);
        Curve { worst, range: (all().fold(f64::MAX, f64::min), all().fold(f64::MIN, f64::max)), points }
    }
}

const SECOND: u64 = 1_000_000_000;
const LOSS: f64 = 0.02;
