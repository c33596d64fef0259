//! Percentiles of latency.
