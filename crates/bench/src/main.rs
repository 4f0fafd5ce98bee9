//! Measures what forwarding costs: the whole path and its parts, beside what they cannot cost less than on the same
//! machine in the same run. Figures are printed and written, never judged: what a machine can do is not this
//! program's business.

#[cfg(target_os = "linux")]
mod linux;

/// The server's, so that its memory is told and not another allocator's. The test that counts allocations has its own.
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
