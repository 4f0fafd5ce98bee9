//! Which cores the server and the generator run on, so that "alone on one core" can be repeated.

use crate::server_process::Process;
use anyhow::{Context, Result, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The server's threads, pinned to one core. Dropping this value restores their previous cores.
pub(crate) struct Pinned {
    threads: Vec<(Pid, CpuSet)>,
}

impl Pinned {
    /// Pins every thread of the process to `core`; threads started later inherit the core.
    pub(crate) fn new(process: Process, core: usize) -> Result<Self> {
        let one = set_of(&[core])?;
        let mut pinned = Self { threads: Vec::new() };
        for thread in process.threads() {
            let pid = Pid::from_raw(thread.id.cast_signed());
            // The thread may have ended meanwhile.
            let Ok(before) = sched_getaffinity(pid) else { continue };
            sched_setaffinity(pid, &one).context("pinning the server (the same user may)")?;
            pinned.threads.push((pid, before));
        }
        ensure!(!pinned.threads.is_empty(), "the server's process was not found; give --server-pid");
        Ok(pinned)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        for (pid, before) in &self.threads {
            // The thread may have ended.
            let _ = sched_setaffinity(*pid, before);
        }
    }
}

/// The cores that this process may run on, in order.
pub(crate) fn own_cores() -> Vec<usize> {
    let own = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    (0..CpuSet::count()).filter(|core| own.is_set(*core).unwrap_or(false)).collect()
}

/// Restricts this process to all cores but its first, which is returned for the server. Call this before
/// starting threads.
pub(crate) fn leave_first_core() -> Result<usize> {
    let cores = own_cores();
    let (first, others) = cores.split_first().context("no core to run on")?;
    ensure!(!others.is_empty(), "--pin needs two cores: one for the server and one for the generator");
    sched_setaffinity(Pid::from_raw(0), &set_of(others)?).context("leaving a core to the server")?;
    Ok(*first)
}

fn set_of(cores: &[usize]) -> Result<CpuSet> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core).context("no such core")?;
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;

    #[test]
    fn threads_are_moved_to_one_core_and_back() {
        let core = own_cores()[0];
        let before = own_cores();
        let (ask, asked) = channel::<()>();
        let (tell, told) = channel();
        let other = thread::spawn(move || {
            while asked.recv().is_ok() {
                tell.send(own_cores()).unwrap();
            }
        });
        let pinned = Pinned::new(Process { pid: std::process::id() }, core).unwrap();
        ask.send(()).unwrap();
        assert_eq!(told.recv().unwrap(), [core]);
        drop(pinned);
        ask.send(()).unwrap();
        assert_eq!(told.recv().unwrap(), before);
        drop(ask);
        other.join().unwrap();
    }
}
