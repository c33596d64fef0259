//! `nines`: the aggregator and everything an operator does.
fn main() {}
