//! The two devices, and the loop that carries packets between them.

mod device;
mod direction;
mod settings;
mod tally;

use anyhow::{Context, Result};
use device::Device;
use direction::Direction;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::time::TimeSpec;
use serde_json::json;
use settings::Settings;
use std::io::{Read, Write, stdin, stdout};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use tally::Report;

pub(crate) fn run() -> Result<()> {
    let argument = std::env::args().nth(1).context("the settings, as JSON, are the first argument")?;
    let settings: Settings = serde_json::from_str(&argument).context("the settings")?;
    let near = Device::open("link-near", settings.near, settings.far)?;
    unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace: root may")?;
    device::ip("link set lo up")?;
    let far = Device::open("link-far", settings.far, settings.near)?;
    let (now, seed) = (Instant::now(), u64::from(settings.seed));
    let mut carrier = Carrier {
        down: Direction::new(settings.down.path()?, seed << 16, now),
        up: Direction::new(settings.up.path()?, seed << 16 | 1 << 8, now),
        near,
        far,
        buffer: vec![0; u16::MAX.into()],
    };
    say(&json!({ "ready": true }))?;
    carrier.run()
}

struct Carrier {
    near: Device,
    far: Device,
    /// From near to far.
    down: Direction,
    up: Direction,
    buffer: Vec<u8>,
}

/// What the turn's wait has found.
struct Ready {
    near: bool,
    far: bool,
    input: bool,
}

impl Carrier {
    fn run(&mut self) -> Result<()> {
        let mut next_sample = Instant::now();
        let mut begin = None;
        let mut seconds = 0;
        loop {
            let ready = self.wait(next_sample)?;
            if ready.near {
                self.down.take(&self.near, &mut self.buffer)?;
            }
            if ready.far {
                self.up.take(&self.far, &mut self.buffer)?;
            }
            self.down.deliver(&self.far)?;
            self.up.deliver(&self.near)?;
            if ready.input {
                if stdin().read(&mut [0; 16])? == 0 {
                    return say(&json!({ "total": self.report(Direction::total) }));
                }
                let now = Instant::now();
                self.down.begin(&self.far, now)?;
                self.up.begin(&self.near, now)?;
                (begin, seconds) = (Some(now), 0);
            }
            let now = Instant::now();
            if now >= next_sample {
                self.down.sample(now);
                self.up.sample(now);
                next_sample = now + SAMPLE;
            }
            if begin.is_some_and(|begin| now >= begin + Duration::from_secs(seconds + 1)) {
                seconds += 1;
                say(&json!({ "second": seconds, "links": self.report(Direction::next_second) }))?;
            }
        }
    }

    /// Waits for packets or input, until a packet is due or the next sample is.
    fn wait(&self, next_sample: Instant) -> Result<Ready> {
        let due = [self.down.next_arrival(), self.up.next_arrival(), Some(next_sample)];
        let next = due.into_iter().flatten().min().unwrap_or(next_sample);
        let timeout = TimeSpec::from(next.saturating_duration_since(Instant::now()));
        let input = stdin();
        let fds = [self.near.file.as_fd(), self.far.file.as_fd(), input.as_fd()];
        let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match ppoll(&mut fds, Some(timeout), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("waiting"),
        }
        let [near, far, input] = fds.map(|fd| fd.any() == Some(true));
        Ok(Ready { near, far, input })
    }

    fn report(&mut self, of: fn(&mut Direction) -> Report) -> serde_json::Value {
        json!({ "down": of(&mut self.down), "up": of(&mut self.up) })
    }
}

fn say(line: &serde_json::Value) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Between two looks at the queues.
const SAMPLE: Duration = Duration::from_millis(10);
