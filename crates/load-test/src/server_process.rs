//! CPU time and memory of the server's process, read from procfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A process on this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    pub(crate) pid: u32,
}

impl Process {
    /// The process that listens on a TCP port of this machine; `None` if it is not visible.
    pub(crate) fn listening_on(port: u16) -> Option<Self> {
        let tables =
            ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
        let inode = tables.iter().find_map(|table| listening_inode(table, port))?;
        let link = PathBuf::from(format!("socket:[{inode}]"));
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let holds = |pid: &u32| {
            let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            descriptors.into_iter().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == link))
        };
        pids.into_iter().find(holds).map(|pid| Self { pid })
    }

    /// The existing threads and their CPU times: in nanoseconds if the kernel provides them, else in clock
    /// ticks.
    pub(crate) fn threads(self) -> Vec<Thread> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        tasks.filter_map(|task| Thread::read(&task.path())).collect()
    }

    /// User and system time of all threads so far.
    pub(crate) fn cpu_time(self) -> Option<Duration> {
        let threads = self.threads();
        (!threads.is_empty()).then(|| threads.iter().map(|thread| thread.cpu_time).sum())
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1_024)
    }
}

/// A thread of a process, and the CPU time it has used.
#[derive(Debug, Clone)]
pub(crate) struct Thread {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) cpu_time: Duration,
}

impl Thread {
    fn read(task: &Path) -> Option<Self> {
        let precise = fs::read_to_string(task.join("schedstat")).ok().and_then(|text| parse_schedstat(&text));
        let cpu_time = match precise {
            Some(precise) => precise,
            None => parse_cpu_time(&fs::read_to_string(task.join("stat")).ok()?)?,
        };
        let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
        let id = task.file_name()?.to_str()?.parse().ok()?;
        Some(Self { id, name: name.trim().to_owned(), cpu_time })
    }
}

/// The inode of the socket in state LISTEN on `port`: columns 2 (local address), 4 (state) and 10 of proc_net_tcp(5).
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let is_listener = *fields.get(3)? == "0A" && u16::from_str_radix(local_port, 16).ok()? == port;
        is_listener.then(|| fields.get(9)?.parse().ok())?
    })
}

/// The first field: nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst).
fn parse_schedstat(schedstat: &str) -> Option<Duration> {
    schedstat.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Fields 14 and 15 of proc_pid_stat(5), counted from the end of the name, which may contain any character.
fn parse_cpu_time(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * MILLISECONDS_PER_TICK))
}

/// USER_HZ, which is 100 on every Linux that reports to user space.
const MILLISECONDS_PER_TICK: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_name_full_of_parentheses_does_not_shift_the_columns() {
        let stat = "42 (a) b) (c) S 1 42 42 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 1 0 100 1 2";
        assert_eq!(parse_cpu_time(stat), Some(Duration::from_millis(1_750)));
    }

    #[test]
    fn a_listener_is_told_from_a_connection_on_the_same_port() {
        let row = |state, inode| format!("0: 0100007F:0BB8 00000000:0000 {state} 0:0 0:0 0 0 0 {inode} 1 0");
        let table = format!("header\n{}\n{}\n", row("01", 5), row("0A", 6));
        assert_eq!(listening_inode(&table, 3_000), Some(6));
        assert_eq!(listening_inode(&table, 3_001), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_found_by_a_port_it_listens_on() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let process = Process::listening_on(listener.local_addr().unwrap().port()).unwrap();
        assert_eq!(process.pid, std::process::id());
        assert!(process.resident_bytes().unwrap() > 0 && process.cpu_time().is_some());
    }
}
