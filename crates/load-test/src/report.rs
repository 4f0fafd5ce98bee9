//! The result of a run, as a table or as JSON.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) publishers: usize,
    pub(crate) subscribers: usize,
    /// Peers that failed, and why the first of them did.
    pub(crate) failed: usize,
    pub(crate) first_failure: Option<String>,
    pub(crate) window_seconds: f64,
    /// From asking to join until: the answer, the transport being up, the first media packet (of subscribers).
    pub(crate) join_ms: Option<Spread>,
    pub(crate) connect_ms: Option<Spread>,
    pub(crate) first_packet_ms: Option<Spread>,
    pub(crate) media: MediaReport,
    /// Absent if the server's process cannot be seen from here.
    pub(crate) server: Option<ServerReport>,
    /// Cores that this program used: near the machine's number, it measured itself.
    pub(crate) generator_cores: Option<f64>,
}

/// Packets as the peers counted them: within the window, loss over the whole run.
#[derive(Debug, Serialize)]
pub(crate) struct MediaReport {
    pub(crate) sent_per_second: f64,
    pub(crate) received_per_second: f64,
    pub(crate) loss_percent: f64,
    pub(crate) key_frames_requested: u64,
    /// Received packets that did not authenticate or parse.
    pub(crate) rejected: u64,
    /// Datagrams that this machine's kernel did not take from the peers.
    pub(crate) unsent: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct ServerReport {
    pub(crate) pid: u32,
    pub(crate) cores: f64,
    /// All of the process's CPU time in the window, divided by the packets that subscribers received in it.
    pub(crate) cpu_us_per_forwarded_packet: Option<f64>,
    pub(crate) resident_mib: f64,
}

/// Where a set of durations lies, in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` of nothing.
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

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "{name:<38}{value}");
        let peers = format!("{} publishers, {} subscribers", self.publishers, self.subscribers);
        row("peers", format!("{peers}, {} failed", self.failed))?;
        if let Some(failure) = &self.first_failure {
            row("first failure", failure.clone())?;
        }
        row("measured for", format!("{:.1} s", self.window_seconds))?;
        row("join, p50 / p95 / max", spread(self.join_ms.as_ref()))?;
        row("time to transport, p50 / p95 / max", spread(self.connect_ms.as_ref()))?;
        row("time to first packet, p50 / p95 / max", spread(self.first_packet_ms.as_ref()))?;
        let media = &self.media;
        row("packets sent", format!("{:.0} /s", media.sent_per_second))?;
        row("packets received", format!("{:.0} /s", media.received_per_second))?;
        row("loss", format!("{:.3} %", media.loss_percent))?;
        row("key frames requested", media.key_frames_requested.to_string())?;
        if media.rejected + media.unsent > 0 {
            row("packets rejected / not sent by peers", format!("{} / {}", media.rejected, media.unsent))?;
        }
        match &self.server {
            Some(server) => {
                let cost = server.cpu_us_per_forwarded_packet;
                let cost = cost.map_or("nothing forwarded".to_owned(), |cost| format!("{cost:.2} µs"));
                row("server CPU per forwarded packet", cost)?;
                row("server CPU", format!("{:.2} cores", server.cores))?;
                row("server memory", format!("{:.0} MiB resident", server.resident_mib))?;
            }
            None => row("server CPU and memory", "process not found; give --server-pid".to_owned())?,
        }
        let generator = self.generator_cores;
        row("load generator CPU", generator.map_or("unknown".to_owned(), |cores| format!("{cores:.2} cores")))
    }
}

fn spread(spread: Option<&Spread>) -> String {
    spread.map_or("none".to_owned(), |Spread { p50, p95, max, .. }| {
        format!("{p50:.1} / {p95:.1} / {max:.1} ms")
    })
}

/// An hour; nothing here waits longer.
const LONGEST_US: u64 = 3_600_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_tells_the_median_and_the_tail() {
        let durations: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        let spread = Spread::of(&durations).unwrap();
        assert!((spread.p50 - 50.0).abs() < 0.1 && (spread.p95 - 95.0).abs() < 0.1, "{spread:?}");
        assert!(Spread::of(&[]).is_none());
    }

    #[test]
    fn what_is_unknown_is_said_so() {
        let text = report().to_string();
        assert!(text.contains("process not found") && text.contains("join, p50 / p95 / max"), "{text}");
    }

    #[test]
    fn json_keeps_the_names_that_scripts_rely_on() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["media"]["loss_percent"], 0.5);
        assert!(json["server"].is_null());
    }

    fn report() -> Report {
        let media = MediaReport {
            sent_per_second: 1.0,
            received_per_second: 2.0,
            loss_percent: 0.5,
            key_frames_requested: 3,
            rejected: 0,
            unsent: 0,
        };
        Report {
            publishers: 1,
            subscribers: 2,
            failed: 0,
            first_failure: None,
            window_seconds: 1.0,
            join_ms: None,
            connect_ms: None,
            first_packet_ms: None,
            media,
            server: None,
            generator_cores: None,
        }
    }
}
