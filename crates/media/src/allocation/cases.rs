//! The table of cases: what each of some receivers gets, in kbit/s. A case reads as a sentence about a call.

use super::memory::{Holding, Memory, Schedule, apply};
use super::{Allocation, Budget, Demand, Grant, Ladder, Layer, Limit, Rung, Standing, VideoKind, allocate};
use std::time::{Duration, Instant};

/// Spatial and temporal layer and rate. Cameras in simulcast (C) and as one scalable stream (V), a screen (S),
/// a screen in two resolutions (T), and a camera without layers (X).
const C: &[(u8, u8, u32)] =
    &[(0, 0, 90), (0, 1, 120), (0, 2, 150), (1, 1, 400), (1, 2, 500), (2, 1, 1200), (2, 2, 1500)];
const V: &[(u8, u8, u32)] =
    &[(0, 0, 80), (0, 1, 110), (0, 2, 140), (1, 1, 360), (1, 2, 440), (2, 1, 1100), (2, 2, 1300)];
const S: &[(u8, u8, u32)] = &[(0, 0, 600), (0, 1, 1000), (0, 2, 1500)];
const T: &[(u8, u8, u32)] = &[(0, 0, 200), (0, 1, 350), (1, 0, 700), (1, 1, 1500)];
const X: &[(u8, u8, u32)] = &[(0, 0, 800)];

/// Estimate, audio, consumers, what they get, and what is left. "-" is paused, "!" is beyond the budget.
const CASES: [(u64, u64, &str, &str, i64); 33] = [
    (5000, 0, "C", "2.2", 3500),
    (1600, 0, "C", "2.2", 100),
    (1000, 0, "C", "1.2", 500),
    (480, 0, "C", "1.1", 80),
    (130, 0, "C", "0.1", 10),
    (130, 40, "C", "0.0", 0),
    (120, 40, "C", "-", 80),
    (30, 40, "C", "-", -10),
    (1600, 40, "C, C", "1.2, 1.2", 560),
    (1600, 40, "C speaker, C", "2.1, 0.2", 210),
    (600, 40, "C speaker, C", "1.1, 0.2", 10),
    (400, 40, "C, C, C", "0.1, 0.1, 0.1", 0),
    (250, 40, "C speaker, C, C", "0.1, 0.0, -", 0),
    (3000, 40, "C cap1, C cap0, C cap0", "1.2, 0.2, 0.2", 2160),
    (2500, 60, "S, C, C", "0.2, 1.2, 1.1", 40),
    (1000, 60, "S, C, C", "0.0, 0.2, 0.2", 40),
    (500, 60, "S, C, C", "0.0!, -, -", 0),
    (450, 60, "S, C, C", "-, 0.2, 0.2", 90),
    (500, 60, "T, C", "0.1, 0.0", 0),
    (1200, 60, "T, C", "1.0, 1.1", 40),
    (1600, 0, "C now1.2", "2.1", 400),
    (1730, 0, "C now1.2", "2.2", 230),
    (1500, 0, "C now2.2", "2.2", 0),
    (1490, 0, "C now2.2", "2.1", 290),
    (1300, 0, "C now1.2", "1.2", 800),
    (1000, 40, "V, C", "1.2, 1.2", 20),
    (700, 40, "X, C", "-, 1.2", 160),
    (1000, 40, "X speaker, C", "0.0, 0.2", 10),
    (2000, 200, "16x C cap0", "12x 0.1, 4x 0.0", 0),
    (1200, 200, "16x C cap0", "11x 0.0, 5x -", 10),
    (3000, 200, "C speaker, 8x C cap0", "2.2, 8x 0.2", 100),
    (1700, 200, "C speaker, 8x C cap0", "1.2, 1x 0.2, 7x 0.1", 10),
    (60, 60, "C, S", "-, -", 0),
];

#[test]
fn every_receiver_of_the_table_gets_what_the_table_says() {
    let mut allocation = Allocation::default();
    for (number, (estimate, audio, consumers, expected, left)) in (1..).zip(CASES) {
        let demands: Vec<_> = each(consumers).map(demand).collect();
        run(estimate, audio, &demands, &mut allocation);
        let granted: Vec<_> = allocation.grants().iter().copied().map(written).collect();
        let expected: Vec<_> = each(expected).collect();
        assert_eq!((granted, allocation.left), (as_owned(&expected), left * 1000), "case {number}");
    }
}

