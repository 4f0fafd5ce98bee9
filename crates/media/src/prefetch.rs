//! Loads memory into the processor's caches before it is needed.

/// Starts loading a value into the caches, on processors that support it.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "a hint: it changes nothing and faults at no address")]
pub(crate) fn prefetch<T>(value: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let start = std::ptr::from_ref(value).cast::<i8>();
    for offset in (0..size_of::<T>()).step_by(CACHE_LINE) {
        // SAFETY: a prefetch reads and writes nothing that the program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(offset)) };
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn prefetch<T>(_: &T) {}

/// Bytes.
#[cfg(target_arch = "x86_64")]
const CACHE_LINE: usize = 64;
