//! The cost of SRTP's ciphers alone.

use crate::linux::cipher::{Cipher, HEADER_LEN, Profile};
use crate::linux::cpu::thread_time;
use crate::linux::options::Matrix;
use crate::linux::samples::Samples;
use crate::linux::table::{Row, Table};
use anyhow::Result;

pub(super) fn table(matrix: &Matrix) -> Result<Table> {
    let mut table =
        Table::new("crypto", "ns per packet; one key or 500 in turn; sealing copies from the stored payload");
    for &profile in &matrix.ciphers {
        for &payload in &matrix.payloads {
            table.push(row(profile, payload, matrix.repetitions)?);
        }
    }
    Ok(table)
}

fn row(profile: Profile, payload: usize, repetitions: usize) -> Result<Row> {
    let (mut open, mut one, mut many) = (Samples::default(), Samples::default(), Samples::default());
    for repetition in 0..=repetitions {
        let sample =
            [opening(profile, payload)?, sealing(profile, payload, 1)?, sealing(profile, payload, 500)?];
        if repetition > 0 {
            open.add(sample[0]);
            one.add(sample[1]);
            many.add(sample[2]);
        }
    }
    Ok(Row::default()
        .text("cipher", profile.name())
        .count("bytes", payload)
        .whole("open", open.median())
        .whole("seal", one.median())
        .whole("seal, 500 keys", many.median())
        .ratio("spread", many.spread()))
}

fn opening(profile: Profile, payload: usize) -> Result<f64> {
    let mut cipher = Cipher::new(profile, 0)?;
    let len = HEADER_LEN + payload + profile.tag_len();
    let (payload, mut packets) = (vec![0x5a; payload], vec![0; len * BATCH]);
    let mut used = 0;
    for _ in 0..PACKETS / BATCH {
        packets.chunks_exact_mut(len).for_each(|packet| cipher.seal(&payload, packet));
        let start = thread_time();
        packets.chunks_exact_mut(len).try_for_each(|packet| cipher.open(packet))?;
        used += (thread_time() - start).as_nanos();
    }
    Ok(used as f64 / PACKETS as f64)
}

fn sealing(profile: Profile, payload: usize, keys: usize) -> Result<f64> {
    let mut ciphers: Vec<Cipher> =
        (0..keys).map(|index| Cipher::new(profile, index)).collect::<Result<_>>()?;
    let len = HEADER_LEN + payload + profile.tag_len();
    let (payload, mut packets) = (vec![0x5a; payload], vec![0; len * BATCH]);
    let mut sealed = 0;
    let start = thread_time();
    while sealed < PACKETS {
        for ciphers in ciphers.chunks_mut(BATCH) {
            for (cipher, packet) in ciphers.iter_mut().zip(packets.chunks_exact_mut(len)) {
                cipher.seal(&payload, packet);
            }
        }
        sealed += keys;
    }
    Ok((thread_time() - start).as_nanos() as f64 / sealed as f64)
}

/// Packets per repetition.
const PACKETS: usize = 20_000;
/// The number of packets sealed before a send.
const BATCH: usize = 100;
