//! The network: each client has a line up and a line down, and several lines may share a bottleneck.

use super::cubic::Cubic;
use super::record::Record;
use std::net::SocketAddr;
use std::time::Instant;
use switchyard_link::path::Path;
use switchyard_link::{Link, Passage};

#[derive(Debug, Clone)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// Called for each datagram before everything else; `false` drops the datagram.
pub type Filter = Box<dyn FnMut(&[u8]) -> bool>;

/// One direction of a client's line.
pub struct Line {
    pub link: Link<Datagram>,
    filter: Option<Filter>,
    /// The bottleneck in front of the link.
    pub bottleneck: Option<usize>,
    /// What the SFU sent and what became of it, if a story wants to know.
    pub record: Option<Record>,
}

/// Links that several lines share.
pub struct Network {
    seed: u64,
    start: Instant,
    lines: u64,
    pub bottlenecks: Vec<Bottleneck>,
}

pub struct Bottleneck {
    pub link: Link<Cargo>,
    /// A download that competes with the calls.
    pub download: Option<Cubic>,
}

pub enum Cargo {
    Datagram(Datagram),
    /// A segment of the download, by number.
    Segment(u64),
}

impl Network {
    pub fn new(seed: u64, start: Instant) -> Self {
        Self { seed, start, lines: 0, bottlenecks: Vec::new() }
    }

    /// A line with random values of its own.
    pub fn line(&mut self, path: Path) -> Line {
        let link = Link::new(path, self.next_seed(), self.start);
        Line { link, filter: None, bottleneck: None, record: None }
    }

    pub fn add_bottleneck(&mut self, path: Path) -> usize {
        let link = Link::new(path, self.next_seed(), self.start);
        self.bottlenecks.push(Bottleneck { link, download: None });
        self.bottlenecks.len() - 1
    }

    fn next_seed(&mut self) -> u64 {
        self.lines += 1;
        self.seed << 32 | self.lines << 8
    }

    pub fn send(&mut self, now: Instant, line: &mut Line, datagram: Datagram) {
        if line.filter.as_mut().is_some_and(|passes| !passes(&datagram.bytes)) {
            return;
        }
        let kept = line.record.as_ref().map(|_| datagram.bytes.clone());
        let passage = match line.bottleneck {
            Some(index) => {
                let size = datagram.bytes.len();
                self.bottlenecks[index].link.push(now, size, Cargo::Datagram(datagram))
            }
            None => line.enter(now, datagram),
        };
        if let Some((record, bytes)) = line.record.as_mut().zip(kept) {
            record.note_sent(now, &bytes, passage);
        }
    }

    pub fn next_event(&self) -> Option<Instant> {
        self.bottlenecks.iter().filter_map(Bottleneck::next_event).min()
    }

    /// The datagrams that have passed their bottleneck.
    pub fn passed(&mut self, now: Instant) -> Vec<Datagram> {
        self.bottlenecks.iter_mut().flat_map(|bottleneck| bottleneck.handle_timeout(now)).collect()
    }
}

impl Bottleneck {
    fn next_event(&self) -> Option<Instant> {
        let download = self.download.as_ref().and_then(Cubic::next_timeout);
        download.into_iter().chain(self.link.next_arrival()).min()
    }

    fn handle_timeout(&mut self, now: Instant) -> Vec<Datagram> {
        let mut passed = Vec::new();
        while let Some(cargo) = self.link.pop(now) {
            match (cargo, &mut self.download) {
                (Cargo::Datagram(datagram), _) => passed.push(datagram),
                (Cargo::Segment(number), Some(download)) => download.arrived(now, number),
                (Cargo::Segment(_), None) => {}
            }
        }
        if let Some(download) = &mut self.download {
            for number in download.handle_timeout(now) {
                self.link.push(now, Cubic::SEGMENT, Cargo::Segment(number));
            }
        }
        passed
    }
}

impl Line {
    pub fn set_filter(&mut self, filter: Option<Filter>) {
        self.filter = filter;
    }

    pub fn set_path(&mut self, path: Path) {
        self.link.set_path(path);
    }

    /// Replaces the link; what is under way is lost.
    pub fn change_link(&mut self, other: Self) {
        let left_behind = std::mem::replace(&mut self.link, other.link);
        if let Some(record) = &mut self.record {
            let bytes: usize = left_behind.under_way().map(|datagram| datagram.bytes.len()).sum();
            record.left_behind = Some(record.left_behind.unwrap_or(0) + bytes);
        }
    }

    /// Enters the line's own link.
    pub fn enter(&mut self, now: Instant, datagram: Datagram) -> Passage {
        self.link.push(now, datagram.bytes.len(), datagram)
    }

    /// A datagram that has arrived.
    pub fn arrived(&mut self, now: Instant) -> Option<Datagram> {
        let datagram = self.link.pop(now)?;
        if let Some(record) = &mut self.record {
            record.note_arrived(now, &datagram.bytes);
        }
        Some(datagram)
    }
}
