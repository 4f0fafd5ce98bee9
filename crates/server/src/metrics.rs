//! Metrics for operators: all figures of the process in Prometheus' text format, on a separate listener.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Serialize;
use serde_json::Value;
use switchyard_call_control::Control;
use switchyard_call_control::calls::{RecorderCounters, RecordingFigures};
use switchyard_call_control::carriers::http::{Gate, StrangerCounts};
use switchyard_media_worker::media::{Paths, Spread};
use switchyard_media_worker::{Counters, Media};

use crate::listener::{Counts, Places};

/// Answers `GET /metrics`, without authentication.
pub(crate) fn router(figures: Figures) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(figures)
}

/// Where the figures come from.
#[derive(Clone)]
pub(crate) struct Figures {
    pub(crate) control: Control,
    pub(crate) media: Media,
    pub(crate) gate: Gate,
    pub(crate) places: Arc<Places>,
}

async fn metrics(State(Figures { control, media, gate, places }): State<Figures>) -> impl IntoResponse {
    let mut exposition = Exposition::default();
    exposition.note_control(&control);
    exposition.note_connections(&gate, &places);
    media.counters().await.iter().for_each(|counters| exposition.note_worker(counters));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], exposition.to_string())
}

/// Metrics by name.
#[derive(Default)]
struct Exposition(BTreeMap<String, Metric>);

struct Metric {
    kind: Kind,
    /// The formatted labels and the value of each sample.
    samples: Vec<(String, Value)>,
}

#[derive(Clone, Copy)]
enum Kind {
    /// A total since the process started.
    Counter,
    Gauge,
}

impl Exposition {
    fn note_control(&mut self, control: &Control) {
        let (calls, hub) = (&control.calls, &control.hub);
        self.note("calls", Kind::Gauge, "", calls.live_count().into());
        self.note("sockets", Kind::Gauge, "", hub.socket_count().into());
        self.note("sockets_too_slow", Kind::Counter, "", hub.slow_sockets().into());
        self.note("socket_bytes_waiting", Kind::Gauge, "", hub.waiting_bytes().into());
        self.note("events_unstored", Kind::Counter, "", calls.events_unstored().into());
        self.note("events_lost", Kind::Counter, "", calls.events_lost().into());
        let RecordingFigures { recordings_active, tracks, rows_lost, recorder } = calls.recording_figures();
        self.note("recordings_active", Kind::Gauge, "", recordings_active.into());
        self.note("recorder_tracks", Kind::Gauge, "", tracks.into());
        self.note("recording_rows_lost", Kind::Counter, "", rows_lost.into());
        self.note_recorder(recorder);
    }

    fn note_recorder(&mut self, counters: RecorderCounters) {
        // What is open now is told by call control.
        let RecorderCounters {
            recordings_active: _,
            tracks: _,
            bytes,
            packets_lost,
            concealed_ms,
            held_ms,
            clusters_dropped,
            notes_dropped,
            writes,
            write_us,
            syncs,
            sync_us,
            longest_sync_us,
            files_failed,
            queued_bytes,
            free_bytes,
            faults,
        } = counters;
        let seconds = |micros: u64| Value::from(micros as f64 / 1e6);
        for (name, value) in [
            ("bytes", bytes.into()),
            ("packets_lost", packets_lost.into()),
            ("concealed_seconds", seconds(concealed_ms * 1_000)),
            ("held_seconds", seconds(held_ms * 1_000)),
            ("clusters_dropped", clusters_dropped.into()),
            ("notes_dropped", notes_dropped.into()),
            ("files_failed", files_failed.into()),
            ("faults", faults.into()),
            ("writes", writes.into()),
            ("write_seconds", seconds(write_us)),
            ("syncs", syncs.into()),
            ("sync_seconds", seconds(sync_us)),
        ] {
            self.note(&format!("recorder_{name}"), Kind::Counter, "", value);
        }
        for (name, value) in [
            ("longest_sync_seconds", seconds(longest_sync_us)),
            ("queued_bytes", queued_bytes.into()),
            ("free_bytes", free_bytes.into()),
        ] {
            self.note(&format!("recorder_{name}"), Kind::Gauge, "", value);
        }
    }

    fn note_connections(&mut self, gate: &Gate, places: &Places) {
        let Counts { open, refused, evicted } = places.counts();
        self.note("connections", Kind::Gauge, "", open.into());
        self.note("connections_refused", Kind::Counter, "", refused.into());
        self.note("connections_evicted", Kind::Counter, "", evicted.into());
        let StrangerCounts { open, evicted, refused } = gate.strangers();
        self.note("sockets_without_token", Kind::Gauge, "", open.into());
        self.note("sockets_without_token_evicted", Kind::Counter, "", evicted.into());
        self.note("handshakes_refused", Kind::Counter, "", refused.into());
    }