#[test]
fn what_is_granted_fits_and_what_was_refused_is_the_next_step() {
    let mut allocation = Allocation::default();
    let mut step = |estimate, consumers: &str| {
        let demands: Vec<_> = each(consumers).map(demand).collect();
        run(estimate, 0, &demands, &mut allocation);
        (allocation.used / 1000, allocation.wanted / 1000, allocation.next_step().map(|step| step / 1000))
    };
    assert_eq!(step(3000, "C cap1, C cap0"), (650, 650, None), "a satisfied transport does not probe");
    assert_eq!(step(1000, "C"), (500, 1500, Some(700)));
    assert_eq!(step(120, "C, C"), (120, 3000, Some(90)), "the paused one comes back first");
    assert_eq!(step(440, "S, C"), (600, 3000, Some(0)), "what is sent must be proven first");
    assert_eq!(step(500, "T"), (350, 1500, Some(350)), "the sharp picture, not the next frame rate");
}

#[test]
fn audio_is_set_aside_for_each_speaker_and_repair_takes_a_bounded_share() {
    let budget = Budget { estimate: 1_000_000, audio: 30_000, speakers: 2, repair: 500_000 };
    assert_eq!(budget.video(), 1_000_000 - 80_000 - 150_000);
    let absurd = Budget { estimate: u64::MAX, audio: u64::MAX, speakers: u32::MAX, repair: u64::MAX };
    assert!(absurd.video() <= 0);
}

#[test]
fn an_equal_that_has_a_layer_keeps_it_before_another_gets_it() {
    let demands: Vec<_> = each("C now1.2, C now2.1").map(demand).collect();
    let mut allocation = Allocation::default();
    run(1900, 0, &demands, &mut allocation);
    assert_eq!(allocation.grants().iter().copied().map(written).collect::<Vec<_>>(), ["1.2", "2.1"]);
}

#[test]
fn a_camera_with_the_highest_priority_is_not_paused_for_a_screen() {
    let mut demands: Vec<_> = each("S, C").map(demand).collect();
    (demands[0].priority, demands[1].priority) = (10, 255);
    let mut allocation = Allocation::default();
    run(500, 0, &demands, &mut allocation);
    assert_eq!(allocation.grants().iter().copied().map(written).collect::<Vec<_>>(), ["-", "1.2"]);
}

#[test]
fn case_34_a_short_dip_costs_one_step_down_and_no_flapping() {
    let mut call = Call::new("C now2.2");
    assert_eq!(call.run(1600), None);
    assert_eq!(call.after(200).run(900).as_deref(), Some("1.2"));
    for _ in 0..9 {
        assert_eq!(call.after(200).run(1600), None);
    }
    assert_eq!(call.after(200).run(1600).as_deref(), Some("2.1"));
    for _ in 0..50 {
        assert_eq!(call.after(200).run(1600), None);
    }
}

#[test]
fn case_35_a_sawtooth_costs_one_step_down_and_no_flapping() {
    let mut call = Call::new("C now2.2");
    let mut changes = Vec::new();
    for step in 0..600 {
        let phase = (step % 10i64 - 5).unsigned_abs();
        changes.extend(call.after(100).run(1400 + 40 * phase));
    }
    assert_eq!(changes, ["2.1"]);
}

#[test]
fn case_36_an_upgrade_that_fails_is_undone_and_waits_longer_each_time() {
    let mut call = Call::new("C now1.2");
    for blocked in [5, 10, 20, 20] {
        assert_eq!(call.run(1600).as_deref(), Some("2.1"), "before {blocked} s");
        assert!(call.after(1000).congested());
        assert_eq!(call.run(1600).as_deref(), Some("1.2"));
        for _ in 1..blocked {
            assert_eq!(call.after(1000).run(1600), None, "{blocked} s");
        }
        call.after(1000);
    }
    assert_eq!(call.run(1600).as_deref(), Some("2.1"));
    assert!(call.after(1000).congested());
    call.run(1600);
    call.prove(1559);
    assert_eq!(call.after(3000).run(1600), None, "1.3 times the need is not proven");
    call.prove(1560);
    assert_eq!(call.run(1600).as_deref(), Some("2.1"));
}

#[test]
fn case_36_half_a_minute_of_calm_forgets_failures() {
    let mut call = Call::new("C now1.2");
    for calm in [0, 6_000, 12_000, 30_000, 6_000] {
        call.after(calm);
        assert_eq!(call.run(1600).as_deref(), Some("2.1"));
        assert!(call.after(1000).congested());
        assert_eq!(call.run(1600).as_deref(), Some("1.2"));
    }
    let remaining = call.holdings[0];
    assert_ne!(remaining.limit(call.now + Duration::from_millis(9_999)), Limit::Free);
    assert_eq!(remaining.limit(call.now + Duration::from_secs(10)), Limit::Free);
}

#[test]
fn case_36_an_upgrade_that_went_well_for_five_seconds_is_not_to_blame() {
    let mut call = Call::new("C now1.2");
    assert_eq!(call.run(1600).as_deref(), Some("2.1"));
    assert!(!call.after(5_001).congested());
    assert_eq!(call.run(1600), None);
}

