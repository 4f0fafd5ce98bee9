//! The cost of receiving alone, from a socket whose buffer is already full.

use crate::linux::cipher::HEADER_LEN;
use crate::linux::cpu::thread_time;
use crate::linux::options::Matrix;
use crate::linux::samples::Samples;
use crate::linux::stream::Shape;
use crate::linux::table::{Row, Table};
use crate::linux::train::ReceiveBuffer;
use anyhow::{Result, ensure};
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use socket2::SockRef;
use std::net::{Ipv4Addr, UdpSocket};

pub(super) fn table(matrix: &Matrix) -> Result<Table> {
    let mut table =
        Table::new("receive", "ns per packet, recvmmsg with GRO from a full socket; k packets came together");
    for shape in matrix.shapes() {
        let mut samples = Samples::default();
        for repetition in 0..=matrix.repetitions {
            let sample = receive(shape)?;
            if repetition > 0 {
                samples.add(sample);
            }
        }
        table.push(
            Row::default()
                .count("bytes", shape.payload)
                .count("k", shape.burst)
                .whole("recvmmsg GRO", samples.median())
                .ratio("spread", samples.spread()),
        );
    }
    Ok(table)
}

fn receive(shape: Shape) -> Result<f64> {
    let (sender, receiver) =
        (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
    SockRef::from(&receiver).set_recv_buffer_size(RECEIVE_BUFFER)?;
    let sending = UdpSocketState::new(UdpSockRef::from(&sender))?;
    let receiving = UdpSocketState::new(UdpSockRef::from(&receiver))?;
    let len = HEADER_LEN + shape.payload + 16;
    let burst = vec![0x5a; len * shape.burst];
    let run = Transmit {
        destination: receiver.local_addr()?,
        ecn: None,
        contents: &burst,
        segment_size: Some(len),
        src_ip: None,
    };
    let mut buffer = ReceiveBuffer::new();
    let (mut bytes, mut used) = (0, 0);
    for _ in 0..ROUNDS {
        for _ in 0..TRAINS {
            sending.try_send(UdpSockRef::from(&sender), &run)?;
        }
        let start = thread_time();
        while let Ok(messages) = buffer.receive(&receiver, &receiving) {
            bytes += buffer.trains(messages).map(|train| train.len()).sum::<usize>();
        }
        used += (thread_time() - start).as_nanos();
    }
    ensure!(bytes == ROUNDS * TRAINS * burst.len(), "the socket's buffer is too small");
    Ok(used as f64 / (bytes / len) as f64)
}

/// Bytes; within the kernel's default limit.
const RECEIVE_BUFFER: usize = 200 * 1024;
const TRAINS: usize = 12;
const ROUNDS: usize = 100;
