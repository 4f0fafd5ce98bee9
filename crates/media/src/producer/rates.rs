//! What each layer of a producer costs: its bit rate over the last second and the last five.

use super::INACTIVE_AFTER;
use crate::allocation::Prices;
use crate::allocation::{Layer, Rung, VideoKind};
use crate::codec::Descriptor;
use crate::rtp::VideoLayersAllocation;
use std::time::{Duration, Instant};

/// Bytes received per layer, in buckets of 100 ms. Averages take complete buckets only.
#[derive(Debug)]
pub struct LayerRates {
    /// The series of each layer, by spatial and temporal layer; `NONE` before its first packet.
    places: [u8; SPATIAL * TEMPORAL],
    series: Vec<Series>,
    stacking: LayerStacking,
    /// The spatial layers are encodings.
    simulcast: bool,
    /// What the sender says last.
    declared: Option<Box<VideoLayersAllocation>>,
    /// When the present bucket ends; `None` before the first packet.
    bucket_ends: Option<Instant>,
    /// When [`Self::take_news`] last returned `true`, and the prices of that time.
    told: Option<(Instant, Prices)>,
    /// The RTP timestamp of each encoding's last key picture.
    key_pictures: [Option<u32>; SPATIAL],
}

/// What a packet belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picture {
    /// Many times as large as the others, and sent when somebody asks for it.
    Key,
    Delta,
}

/// Which layers are forwarded together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerStacking {
    /// One spatial layer alone: in simulcast, where it is an encoding, and in S modes (WebRTC-SVC §6). In KEY modes with
    /// those below it in key pictures only, which are left out here.
    Alone,
    /// With all spatial layers below it, as in L modes.
    OnTop,
}

impl LayerStacking {
    /// What a packet shows of it, if anything.
    pub(crate) fn shown_by(media: &Descriptor) -> Option<Self> {
        if !media.starts_frame || !media.inter_picture_predicted {
            return None;
        }
        let is_alone = match (media.frame_number, media.spatial) {
            // A dependency descriptor tells of the lowest layer which others do without it.
            (Some(_), 0) => media.spared != 0,
            (None, 1..) => !media.inter_layer_predicted,
            (Some(_), 1..) | (None, 0) => return None,
        };
        Some(if is_alone { Self::Alone } else { Self::OnTop })
    }
}

/// The time over which a rate is averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateWindow {
    /// For cameras.
    Second,
    /// For screens, whose pictures come rarely.
    FiveSeconds,
}

/// One layer's bytes.
#[derive(Debug)]
struct Series {
    layer: Layer,
    /// Bytes in the bucket under way, without those of key pictures.
    current: u32,
    /// The last complete buckets, as a ring.
    buckets: [u32; BUCKETS],
    /// The same of key pictures.
    current_key: u32,
    key_buckets: [u32; BUCKETS],
    next: usize,
    /// Complete buckets since the layer began or came back, at most [`BUCKETS`].
    age: usize,
    /// Empty buckets in a row.
    silent: u32,
    /// The rate before the layer stopped, in bit/s.
    last_known: u32,
}

impl LayerRates {
    pub fn new(simulcast: bool) -> Self {
        let places = [NONE; SPATIAL * TEMPORAL];
        let stacking = if simulcast { LayerStacking::Alone } else { LayerStacking::OnTop };
        Self {
            places,
            series: Vec::new(),
            stacking,
            simulcast,
            declared: None,
            bucket_ends: None,
            told: None,
            key_pictures: [None; SPATIAL],
        }
    }

    /// What a packet of an encoding belongs to, given its RTP timestamp; `begins_key`: a key picture begins with it.
    pub fn picture(&mut self, encoding: u8, timestamp: u32, begins_key: bool) -> Picture {
        let Some(last) = self.key_pictures.get_mut(usize::from(encoding)) else { return Picture::Delta };
        if begins_key {
            *last = Some(timestamp);
        }
        if *last == Some(timestamp) { Picture::Key } else { Picture::Delta }
    }

    /// Takes the target rates that the sender declares. Returns whether they are others than before.
    pub fn declare(&mut self, mut allocation: VideoLayersAllocation) -> bool {
        // Each stream's copy names that stream.
        allocation.stream = 0;
        let is_news = self.declared.as_deref() != Some(&allocation);
        if is_news {
            self.declared = Some(Box::new(allocation));
        }
        is_news
    }

    /// From here on layers are forwarded together like this.
    pub fn stack(&mut self, stacking: LayerStacking) {
        self.stacking = stacking;
    }

