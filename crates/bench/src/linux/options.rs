//! What to measure, from the command line.

use crate::linux::cipher::Profile;
use crate::linux::device::Device;
use crate::linux::stream::Shape;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Measures what forwarding costs, beside what it cannot cost less than. Figures are printed; none is judged.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) matrix: Matrix,
    /// Tables to make; all if none is named.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Subject>,
    /// Where to write the tables as JSON too.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Forwards packets in this process, for an instruction counter to watch.
    Workload,
    /// Tells what callgrind counted of the workload.
    Instructions { file: PathBuf },
    /// Is the process that the memory table looks at.
    #[command(hide = true)]
    MemoryServer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    Floor,
    User,
    Forward,
    Spread,
    Latency,
    Memory,
    Cell,
}

/// The cells of the large tables.
#[derive(Debug, Clone, Args)]
pub(crate) struct Matrix {
    /// Where packets go: those of these that this machine and user have.
    #[arg(long, value_delimiter = ',', default_value = "loopback,sink")]
    pub(crate) devices: Vec<Device>,
    #[arg(long, value_delimiter = ',', default_value = "gcm,cm")]
    pub(crate) ciphers: Vec<Profile>,
    /// Subscribers of the one publisher.
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,500")]
    pub(crate) subscribers: Vec<usize>,
    /// Bytes of payload per packet.
    #[arg(long, value_delimiter = ',', default_value = "1200,120")]
    pub(crate) payloads: Vec<usize>,
    /// Packets that come together.
    #[arg(long, value_delimiter = ',', default_value = "1,3,5,10")]
    pub(crate) bursts: Vec<usize>,
    /// Measurements of each cell, of which the median counts.
    #[arg(long, default_value_t = 5)]
    pub(crate) repetitions: usize,
}

impl Matrix {
    pub(crate) fn shapes(&self) -> impl Iterator<Item = Shape> {
        let shape = |payload| self.bursts.iter().map(move |&burst| Shape { payload, burst });
        self.payloads.iter().flat_map(move |&payload| shape(payload))
    }
}
