//! CPU time and memory of the server and the generator, sampled at the start of every second of the wall
//! clock.

use crate::server_process::{Process, Thread};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Observer {
    server: Option<Process>,
    generators: Vec<Process>,
    /// By seconds since 1970.
    samples: BTreeMap<u64, Sample>,
}

#[derive(Debug, Default, Clone)]
struct Sample {
    threads: Vec<Thread>,
    resident_bytes: Option<u64>,
    generators: Option<Duration>,
    peers: usize,
}

/// The server's resource use over some seconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerUse {
    pub(crate) pid: u32,
    pub(crate) cores: f64,
    pub(crate) resident_mib: f64,
    /// Threads, the busiest first.
    pub(crate) threads: Vec<ThreadUse>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ThreadUse {
    pub(crate) name: String,
    /// Used share of one core, 0 to 1.
    pub(crate) busy: f64,
}

impl Observer {
    pub(crate) fn new(server: Option<Process>, generators: &[u32]) -> Self {
        let generators = generators.iter().map(|pid| Process { pid: *pid }).collect();
        Self { server, generators, samples: BTreeMap::new() }
    }

    pub(crate) fn resident_mib(&self) -> Option<f64> {
        self.server.and_then(Process::resident_bytes).map(mib)
    }

    pub(crate) fn sample(&mut self, second: u64, peers: usize) {
        let sample = Sample {
            threads: self.server.map(Process::threads).unwrap_or_default(),
            resident_bytes: self.server.and_then(Process::resident_bytes),
            generators: self.generators.iter().map(|process| process.cpu_time()).sum(),
            peers,
        };
        self.samples.insert(second, sample);
    }

    pub(crate) fn seconds(&self) -> impl Iterator<Item = u64> {
        self.samples.keys().copied()
    }

    pub(crate) fn peers(&self, second: u64) -> usize {
        self.samples.get(&second).map_or(0, |sample| sample.peers)
    }

    /// The server's use between the starts of two seconds; `None` if there is no sample at one of them.
    pub(crate) fn server(&self, from: u64, to: u64) -> Option<ServerUse> {
        let (before, after) = (self.samples.get(&from)?, self.samples.get(&to)?);
        let mut threads: Vec<ThreadUse> = after
            .threads
            .iter()
            .map(|thread| {
                let earlier = before.threads.iter().find(|earlier| earlier.id == thread.id);
                let earlier = earlier.map_or(Duration::ZERO, |earlier| earlier.cpu_time);
                let busy = thread.cpu_time.saturating_sub(earlier).as_secs_f64() / (to - from) as f64;
                ThreadUse { name: thread.name.clone(), busy }
            })
            .collect();
        threads.sort_by(|a, b| b.busy.total_cmp(&a.busy));
        Some(ServerUse {
            pid: self.server?.pid,
            cores: threads.iter().map(|thread| thread.busy).sum(),
            resident_mib: mib(after.resident_bytes?),
            threads,
        })
    }

    /// Number of cores that the generator used.
    pub(crate) fn generator(&self, from: u64, to: u64) -> Option<f64> {
        let (before, after) = (self.samples.get(&from)?.generators?, self.samples.get(&to)?.generators?);
        Some(after.saturating_sub(before).as_secs_f64() / (to - from) as f64)
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_charged_with_what_threads_used_in_it_also_those_that_began_in_it() {
        let mut observer = Observer::new(Some(Process { pid: 7 }), &[]);
        let threads = |list: &[(u32, u64)]| {
            let thread = |&(id, ms): &(u32, u64)| Thread {
                id,
                name: format!("worker {id}"),
                cpu_time: Duration::from_millis(ms),
            };
            let resident_bytes = Some(3 << 20);
            Sample { threads: list.iter().map(thread).collect(), resident_bytes, ..Sample::default() }
        };
        observer.samples.insert(10, threads(&[(1, 500)]));
        observer.samples.insert(12, threads(&[(1, 1_000), (2, 1_500)]));
        let used = observer.server(10, 12).unwrap();
        assert!((used.cores - 1.0).abs() < 1e-9 && (used.resident_mib - 3.0).abs() < 1e-9);
        assert_eq!((used.threads[0].name.as_str(), used.threads[0].busy), ("worker 2", 0.75));
        assert!(observer.server(10, 11).is_none());
    }
}
