//! Passes runs of datagrams to the kernel, and handles those that it refuses.

use super::Offloads;
use crate::counters::ShellCounters;
use nix::errno::Errno;
use std::io;
use switchyard_media::Run;

/// A system call that sends the first of the given runs, at least one, and returns how many it sent. Its
/// error is about the first run.
pub(super) type Send<'s, 'a> = &'s mut dyn FnMut(&mut dyn Iterator<Item = Run<'a>>) -> io::Result<usize>;

/// Is told of each run that the kernel refused: it never left the host.
pub(crate) type Refused<'r> = &'r mut dyn FnMut(Run<'_>);

/// Sends runs of datagrams. A run that the kernel refuses is dropped, counted and told of; the runs after it are still
/// tried, because they have other destinations.
pub(super) fn deliver<'a>(
    runs: impl Iterator<Item = Run<'a>> + Clone,
    offloads: &mut Offloads,
    counters: &mut ShellCounters,
    send: Send<'_, 'a>,
    refused: Refused<'_>,
) {
    if offloads.segmentation {
        deliver_each(runs, offloads, counters, send, refused);
    } else {
        deliver_each(runs.flat_map(single_datagrams), offloads, counters, send, refused);
    }
}

fn deliver_each<'a>(
    mut runs: impl Iterator<Item = Run<'a>> + Clone,
    offloads: &mut Offloads,
    counters: &mut ShellCounters,
    send: Send<'_, 'a>,
    refused: Refused<'_>,
) {
    while let Some(first) = runs.clone().next() {
        match send(&mut runs.clone()) {
            Ok(sent) => {
                counters.send_calls += 1;
                for run in runs.by_ref().take(sent.max(1)) {
                    counters.runs_sent += 1;
                    counters.datagrams_sent += run.packets() as u64;
                }
            }
            Err(error) if first.packets() > 1 && is_segmentation_refused(&error) => {
                // EIO: the interface cannot compute checksums, so it cannot segment any run. Other errors are
                // about this run or its path only.
                offloads.segmentation &= error.raw_os_error() != Some(Errno::EIO as i32);
                deliver_each(single_datagrams(first), offloads, counters, send, refused);
                runs.next();
            }
            Err(error) => {
                *drop_counter(&error, counters) += first.packets() as u64;
                refused(first);
                runs.next();
            }
        }
    }
}

fn single_datagrams(run: Run<'_>) -> impl Iterator<Item = Run<'_>> + Clone {
    let Run { tuple, bytes, segment_size } = run;
    bytes.chunks(segment_size).map(move |bytes| Run { tuple, bytes, segment_size: bytes.len() })
}

fn drop_counter<'a>(error: &io::Error, counters: &'a mut ShellCounters) -> &'a mut u64 {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN) => &mut counters.send_buffer_full,
        Some(Errno::ENOBUFS) => &mut counters.send_queue_full,
        Some(_) | None => &mut counters.send_refused,
    }
}

