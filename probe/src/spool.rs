//! Durable, bounded queue (SQLite): append, peek, acknowledge, what was dropped.
