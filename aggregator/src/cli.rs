//! The commands of `nines`, one file a command.
