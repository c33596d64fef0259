//! A slow, obviously right model, and the laws that hold for every record.
