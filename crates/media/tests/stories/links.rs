//! Calls behind every kind of link: one story per link, with what people see and hear, what is sent and how long it
//! waits. `cargo test -p switchyard-media --test stories links -- --nocapture` prints the reports, beside what
//! rtc-interceptor's `Gcc` does on the same link with a source that sends exactly what it is told.

mod baseline;
mod call;
mod changing;
mod feedback;
mod lossy;
mod models;
mod queues;
mod report;
mod shared;
mod steady;
mod watched;

use std::time::Duration;

const MBIT: u64 = 1_000_000;

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
