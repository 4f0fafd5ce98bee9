//! The result of a run, as a table or as JSON.

use crate::adaptation::{Bandwidth, Told, WITHHELD};
use crate::limit::{End, Limit};
use crate::observer::ServerUse;
use crate::recording::RecordingReport;
use crate::scenario::Scenario;
use crate::tally::Counts;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: Scenario,
    /// A description of the publishers' media.
    pub(crate) media_sent: String,
    pub(crate) pinned: bool,
    pub(crate) peers: PeerReport,
    /// The first measured second of the timeline.
    pub(crate) window_start: Option<u64>,
    pub(crate) window_seconds: u64,
    pub(crate) media: MediaReport,
    /// Absent if nobody received.
    pub(crate) adaptation: Option<AdaptationReport>,
    /// Absent if the call was not recorded.
    pub(crate) recording: Option<RecordingReport>,
    /// Absent if the server's process is not visible from this machine.
    pub(crate) server: Option<ServerReport>,
    pub(crate) generator: GeneratorReport,
    pub(crate) limit: Option<Limit>,
    pub(crate) timeline: Vec<Moment>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PeerReport {
    pub(crate) publishing: usize,
    pub(crate) receiving: usize,
    /// Joins and leaves over the whole run.
    pub(crate) joined: usize,
    pub(crate) left: usize,
    /// The number of failed peers, and the first failure's reason.
    pub(crate) failed: usize,
    pub(crate) first_failure: Option<String>,
    /// Times from the request to join until the answer, until the transports are connected, and until the
    /// first media packet.
    pub(crate) join_ms: Option<Spread>,
    pub(crate) connect_ms: Option<Spread>,
    pub(crate) first_packet_ms: Option<Spread>,
}

/// Packets captured within the window, as the peers counted them.
#[derive(Debug, Serialize)]
pub(crate) struct MediaReport {
    pub(crate) sent_per_second: f64,
    pub(crate) received_per_second: f64,
    pub(crate) received_mbps: f64,
    /// Share of the publishers' packets received by consumers, for the seconds in which these received all
    /// the time; 0 to 1.
    pub(crate) delivered: Option<f64>,
    pub(crate) delivered_audio: Option<f64>,
    pub(crate) delivered_video: Option<f64>,
    pub(crate) missing: u64,
    /// From sending a frame's first packet at the publisher until its last packet arrived at the receiver's
    /// socket.
    pub(crate) latency_ms: Option<Spread>,
    /// Over the whole run.
    pub(crate) counts: Counts,
}

/// What the server told its receivers, over the whole run.
#[derive(Debug, Serialize)]
pub(crate) struct AdaptationReport {
    /// The last estimate that each receiver was told, what it used, and what it wanted; absent if the server estimates
    /// nothing.
    pub(crate) estimate_mbps: Option<Range>,
    pub(crate) used_mbps: Option<Range>,
    pub(crate) wanted_mbps: Option<Range>,
    /// Seconds in which videos that had begun were not sent, of all seconds of all videos.
    pub(crate) withheld_seconds: f64,
    pub(crate) video_seconds: f64,
    /// Shares of these by layers, 0 to 1.
    pub(crate) layers: BTreeMap<String, f64>,
}

/// The least, the middle and the largest of a set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Range {
    pub(crate) min: f64,
    pub(crate) p50: f64,
    pub(crate) max: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct ServerReport {
    #[serde(flatten)]
    pub(crate) used: ServerUse,
    /// The process's CPU time in the window divided by the packets that receivers got in it, in microseconds.
    pub(crate) cpu_us_per_forwarded_packet: Option<f64>,
    /// Resident memory before the first peer joined, in MiB.
    pub(crate) resident_before_mib: Option<f64>,
}

/// The generator's own load: near its limit, results show the generator and not the server.
#[derive(Debug, Serialize)]
pub(crate) struct GeneratorReport {
    /// The numbers of cores used and of cores available.
    pub(crate) cores: Option<f64>,
    pub(crate) of_cores: usize,
    /// From a datagram's arrival until it was read. Latencies do not include this time.
    pub(crate) lag_ms: Option<Spread>,
}

/// A second of the run.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Moment {
    /// Seconds since the first one.
    pub(crate) second: u64,
    pub(crate) peers: usize,
    pub(crate) received_per_second: f64,
    pub(crate) received_mbps: f64,
    pub(crate) missing_percent: Option<f64>,
    pub(crate) latency_ms: Option<Spread>,
    pub(crate) server_cores: Option<f64>,
    pub(crate) server_resident_mib: Option<f64>,
    pub(crate) generator_cores: Option<f64>,
}

