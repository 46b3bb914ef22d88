//! Asks the processor for memory that will be read soon, without waiting for it.
//!
//! A read that the caches do not hold is begun early by a processor that looks ahead, but it keeps everything behind it from being
//! completed, so that few are under way at a time. A prefetch is complete at once: dozens of them are. On processors other than
//! x86-64 and AArch64 nothing happens.

/// Bytes that a processor's caches fetch at a time.
const LINE_BYTES: usize = 64;

/// So much of an object is asked for at most: what is longer is read in order, and processors see that by themselves.
const MOST_BYTES: usize = 4 * LINE_BYTES;

/// Asks for the bytes of an object.
#[inline(always)]
pub(crate) fn object<T: ?Sized>(object: &T) {
    let start: *const u8 = std::ptr::from_ref(object).cast();
    let bytes = size_of_val(object).min(MOST_BYTES);
    for offset in (0..bytes).step_by(LINE_BYTES) {
        line(start.wrapping_add(offset));
    }
    // It begins anywhere in a line.
    if bytes > 1 {
        line(start.wrapping_add(bytes - 1));
    }
}

#[expect(unsafe_code, reason = "intrinsics that take pointers are unsafe")]
#[inline(always)]
fn line(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch has no effect but on time, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    #[test]
    fn anything_may_be_asked_for() {
        super::object(&());
        super::object(&[0u8; 0][..]);
        super::object(&[1u8; 10_000][..]);
        super::line(std::ptr::null());
    }
}