    /// Counts a packet of `bytes` UDP payload that arrived at `at`. Layers above 7 count as 7. Of simulcast the
    /// spatial layer is the encoding.
    pub fn add(&mut self, layer: Layer, picture: Picture, bytes: u16, at: Instant) {
        if self.bucket_ends.is_none_or(|end| at >= end) {
            self.advance(at);
        }
        let spatial = usize::from(layer.spatial).min(SPATIAL - 1);
        let temporal = usize::from(layer.temporal).min(TEMPORAL - 1);
        let place = &mut self.places[spatial * TEMPORAL + temporal];
        if *place == NONE {
            *place = self.series.len() as u8;
            self.series.push(Series::new(Layer { spatial: spatial as u8, temporal: temporal as u8 }));
        }
        if let Some(series) = self.series.get_mut(usize::from(*place)) {
            let current = match picture {
                Picture::Key => &mut series.current_key,
                Picture::Delta => &mut series.current,
            };
            *current = current.saturating_add(u32::from(bytes));
        }
    }

    /// Completes the buckets that ended by `now`. To be called before reading, since layers also go silent
    /// without a packet.
    pub fn advance(&mut self, now: Instant) {
        let Some(end) = self.bucket_ends else {
            self.bucket_ends = Some(now + BUCKET);
            return;
        };
        let Some(late) = now.checked_duration_since(end) else { return };
        let ended = late.as_micros() / BUCKET.as_micros() + 1;
        // After a long pause all buckets are empty, and more rounds change nothing but the count of silence.
        let rounds = ended.min(u128::from(MAX_ROUNDS)) as u32;
        for _ in 0..rounds {
            self.series.iter_mut().for_each(Series::complete);
        }
        let skipped = (ended - u128::from(rounds)).min(u128::from(u32::MAX)) as u32;
        if skipped > 0 {
            self.series.iter_mut().for_each(|it| it.silent = it.silent.saturating_add(skipped));
        }
        let past = late.as_nanos() % BUCKET.as_nanos();
        self.bucket_ends = now.checked_add(BUCKET - Duration::from_nanos(past as u64));
    }

    /// Whether the layer's packets arrive: not before its rate is known, nor 1.5 s after the last one.
    pub fn is_on(&self, layer: Layer) -> bool {
        self.series(layer).is_some_and(Series::is_on)
    }

    /// What each layer that is on costs together with those below that are forwarded with it, in ascending
    /// order of layers. `out` is overwritten.
    ///
    /// What the sender declares stands for the rate of a layer that has just begun. In the longer window it is also the
    /// least that a layer costs: a screen is still for a while, and then all of it changes.
    pub fn rungs(&self, window: RateWindow, out: &mut Vec<Rung>) {
        out.clear();
        let rung = |series: &Series| Some(Rung { layer: series.layer, rate: self.cost(series, window)? });
        out.extend(self.series.iter().filter_map(rung));
        out.sort_unstable_by_key(|rung| rung.layer);
    }

    fn cost(&self, series: &Series, window: RateWindow) -> Option<u32> {
        let measured = series
            .is_on()
            .then(|| self.sum(series.layer, |series| if series.is_on() { series.rate(window) } else { 0 }));
        match (measured, window) {
            (None, RateWindow::Second) if !series.is_new() => None,
            (None, _) => self.declared(series.layer),
            (Some(rate), RateWindow::Second) => Some(rate),
            (Some(rate), RateWindow::FiveSeconds) => {
                Some(self.declared(series.layer).map_or(rate, |declared| declared.max(rate)))
            }
        }
    }

    /// The target rate of a layer and of those below that it needs. Not of upper spatial layers: libwebrtc does not
    /// count those below among them (`video_stream_encoder.cc`), others may.
    fn declared(&self, Layer { spatial, temporal }: Layer) -> Option<u32> {
        let stream = match (self.simulcast, spatial) {
            (true, encoding) => encoding,
            (false, 0) => 0,
            (false, 1..) => return None,
        };
        let rate = self.declared.as_ref()?.rate(stream, 0, temporal)?;
        u32::try_from(rate).ok()
    }

    /// What a layer cost when it was last on, with those below, in bit/s; `None` if that was more than
    /// a minute ago. For a layer that its publisher stopped sending because nobody wanted it.
    pub fn last_known(&self, layer: Layer) -> Option<u32> {
        let known = |series: &Series| series.is_on() || series.silent < REMEMBERED_BUCKETS;
        self.series(layer).filter(|series| known(series) && series.last_known > 0)?;
        Some(self.sum(layer, |series| if known(series) { series.last_known } else { 0 }))
    }

