//! The indispensable parts of any forwarder, measured one by one: the ciphers and the system calls.

mod crypto;
mod receive;
mod send;

use crate::linux::options::Matrix;
use crate::linux::table::Table;
use anyhow::Result;

pub(crate) fn tables(matrix: &Matrix) -> Result<Vec<Table>> {
    Ok(vec![crypto::table(matrix)?, send::table(matrix)?, receive::table(matrix)?])
}
