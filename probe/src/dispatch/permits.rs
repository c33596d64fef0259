//! How many checks may run at once: bounded by memory, and by the descriptors that the machine gives us.

use std::fs;

/// The most checks that run at once. One that hangs in a TLS handshake holds some 20 KiB.
pub const MAX_IN_FLIGHT: usize = 1_024;
/// Descriptors that a check may hold at once: its connection, and a question to a resolver.
const DESCRIPTORS_PER_CHECK: usize = 2;
/// Descriptors for everything else: spool, uplink, logs, the runtime.
const DESCRIPTORS_ASIDE: usize = 64;

/// How many checks may run at once on this machine.
pub fn permits() -> usize {
    // Where the limit can't be read, the usual one of 1,024 is assumed.
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    for_descriptors(soft_limit(&limits).unwrap_or(1_024))
}

fn for_descriptors(descriptors: usize) -> usize {
    (descriptors.saturating_sub(DESCRIPTORS_ASIDE) / DESCRIPTORS_PER_CHECK).clamp(1, MAX_IN_FLIGHT)
}

fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_whitespace().next()?;
    if soft == "unlimited" { Some(usize::MAX) } else { soft.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read_as_the_kernel_writes_it() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             96000                96000                processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(soft_limit(limits), Some(1_024));
        assert_eq!(
            soft_limit("Max open files            unlimited            unlimited            files"),
            Some(usize::MAX)
        );
        assert_eq!(soft_limit(""), None);
    }

    #[test]
    fn few_descriptors_mean_few_checks_at_once_and_never_none() {
        assert_eq!([0, 64, 66, 1_024, 524_288].map(for_descriptors), [1, 1, 1, 480, MAX_IN_FLIGHT]);
    }
}