#[test]
fn case_37_a_layer_that_is_not_sent_any_more_is_neither_missed_nor_a_reason_to_pause() {
    let mut call = Call::new("C now2.2");
    let sent: Vec<_> = rungs(C).into_iter().filter(|rung| rung.layer.spatial < 2).collect();
    call.demands[0].ladder = Ladder::camera(&sent, ANY);
    assert_eq!(call.run(1000).as_deref(), Some("1.2"));
}

#[test]
fn case_38_a_paused_camera_comes_back_with_its_lowest_resolution_and_rises_later() {
    let mut call = Call::new("C now1.2");
    assert_eq!(call.run(80).as_deref(), Some("-"));
    assert_eq!(call.after(1_000).run(95), None, "coming back needs a margin");
    assert_eq!(call.after(9_000).run(2000).as_deref(), Some("0.2"));
    assert_eq!(call.after(1_000).run(2000), None);
    assert_eq!(call.after(1_000).run(2000).as_deref(), Some("2.2"));
}

#[test]
fn cases_39_and_40_a_consumer_without_a_demand_reserves_nothing() {
    let demands: Vec<_> = each("C").map(demand).collect();
    let mut allocation = Allocation::default();
    run(1500, 0, &demands, &mut allocation);
    assert_eq!((allocation.used, allocation.next_step()), (1_500_000, None));
    run(1500, 0, &[], &mut allocation);
    assert_eq!((allocation.used, allocation.wanted, allocation.left), (0, 0, 1_500_000));
}

#[test]
fn case_41_the_bound_of_an_overloaded_worker_is_a_cap_like_a_wish() {
    let mut call = Call::new("C");
    call.demands[0].ladder = Ladder::camera(&rungs(C), Layer { spatial: 0, temporal: 2 });
    assert_eq!(call.run(1600).as_deref(), Some("0.2"));
}

#[test]
fn upgrades_come_one_by_one_and_the_most_important_first() {
    let mut call = Call::new("C now0.2, C speaker now0.2, C now0.2");
    assert_eq!(call.run(9000).as_deref(), Some("2.2"));
    assert_eq!(call.granted(), ["0.2", "2.2", "0.2"]);
    assert_eq!(call.waits, Some(call.now + Duration::from_millis(200)));
    assert_eq!(call.after(100).run(9000), None);
    call.ready = false;
    assert_eq!(call.after(100).run(9000), None, "a key frame is under way");
    assert_eq!(call.waits, None, "time alone does not help");
    call.ready = true;
    call.run(9000);
    assert_eq!(call.granted(), ["2.2", "2.2", "0.2"]);
    call.after(200).run(9000);
    assert_eq!(call.granted(), ["2.2", "2.2", "2.2"]);
}

#[test]
fn new_consumers_do_not_wait_for_each_other() {
    let mut call = Call::new("C, C, C");
    call.run(450);
    assert_eq!(call.granted(), ["0.2", "0.2", "0.2"]);
}

#[test]
fn only_the_newest_of_some_upgrades_is_blamed() {
    let mut call = Call::new("C now0.2, C now0.2");
    call.run(9000);
    call.after(200).run(9000);
    assert_eq!(call.granted(), ["2.2", "2.2"]);
    assert!(call.after(500).congested());
    call.run(9000);
    assert_eq!(call.granted(), ["2.2", "0.2"]);
}

#[test]
fn the_allocation_runs_when_something_moved_but_not_all_the_time() {
    let (start, mut schedule) = (Instant::now(), Schedule::default());
    let at = |ms| start + Duration::from_millis(ms);
    assert!(schedule.is_due(start, 1000));
    schedule.ran(start, 1000, None);
    for (ms, estimate, due) in [(99, 1, false), (100, 949, true), (100, 950, false), (100, 1101, true)] {
        assert_eq!(schedule.is_due(at(ms), estimate), due, "{estimate} after {ms} ms");
    }
    assert!(!schedule.is_due(at(999), 1100) && schedule.is_due(at(1000), 1000));
    assert_eq!(schedule.next(), Some(at(1000)));
    schedule.flag();
    assert_eq!((schedule.next(), schedule.is_due(at(100), 1000)), (Some(at(100)), true));
    schedule.ran(at(100), 1000, Some(at(300)));
    assert_eq!((schedule.next(), schedule.is_due(at(300), 1000)), (Some(at(300)), true));
}

/// A receiver over time.
struct Call {
    now: Instant,
    demands: Vec<Demand>,
    holdings: Vec<Holding>,
    memory: Memory,
    allocation: Allocation,
    ready: bool,
    waits: Option<Instant>,
}

