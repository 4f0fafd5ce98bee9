//! Payloads of every codec, mutated: no panic, and bounded pictures. `make fuzz-tap` runs it for minutes.

use super::packets::{clip, payloads};
use crate::codec::{Codec, describe};
use crate::tap::picture::{Depacketizer, MAX_PICTURE, Malformed, Picture};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashSet;
use std::time::{Duration, Instant};

#[test]
fn mutated_payloads_make_pictures_or_are_refused() {
    let limit = std::env::var("FUZZ_SECONDS").ok().map(|seconds| {
        Duration::from_secs(seconds.parse().expect("FUZZ_SECONDS must be a number of seconds"))
    });
    let seed = limit.map_or(1, |_| rand::rng().random());
    let begin = Instant::now();
    let mut fuzzes = CODECS.map(|codec| Fuzz::new(codec, seed));
    while limit.map_or(fuzzes[0].rounds < ROUNDS, |limit| begin.elapsed() < limit) {
        fuzzes.iter_mut().for_each(Fuzz::round);
    }
    for Fuzz { codec, rounds, whole, keys, refused, shapes, .. } in fuzzes {
        let shapes = shapes.len();
        println!(
            "seed {seed}: {codec:?}: {rounds} pictures, {whole} whole, {keys} key frames, {refused} refused, {shapes} shapes"
        );
        assert!(whole > rounds / 10 && refused > rounds / 100 && keys > 0, "{codec:?}");
    }
}

struct Fuzz {
    codec: Codec,
    rng: StdRng,
    depacketizer: Depacketizer,
    /// Pictures in packets: those of the clip, and mutations with a new outcome.
    pool: Vec<Vec<Vec<u8>>>,
    shapes: HashSet<(usize, Option<Outcome>)>,
    rounds: u32,
    whole: u32,
    keys: u32,
    refused: u32,
}

/// Of a whole picture: the magnitude of its size, and what a key frame says of width and height.
type Outcome = (u32, Option<(u16, u16)>);

impl Fuzz {
    fn new(codec: Codec, seed: u64) -> Self {
        let frames = clip(codec).into_iter().enumerate().take(8);
        let pool = frames.map(|(index, frame)| payloads(codec, frame, index == 0, 700)).collect();
        Self {
            codec,
            rng: StdRng::seed_from_u64(seed),
            depacketizer: Depacketizer::new(codec).unwrap(),
            pool,
            shapes: HashSet::new(),
            rounds: 0,
            whole: 0,
            keys: 0,
            refused: 0,
        }
    }

    fn round(&mut self) {
        self.rounds += 1;
        let mut picture = self.pool[self.rng.random_range(0..self.pool.len())].clone();
        for _ in 0..self.rng.random_range(0..4) {
            self.mutate(&mut picture);
        }
        let (pushed, finished) = self.read(&picture);
        let outcome = match &finished {
            Ok(Picture { payload, key }) => {
                assert!(payload.len() <= MAX_PICTURE);
                self.whole += 1;
                self.keys += u32::from(key.is_some());
                Some((payload.len().ilog2(), key.as_ref().map(|key| key.size)))
            }
            Err(Malformed) => {
                self.refused += 1;
                None
            }
        };
        if self.shapes.insert((pushed, outcome)) && self.pool.len() < MAX_POOL {
            self.pool.push(picture);
        }
    }

    /// As a lane does it: the number of packets that were taken, and the picture.
    fn read(&mut self, picture: &[Vec<u8>]) -> (usize, Result<Picture, Malformed>) {
        for (pushed, payload) in picture.iter().enumerate() {
            let Some(media) = describe(self.codec, payload, None) else { continue };
            if self.depacketizer.push(&media, payload).is_err() {
                self.depacketizer.clear();
                return (pushed, Err(Malformed));
            }
        }
        let finished = self.depacketizer.finish();
        if finished.is_err() {
            self.depacketizer.clear();
        }
        (picture.len(), finished)
    }

    fn mutate(&mut self, picture: &mut Vec<Vec<u8>>) {
        let index = self.rng.random_range(0..picture.len());
        let other = self.pool[self.rng.random_range(0..self.pool.len())].clone();
        let packet = &mut picture[index];
        // Headers stand at the beginning.
        let place = if self.rng.random_bool(0.7) { 60 } else { usize::MAX }.min(packet.len());
        let place = self.rng.random_range(0..place.max(1));
        match self.rng.random_range(0..8) {
            0 => packet
                .iter_mut()
                .skip(place)
                .take(1)
                .for_each(|byte| *byte ^= 1 << self.rng.random_range(0..8)),
            1 => packet.iter_mut().skip(place).take(1).for_each(|byte| *byte = self.rng.random()),
            2 => packet.truncate(place.max(1)),
            3 => packet.insert(place.min(packet.len()), self.rng.random()),
            4 => drop(packet.drain(..place.min(packet.len() - 1))),
            5 => picture.extend(other),
            6 if picture.len() > 1 => drop(picture.remove(index)),
            _ => {
                let again = picture[index].clone();
                picture.insert(index, again);
            }
        }
        picture.truncate(MAX_PACKETS);
    }
}

const CODECS: [Codec; 4] = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1];
const ROUNDS: u32 = 10_000;
const MAX_POOL: usize = 2_000;
const MAX_PACKETS: usize = 60;
