//! Links of part 7 of the reference.

use super::model::{Link, Story, run};

fn show(name: &str, story: &Story) {
    let end = story.estimates.len() as f64 / 100.0;
    println!(
        "{name}: est mean {:.3} max {:.3} min {:.3} | queue p50 {:.0} p95 {:.0} max {:.0} ms | loss {:.2} % | probes {} filler {} kB | {} bytes",
        story.mean(&story.estimates, 5.0, end),
        story.max(&story.estimates, 5.0, end),
        story.min(&story.estimates, 5.0, end),
        story.quantile(&story.queues, 0.5, 5.0, end),
        story.quantile(&story.queues, 0.95, 5.0, end),
        story.max(&story.queues, 5.0, end),
        100.0 * story.loss(5.0, end),
        story.probes,
        story.filler_bytes / 1000,
        story.memory,
    );
}

#[test]
fn constant() {
    for paced in [true, false] {
        for (name, rate, wanted) in [
            ("0.3", (|_| 0.3) as fn(f64) -> f64, (|_| 0.5) as fn(f64) -> f64),
            ("1", |_| 1.0, |_| 1.5),
            ("3", |_| 3.0, |_| 4.0),
            ("10", |_| 10.0, |_| 15.0),
        ] {
            for seed in 1..4 {
                let story = run(Link { rate, wanted, is_paced: paced, ..Link::default() }, seed);
                show(&format!("constant {name} paced {paced}"), &story);
                println!(
                    "   to 85 %: {}",
                    story.time_until(&story.estimates, 0.0, |e| e >= 0.85 * rate(0.0))
                );
            }
        }
    }
}

#[test]
fn others() {
    use super::model::Back;
    let wanted: fn(f64) -> f64 = |_| 4.0;
    let base = || Link { wanted, ..Link::default() };
    for seed in 1..3 {
        for (name, rate) in [
            ("3-1.5", (|t| if t < 20.0 { 3.0 } else { 1.5 }) as fn(f64) -> f64),
            ("3-.5", |t| if t < 20.0 { 3.0 } else { 0.5 }),
        ] {
            let story = run(Link { rate, queue: 1000.0, ..base() }, seed);
            let after = rate(30.0);
            println!(
                "{name}: est<=rate {:.2} sent<=rate {:.2} peak queue {:.0} <100 again {:.2} | est after {:.3} loss {:.3}",
                story.time_until(&story.estimates, 20.0, |e| e <= after),
                story.time_until(
                    &story.sent.windows(20).map(|w| w.iter().sum::<f64>() / 20.0).collect::<Vec<_>>(),
                    20.0,
                    |e| e <= after
                ),
                story.max(&story.queues, 20.0, 60.0),
                story.time_until(&story.queues, 21.0, |e| e < 100.0) + 1.0,
                story.mean(&story.estimates, 25.0, 60.0),
                story.loss(20.0, 60.0)
            );
        }
        let rate: fn(f64) -> f64 = |t| if t < 20.0 { 1.0 } else { 3.0 };
        let story = run(Link { rate, ..base() }, seed);
        println!(
            "1-3: top {:.2} probes {}",
            story.time_until(&story.estimates, 20.0, |e| e >= 2.55),
            story.probes
        );
        show("bufferbloat", &run(Link { rate: |_| 2.0, queue: 2000.0, ..base() }, seed));
        show("shallow", &run(Link { queue: 20.0, ..base() }, seed));
        show("jitter 15 fifo", &run(Link { jitter: 15.0, ..base() }, seed));
        show("jitter 30 fifo", &run(Link { jitter: 30.0, ..base() }, seed));
        show("jitter 15 reorder", &run(Link { jitter: 15.0, reorders: true, ..base() }, seed));
        show("jitter 30 reorder", &run(Link { jitter: 30.0, reorders: true, ..base() }, seed));
        for loss in [0.1, 0.3] {
            show("back loss", &run(Link { back: Back { loss, ..Back::default() }, ..base() }, seed));
        }
        show("back clump", &run(Link { back: Back { clump: 500.0, ..Back::default() }, ..base() }, seed));
        show(
            "back silence",
            &run(Link { back: Back { silence: Some((20.0, 22.0)), ..Back::default() }, ..base() }, seed),
        );
        show("rtt 600", &run(Link { rtt: 600.0, ..base() }, seed));
        for loss in [0.01, 0.05, 0.1, 0.2, 0.3] {
            show(
                &format!("loss {loss}"),
                &run(Link { rate: |_| 5.0, wanted: |_| 7.0, loss, ..base() }, seed),
            );
        }
        show("policer", &run(Link { rate: |_| 100.0, policer: Some(2.0), ..base() }, seed));
        show("drift +1000", &run(Link { clock: |t| t, ..base() }, seed));
        show("drift -1000", &run(Link { clock: |t| -t, ..base() }, seed));
        show("step +5s", &run(Link { clock: |t| if t < 20.0 { 0.0 } else { 5000.0 }, ..base() }, seed));
        show("step -5s", &run(Link { clock: |t| if t < 20.0 { 0.0 } else { -5000.0 }, ..base() }, seed));
        let limited: fn(f64) -> f64 = |t| if t < 60.0 { 0.8 } else { 2.5 };
        let story = run(Link { wanted: limited, seconds: 80.0, ..base() }, seed);
        println!(
            "limited: est at 60 {:.2} granted {:.2} filler {} probes {}",
            story.mean(&story.estimates, 50.0, 60.0),
            story.time_until(&story.estimates, 60.0, |e| e >= 2.5),
            story.filler_bytes,
            story.probes
        );
    }
}
#[test]
fn one() {
    show("one", &run(Link { jitter: 30.0, wanted: |_| 4.0, seconds: 60.0, ..Link::default() }, 1));
}

#[test]
fn two() {
    show(
        "two",
        &run(Link { rate: |_| 5.0, wanted: |_| 7.0, loss: 0.01, seconds: 60.0, ..Link::default() }, 1),
    );
}
