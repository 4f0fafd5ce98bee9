//! Control messages as Linux lays them out: a header, data, and padding to the size of a word (cmsg(3)).

use std::mem::offset_of;
use std::time::{Duration, SystemTime};

/// Room for the control messages of one received message.
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; CONTROL_LEN]);

/// The values from the control messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Bytes per datagram, if the message is a train of them (udp(7), UDP_GRO).
    pub(super) stride: Option<usize>,
    /// When the first datagram arrived (socket(7), SO_TIMESTAMPNS).
    pub(super) at: Option<SystemTime>,
}

/// The control message that makes the kernel segment a message into datagrams (udp(7), UDP_SEGMENT).
#[repr(C)]
pub(super) struct Segment {
    header: Header,
    size: u16,
    padding: [u8; PADDING],
}

#[repr(C)]
struct Header {
    len: usize,
    level: i32,
    kind: i32,
}

impl Default for Control {
    fn default() -> Self {
        Self([0; CONTROL_LEN])
    }
}

impl Control {
    /// Reads the first `len` bytes. Stops at the first incomplete control message.
    pub(super) fn read(&self, len: usize) -> Told {
        let mut told = Told::default();
        let mut rest = self.0.get(..len).unwrap_or(&self.0);
        while let Some((level, kind, data, next)) = split_message(rest) {
            match (level, kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => told.stride = stride(data),
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => told.at = timestamp(data),
                _ => {}
            }
            rest = next;
        }
        told
    }
}

impl Segment {
    pub(super) fn of(size: u16) -> Self {
        let len = size_of::<Header>() + size_of::<u16>();
        Self {
            header: Header { len, level: libc::SOL_UDP, kind: libc::UDP_SEGMENT },
            size,
            padding: [0; PADDING],
        }
    }
}

fn split_message(bytes: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let len = usize::from_ne_bytes(*bytes.first_chunk()?);
    let level = i32::from_ne_bytes(*bytes.get(offset_of!(Header, level)..)?.first_chunk()?);
    let kind = i32::from_ne_bytes(*bytes.get(offset_of!(Header, kind)..)?.first_chunk()?);
    let data = bytes.get(size_of::<Header>()..len)?;
    let next = bytes.get(len.next_multiple_of(align_of::<Header>())..).unwrap_or_default();
    Some((level, kind, data, next))
}

fn stride(data: &[u8]) -> Option<usize> {
    usize::try_from(i32::from_ne_bytes(*data.first_chunk()?)).ok().filter(|&stride| stride > 0)
}

/// A `timespec` of two 64-bit numbers; on systems with a shorter one, packets have no timestamp.
fn timestamp(data: &[u8]) -> Option<SystemTime> {
    let (seconds, nanoseconds) = data.split_first_chunk()?;
    let seconds = u64::try_from(i64::from_ne_bytes(*seconds)).ok()?;
    let nanoseconds = u32::try_from(i64::from_ne_bytes(*nanoseconds.first_chunk()?)).ok()?;
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds.into()))
}

/// Bytes: one timestamp and one stride, each with its header, and some spare room.
const CONTROL_LEN: usize = 64;
/// Bytes of padding behind the segment size.
const PADDING: usize = size_of::<usize>() - size_of::<u16>();
const _: () = assert!(size_of::<Header>() == size_of::<libc::cmsghdr>());

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::new(1_800_000_000, 123_456_789);

    #[test]
    fn a_stride_and_a_time_are_read_in_either_order() {
        let time = [AT.as_secs().to_ne_bytes(), u64::from(AT.subsec_nanos()).to_ne_bytes()].concat();
        let time = message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &time);
        let stride = message(libc::SOL_UDP, libc::UDP_GRO, &1_200i32.to_ne_bytes());
        let told = Told { stride: Some(1_200), at: Some(SystemTime::UNIX_EPOCH + AT) };
        assert_eq!(read(&[time.clone(), stride.clone()].concat()), told);
        assert_eq!(read(&[stride, time].concat()), told);
    }

    #[test]
    fn what_is_unknown_is_passed_over_and_what_is_broken_ends_the_reading() {
        let stride = message(libc::SOL_UDP, libc::UDP_GRO, &7i32.to_ne_bytes());
        let unknown = message(99, 99, &[1, 2, 3]);
        let told = Told { stride: Some(7), at: None };
        assert_eq!(read(&[unknown, stride.clone()].concat()), told);
        assert_eq!(read(&[stride.clone(), vec![1, 2, 3]].concat()), told);
        let too_long = message_of_len(1_000, libc::SOL_UDP, libc::UDP_GRO, &9i32.to_ne_bytes());
        assert_eq!(read(&[stride, too_long].concat()), told);
        for len in 0..20 {
            assert_eq!(read(&message_of_len(len, libc::SOL_UDP, libc::UDP_GRO, &[])), Told::default());
        }
    }

    #[test]
    fn strides_and_times_that_make_no_sense_are_none() {
        for stride in [0, -1, i32::MIN] {
            let message = message(libc::SOL_UDP, libc::UDP_GRO, &stride.to_ne_bytes());
            assert_eq!(read(&message), Told::default());
        }
        for (seconds, nanoseconds) in [(-1i64, 0i64), (0, -1), (0, i64::MAX)] {
            let time = [seconds.to_ne_bytes(), nanoseconds.to_ne_bytes()].concat();
            assert_eq!(read(&message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &time)), Told::default());
        }
    }

    #[test]
    fn every_length_up_to_the_room_is_read_without_harm() {
        let control = Control([0xff; CONTROL_LEN]);
        (0..=CONTROL_LEN + 8).for_each(|len| assert_eq!(control.read(len), Told::default()));
    }

    fn read(bytes: &[u8]) -> Told {
        let mut control = Control::default();
        control.0[..bytes.len()].copy_from_slice(bytes);
        control.read(bytes.len())
    }

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        message_of_len(size_of::<Header>() + data.len(), level, kind, data)
    }

    fn message_of_len(len: usize, level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend([level.to_ne_bytes(), kind.to_ne_bytes()].concat());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(align_of::<Header>()), 0);
        bytes
    }
}
