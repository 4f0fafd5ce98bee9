//! Minimal forwarding: a thread that receives, opens, seals for each destination and sends, without any other
//! logic. Its cost for a shape is the floor for that shape.

use crate::linux::cipher::{Cipher, HEADER_LEN, Profile};
use crate::linux::cpu;
use crate::linux::sender::Sender;
use crate::linux::stream::Shape;
use crate::linux::train::ReceiveBuffer;
use anyhow::{Context, Result, anyhow};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use quinn_udp::{UdpSockRef, UdpSocketState};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running bare forwarder.
pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    publisher: Cipher,
    profile: Profile,
    shape: Shape,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Bare {
    /// Runs on the first core, in a thread whose name begins with [`Self::THREAD`].
    pub(crate) fn start(
        ip: IpAddr,
        destinations: &[SocketAddr],
        profile: Profile,
        shape: Shape,
    ) -> Result<Self> {
        let socket = UdpSocket::bind((ip, 0))?;
        let address = socket.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, destinations) = (stop.clone(), destinations.to_vec());
        cpu::pin(0)?;
        let thread = std::thread::Builder::new()
            .name(format!("{}0", Self::THREAD))
            .spawn(move || Forwarding::new(socket, &destinations, profile, shape)?.run(&stopped))
            .context("starting a thread")?;
        cpu::pin(1)?;
        Ok(Self { address, publisher: Cipher::new(profile, 0)?, profile, shape, stop, thread })
    }

    pub(crate) const THREAD: &str = "bare-";

    /// As [`crate::linux::call::Call::publish`].
    pub(crate) fn publish(&mut self, bursts: usize) -> Vec<Vec<u8>> {
        let payload = vec![0x5a; self.shape.payload];
        let len = HEADER_LEN + self.shape.payload + self.profile.tag_len();
        let burst = |_| {
            let mut burst = vec![0; len * self.shape.burst];
            burst.chunks_exact_mut(len).for_each(|packet| self.publisher.seal(&payload, packet));
            burst
        };
        (0..bursts).map(burst).collect()
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the bare forwarder panicked"))?
    }
}

struct Forwarding {
    socket: UdpSocket,
    state: UdpSocketState,
    publisher: Cipher,
    subscribers: Vec<Cipher>,
    sender: Sender,
    shape: Shape,
    len: usize,
    sealed: Vec<u8>,
}

impl Forwarding {
    fn new(socket: UdpSocket, to: &[SocketAddr], profile: Profile, shape: Shape) -> Result<Self> {
        let buffers = socket2::SockRef::from(&socket);
        buffers.set_recv_buffer_size(SOCKET_BUFFER)?;
        buffers.set_send_buffer_size(SOCKET_BUFFER)?;
        let len = HEADER_LEN + shape.payload + profile.tag_len();
        let sender = Sender::new(to, len, shape.burst)?;
        Ok(Self {
            state: UdpSocketState::new(UdpSockRef::from(&socket))?,
            publisher: Cipher::new(profile, 0)?,
            subscribers: (1..=to.len()).map(|index| Cipher::new(profile, index)).collect::<Result<_>>()?,
            sealed: vec![0; sender.batch() * shape.burst * len],
            sender,
            shape,
            len,
            socket,
        })
    }

    fn run(mut self, stop: &AtomicBool) -> Result<()> {
        let mut buffer = ReceiveBuffer::new();
        while !stop.load(Ordering::Relaxed) {
            match buffer.receive(&self.socket, &self.state) {
                Ok(messages) => buffer.trains(messages).try_for_each(|train| self.forward(train))?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait()?,
                Err(error) => return Err(error).context("receiving"),
            }
        }
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        let mut sockets = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut sockets, PollTimeout::try_from(STOP_CHECK)?).context("waiting")?;
        Ok(())
    }

    /// Forwards a train of packets to all destinations.
    fn forward(&mut self, train: &mut [u8]) -> Result<()> {
        for packet in train.chunks_exact_mut(self.len) {
            self.publisher.open(packet)?;
        }
        let (run, batch) = (self.len * self.shape.burst, self.sender.batch());
        for burst in train.chunks_exact(run) {
            for first in (0..self.subscribers.len()).step_by(batch) {
                let end = self.subscribers.len().min(first + batch);
                for (subscriber, sealed) in
                    self.subscribers[first..end].iter_mut().zip(self.sealed.chunks_exact_mut(run))
                {
                    for (packet, sealed) in
                        burst.chunks_exact(self.len).zip(sealed.chunks_exact_mut(self.len))
                    {
                        subscriber.seal(&packet[HEADER_LEN..HEADER_LEN + self.shape.payload], sealed);
                    }
                }
                self.sender.send(&self.socket, first..end, &self.sealed)?;
            }
        }
        Ok(())
    }
}

/// Bytes, as in the worker.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
const STOP_CHECK: Duration = Duration::from_millis(100);
