//! Who this probe is: its key, its certificate, and how it got them.
