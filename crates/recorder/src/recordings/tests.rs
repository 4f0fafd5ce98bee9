#[cfg(target_os = "linux")]
mod cost;
mod disks;
mod formats;
mod pauses;
mod reader;
mod stories;
