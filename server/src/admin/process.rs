//! What the operating system says about this process and its machine. Where it says nothing, the answer is 0.

use std::fs;
use std::time::Duration;

/// CPU time that all threads of this process have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// In user mode.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

/// Memory of this process and of the machine, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident now.
    pub resident_bytes: u64,
    /// Of the machine.
    pub system_bytes: u64,
}

/// Reads the CPU time used so far.
#[expect(
    unsafe_code,
    reason = "getrusage has no safe form in the standard library"
)]
pub fn cpu_times() -> CpuTimes {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is valid for a write of an rusage; all zeroes is a valid one if the call fails.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    CpuTimes {
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// Reads memory from `/proc`.
pub fn memory() -> Memory {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    Memory {
        resident_bytes: kilobytes(&status, "VmRSS:"),
        system_bytes: kilobytes(&machine, "MemTotal:"),
    }
}

/// The value of a `Name:   123 kB` line, in bytes.
fn kilobytes(text: &str, name: &str) -> u64 {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_default();
    value
        .split_ascii_whitespace()
        .next()
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

/// Name, release and machine of the operating system, as `uname -srm` prints them.
pub fn operating_system() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let name = fs::read_to_string("/proc/sys/kernel/ostype")
        .unwrap_or_else(|_| std::env::consts::OS.to_owned());
    [name.trim(), release.trim(), std::env::consts::ARCH].join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_uses_cpu() {
        let memory = memory();
        assert!(memory.resident_bytes > 1 << 20);
        assert!(memory.system_bytes > memory.resident_bytes);
        let before = cpu_times();
        let mut sum = 0u64;
        while cpu_times() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(cpu_times().user + cpu_times().system > before.user + before.system);
        assert!(operating_system().contains(std::env::consts::ARCH));
    }

    #[test]
    fn lines_of_proc() {
        assert_eq!(
            kilobytes("VmPeak:\t 9 kB\nVmRSS:\t   12 kB\n", "VmRSS:"),
            12 * 1024
        );
        assert_eq!(kilobytes("", "VmRSS:"), 0);
    }
}
