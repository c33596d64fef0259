//! The one-shot check, drawn.
