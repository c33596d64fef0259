//! `nines serve`: wires the rooms together, and takes them down in order.