    fn note_worker(
        &mut self,
        Counters { worker, population, paths, media, shell, busy, queue_depth, shed }: &Counters,
    ) {
        let labels = format!("{{worker=\"{worker}\"}}");
        self.note("worker_busy_ratio", Kind::Gauge, &labels, (*busy).into());
        self.note("worker_queue_depth", Kind::Gauge, &labels, (*queue_depth).into());
        self.note("worker_shed_steps", Kind::Gauge, &labels, (*shed).into());
        self.note_all("worker", Kind::Counter, &labels, shell);
        self.note_all("media", Kind::Gauge, &labels, population);
        self.note_all("media", Kind::Counter, &labels, media);
        for (name, spread) in
            [("estimate", &paths.estimate), ("used", &paths.used), ("wanted", &paths.wanted)]
        {
            let limits = Paths::RATES.map(|limit| limit as f64);
            self.note_spread(&format!("media_path_{name}_bits_per_second"), *worker, spread, limits, 1.0);
        }
        for (name, spread) in [("queue", &paths.queue), ("rtt", &paths.rtt)] {
            let limits = Paths::TIMES.map(|limit| limit as f64 * SECONDS_PER_MS);
            self.note_spread(&format!("media_path_{name}_seconds"), *worker, spread, limits, SECONDS_PER_MS);
        }
    }

    /// Adds how many values are how large now, as `histogram_quantile` reads it: the counts up to each limit, and the
    /// sum in units of `unit`. These are gauges: a histogram in Prometheus' sense only grows.
    fn note_spread<const N: usize>(
        &mut self,
        name: &str,
        worker: u16,
        Spread { counts, sum }: &Spread,
        limits: [f64; N],
        unit: f64,
    ) {
        let limits = limits.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        let mut count = 0;
        for (limit, here) in limits.zip(counts) {
            count += here;
            let labels = format!("{{worker=\"{worker}\",le=\"{limit}\"}}");
            self.note(&format!("{name}_bucket"), Kind::Gauge, &labels, count.into());
        }
        let labels = format!("{{worker=\"{worker}\"}}");
        self.note(&format!("{name}_count"), Kind::Gauge, &labels, count.into());
        self.note(&format!("{name}_sum"), Kind::Gauge, &labels, (*sum as f64 * unit).into());
    }

    /// Adds every field of `figures` as a metric of this name.
    fn note_all(&mut self, part: &str, kind: Kind, labels: &str, figures: &impl Serialize) {
        let Ok(Value::Object(figures)) = serde_json::to_value(figures) else { return };
        for (name, value) in figures {
            self.note(&format!("{part}_{}", snake_case(&name)), kind, labels, value);
        }
    }

    fn note(&mut self, name: &str, kind: Kind, labels: &str, value: Value) {
        let suffix = match kind {
            Kind::Counter => "_total",
            Kind::Gauge => "",
        };
        let metric = self.0.entry(format!("switchyard_{name}{suffix}"));
        let metric = metric.or_insert_with(|| Metric { kind, samples: Vec::new() });
        metric.samples.push((labels.to_owned(), value));
    }
}

impl fmt::Display for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, Metric { kind, samples }) in &self.0 {
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            writeln!(f, "# TYPE {name} {kind}")?;
            for (labels, value) in samples {
                writeln!(f, "{name}{labels} {value}")?;
            }
        }
        Ok(())
    }
}

const SECONDS_PER_MS: f64 = 0.001;

/// Converts a name from camelCase, the spelling of counters in JSON.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 8);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchyard_media_worker::{ShellCounters, media};

    #[test]
    fn every_counter_is_told_by_its_name_for_each_worker() {
        let mut exposition = Exposition::default();
        for worker in 0..2 {
            let media = media::Counters { packets_sent: 7, ..media::Counters::default() };
            let shell = ShellCounters { relay_video_dropped: 3, ..ShellCounters::default() };
            let queue = Spread { counts: [1, 2, 0, 0, 0, 0, 0, 0, 1], sum: 2_013 };
            let paths = Paths { queue, ..Paths::default() };
            let population = media::Population { transports: 4, ..media::Population::default() };
            exposition.note_worker(&Counters {
                worker,
                population,
                paths,
                media,
                shell,
                busy: 0.25,
                queue_depth: 9,
                shed: 2,
            });
        }
        let text = exposition.to_string();
        for expected in [
            "# TYPE switchyard_media_packets_sent_total counter\n\
             switchyard_media_packets_sent_total{worker=\"0\"} 7\n\
             switchyard_media_packets_sent_total{worker=\"1\"} 7\n",
            "# TYPE switchyard_media_transports gauge\nswitchyard_media_transports{worker=\"0\"} 4\n",
            "\nswitchyard_worker_relay_video_dropped_total{worker=\"1\"} 3\n",
            "\nswitchyard_worker_busy_ratio{worker=\"1\"} 0.25\n",
            "# TYPE switchyard_media_path_queue_seconds_bucket gauge\n\
             switchyard_media_path_queue_seconds_bucket{worker=\"0\",le=\"0.005\"} 1\n\
             switchyard_media_path_queue_seconds_bucket{worker=\"0\",le=\"0.01\"} 3\n",
            "\nswitchyard_media_path_queue_seconds_bucket{worker=\"1\",le=\"+Inf\"} 4\n",
            "\nswitchyard_media_path_queue_seconds_count{worker=\"1\"} 4\n",
            "\nswitchyard_media_path_queue_seconds_sum{worker=\"1\"} 2.013\n",
            "\nswitchyard_media_path_wanted_bits_per_second_bucket{worker=\"0\",le=\"12000000\"} 0\n",
            "\nswitchyard_worker_queue_depth{worker=\"0\"} 9\n",
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
    }
}
