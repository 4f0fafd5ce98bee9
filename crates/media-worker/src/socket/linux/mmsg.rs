//! The two system calls for many messages at once, and a socket option for which no crate has a safe wrapper.
//! All `unsafe` code of the workspace is in this file: the pointers that these calls take have no safe form.

use super::control::{Control, Segment};
use super::name::Name;
use libc::{c_int, c_uint, iovec, mmsghdr, msghdr};
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// The values that the kernel writes for one message: sender, control data, and the lengths.
#[derive(Default)]
pub(super) struct Received {
    pub(super) name: Name,
    pub(super) control: Control,
    pub(super) bytes: usize,
    pub(super) name_bytes: usize,
    pub(super) control_bytes: usize,
}

/// One message to send: `bytes` are sent as datagrams of `segment` bytes, or as one datagram.
pub(super) struct Message<'a> {
    pub(super) name: Name,
    pub(super) bytes: &'a [u8],
    pub(super) segment: Option<u16>,
}

/// Receives without waiting: message `i` into the `i`-th `slot_len` bytes of `payloads` and into `received[i]`.
/// Returns the number of messages; `WouldBlock` if there are none.
pub(super) fn receive(
    socket: BorrowedFd<'_>,
    payloads: &mut [u8],
    slot_len: usize,
    received: &mut [Received; MAX_RECEIVED],
) -> io::Result<usize> {
    let mut headers = [const { MaybeUninit::<mmsghdr>::uninit() }; MAX_RECEIVED];
    let mut slices = [const { MaybeUninit::<iovec>::uninit() }; MAX_RECEIVED];
    let slots = payloads.chunks_exact_mut(slot_len).zip(received.iter_mut());
    let mut count = 0;
    for ((header, slice), (payload, received)) in headers.iter_mut().zip(&mut slices).zip(slots) {
        let slice = slice.write(iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() });
        let mut message = empty_header();
        message.msg_name = ptr::from_mut(&mut received.name.bytes).cast();
        message.msg_namelen = received.name.bytes.len() as _;
        message.msg_iov = slice;
        message.msg_iovlen = 1;
        message.msg_control = ptr::from_mut(&mut received.control.0).cast();
        message.msg_controllen = received.control.0.len() as _;
        header.write(mmsghdr { msg_hdr: message, msg_len: 0 });
        count += 1;
    }
    let headers = headers.as_mut_ptr().cast::<mmsghdr>();
    // SAFETY: the first `count` headers are initialised. Each points to one initialised `iovec` and through it to a
    // slot of `payloads`, and to the name and control buffer of one element of `received`, with the length of each.
    // All of them are borrowed mutably or live on this stack for the whole call, no two overlap, and each takes any
    // bytes. The kernel keeps no pointer. The timeout may be null.
    let messages = unsafe {
        libc::recvmmsg(socket.as_raw_fd(), headers, count, libc::MSG_DONTWAIT as _, ptr::null_mut())
    };
    let messages = usize::try_from(messages).map_err(|_| io::Error::last_os_error())?;
    for (index, received) in received.iter_mut().take(messages).enumerate() {
        // SAFETY: the kernel filled no more headers than `count`, all of which are initialised.
        let header = unsafe { &*headers.add(index) };
        received.bytes = header.msg_len as usize;
        received.name_bytes = header.msg_hdr.msg_namelen as usize;
        received.control_bytes = header.msg_hdr.msg_controllen;
    }
    Ok(messages)
}

/// Sends at most the first [`MAX_SENT`] messages, without waiting. Returns the number of messages sent, which
/// may be smaller; an error only if the first message was not sent.
pub(super) fn send<'a>(
    socket: BorrowedFd<'_>,
    messages: impl Iterator<Item = Message<'a>>,
) -> io::Result<usize> {
    let mut headers = [const { MaybeUninit::<mmsghdr>::uninit() }; MAX_SENT];
    let mut slices = [const { MaybeUninit::<iovec>::uninit() }; MAX_SENT];
    let mut names = [const { MaybeUninit::<Name>::uninit() }; MAX_SENT];
    let mut controls = [const { MaybeUninit::<Segment>::uninit() }; MAX_SENT];
    let places = headers.iter_mut().zip(&mut slices).zip(names.iter_mut().zip(&mut controls));
    let mut count: c_uint = 0;
    // Places are the first iterator of the zip, so that it does not take a message for which there is no
    // place.
    for (((header, slice), (name, control)), message) in places.zip(messages) {
        let (name, bytes) = (name.write(message.name), message.bytes);
        let slice = slice.write(iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() });
        let mut entry = empty_header();
        entry.msg_name = ptr::from_mut(&mut name.bytes).cast();
        entry.msg_namelen = name.len as _;
        entry.msg_iov = slice;
        entry.msg_iovlen = 1;
        if let Some(segment) = message.segment {
            entry.msg_control = ptr::from_mut(control.write(Segment::of(segment))).cast();
            entry.msg_controllen = size_of::<Segment>() as _;
        }
        header.write(mmsghdr { msg_hdr: entry, msg_len: 0 });
        count += 1;
    }
    let headers = headers.as_mut_ptr().cast::<mmsghdr>();
    // SAFETY: the first `count` headers are initialised. Each points to one initialised `iovec`, name and, unless its
    // control pointer is null and its length 0, control message, all on this stack for the whole call, with the
    // length of each; the `iovec` points to bytes borrowed for the whole call, which sending only reads. The kernel
    // writes `msg_len` of these headers alone, and keeps no pointer.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count, libc::MSG_DONTWAIT as _) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Sets an option whose value is an integer.
pub(super) fn set_option(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let len = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the value is an initialised integer of that length on this stack, which the kernel only reads.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, ptr::from_ref(&value).cast(), len) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A zeroed `msghdr`: some C libraries have private padding fields in it, which cannot be written by name.
fn empty_header() -> msghdr {
    // SAFETY: a `msghdr` is pointers and integers only, for which zero is a value.
    unsafe { mem::zeroed() }
}

/// Messages per call. More would gain little: from 16 on, the cost of the call per message is small.
pub(super) const MAX_RECEIVED: usize = 32;
pub(super) const MAX_SENT: usize = 64;