fn is_segmentation_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::net::SocketAddr;
    use switchyard_media::{Protocol, Tuple};

    const WITH_SEGMENTATION: Offloads = Offloads { segmentation: true };

    #[test]
    fn what_a_call_leaves_over_goes_with_the_next() {
        let mut kernel = Kernel::answering([Ok(2), Ok(1), Ok(2)]);
        let counters = kernel.deliver(&[1, 2, 3, 4, 5], WITH_SEGMENTATION).0;
        assert_eq!(kernel.offered, [vec![1, 2, 3, 4, 5], vec![3, 4, 5], vec![4, 5]]);
        assert_eq!((counters.send_calls, counters.runs_sent, counters.datagrams_sent), (3, 5, 15));
    }

    #[test]
    fn a_run_that_is_not_taken_is_counted_by_its_reason_and_the_others_still_leave() {
        for (errno, expected) in [
            (Errno::EAGAIN, ShellCounters { send_buffer_full: 2, ..ShellCounters::default() }),
            (Errno::ENOBUFS, ShellCounters { send_queue_full: 2, ..ShellCounters::default() }),
            (Errno::ENETUNREACH, ShellCounters { send_refused: 2, ..ShellCounters::default() }),
        ] {
            let mut kernel = Kernel::answering([Ok(1), Err(errno), Ok(1)]);
            let (counters, offloads) = kernel.deliver(&[1, 2, 3], WITH_SEGMENTATION);
            assert_eq!(kernel.refused, [2]);
            assert_eq!(kernel.offered, [vec![1, 2, 3], vec![2, 3], vec![3]]);
            let sent = ShellCounters { send_calls: 2, runs_sent: 2, datagrams_sent: 4, ..expected };
            assert_eq!((counters, offloads.segmentation), (sent, true));
        }
    }

    #[test]
    fn a_run_that_cannot_be_segmented_leaves_as_single_datagrams() {
        for (errno, still) in [(Errno::EINVAL, true), (Errno::EMSGSIZE, true), (Errno::EIO, false)] {
            let mut kernel = Kernel::answering([Err(errno), Ok(1), Ok(2), Ok(1)]);
            let (counters, offloads) = kernel.deliver(&[3, 1], WITH_SEGMENTATION);
            assert_eq!(kernel.offered, [vec![3, 1], vec![1, 1, 1], vec![1, 1], vec![1]]);
            assert_eq!((counters.datagrams_sent, counters.runs_sent), (4, 4));
            assert_eq!(offloads.segmentation, still, "{errno}");
        }
    }

    #[test]
    fn a_single_datagram_that_is_too_long_is_dropped_and_not_tried_again() {
        let mut kernel = Kernel::answering([Err(Errno::EMSGSIZE)]);
        let (counters, _) = kernel.deliver(&[1], WITH_SEGMENTATION);
        assert_eq!((kernel.offered.len(), counters.send_refused), (1, 1));
    }

    #[test]
    fn without_segmentation_every_datagram_is_a_message_of_the_same_call() {
        let mut kernel = Kernel::answering([Ok(6)]);
        let (counters, _) = kernel.deliver(&[3, 1, 2], Offloads { segmentation: false });
        assert_eq!(kernel.offered, [[1; 6]]);
        assert_eq!((counters.send_calls, counters.datagrams_sent), (1, 6));
    }

    /// A fake kernel: returns the prepared answers, and records the number of datagrams in each run offered.
    struct Kernel {
        answers: VecDeque<Result<usize, Errno>>,
        offered: Vec<Vec<usize>>,
        /// The number of datagrams in each run that was told to be refused.
        refused: Vec<usize>,
    }

    impl Kernel {
        fn answering(answers: impl Into<VecDeque<Result<usize, Errno>>>) -> Self {
            Self { answers: answers.into(), offered: Vec::new(), refused: Vec::new() }
        }

        /// Delivers runs with these numbers of datagrams.
        fn deliver(&mut self, runs: &[usize], mut offloads: Offloads) -> (ShellCounters, Offloads) {
            let mut counters = ShellCounters::default();
            let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
            let tuple = Tuple { protocol: Protocol::Udp, local: address, remote: address };
            let bytes = [0; 1_000];
            // The last datagram of a run is shorter.
            let runs =
                runs.iter().map(|count| Run { tuple, bytes: &bytes[..count * 100 - 1], segment_size: 100 });
            let Self { answers, offered, refused } = self;
            let mut send = |runs: &mut dyn Iterator<Item = Run<'_>>| {
                offered.push(runs.map(|run| run.packets()).collect());
                answers.pop_front().unwrap().map_err(io::Error::from)
            };
            let mut refuse = |run: Run<'_>| refused.push(run.packets());
            deliver(runs, &mut offloads, &mut counters, &mut send, &mut refuse);
            assert!(self.answers.is_empty());
            (counters, offloads)
        }
    }
}
