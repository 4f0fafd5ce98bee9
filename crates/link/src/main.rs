//! Carries IP packets between two network namespaces over a pair of links, in real time.
//!
//! The one argument is JSON: the settings (`linux/settings.rs`). The program makes a TUN device in the namespace that it
//! is started in, which is the near side, and another one in a namespace of its own, which is the far side: other
//! programs enter that one by this program's process id. Both end with the processes that use them. On standard output
//! it prints one JSON object a line: that it is ready, what each second brought, and at the end all of it together.
//! At first the links have their delay only. With a line on standard input their limits begin to hold, and time and
//! counters begin at 0. The end of the input ends the program.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    linux::run()
}

#[cfg(not(target_os = "linux"))]
fn main() -> anyhow::Result<()> {
    anyhow::bail!("network namespaces are only on Linux")
}
