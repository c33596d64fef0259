//! Fetched, verified, cached: a cold start works while the aggregator is away.
