//! Measures the cost of forwarding: the whole path and its parts, next to their floors, measured on the same
//! machine in the same run. The program prints and writes figures and does not judge them, because they
//! depend on the machine.

#[cfg(target_os = "linux")]
mod linux;

/// The same allocator as the server's, so that the memory table shows the server's memory. The test that
/// counts allocations has its own allocator.
#[cfg(all(target_os = "linux", not(test)))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    linux::run()
}

#[cfg(not(target_os = "linux"))]
fn main() -> anyhow::Result<()> {
    anyhow::bail!("procfs, sendmmsg and network namespaces are only on Linux")
}
