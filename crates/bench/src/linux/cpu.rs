//! CPU time of threads, and the cores they may run on.

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// CPU time of the calling thread so far, user and system.
pub(crate) fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// A thread of this process, as procfs shows it.
#[derive(PartialEq, Eq)]
pub(crate) struct Thread {
    folder: PathBuf,
}

/// The CPU use of a thread.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) time: Duration,
    /// How often the thread fell asleep.
    pub(crate) sleeps: u64,
}

impl Thread {
    /// The threads whose names begin with `prefix`, in the order of their names.
    pub(crate) fn named(prefix: &str) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc/self/task").context("procfs")? {
            let folder = entry?.path();
            let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            if name.starts_with(prefix) {
                found.push((name, Self { folder }));
            }
        }
        found.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(found.into_iter().map(|(_, thread)| thread).collect())
    }

    /// The CPU use of threads during `work`, and the result of `work`. The threads must be asleep before and
    /// after.
    pub(crate) fn spend<T>(threads: &[Self], work: impl FnOnce() -> Result<T>) -> Result<(Vec<Spent>, T)> {
        let look = || threads.iter().map(Self::spent).collect::<Result<Vec<_>>>();
        std::thread::sleep(SETTLE);
        let before = look()?;
        let done = work()?;
        std::thread::sleep(SETTLE);
        let difference = |(after, before): (Spent, &Spent)| Spent {
            time: after.time - before.time,
            sleeps: after.sleeps - before.sleeps,
        };
        Ok((look()?.into_iter().zip(&before).map(difference).collect(), done))
    }

    fn spent(&self) -> Result<Spent> {
        Ok(Spent { time: self.time()?, sleeps: self.sleeps()? })
    }

    /// The thread's CPU time. The kernel updates it when the thread leaves the core, so read it while the
    /// thread sleeps.
    fn time(&self) -> Result<Duration> {
        let line = fs::read_to_string(self.folder.join("schedstat")).context("schedstat")?;
        let nanoseconds = line.split(' ').next().and_then(|field| field.parse().ok());
        nanoseconds.map(Duration::from_nanos).context("schedstat has another form")
    }

    /// How often the thread went to sleep.
    fn sleeps(&self) -> Result<u64> {
        let status = fs::read_to_string(self.folder.join("status")).context("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse().ok()).context("status has another form")
    }
}

/// Pins the calling thread, and threads that it starts, to a core; to all cores if the machine does not have
/// it.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    if core < cores() {
        set.set(core)?;
    } else {
        (0..cores()).try_for_each(|core| set.set(core))?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).context("choosing a core")
}

/// Lets the calling thread run on any core again.
pub(crate) fn unpin() -> Result<()> {
    pin(usize::MAX)
}

pub(crate) fn cores() -> usize {
    // Read once at the start, because pinning changes the standard library's answer.
    static CORES: std::sync::LazyLock<usize> =
        std::sync::LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *CORES
}

/// Time for a thread to fall asleep, so that its times are up to date.
const SETTLE: Duration = Duration::from_millis(5);
