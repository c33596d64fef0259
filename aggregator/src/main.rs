//! `nines`: the aggregator and everything an operator does. [`nines::cli`] is where it begins.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Two providers are linked by someone, some day: the process's one is chosen before anything else happens.
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    nines::cli::main()
}
