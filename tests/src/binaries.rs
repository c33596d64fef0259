//! Where the two binaries are: built once, in the profile that the tests themselves run in.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The aggregator's binary.
pub fn nines() -> PathBuf {
    built().join("nines")
}

/// The probe's binary.
pub fn nines_probe() -> PathBuf {
    built().join("nines-probe")
}

/// The top of the repository.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// The folder of the binaries, after making sure that they are those of the sources as they are now:
/// `cargo test -p nines-tests` alone does not build them.
fn built() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let test = std::env::current_exe().expect("a running test has a path");
            let folder = test.parent().and_then(|deps| deps.parent()).expect("tests run from target/PROFILE/deps");
            let mut cargo = Command::new(env!("CARGO"));
            cargo.current_dir(repository()).args(["build", "--quiet", "-p", "nines", "-p", "nines-probe", "--bins"]);
            if folder.ends_with("release") {
                cargo.arg("--release");
            }
            let status = cargo.status().expect("cargo runs");
            assert!(status.success(), "the binaries do not build");
            folder.to_owned()
        })
        .clone()
}
