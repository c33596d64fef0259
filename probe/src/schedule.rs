//! PURE: due(now) → what to run; overrun slots named, never replayed in a burst.