    /// What each layer that is on costs a consumer of this kind.
    pub(crate) fn price(&self, kind: VideoKind, out: &mut Vec<Rung>) {
        let window = match kind {
            VideoKind::Camera => RateWindow::Second,
            VideoKind::Screen => RateWindow::FiveSeconds,
        };
        self.rungs(window, out);
    }

    pub(crate) fn prices(&self) -> Prices {
        let mut prices = Prices::default();
        for kind in [VideoKind::Camera, VideoKind::Screen] {
            self.price(kind, prices.rungs_mut(kind));
        }
        prices
    }

    /// Whether another shard should be told: a layer came or went, or changed by more than 15 %. At most once a
    /// second; if `true`, the rates count as told.
    pub fn take_news(&mut self, now: Instant) -> bool {
        let silence = Prices::default();
        let (at, told) = self.told.as_ref().map_or((None, &silence), |(at, told)| (Some(*at), told));
        if at.is_some_and(|at| now.saturating_duration_since(at) < TELL_INTERVAL) {
            return false;
        }
        let prices = self.prices();
        let is_news = prices.differ(told);
        if is_news {
            self.told = Some((now, prices));
        }
        is_news
    }

    fn series(&self, layer: Layer) -> Option<&Series> {
        self.series.iter().find(|series| series.layer == layer)
    }

    fn sum(&self, top: Layer, rate: impl Fn(&Series) -> u32) -> u32 {
        let is_below = |layer: Layer| {
            layer.temporal <= top.temporal
                && match self.stacking {
                    LayerStacking::Alone => layer.spatial == top.spatial,
                    LayerStacking::OnTop => layer.spatial <= top.spatial,
                }
        };
        let below = self.series.iter().filter(|series| is_below(series.layer));
        below.map(rate).fold(0, u32::saturating_add)
    }
}

impl Series {
    fn new(layer: Layer) -> Self {
        Self {
            layer,
            current: 0,
            buckets: [0; BUCKETS],
            current_key: 0,
            key_buckets: [0; BUCKETS],
            next: 0,
            age: 0,
            silent: 0,
            last_known: 0,
        }
    }

    fn complete(&mut self) {
        let (bytes, key) = (std::mem::take(&mut self.current), std::mem::take(&mut self.current_key));
        if bytes == 0 && key == 0 {
            self.silent = self.silent.saturating_add(1);
        } else {
            if self.silent >= OFF_BUCKETS {
                self.age = 0;
            }
            self.silent = 0;
        }
        (self.buckets[self.next], self.key_buckets[self.next]) = (bytes, key);
        self.next = (self.next + 1) % BUCKETS;
        self.age = (self.age + 1).min(BUCKETS);
        if self.silent == 0 && self.is_on() {
            self.last_known = self.rate(RateWindow::Second);
        }
    }

    /// Its packets come, but not for long enough to tell its rate.
    fn is_new(&self) -> bool {
        self.age < MIN_BUCKETS && self.silent < OFF_BUCKETS
    }

    fn is_on(&self) -> bool {
        self.age >= MIN_BUCKETS && self.silent < OFF_BUCKETS
    }

    /// Bit/s, 0 before the first complete bucket. Key pictures are averaged over five seconds in both windows: their
    /// peaks are no reason to leave a layer, which would ask for another one.
    fn rate(&self, window: RateWindow) -> u32 {
        let buckets = match window {
            RateWindow::Second => BUCKETS_PER_SECOND,
            RateWindow::FiveSeconds => BUCKETS,
        };
        let count = buckets.min(self.age);
        let place = |back: usize| (self.next + BUCKETS - 1 - back) % BUCKETS;
        let bytes: u64 = (0..count).map(|back| u64::from(self.buckets[place(back)])).sum();
        let keys: u64 = self.key_buckets.iter().map(|&bytes| u64::from(bytes)).sum();
        let per_second = |bytes: u64, buckets: usize| bytes * 8 * BUCKETS_PER_SECOND as u64 / buckets as u64;
        let rate = per_second(bytes, count.max(1)) + per_second(keys, BUCKETS);
        u32::try_from(rate).unwrap_or(u32::MAX)
    }
}