/// The distribution of a set of durations, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` if there are no durations.
    pub(crate) fn of(durations: &[Duration]) -> Option<Self> {
        let mut histogram = Histogram::<u64>::new_with_max(LONGEST_US, 3).ok()?;
        for duration in durations {
            histogram.saturating_record(duration.as_micros().try_into().unwrap_or(u64::MAX));
        }
        let ms = |micros: u64| micros as f64 / 1_000.0;
        (!histogram.is_empty()).then(|| Self {
            p50: ms(histogram.value_at_quantile(0.5)),
            p95: ms(histogram.value_at_quantile(0.95)),
            p99: ms(histogram.value_at_quantile(0.99)),
            max: ms(histogram.max()),
        })
    }
}

impl AdaptationReport {
    /// `None` if nobody was told anything.
    pub(crate) fn of(told: &[Told]) -> Option<Self> {
        let mbps = |rate: fn(&Bandwidth) -> u64| {
            let rates = told.iter().filter_map(|told| told.bandwidth.as_ref());
            Range::of(rates.map(|bandwidth| rate(bandwidth) as f64 / 1e6).collect())
        };
        let mut seconds: BTreeMap<String, f64> = BTreeMap::new();
        for (layers, of_one) in told.iter().flat_map(|told| &told.layer_seconds) {
            *seconds.entry(layers.clone()).or_default() += of_one;
        }
        let video_seconds: f64 = seconds.values().sum();
        let withheld_seconds = seconds.get(WITHHELD).copied().unwrap_or(0.0);
        seconds.values_mut().for_each(|of_layers| *of_layers /= video_seconds.max(f64::MIN_POSITIVE));
        (!told.is_empty()).then(|| Self {
            estimate_mbps: mbps(|it| it.estimate),
            used_mbps: mbps(|it| it.used),
            wanted_mbps: mbps(|it| it.wanted),
            withheld_seconds,
            video_seconds,
            layers: seconds,
        })
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let range = |range: Option<Range>| {
            range.map_or("none".to_owned(), |Range { min, p50, max }| {
                format!("{min:.2} / {p50:.2} / {max:.2} Mbit/s")
            })
        };
        let layers: Vec<String> =
            self.layers.iter().map(|(layers, share)| format!("{layers} {:.1} %", 100.0 * share)).collect();
        let mut rows = vec![match self.estimate_mbps {
            Some(_) => ("receivers' estimates, min / p50 / max", range(self.estimate_mbps)),
            None => ("receivers' estimates", "none: the server estimates nothing".to_owned()),
        }];
        if self.estimate_mbps.is_some() {
            rows.push(("used of them, min / p50 / max", range(self.used_mbps)));
            rows.push(("wanted, min / p50 / max", range(self.wanted_mbps)));
        }
        if self.video_seconds > 0.0 {
            let withheld = format!("{:.1} of {:.0} s", self.withheld_seconds, self.video_seconds);
            rows.push(("video withheld", withheld));
            rows.push(("layers received, of the time", layers.join(", ")));
        }
        rows
    }
}

impl Range {
    /// `None` if there are no values.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        Some(Self { min, p50: values[values.len() / 2], max })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.rows() {
            writeln!(f, "{name:<38}{value}")?;
        }
        Ok(())
    }
}

impl Report {
    /// The rows of the table: label and value.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = self.peer_rows();
        rows.extend(self.media_rows());
        rows.extend(self.adaptation.iter().flat_map(AdaptationReport::rows));
        rows.extend(self.recording.iter().flat_map(RecordingReport::rows));
        match &self.server {
            Some(server) => rows.extend(server.rows()),
            None => rows.push(("server CPU and memory", "process not found; give --server-pid".to_owned())),
        }
        rows.extend(self.generator.rows());
        rows.extend(self.limit.iter().flat_map(limit_rows));
        rows
    }

    fn peer_rows(&self) -> Vec<(&'static str, String)> {
        let peers = &self.peers;
        let of = |count, what| format!("{count} {what}");
        let mut rows = vec![
            ("scenario", format!("{}{}", self.scenario.name(), if self.pinned { ", pinned" } else { "" })),
            ("each publisher sends", self.media_sent.clone()),
            (
                "peers",
                format!("{}, {}", of(peers.publishing, "publishing"), of(peers.receiving, "receiving")),
            ),
            ("joined / left / failed", format!("{} / {} / {}", peers.joined, peers.left, peers.failed)),
        ];
        rows.extend(peers.first_failure.iter().map(|failure| ("first failure", failure.clone())));
        rows.extend([
            ("measured for", format!("{} s", self.window_seconds)),
            ("join, p50 / p95 / max", spread(peers.join_ms)),
            ("time to transport, p50 / p95 / max", spread(peers.connect_ms)),
            ("time to first packet, p50 / p95 / max", spread(peers.first_packet_ms)),
        ]);
        rows
    }

    fn media_rows(&self) -> Vec<(&'static str, String)> {
        let media = &self.media;
        let counts = &media.counts;
        let received = format!("{:.0} /s, {:.1} Mbit/s", media.received_per_second, media.received_mbps);
        let delivered = media.delivered.map_or("nobody listened".to_owned(), |share| {
            format!("{:.4} % ({} packets missing)", 100.0 * share, media.missing)
        });
        let latency = media.latency_ms.map_or("none".to_owned(), |Spread { p50, p95, p99, max }| {
            format!("{p50:.2} / {p95:.2} / {p99:.2} / {max:.2} ms")
        });
        let share =
            |share: Option<f64>| share.map_or("none".to_owned(), |share| format!("{:.4} %", 100.0 * share));
        let by_kind = format!("{} / {}", share(media.delivered_video), share(media.delivered_audio));
        let mut rows = vec![
            ("packets sent", format!("{:.0} /s", media.sent_per_second)),
            ("packets received", received),
            ("delivered", delivered),
            ("delivered of video / of audio", by_kind),
            ("latency, p50 / p95 / p99 / max", latency),
            ("key frames requested", counts.key_frames_requested.to_string()),
        ];
        if counts.dropped + counts.nacked + counts.recovered + counts.retransmitted > 0 {
            rows.push(("lost by / sent again by publishers", pair(counts.dropped, counts.retransmitted)));
            rows.push(("asked for again / repaired, receivers", pair(counts.nacked, counts.recovered)));
        }
        if counts.rejected + counts.unsent > 0 {
            rows.push(("packets rejected / not sent by peers", pair(counts.rejected, counts.unsent)));
        }
        rows
    }
}

