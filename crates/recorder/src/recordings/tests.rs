#[cfg(target_os = "linux")]
mod cost;
mod deletion;
mod disks;
mod formats;
mod manifests;
#[cfg(target_os = "linux")]
mod memory;
mod parts;
mod pauses;
mod reader;
#[cfg(target_os = "linux")]
mod small_disk;
mod stories;
