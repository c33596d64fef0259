//! `nines-probe`: the agent on an edge VM.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: every TLS of the process uses this one provider. A second install would mean
    // that somebody came first, and theirs is the same.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    nines_probe::cli::main()
}