impl Call {
    /// Consumers that have had for long what they have.
    fn new(consumers: &str) -> Self {
        let now = Instant::now();
        let demands: Vec<_> = each(consumers).map(demand).collect();
        let mut holdings = vec![Holding::default(); demands.len()];
        let mut memory = Memory::default();
        for (demand, holding) in demands.iter().zip(&mut holdings) {
            if let Standing::Granted(layer) = demand.standing {
                let rung = demand.ladder.rungs().iter().find(|rung| rung.layer == layer).unwrap();
                memory.run(now, true).apply(holding, demand, Grant::Forward(*rung), 0);
            }
        }
        let allocation = Allocation::default();
        Self { now, demands, holdings, memory, allocation, ready: true, waits: None }
    }

    fn after(&mut self, ms: u64) -> &mut Self {
        self.now += Duration::from_millis(ms);
        self
    }

    /// Runs the allocation and returns the last change.
    fn run(&mut self, estimate: u64) -> Option<String> {
        for (demand, holding) in self.demands.iter_mut().zip(&self.holdings) {
            (demand.standing, demand.limit) = (holding.standing(), holding.limit(self.now));
        }
        run(estimate, 0, &self.demands, &mut self.allocation);
        let mut last = None;
        let mut run = self.memory.run(self.now, self.ready);
        self.waits = apply(&mut run, &self.allocation, &self.demands, &mut self.holdings, |_, grant| {
            last = Some(written(grant));
        });
        last
    }

    fn congested(&mut self) -> bool {
        self.memory.congested(self.now, &mut self.holdings)
    }

    fn prove(&mut self, video: i64) {
        self.holdings.iter_mut().for_each(|holding| holding.proven(video * 1000));
    }

    fn granted(&self) -> Vec<String> {
        let standing = |holding: &Holding| match holding.standing() {
            Standing::New => "?".to_owned(),
            Standing::Paused => "-".to_owned(),
            Standing::Granted(layer) => format!("{}.{}", layer.spatial, layer.temporal),
        };
        self.holdings.iter().map(standing).collect()
    }
}

fn run(estimate: u64, audio: u64, demands: &[Demand], allocation: &mut Allocation) {
    let budget = Budget { estimate: estimate * 1000, audio: audio * 1000, ..Budget::default() };
    allocate(budget.video(), demands, allocation);
}

/// The parts of a list; "3x" before one repeats it.
fn each(list: &str) -> impl Iterator<Item = &str> {
    list.split(", ").flat_map(|part| match part.split_once("x ") {
        Some((times, part)) => std::iter::repeat_n(part, times.parse().unwrap()),
        None => std::iter::repeat_n(part, 1),
    })
}

fn demand(words: &str) -> Demand {
    let mut words = words.split(' ');
    let (rates, kind, mut priority) = match words.next().unwrap() {
        "C" => (C, VideoKind::Camera, 10),
        "V" => (V, VideoKind::Camera, 10),
        "X" => (X, VideoKind::Camera, 10),
        "S" => (S, VideoKind::Screen, 255),
        "T" => (T, VideoKind::Screen, 255),
        other => panic!("{other}?"),
    };
    let (mut cap, mut standing) = (ANY, Standing::New);
    for word in words {
        if let Some(spatial) = word.strip_prefix("cap") {
            cap.spatial = spatial.parse().unwrap();
        } else if let Some(layer) = word.strip_prefix("now") {
            let (spatial, temporal) = layer.split_once('.').unwrap();
            let layer = Layer { spatial: spatial.parse().unwrap(), temporal: temporal.parse().unwrap() };
            standing = Standing::Granted(layer);
        } else {
            assert_eq!(word, "speaker");
            priority = 200;
        }
    }
    let ladder = match kind {
        VideoKind::Camera => Ladder::camera(&rungs(rates), cap),
        VideoKind::Screen => Ladder::screen(&rungs(rates), cap),
    };
    Demand { ladder, kind, priority, standing, limit: Limit::Free }
}

fn rungs(rates: &[(u8, u8, u32)]) -> Vec<Rung> {
    let rung =
        |&(spatial, temporal, rate): &_| Rung { layer: Layer { spatial, temporal }, rate: rate * 1000 };
    rates.iter().map(rung).collect()
}

fn written(grant: Grant) -> String {
    let mark = if matches!(grant, Grant::Oversend(_)) { "!" } else { "" };
    grant
        .rung()
        .map_or("-".to_owned(), |Rung { layer, .. }| format!("{}.{}{mark}", layer.spatial, layer.temporal))
}

fn as_owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

const ANY: Layer = Layer { spatial: u8::MAX, temporal: u8::MAX };
