//! The link does what its settings say.

use super::path::{Bursts, Held, Loss, Markov, Path, Policer, Queue, Rate, Spread};
use super::rate::Capacity;
use super::{Cause, Link, Passage};
use std::time::{Duration, Instant};

#[test]
fn the_rate_is_kept_to_within_one_per_cent() {
    for rate in [300_000, 1_000_000, 10_000_000] {
        let arrivals = flood(path(Rate::Constant(rate), Queue::Time(millis(300))), 2 * rate, secs(10));
        let sent = carried(&arrivals, secs(1), secs(9)) / 8.0;
        assert!((sent / rate as f64 - 1.0).abs() < 0.01, "{sent} bit/s instead of {rate}");
    }
}

#[test]
fn a_step_changes_the_rate_at_once_even_for_a_packet_that_is_leaving() {
    const STEPS: &[(Duration, u64)] = &[(secs(0), 3_000_000), (secs(2), 500_000), (secs(4), 2_000_000)];
    let arrivals = flood(path(Rate::Steps(STEPS), Queue::Time(millis(100))), 6_000_000, secs(6));
    for (from, rate) in [(0, 3e6), (2, 5e5), (4, 2e6)] {
        let sent = carried(&arrivals, secs(from), secs(from + 2)) / 2.0;
        assert!((sent / rate - 1.0).abs() < 0.02, "{sent} bit/s instead of {rate}");
    }
}

#[test]
fn a_trace_gives_one_packet_for_each_of_its_milliseconds_and_repeats() {
    let arrivals = flood(path(Rate::Trace(&[0, 1, 1, 5, 9]), Queue::Time(millis(100))), 20_000_000, secs(5));
    let sent = carried(&arrivals, secs(1), secs(4)) / 3.0;
    let expected = 5.0 * 12_000.0 / 0.010;
    assert!((sent / expected - 1.0).abs() < 0.01, "{sent} bit/s instead of {expected}");
}

#[test]
fn a_wandering_rate_stays_in_its_states_steps_to_neighbours_and_fails_now_and_then() {
    const STATES: &[u64] = &[300_000, 1_000_000, 3_000_000];
    let markov = Markov {
        states: STATES,
        dwell: millis(400),
        outage_every: secs(20),
        outage: (millis(150), millis(500)),
    };
    let mut capacity = Capacity::new(Rate::Markov(markov), 1);
    let rates: Vec<f64> = (0..600_000).map(|at| capacity.at(millis(at)).unwrap()).collect();
    let of = |rate: &f64| STATES.iter().position(|state| *state as f64 == *rate);
    let outages = rates.chunk_by(|a, b| a == b).filter(|piece| piece[0] == 0.0);
    let outages: Vec<usize> = outages.map(<[f64]>::len).collect();
    assert!((15..60).contains(&outages.len()), "{} outages in ten minutes", outages.len());
    assert!(outages.iter().all(|length| (149..=501).contains(length)), "{outages:?}");
    let states: Vec<usize> = rates.iter().filter_map(of).collect();
    assert!(states.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 1), "a rate was skipped");
    let changes = states.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!((1_200..1_800).contains(&changes), "{changes} changes in ten minutes");
}

#[test]
fn a_queue_is_bounded_in_bytes_or_in_time() {
    for (queue, longest) in [(Queue::Bytes(37_500), millis(300)), (Queue::Time(millis(300)), millis(300))] {
        let mut link = Link::new(path(Rate::Constant(1_000_000), queue), 1, Instant::now());
        let passages = offer(&mut link, 2_000_000, secs(5));
        let waits = passages.iter().filter_map(|passage| match passage {
            Passage::Taken { waits } => Some(*waits),
            Passage::Lost(_) => None,
        });
        let longest_seen = waits.max().unwrap();
        assert!(longest_seen <= longest && longest_seen > longest - millis(15), "{longest_seen:?} {queue:?}");
        let lost = passages.iter().filter(|passage| **passage == Passage::Lost(Cause::Queue)).count();
        let share = lost as f64 / passages.len() as f64;
        assert!((0.44..0.5).contains(&share), "{share} were dropped of twice the rate");
    }
}

