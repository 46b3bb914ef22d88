//! What is resident, and what should be.

/// The target, in parts of `maxmemory`. A quarter may be above it: most of that is left for what happens between two looks.
const TARGET_PARTS: (u64, u64) = (17, 16);
/// Below this the program alone would leave no room for data.
const LEAST_MAXMEMORY_BYTES: u64 = 32 << 20;

/// What should be resident at most with a limit of so many bytes; none if there is no limit, or nothing could be left for data.
pub fn target_bytes(maxmemory: u64) -> Option<u64> {
    (maxmemory >= LEAST_MAXMEMORY_BYTES).then_some(maxmemory / TARGET_PARTS.1 * TARGET_PARTS.0)
}

/// Resident memory of the process; none where the system does not say.
pub fn bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_what_is_resident() {
        assert!(bytes().is_some_and(|bytes| bytes > 100_000));
    }
}
