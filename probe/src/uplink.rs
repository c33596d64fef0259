//! Batches out, acks in, backoff with jitter.