#[test]
fn the_backlog_is_what_the_bottleneck_still_has_to_send() {
    let start = Instant::now();
    let mut link = Link::new(path(Rate::Constant(1_000_000), Queue::Unlimited), 1, start);
    assert_eq!(link.backlog(start), Duration::ZERO);
    for _ in 0..5 {
        link.push(start, 1_000, ());
    }
    assert_eq!(link.backlog(start), millis(40));
    assert_eq!(link.backlog(start + millis(30)), millis(10));
    assert_eq!(link.backlog(start + secs(1)), Duration::ZERO);
}

#[test]
fn an_outage_is_waiting_and_not_serialisation() {
    const STEPS: &[(Duration, u64)] = &[(secs(0), 1_000_000), (secs(1), 0), (secs(2), 1_000_000)];
    let start = Instant::now();
    let mut link = Link::new(path(Rate::Steps(STEPS), Queue::Unlimited), 1, start);
    assert_eq!(link.push(start, 1_000, ()), Passage::Taken { waits: Duration::ZERO });
    let Passage::Taken { waits } = link.push(start + millis(1_200), 1_000, ()) else { panic!("lost") };
    assert!((799..=801).contains(&waits.as_millis()), "waits {waits:?}");
}

#[test]
fn the_same_seed_gives_the_same_fates_and_another_gives_others() {
    let run = |seed| {
        let mut link = Link::new(
            Path { loss: Loss::Random(0.2), ..path(Rate::Constant(1_000_000), Queue::Time(millis(50))) },
            seed,
            Instant::now(),
        );
        offer(&mut link, 1_500_000, secs(5))
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn order_is_kept_or_lost_as_configured() {
    let jitter = Spread::HalfNormal(millis(30));
    for (keeps_order, held, overtaken) in [
        (true, Held::NEVER, 0.0..=0.0),
        (false, Held::NEVER, 0.3..=1.0),
        (true, Held { share: 0.05, by: millis(300) }, 0.03..=0.06),
    ] {
        let path = Path { jitter, keeps_order, held, ..path(Rate::Unlimited, Queue::Unlimited) };
        let order: Vec<usize> = flood(path, 1_000_000, secs(20)).iter().map(|arrival| arrival.1).collect();
        let mut highest = 0;
        let late = order.iter().filter(|number| {
            highest = highest.max(**number);
            highest > **number
        });
        let share = late.count() as f64 / order.len() as f64;
        assert!(overtaken.contains(&share), "{share} were overtaken");
    }
}

#[test]
fn losses_have_the_share_and_the_bursts_that_were_asked_for() {
    let wifi = Loss::GilbertElliott { to_bad: 0.01, to_good: 0.2, good: 0.002, bad: 0.8 };
    let heavy = Bursts { share: 0.01, shortest: millis(10), longest: millis(60) };
    for (loss, bursts, share, lengths) in [
        (Loss::None, None, 0.0..=0.0, 0.0..=0.0),
        (Loss::Random(0.1), None, 0.095..=0.105, 1.05..=1.2),
        (wifi, None, 0.035..=0.045, 2.3..=3.5),
        (Loss::None, Some(heavy), 0.008..=0.012, 15.0..=25.0),
    ] {
        let path = Path { loss, bursts, ..path(Rate::Unlimited, Queue::Unlimited) };
        // A packet per millisecond.
        let passages = offer(&mut Link::new(path, 3, Instant::now()), 8_000_000, secs(200));
        let lost = |passage: &Passage| *passage == Passage::Lost(Cause::Air);
        let count = passages.iter().filter(|passage| lost(passage)).count() as f64;
        let runs = passages.chunk_by(|a, b| lost(a) == lost(b)).filter(|run| lost(&run[0])).count().max(1);
        assert!(share.contains(&(count / passages.len() as f64)), "{count} lost by {loss:?} {bursts:?}");
        assert!(lengths.contains(&(count / runs as f64)), "bursts of {} {loss:?}", count / runs as f64);
    }
}

#[test]
fn a_policer_passes_its_rate_and_one_burst_and_never_delays() {
    let policer = Some(Policer { rate: 2_000_000, burst: 30_000 });
    let path = Path { policer, ..path(Rate::Unlimited, Queue::Unlimited) };
    let arrivals = flood(path, 4_000_000, secs(10));
    let sent = carried(&arrivals, secs(1), secs(9)) / 8.0;
    assert!((sent / 2e6 - 1.0).abs() < 0.01, "{sent} bit/s");
    let mut link = Link::new(path, 1, Instant::now());
    let start = Instant::now();
    let passed = (0..100).filter(|_| link.push(start, 1_000, ()) == Passage::Taken { waits: Duration::ZERO });
    assert_eq!(passed.count(), 30);
}

#[test]
fn ticks_clump_what_arrives_and_silences_lose_it() {
    const SILENCES: &[(Duration, Duration)] = &[(secs(2), secs(4))];
    let path =
        Path { tick: Some(millis(500)), silences: SILENCES, ..path(Rate::Unlimited, Queue::Unlimited) };
    let arrivals = flood(path, 800_000, secs(6));
    assert!(arrivals.iter().all(|(at, ..)| at.as_millis() % 500 == 0));
    let silent = arrivals.iter().filter(|(at, ..)| (millis(2_501)..secs(4)).contains(at)).count();
    assert_eq!((silent, arrivals.len()), (0, 400));
}

#[test]
fn every_byte_arrives_is_under_way_or_lost() {
    let loss = Loss::Random(0.1);
    let start = Instant::now();
    let path = Path { loss, ..path(Rate::Constant(1_000_000), Queue::Time(secs(1))) };
    let mut link = Link::new(path, 1, start);
    let passages = offer(&mut link, 2_000_000, secs(3));
    let taken = passages.iter().filter(|passage| matches!(passage, Passage::Taken { .. })).count();
    let mut arrived = 0;
    while link.pop(start + secs(3)).is_some() {
        arrived += 1_000;
    }
    let under_way = link.under_way().count() * 1_000;
    assert_eq!(arrived + under_way, taken * 1_000);
    assert!(under_way > 50_000);
}

/// Offers packets of 1000 bytes at a rate, evenly spaced.
fn offer(link: &mut Link<()>, rate: u64, duration: Duration) -> Vec<Passage> {
    let interval = Duration::from_secs_f64(8_000.0 / rate as f64);
    let count = duration.as_nanos() / interval.as_nanos();
    let start = link.start;
    (0..count as u32).map(|number| link.push(start + number * interval, 1_000, ())).collect()
}

/// Offers as [`offer`], and returns the arrivals: time since the start, number.
fn flood(path: Path, rate: u64, duration: Duration) -> Vec<(Duration, usize)> {
    let start = Instant::now();
    let mut link = Link::new(path, 1, start);
    let interval = Duration::from_secs_f64(8_000.0 / rate as f64);
    for number in 0..(duration.as_nanos() / interval.as_nanos()) as usize {
        link.push(start + number as u32 * interval, 1_000, number);
    }
    let mut arrivals = Vec::new();
    while let Some(at) = link.next_arrival() {
        arrivals.push((at - start, link.pop(at).unwrap()));
    }
    arrivals
}

/// Bits that arrived within a span of time.
fn carried(arrivals: &[(Duration, usize)], from: Duration, until: Duration) -> f64 {
    arrivals.iter().filter(|(at, _)| (from..until).contains(at)).count() as f64 * 8_000.0
}

/// No delay, no loss.
fn path(rate: Rate, queue: Queue) -> Path {
    Path { rate, queue, delay: Duration::ZERO, jitter: Spread::None, ..Path::GOOD }
}

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
