//! Active speaker detection from the audio levels in RTP header extensions (RFC 6464).
//!
//! The dominant speaker is found as Volfin and Cohen propose ("Dominant speaker identification for multipoint
//! videoconferencing", 2012): by comparing speech activity over more than one time scale, so that neither a
//! cough nor a loud room becomes the dominant speaker. Their likelihoods over three scales are here counts of
//! active frames over two: the last 200 ms show who speaks, the last 1.28 seconds who has the floor.

use crate::id::{ProducerId, ShardId};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// A producer that may have the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Speaker {
    /// The shard that receives its packets.
    pub(crate) shard: ShardId,
    pub(crate) producer: ProducerId,
}

/// Tracks the speech activity of one call's producers. `K` is a producer's key.
#[derive(Debug)]
pub(crate) struct SpeakerDetector<K> {
    voices: FxHashMap<K, Voice>,
    dominant: Option<K>,
    /// When the first level came; frames are numbered from then on.
    origin: Option<Instant>,
    decided_at: Option<Instant>,
    reported_at: Option<Instant>,
    /// The last report of levels was not empty.
    audible: bool,
}

impl<K: Copy + Eq + Hash> SpeakerDetector<K> {
    /// Notes a packet's level, 0..=127 in −dBov.
    pub(crate) fn level(&mut self, producer: K, level: u8, now: Instant) {
        let frame = self.frame(now);
        let level = -f32::from(level);
        let voice = self.voices.entry(producer).or_insert_with(|| Voice::Near(NearVoice::new(frame)));
        if let Voice::Near(voice) = voice {
            voice.hear(level, frame);
        }
    }

    /// Records the activity of a producer whose packets another shard receives.
    pub(crate) fn told(&mut self, producer: K, activity: Activity, now: Instant) {
        let frame = self.frame(now);
        self.voices.insert(producer, Voice::Far(activity, frame));
    }

    /// The activity of all producers that are not silent, to pass to [`Self::told`] on the home shard, at
    /// most every 200 ms; `None` when all are silent.
    pub(crate) fn activities(&mut self, now: Instant) -> Option<Vec<(K, Activity)>> {
        if !is_due(&mut self.reported_at, now) {
            return None;
        }
        let frame = self.frame(now);
        let activities = self.voices.iter().map(|(&producer, voice)| (producer, voice.activity(frame)));
        let speaking: Vec<_> = activities.filter(|(_, activity)| !activity.is_silence()).collect();
        (!speaking.is_empty()).then_some(speaking)
    }

    pub(crate) fn dominant(&self) -> Option<K> {
        self.dominant
    }

    /// Forgets a producer. If it was the dominant speaker, returns `Some(None)`: there is none until the next
    /// decision.
    pub(crate) fn remove(&mut self, producer: K) -> Option<Option<K>> {
        self.voices.remove(&producer);
        if self.dominant != Some(producer) {
            return None;
        }
        self.dominant = None;
        Some(None)
    }

    /// Decides again, at most every 200 ms. Returns the dominant speaker if it changed. In silence the last
    /// speaker stays dominant.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Option<K>> {
        if !is_due(&mut self.decided_at, now) {
            return None;
        }
        let frame = self.frame(now);
        let floor =
            self.dominant.and_then(|dominant| self.voices.get(&dominant)).map(|voice| voice.activity(frame));
        let challengers = self.voices.iter().filter(|&(&producer, _)| Some(producer) != self.dominant);
        let (&winner, _) = challengers
            .map(|(producer, voice)| (producer, voice.activity(frame)))
            .filter(|(_, activity)| activity.takes_over(floor.as_ref()))
            .max_by(|(_, a), (_, b)| a.floor.cmp(&b.floor).then(a.level.total_cmp(&b.level)))?;
        self.dominant = Some(winner);
        Some(self.dominant)
    }

    /// Smoothed levels in dBov of the producers above −60, the loudest first, at most every 200 ms. Empty
    /// once when all became silent, then `None`.
    pub(crate) fn levels(&mut self, now: Instant) -> Option<Vec<(K, i8)>> {
        if !is_due(&mut self.reported_at, now) {
            return None;
        }
        let frame = self.frame(now);
        let audible = self.voices.iter().map(|(&producer, voice)| (producer, voice.activity(frame).level));
        let mut levels: Vec<_> = audible
            .filter(|&(_, level)| level > SILENCE)
            .map(|(producer, level)| (producer, level as i8))
            .collect();
        levels.sort_by_key(|&(_, level)| Reverse(level));
        let was_audible = std::mem::replace(&mut self.audible, !levels.is_empty());
        (self.audible || was_audible).then_some(levels)
    }

    fn frame(&mut self, now: Instant) -> u64 {
        let origin = *self.origin.get_or_insert(now);
        (now.saturating_duration_since(origin).as_millis() / FRAME.as_millis()) as u64
    }
}