impl GeneratorReport {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let of = self.of_cores;
        let used = self.cores.map_or("unknown".to_owned(), |cores| format!("{cores:.2} of {of} cores"));
        let lag =
            self.lag_ms.map_or("none".to_owned(), |lag| format!("p50 {:.2}, p99 {:.2} ms", lag.p50, lag.p99));
        let mut rows = vec![("load generator CPU", used), ("load generator reads late by", lag)];
        if self.cores.is_some_and(|cores| cores > BUSY_GENERATOR * of as f64) {
            let advice = "the generator was near its own limit: give it more cores or a second machine";
            rows.push(("beware", advice.to_owned()));
        }
        rows
    }
}

impl ServerReport {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let cost = self.cpu_us_per_forwarded_packet;
        let cost = cost.map_or("nothing forwarded".to_owned(), |cost| format!("{cost:.2} µs"));
        let busy = self.used.threads.iter().filter(|thread| thread.busy >= LEAST_BUSY);
        let busy: Vec<String> =
            busy.take(4).map(|thread| format!("{} {:.0} %", thread.name, 100.0 * thread.busy)).collect();
        let before = self.resident_before_mib.map_or(String::new(), |mib| format!(", {mib:.1} before"));
        vec![
            ("server CPU per forwarded packet", cost),
            ("server CPU", format!("{:.2} cores", self.used.cores)),
            ("busiest threads", busy.join(", ")),
            ("server memory", format!("{:.1} MiB resident{before}", self.used.resident_mib)),
        ]
    }
}

fn limit_rows(limit: &Limit) -> Vec<(&'static str, String)> {
    let point = |peers: usize, delivered: f64, p99: f64| {
        format!("{peers} peers, {:.3} % delivered, p99 {p99:.1} ms", 100.0 * delivered)
    };
    let mut rows: Vec<_> = limit
        .points
        .iter()
        .map(|found| ("measured", point(found.peers, found.delivered, found.latency_p99_ms)))
        .collect();
    let good = limit.last_good().map_or("none".to_owned(), |good| {
        format!("{} peers, {:.0} packets/s", good.peers, good.received_per_second)
    });
    rows.push(("last good point", good));
    rows.extend(limit.ended.map(|end| ("ended by", end.to_string())));
    rows
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooFewDelivered => "fewer than 99.9 % delivered",
            Self::TooSlow => "p99 latency over 100 ms",
            Self::Refused => "peers that could not join",
            Self::MaxPeers => "--max-peers",
        })
    }
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or("none".to_owned(), |Spread { p50, p95, max, .. }| {
        format!("{p50:.1} / {p95:.1} / {max:.1} ms")
    })
}

fn pair(first: u64, second: u64) -> String {
    format!("{first} / {second}")
}

