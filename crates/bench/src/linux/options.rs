//! Command-line options that select the measurements.

use crate::linux::cipher::Profile;
use crate::linux::device::Device;
use crate::linux::stream::Shape;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Measures the cost of forwarding, and its floor. Prints figures without judging them.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) matrix: Matrix,
    /// Tables to make; all if none is given.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Subject>,
    /// File to which the tables are also written as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Forwards packets in this process, for an instruction counter to watch.
    Workload {
        /// Subscribers report, and what they get is divided by what their paths carry.
        #[arg(long)]
        adaptation: bool,
        /// What is sent also goes to a recorder.
        #[arg(long)]
        recorded: bool,
    },
    /// Prints callgrind's counts for the workload.
    Instructions { file: PathBuf },
    /// Runs as the process whose memory is measured.
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
    /// Destinations of packets; those that this machine or user cannot use are left out.
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
    /// Packets that arrive together.
    #[arg(long, value_delimiter = ',', default_value = "1,3,5,10")]
    pub(crate) bursts: Vec<usize>,
    /// Measurements per cell; the median is used.
    #[arg(long, default_value_t = 5)]
    pub(crate) repetitions: usize,
}

impl Matrix {
    pub(crate) fn shapes(&self) -> impl Iterator<Item = Shape> {
        let shape = |payload| self.bursts.iter().map(move |&burst| Shape { payload, burst });
        self.payloads.iter().flat_map(move |&payload| shape(payload))
    }
}
