//! Long polls: look, and where there is nothing new wait for a change and look again.

use std::time::Duration;

use nines_shared::wire::MAX_WAIT_MS;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// What `look` finds, at once or after one of the `changes`; `None` where that is nothing within `wait_ms`, at most
/// [`MAX_WAIT_MS`], or until `stop`.
pub(super) async fn until_new<S, T>(
    mut changes: watch::Receiver<S>,
    wait_ms: u64,
    stop: &CancellationToken,
    look: impl Fn() -> Option<T>,
) -> Option<T> {
    let until = Instant::now() + Duration::from_millis(wait_ms.min(MAX_WAIT_MS));
    loop {
        // Before the look: what changes while we look is seen by the next one, not missed by both.
        changes.mark_unchanged();
        if let Some(found) = look() {
            return Some(found);
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            changed = timeout_at(until, changes.changed()) => match changed {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_change_between_look_and_wait_is_not_waited_for() {
        let (telling, changes) = watch::channel(0);
        let looks = Cell::new(0);
        // The change comes when the first look has found nothing, and before it returns; none comes later.
        let look = || {
            looks.set(looks.get() + 1);
            let found = *telling.borrow();
            telling.send_replace(1);
            (found != 0).then_some(found)
        };
        assert_eq!(until_new(changes, 20_000, &CancellationToken::new(), look).await, Some(1));
        assert_eq!(looks.get(), 2);
    }

    #[tokio::test]
    async fn a_wait_lasts_as_long_as_it_was_asked_for_or_until_the_stop() {
        let (_telling, changes) = watch::channel(0);
        let stop = CancellationToken::new();
        let begun = Instant::now();
        assert_eq!(until_new(changes.clone(), 70, &stop, || None::<()>).await, None);
        assert!(Duration::from_millis(70) <= begun.elapsed());
        stop.cancel();
        let begun = Instant::now();
        assert_eq!(until_new(changes, MAX_WAIT_MS, &stop, || None::<()>).await, None);
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
