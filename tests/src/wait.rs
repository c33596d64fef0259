//! Waiting for something to become true, with a deadline and a reason when it does not.

use std::time::Duration;

use tokio::time::Instant;

/// How long anything may take on a busy machine with two cores.
pub const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Polls `attempt` until it gives a value, and panics with `what` where it has not after [`PATIENCE`].
pub fn until<T>(what: &str, attempt: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, attempt)
}

/// Like [`until`], with its own deadline.
pub fn until_within<T>(patience: Duration, what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Lets `time` go by because the passing of time is what the test is about: an outage that lasts so long, a
/// process that is killed at some moment. Never used to wait for something to be ready.
pub fn let_pass(time: Duration) {
    std::thread::sleep(time);
}