const SPATIAL: usize = 8;
const TEMPORAL: usize = 8;
const NONE: u8 = u8::MAX;
const BUCKET: Duration = Duration::from_millis(100);
const BUCKETS_PER_SECOND: usize = 10;
/// Five seconds.
const BUCKETS: usize = 50;
/// A rate from less is mostly that of the key frame with which the layer begins.
const MIN_BUCKETS: usize = 3;
const OFF_BUCKETS: u32 = (INACTIVE_AFTER.as_millis() / BUCKET.as_millis()) as u32;
const REMEMBERED: Duration = Duration::from_secs(60);
const REMEMBERED_BUCKETS: u32 = (REMEMBERED.as_millis() / BUCKET.as_millis()) as u32;
/// After so many empty buckets every series is empty and off.
const MAX_ROUNDS: u32 = BUCKETS as u32;
const TELL_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_cost_what_is_forwarded_with_them() {
        let mut sender = Sender::new();
        sender.run(2_000, &[((0, 0), 100), ((0, 1), 50), ((1, 0), 400), ((1, 1), 200)]);
        let alone = [((0, 0), 100), ((0, 1), 150), ((1, 0), 400), ((1, 1), 600)];
        let on_top = [((0, 0), 100), ((0, 1), 150), ((1, 0), 500), ((1, 1), 750)];
        for window in [RateWindow::Second, RateWindow::FiveSeconds] {
            sender.rates.stack(LayerStacking::Alone);
            assert_eq!(sender.rungs(window), alone);
            sender.rates.stack(LayerStacking::OnTop);
            assert_eq!(sender.rungs(window), on_top);
        }
    }

    #[test]
    fn the_short_window_follows_within_a_second_and_the_long_one_within_five() {
        let mut sender = Sender::new();
        sender.run(6_000, &[((0, 0), 100)]);
        sender.run(1_000, &[((0, 0), 600)]);
        assert_eq!(sender.rungs(RateWindow::Second), [((0, 0), 600)]);
        assert_eq!(sender.rungs(RateWindow::FiveSeconds), [((0, 0), 200)]);
    }

    #[test]
    fn a_key_picture_counts_as_a_fifth_of_its_size_for_five_seconds() {
        let mut sender = Sender::new();
        sender.run(6_000, &[((0, 0), 100)]);
        assert_eq!(sender.rates.picture(0, 9_000, false), Picture::Delta);
        assert_eq!(sender.rates.picture(0, 12_000, true), Picture::Key);
        assert_eq!(sender.rates.picture(0, 12_000, false), Picture::Key);
        assert_eq!(sender.rates.picture(1, 12_000, false), Picture::Delta, "another encoding");
        assert_eq!(sender.rates.picture(0, 15_000, false), Picture::Delta);
        sender.rates.add(layer((0, 0)), Picture::Key, 12_500, sender.now);
        sender.run(1_000, &[((0, 0), 100)]);
        assert_eq!(sender.rungs(RateWindow::Second), [((0, 0), 120)]);
        sender.run(5_000, &[((0, 0), 100)]);
        assert_eq!(sender.rungs(RateWindow::Second), [((0, 0), 100)]);
    }

    #[test]
    fn a_layer_is_off_after_a_second_and_a_half_and_remembered_for_a_minute() {
        let mut sender = Sender::new();
        let (low, high) = (layer((0, 0)), layer((1, 0)));
        assert!(!sender.rates.is_on(low));
        sender.run(2_000, &[((0, 0), 100), ((1, 0), 400)]);
        sender.run(1_400, &[((0, 0), 100)]);
        assert!(sender.rates.is_on(high));
        sender.run(200, &[((0, 0), 100)]);
        assert!(sender.rates.is_on(low) && !sender.rates.is_on(high));
        assert_eq!(sender.rungs(RateWindow::FiveSeconds).len(), 1);
        assert_eq!(sender.rates.last_known(high), Some(400_000));
        sender.rates.stack(LayerStacking::OnTop);
        assert_eq!(sender.rates.last_known(high), Some(500_000));
        sender.run(58_000, &[((0, 0), 100)]);
        assert!(sender.rates.last_known(high).is_some());
        sender.run(1_000, &[((0, 0), 100)]);
        assert_eq!(sender.rates.last_known(high), None);
    }

    #[test]
    fn a_layer_that_comes_back_is_not_averaged_with_its_silence() {
        let mut sender = Sender::new();
        sender.run(2_000, &[((0, 0), 100)]);
        sender.run(3_000, &[]);
        sender.run(500, &[((0, 0), 400)]);
        assert_eq!(sender.rungs(RateWindow::FiveSeconds), [((0, 0), 400)]);
        sender.now += Duration::from_secs(100_000_000);
        sender.rates.advance(sender.now);
        assert!(!sender.rates.is_on(layer((0, 0))));
        assert_eq!(sender.rates.last_known(layer((0, 0))), None);
    }

    #[test]
    fn the_key_frame_at_the_beginning_is_no_rate() {
        let mut sender = Sender::new();
        sender.rates.add(layer((0, 0)), Picture::Key, 20_000, sender.now);
        sender.run(200, &[((0, 0), 100)]);
        assert_eq!(sender.rungs(RateWindow::Second), []);
        sender.run(5_000, &[((0, 0), 100)]);
        assert_eq!(sender.rungs(RateWindow::Second), [((0, 0), 100)]);
    }

    #[test]
    fn what_is_declared_stands_for_what_was_not_measured_yet() {
        let mut sender = Sender::new();
        // Two streams of one layer each, of 100 and 500 kbit/s.
        let [first, second] = [0x11, 0x51].map(|head| VideoLayersAllocation::parse(&[head, 0, 100, 0xf4, 3]));
        assert!(sender.rates.declare(first.unwrap()));
        assert!(!sender.rates.declare(second.unwrap()), "the other stream's copy");
        assert_eq!(sender.rungs(RateWindow::Second), [], "nothing came yet");
        sender.run(50, &[((0, 0), 150), ((1, 0), 400)]);
        assert_eq!(sender.rungs(RateWindow::Second), [((0, 0), 100), ((1, 0), 500)]);
        sender.run(2_000, &[((0, 0), 150), ((1, 0), 400)]);
        assert_eq!(sender.rungs(RateWindow::Second), [((0, 0), 150), ((1, 0), 400)]);
        assert_eq!(sender.rungs(RateWindow::FiveSeconds), [((0, 0), 150), ((1, 0), 500)]);
        sender.run(5_000, &[]);
        assert_eq!(sender.rungs(RateWindow::Second), []);
        assert_eq!(sender.rungs(RateWindow::FiveSeconds), [((0, 0), 100), ((1, 0), 500)], "a still screen");
        sender.rates.declare(VideoLayersAllocation::parse(&[0]).unwrap());
        assert_eq!(sender.rungs(RateWindow::FiveSeconds), []);
    }

    #[test]
    fn others_are_told_of_clear_changes_and_at_most_once_a_second() {
        let mut sender = Sender::new();
        assert!(!sender.rates.take_news(sender.now));
        sender.run(1_000, &[((0, 0), 100)]);
        assert!(sender.rates.take_news(sender.now));
        sender.run(2_000, &[((0, 0), 110)]);
        assert!(!sender.rates.take_news(sender.now));
        sender.run(900, &[((0, 0), 200)]);
        assert!(sender.rates.take_news(sender.now));
        sender.run(900, &[((0, 0), 800)]);
        assert!(!sender.rates.take_news(sender.now));
        sender.run(100, &[((0, 0), 800)]);
        assert!(sender.rates.take_news(sender.now));
        sender.run(1_600, &[]);
        assert!(sender.rates.take_news(sender.now), "the layer is off");
        sender.run(5_000, &[]);
        assert!(!sender.rates.take_news(sender.now));
    }

    #[test]
    fn absurd_layers_and_times_do_no_harm() {
        let mut rates = LayerRates::new(true);
        let now = Instant::now() + Duration::from_secs(1);
        for number in 0..=u8::MAX {
            rates.add(Layer { spatial: number, temporal: number }, Picture::Delta, u16::MAX, now);
            let earlier = now - Duration::from_millis(1);
            rates.add(Layer { spatial: number, temporal: 0 }, Picture::Delta, u16::MAX, earlier);
        }
        assert!(rates.series.len() <= 64);
    }

    struct Sender {
        now: Instant,
        rates: LayerRates,
    }

    impl Sender {
        fn new() -> Self {
            Self { now: Instant::now(), rates: LayerRates::new(true) }
        }

        /// Sends layers at rates in kbit/s, a packet every ten milliseconds each.
        fn run(&mut self, ms: u64, layers: &[((u8, u8), u16)]) {
            for _ in 0..ms / 10 {
                for &(of, rate) in layers {
                    self.rates.add(layer(of), Picture::Delta, rate * 10 / 8, self.now);
                }
                self.now += Duration::from_millis(10);
            }
            self.rates.advance(self.now);
        }

        /// In kbit/s, rounded.
        fn rungs(&self, window: RateWindow) -> Vec<((u8, u8), u32)> {
            let mut rungs = Vec::new();
            self.rates.rungs(window, &mut rungs);
            let layers = rungs.iter().map(|rung| (rung.layer.spatial, rung.layer.temporal));
            layers.zip(rungs.iter().map(|rung| (rung.rate + 5_000) / 10_000 * 10)).collect()
        }
    }

    fn layer((spatial, temporal): (u8, u8)) -> Layer {
        Layer { spatial, temporal }
    }
}
