//! Makes the report from a run's counts.

use crate::cli::{Options, VideoArguments};
use crate::codec::VideoCodec;
use crate::latency::Latency;
use crate::limit::Limit;
use crate::pin::own_cores;
use crate::recording::RecordingReport;
use crate::report::{
    AdaptationReport, GeneratorReport, MediaReport, Moment, PeerReport, Report, ServerReport, Spread,
};
use crate::run::Run;
use std::ops::Range;

/// The report for the seconds of `window`.
pub(crate) fn report(
    run: &Run<'_>,
    window: Range<u64>,
    limit: Option<Limit>,
    mut recording: Option<RecordingReport>,
) -> Report {
    let seconds = window.end - window.start;
    let summary = run.ledger.tally.over(window.clone());
    let per_second = |count: u64| count as f64 / seconds.max(1) as f64;
    let server = run.observer.server(window.start, window.end).map(|used| ServerReport {
        cpu_us_per_forwarded_packet: (summary.arrived > 0)
            .then(|| used.cores * seconds as f64 * 1e6 / summary.arrived as f64),
        used,
        resident_before_mib: run.resident_before,
    });
    if let Some(recording) = &mut recording {
        recording.charge(server.as_ref().map(|server| &server.used));
    }
    Report {
        scenario: run.options.scenario,
        media_sent: media_sent(run.options),
        pinned: run.options.generator.pin,
        peers: peers(run),
        window_start: first_second(run).map(|first| window.start.saturating_sub(first)),
        window_seconds: seconds,
        media: MediaReport {
            sent_per_second: per_second(summary.sent),
            received_per_second: per_second(summary.arrived),
            received_mbps: per_second(8 * summary.arrived_bytes) / 1e6,
            delivered: summary.delivery().share(),
            delivered_audio: summary.audio.share(),
            delivered_video: summary.video.share(),
            missing: summary.delivery().missing(),
            latency_ms: spread(&summary.latency),
            counts: run.ledger.tally.counts,
        },
        adaptation: AdaptationReport::of(&run.ledger.told),
        recording,
        server,
        generator: GeneratorReport {
            cores: run.observer.generator(window.start, window.end),
            of_cores: own_cores().len(),
            lag_ms: spread(&summary.lag),
        },
        limit,
        timeline: timeline(run),
    }
}

fn peers(run: &Run<'_>) -> PeerReport {
    let ledger = &run.ledger;
    PeerReport {
        publishing: run.publishing(),
        receiving: run.receiving(),
        joined: ledger.joins.len(),
        left: ledger.left,
        failed: ledger.failures.len(),
        first_failure: ledger.failures.first().cloned(),
        join_ms: Spread::of(&ledger.joins),
        connect_ms: Spread::of(&ledger.connects),
        first_packet_ms: Spread::of(&ledger.first_packets),
    }
}

/// Every second from the first with arrivals to the last with complete counts.
fn timeline(run: &Run<'_>) -> Vec<Moment> {
    let (Some(first), Some(last)) = (first_second(run), run.observer.seconds().max()) else {
        return Vec::new();
    };
    let moment = |second: u64| {
        let summary = run.ledger.tally.over(second..second + 1);
        let server = run.observer.server(second, second + 1);
        Moment {
            second: second - first,
            peers: run.observer.peers(second),
            received_per_second: summary.arrived as f64,
            received_mbps: 8.0 * summary.arrived_bytes as f64 / 1e6,
            missing_percent: summary.delivery().share().map(|share| 100.0 * (1.0 - share)),
            latency_ms: spread(&summary.latency),
            server_cores: server.as_ref().map(|used| used.cores),
            server_resident_mib: server.as_ref().map(|used| used.resident_mib),
            generator_cores: run.observer.generator(second, second + 1),
        }
    };
    let observed = run.observer.seconds().filter(|second| (first..last).contains(second));
    observed.map(moment).collect()
}

/// The first second with arrivals.
fn first_second(run: &Run<'_>) -> Option<u64> {
    run.ledger.tally.seconds.iter().find(|(_, second)| second.arrived > 0).map(|(at, _)| *at)
}

fn spread(latency: &Latency) -> Option<Spread> {
    (latency.count() > 0).then(|| Spread {
        p50: latency.quantile_ms(0.5),
        p95: latency.quantile_ms(0.95),
        p99: latency.quantile_ms(0.99),
        max: latency.quantile_ms(1.0),
    })
}

fn media_sent(options: &Options) -> String {
    let VideoArguments { codec, video_bitrate, packet_size, fps, .. } = options.video;
    let audio = "Opus in 50 packets/s";
    if !options.scenario.has_video() {
        return audio.to_owned();
    }
    let codec = match codec {
        VideoCodec::Vp8 => "VP8",
        VideoCodec::Vp9 => "VP9",
        VideoCodec::H264 => "H.264",
        VideoCodec::Av1 => "AV1",
    };
    let mbps = video_bitrate as f64 / 1e6;
    format!("{codec} at {mbps} Mbit/s in {packet_size}-byte packets, {fps} frames/s; {audio}")
}