/// One hour: longer than any wait here.
const LONGEST_US: u64 = 3_600_000_000;
/// Share of the generator's cores from which it counts as overloaded.
const BUSY_GENERATOR: f64 = 0.85;
/// Threads with a smaller share of a core are not listed.
const LEAST_BUSY: f64 = 0.005;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::limit::Point;

    #[test]
    fn a_spread_tells_the_median_and_the_tail() {
        let durations: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        let spread = Spread::of(&durations).unwrap();
        assert!((spread.p50 - 50.0).abs() < 0.1 && (spread.p95 - 95.0).abs() < 0.1, "{spread:?}");
        assert!(Spread::of(&[]).is_none());
    }

    #[test]
    fn what_is_unknown_is_said_so() {
        let text = Report { server: None, ..report() }.to_string();
        assert!(text.contains("process not found") && text.contains("join, p50 / p95 / max"), "{text}");
    }

    #[test]
    fn a_generator_near_its_own_limit_says_so() {
        let mut report = report();
        assert!(!report.to_string().contains("beware"));
        report.generator.cores = Some(0.9);
        assert!(report.to_string().contains("beware"));
    }

    #[test]
    fn a_limit_is_told_point_by_point_with_the_last_good_one() {
        let text = report().to_string();
        assert!(text.contains("100 peers, 99.000 % delivered"), "{text}");
        assert!(text.contains("50 peers, 10000 packets/s") && text.contains("fewer than 99.9 %"), "{text}");
    }

    #[test]
    fn json_keeps_the_names_that_scripts_rely_on() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["scenario"], "webinar");
        assert_eq!(json["media"]["delivered"], 0.9995);
        assert_eq!(json["media"]["latency_ms"]["p99"], 3.0);
        assert_eq!(json["server"]["cpu_us_per_forwarded_packet"], 4.0);
        assert_eq!(json["server"]["cores"], 0.5);
        assert_eq!(json["limit"]["ended"], "too-few-delivered");
    }

    #[test]
    fn what_receivers_were_told_is_summed_up() {
        let text = report().to_string();
        assert!(text.contains("0.50 / 1.00 / 3.00 Mbit/s"), "{text}");
        assert!(text.contains("3.0 of 12 s") && text.contains("S0 75.0 %, withheld 25.0 %"), "{text}");
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["adaptation"]["used_mbps"]["p50"], 0.5);
        let untold = Told { bandwidth: None, ..told(1) };
        let text = Report { adaptation: AdaptationReport::of(&[untold]), ..report() }.to_string();
        assert!(text.contains("the server estimates nothing") && !text.contains("wanted"), "{text}");
    }

    fn told(estimate: u64) -> Told {
        Told {
            bandwidth: Some(Bandwidth { estimate, used: estimate / 2, wanted: 1_500_000 }),
            layer_seconds: [("S0".to_owned(), 3.0), (WITHHELD.to_owned(), 1.0)].into(),
        }
    }

    pub(crate) fn report() -> Report {
        let spread = Spread { p50: 1.0, p95: 2.0, p99: 3.0, max: 4.0 };
        let point = |peers, delivered| Point {
            peers,
            delivered,
            latency_p99_ms: 3.0,
            received_per_second: 10_000.0,
            server_cores: None,
            generator_cores: None,
        };
        let mut limit = Limit::default();
        limit.note(point(50, 1.0), 0);
        limit.note(point(100, 0.99), 0);
        let moment = |second| Moment {
            second,
            peers: 10 * second as usize,
            received_per_second: 1_000.0 * second as f64,
            received_mbps: second as f64,
            missing_percent: (second > 0).then_some(0.0),
            latency_ms: Some(spread),
            server_cores: Some(0.5),
            server_resident_mib: Some(20.0 + second as f64),
            generator_cores: None,
        };
        Report {
            scenario: Scenario::Webinar,
            media_sent: "VP8 & <Opus>".to_owned(),
            pinned: true,
            peers: PeerReport {
                publishing: 1,
                receiving: 50,
                joined: 51,
                left: 0,
                failed: 0,
                first_failure: None,
                join_ms: None,
                connect_ms: Some(spread),
                first_packet_ms: None,
            },
            window_start: Some(1),
            window_seconds: 5,
            media: MediaReport {
                sent_per_second: 213.0,
                received_per_second: 10_000.0,
                received_mbps: 80.0,
                delivered: Some(0.9995),
                delivered_audio: Some(1.0),
                delivered_video: Some(0.999),
                missing: 25,
                latency_ms: Some(spread),
                counts: Counts::default(),
            },
            recording: None,
            adaptation: AdaptationReport::of(&[told(3_000_000), told(500_000), told(1_000_000)]),
            server: Some(ServerReport {
                used: ServerUse { pid: 7, cores: 0.5, resident_mib: 30.0, threads: Vec::new() },
                cpu_us_per_forwarded_packet: Some(4.0),
                resident_before_mib: Some(20.0),
            }),
            generator: GeneratorReport { cores: Some(0.4), of_cores: 1, lag_ms: Some(spread) },
            limit: Some(limit),
            timeline: (0..5).map(moment).collect(),
        }
    }
}
