//! Measures what forwarding costs: the whole path and its parts, beside what they cannot cost less than on the same
//! machine in the same run. Figures are printed and written, never judged: what a machine can do is not this
//! program's business.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    linux::run()
}

#[cfg(not(target_os = "linux"))]
fn main() -> anyhow::Result<()> {
    anyhow::bail!("procfs, sendmmsg and network namespaces are only on Linux")
}