impl<K> Default for SpeakerDetector<K> {
    fn default() -> Self {
        Self {
            voices: FxHashMap::default(),
            dominant: None,
            origin: None,
            decided_at: None,
            reported_at: None,
            audible: false,
        }
    }
}

/// The speech activity of one producer.
#[derive(Debug)]
enum Voice {
    Near(NearVoice),
    /// The activity last reported by another shard, and the frame in which it was received.
    Far(Activity, u64),
}

/// One producer's last 64 frames of 20 ms.
#[derive(Debug)]
struct NearVoice {
    /// Number of the newest frame.
    frame: u64,
    /// A bit for each frame, set if it contained speech; the lowest bit is the newest frame.
    speech: u64,
    /// Smoothed level in dBov.
    level: f32,
    /// The estimated background noise, in dBov.
    noise: f32,
}

/// A producer's speech activity at one instant.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    /// Frames of speech in the last 200 ms.
    voice: u32,
    /// Frames of speech in the last 1.28 s.
    floor: u32,
    level: f32,
}

impl Voice {
    fn activity(&self, frame: u64) -> Activity {
        match self {
            Self::Near(voice) => voice.activity(frame),
            Self::Far(activity, told) if frame.saturating_sub(*told) <= TOLD_FRAMES => activity.clone(),
            Self::Far(..) => Activity::SILENCE,
        }
    }
}

impl NearVoice {
    fn new(frame: u64) -> Self {
        Self { frame, speech: 0, level: DIGITAL_SILENCE, noise: LOUDEST_NOISE }
    }

    /// Records a packet's level for all frames since the last packet, unless these are too many for one
    /// packet.
    fn hear(&mut self, level: f32, frame: u64) {
        let speaks = level > self.noise + SPEECH_OVER_NOISE;
        let passed = frame.saturating_sub(self.frame);
        let stands_for = if passed > HELD_FRAMES { 1 } else { passed.max(1) };
        self.speech = shift(self.speech, passed);
        if speaks {
            self.speech |= (1 << stands_for) - 1;
        }
        self.frame = self.frame.max(frame);
        self.level = if level > self.level {
            self.level + (level - self.level) * ATTACK
        } else {
            level.max(self.level - RELEASE * stands_for as f32)
        };
        self.noise = if level < self.noise { level.max(QUIETEST_NOISE) } else { self.noise + NOISE_RISE };
        self.noise = self.noise.min(LOUDEST_NOISE);
    }

    /// A voice that sends nothing is silent.
    fn activity(&self, frame: u64) -> Activity {
        let passed = frame.saturating_sub(self.frame);
        let (speech, level) = if passed > HELD_FRAMES {
            (shift(self.speech, passed), DIGITAL_SILENCE)
        } else {
            (self.speech, self.level)
        };
        Activity { voice: (speech & VOICE_FRAMES).count_ones(), floor: speech.count_ones(), level }
    }
}

impl Activity {
    const SILENCE: Self = Self { voice: 0, floor: 0, level: DIGITAL_SILENCE };

    fn is_silence(&self) -> bool {
        self.floor == 0 && self.level <= SILENCE
    }

    /// Whether this producer speaks more than the dominant speaker in the last 200 ms, and spoke clearly
    /// longer in the last 1.28 s.
    fn takes_over(&self, dominant: Option<&Self>) -> bool {
        match dominant {
            None => self.floor >= ENOUGH_AT_FIRST,
            Some(dominant) => {
                self.voice > dominant.voice
                    && self.floor >= ENOUGH
                    && self.floor >= dominant.floor + CLEARLY_MORE
            }
        }
    }
}

fn shift(speech: u64, frames: u64) -> u64 {
    u32::try_from(frames).ok().and_then(|frames| speech.checked_shl(frames)).unwrap_or(0)
}

/// Whether [`INTERVAL`] has passed since this last returned true.
fn is_due(last: &mut Option<Instant>, now: Instant) -> bool {
    let due = last.is_none_or(|last| now.saturating_duration_since(last) >= INTERVAL);
    if due {
        *last = Some(now);
    }
    due
}

const INTERVAL: Duration = Duration::from_millis(200);
/// The duration of audio that most codecs put into a packet.
const FRAME: Duration = Duration::from_millis(20);
/// 100 ms: the longest packets in use, and jitter.
const HELD_FRAMES: u64 = 5;
/// 600 ms: three reports, of which two may be lost.
const TOLD_FRAMES: u64 = 30;
/// Bit mask of the newest ten frames (200 ms).
const VOICE_FRAMES: u64 = (1 << 10) - 1;

