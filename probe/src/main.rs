//! `nines-probe`: the agent on an edge VM.
fn main() {}
