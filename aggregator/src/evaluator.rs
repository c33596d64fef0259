//! The tick: read, judge, and write transitions with their notifications in one transaction.