/// Frames of speech within 1.28 s that are needed to become dominant: 300 ms if there is no dominant speaker,
/// else 600 ms (a cough lasts up to 500 ms) and 320 ms more than the dominant speaker.
const ENOUGH_AT_FIRST: u32 = 15;
const ENOUGH: u32 = 30;
const CLEARLY_MORE: u32 = 16;

/// In dBov and dB. Speech is 10 dB louder than the noise. The noise is the lowest level of about the last ten
/// seconds, limited to −70..=−50 dBov, so any level above −40 dBov is speech.
const SPEECH_OVER_NOISE: f32 = 10.0;
const QUIETEST_NOISE: f32 = -70.0;
const LOUDEST_NOISE: f32 = -50.0;
/// Rise of the noise estimate in dB per packet: 2 dB a second.
const NOISE_RISE: f32 = 0.04;
const SILENCE: f32 = -60.0;
const DIGITAL_SILENCE: f32 = -127.0;
/// Weight of a louder packet's level, so that a click of one packet is not taken for a word.
const ATTACK: f32 = 0.4;
/// Fall of the level in dB per frame: 20 dB from one report to the next, so that a short word between two reports
/// is seen, and a syllable's end does not look like silence.
const RELEASE: f32 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    const NOBODY: [&str; 0] = [];

    #[test]
    fn the_only_one_who_speaks_becomes_dominant_and_stays_so_in_silence() {
        let mut call = Call::of(["ann", "bob", "eve"]);
        assert_eq!(call.quiet(2_000), NOBODY);
        assert_eq!(call.speaks(&["ann"], 1_500), ["ann"]);
        assert_eq!(call.quiet(60_000), NOBODY);
        assert_eq!(call.detector.dominant, Some("ann"));
    }

    #[test]
    fn a_cough_takes_the_stage_from_nobody() {
        let mut call = Call::of(["ann", "bob", "eve"]);
        call.speaks(&["ann"], 3_000);
        assert_eq!(call.speaks(&["ann", "bob"], 400), NOBODY);
        assert_eq!(call.speaks(&["ann"], 1_000), NOBODY);
        call.quiet(2_000);
        assert_eq!(call.speaks(&["bob"], 400), NOBODY);
        assert_eq!(call.quiet(2_000), NOBODY);
    }

    #[test]
    fn an_answer_takes_the_stage_within_a_second_and_a_half() {
        for seed in 0..50 {
            let mut call = Call { rng: StdRng::seed_from_u64(seed), ..Call::of(["ann", "bob", "eve"]) };
            assert_eq!(call.speaks(&["ann"], 5_000), ["ann"]);
            assert_eq!(call.speaks(&["bob"], 1_500), ["bob"], "seed {seed}");
            assert_eq!(call.speaks(&["eve"], 1_500), ["eve"], "seed {seed}");
        }
    }

    #[test]
    fn whoever_talks_over_the_speaker_gets_the_stage_when_the_speaker_yields() {
        for seed in 0..50 {
            let mut call = Call { rng: StdRng::seed_from_u64(seed), ..Call::of(["ann", "bob", "eve"]) };
            call.speaks(&["ann"], 5_000);
            assert_eq!(call.speaks(&["ann", "bob"], 1_500), NOBODY, "seed {seed}");
            assert_eq!(call.speaks(&["bob"], 1_500), ["bob"], "seed {seed}");
        }
    }

    #[test]
    fn a_noisy_room_is_not_a_speaker() {
        let mut call = Call::of(["ann", "bob", "eve"]);
        call.noise = -46;
        assert_eq!(call.quiet(20_000), NOBODY);
        assert_eq!(call.speaks(&["ann"], 1_500), ["ann"]);
    }

    #[test]
    fn a_soft_voice_in_a_silent_room_is_heard() {
        let mut call = Call::of(["ann", "bob", "eve"]);
        (call.noise, call.voice) = (-80, -52);
        call.quiet(2_000);
        assert_eq!(call.speaks(&["bob"], 1_500), ["bob"]);
    }

    #[test]
    fn when_the_speaker_leaves_there_is_none_until_another_speaks() {
        let mut call = Call::of(["ann", "bob", "eve"]);
        call.speaks(&["ann"], 3_000);
        call.speaks(&["ann", "bob"], 1_000);
        assert_eq!(call.detector.remove("eve"), None);
        assert_eq!(call.detector.remove("ann"), Some(None));
        call.people.retain(|&person| person == "bob");
        assert_eq!(call.speaks(&["bob"], 400), ["bob"]);
    }

    #[test]
    fn a_speaker_who_mutes_does_not_keep_the_floor() {
        let mut call = Call::of(["ann", "bob"]);
        call.speaks(&["ann"], 3_000);
        call.people.retain(|&person| person == "bob");
        assert_eq!(call.speaks(&["bob"], 1_500), ["bob"]);
    }

    #[test]
    fn packets_of_60_ms_count_as_much_as_those_of_20_ms() {
        let mut call = Call::of(["ann", "bob"]);
        call.packet = Duration::from_millis(60);
        assert_eq!(call.speaks(&["ann"], 1_500), ["ann"]);
        assert_eq!(call.speaks(&["bob"], 1_500), ["bob"]);
    }

    #[test]
    fn levels_name_the_loud_ones_five_times_a_second_and_say_once_that_all_are_silent() {
        let mut call = Call::of(["ann", "bob", "eve"]);
        call.speaks(&["ann", "bob"], 1_000);
        let loud: Vec<_> = call.reports.drain(..).collect();
        assert_eq!(loud.len(), 4, "and a first look that heard nothing yet");
        let names = |report: &[(&'static str, i8)]| report.iter().map(|&(name, _)| name).collect::<Vec<_>>();
        for report in &loud {
            let mut names = names(report);
            names.sort_unstable();
            assert_eq!(names, ["ann", "bob"]);
            assert!(report.iter().all(|&(_, level)| (-60..=-15).contains(&level)), "{report:?}");
            assert!(report[0].1 >= report[1].1);
        }
        call.quiet(3_000);
        assert_eq!(call.reports.iter().filter(|report| report.is_empty()).count(), 1);
        assert!(call.reports.last().unwrap().is_empty());
    }

    #[test]
    fn a_short_word_is_seen_in_a_report_wherever_it_falls_between_two_and_a_click_is_not() {
        for quiet in (400..600).step_by(20) {
            let mut call = Call::of(["ann"]);
            call.quiet(quiet);
            call.speaks_clearly("ann", 100);
            call.quiet(400);
            let loudest = call.reports.drain(..).flatten().map(|(_, level)| level).max();
            assert!(loudest.is_some_and(|level| level > -50), "after {quiet} ms: {loudest:?}");
            call.quiet(quiet);
            call.speaks_clearly("ann", 20);
            call.quiet(400);
            let loudest = call.reports.iter().flatten().map(|&(_, level)| level).max();
            assert!(loudest.is_none_or(|level| level < -50), "after {quiet} ms: {loudest:?}");
        }
    }

    #[test]
    fn somebody_whose_packets_stop_is_silent() {
        let mut call = Call::of(["ann"]);
        call.speaks(&["ann"], 1_000);
        call.people.clear();
        call.reports.clear();
        call.quiet(1_000);
        assert_eq!(call.reports.pop().unwrap(), []);
        assert!(call.reports.len() <= 1, "{:?}", call.reports);
    }

    /// A call in which everybody sends packets all the time, and speech has natural pauses.
    struct Call {
        detector: SpeakerDetector<&'static str>,
        people: Vec<&'static str>,
        now: Instant,
        rng: StdRng,
        packet: Duration,
        noise: i16,
        voice: i16,
        reports: Vec<Vec<(&'static str, i8)>>,
    }

    impl Call {
        fn of(people: impl Into<Vec<&'static str>>) -> Self {
            Self {
                detector: SpeakerDetector::default(),
                people: people.into(),
                now: Instant::now(),
                rng: StdRng::seed_from_u64(7),
                packet: Duration::from_millis(20),
                noise: -75,
                voice: -30,
                reports: Vec::new(),
            }
        }

        fn quiet(&mut self, milliseconds: u64) -> Vec<&'static str> {
            self.speaks(&[], milliseconds)
        }

        /// Lets some speak for a while. Returns who became dominant, one after another.
        fn speaks(&mut self, speakers: &[&str], milliseconds: u64) -> Vec<&'static str> {
            let mut changes = Vec::new();
            let end = self.now + Duration::from_millis(milliseconds);
            while self.now < end {
                for person in self.people.clone() {
                    let speech = speakers.contains(&person) && self.rng.random_bool(0.8);
                    let level = if speech { self.voice } else { self.noise } + self.rng.random_range(-5..=5);
                    self.detector.level(person, level.unsigned_abs() as u8, self.now);
                }
                // Many transports' timers call this in turn; the detector limits the rate itself.
                changes.extend(self.detector.tick(self.now).flatten());
                self.reports.extend(self.detector.levels(self.now));
                self.now += self.packet;
            }
            changes
        }

        /// Lets one speak without the pauses of speech.
        fn speaks_clearly(&mut self, speaker: &'static str, milliseconds: u64) {
            let end = self.now + Duration::from_millis(milliseconds);
            while self.now < end {
                self.detector.level(speaker, self.voice.unsigned_abs() as u8, self.now);
                self.reports.extend(self.detector.levels(self.now));
                self.now += self.packet;
            }
        }
    }
}
