//! The program on Linux: makes the selected tables in order.

mod bare;
mod call;
mod callgrind;
mod cell;
mod cipher;
mod cpu;
mod device;
mod driver;
mod feedback;
mod floor;
mod forward;
mod in_process;
mod latency;
mod link;
mod memory;
mod options;
mod samples;
mod sender;
mod spread;
mod stream;
mod table;
mod train;
mod user;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use device::Device;
use options::{Command, Matrix, Options, Subject};
use std::io::Write;
use switchyard_media::Bandwidth;
use table::Table;

pub(crate) fn run() -> Result<()> {
    let options = Options::parse();
    match &options.command {
        Some(Command::MemoryServer) => memory::serve(),
        &Some(Command::Workload { adaptation, recorded }) => {
            callgrind::workload(if adaptation { Bandwidth::Divided } else { Bandwidth::Unlimited }, recorded)
        }
        Some(Command::Instructions { file }) => {
            callgrind::tables(file)?.iter().for_each(print);
            Ok(())
        }
        None => measure(&options),
    }
}

fn measure(options: &Options) -> Result<()> {
    let available = Device::set_up()?;
    let mut matrix = options.matrix.clone();
    matrix.devices.retain(|device| available.contains(device));
    let subjects = if options.only.is_empty() { Subject::value_variants() } else { &options.only };
    let mut tables = Vec::new();
    for subject in subjects {
        for table in subject.measure(&matrix)? {
            print(&table);
            tables.push(table);
        }
    }
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&tables)?)?;
    }
    Ok(())
}

fn print(table: &Table) {
    // A closed output is no error: the JSON file still has the table.
    let _ = write!(std::io::stdout(), "{table}");
}

impl Subject {
    fn measure(self, matrix: &Matrix) -> Result<Vec<Table>> {
        Ok(match self {
            Self::Floor => floor::tables(matrix)?,
            Self::User => vec![user::table(matrix)?],
            Self::Forward => vec![forward::table(matrix)?],
            Self::Spread => vec![spread::table(matrix)?],
            Self::Latency => vec![latency::table()?],
            Self::Memory => vec![memory::table()?],
            Self::Cell => vec![cell::table(matrix)?],
        })
    }
}
