//! The secrets themselves, read from where the fleet file says that they are.
//!
//! Owns the way from a name to a value. What is read is handed on to who sends it and is never written or shown.

use std::collections::BTreeSet;
use std::{env, fs};

use nines_shared::check::Check;
use nines_shared::secret::{MAX_SECRET_BYTES, Secret, SecretValue, Secrets};

/// The secret that `name` names, as it is now.
///
/// # Errors
/// Why it can't be had, with its name.
pub fn read(name: &Secret) -> Result<SecretValue, String> {
    let text = match name {
        Secret::Env(variable) => env::var(variable).map_err(|error| match error {
            env::VarError::NotPresent => format!("the environment has no {variable}"),
            env::VarError::NotUnicode(_) => format!("{variable} in the environment is not text"),
        })?,
        Secret::File(path) => {
            let unreadable = |why: String| format!("{} can't be read: {why}", path.display());
            let found = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
            // A pipe would keep us waiting for its other end.
            if !found.is_file() {
                return Err(unreadable("it is not a file".to_owned()));
            }
            if (MAX_SECRET_BYTES as u64) < found.len() {
                return Err(unreadable(format!("{} bytes are more than {MAX_SECRET_BYTES}", found.len())));
            }
            let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
            text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).to_owned()
        }
    };
    if text.is_empty() {
        return Err(format!("{name} is empty"));
    }
    Ok(SecretValue::new(text))
}

/// The secrets that `checks` name, as they are now. One that can't be had is logged, and left out.
pub fn of_checks(checks: &[Check]) -> Secrets {
    let named: BTreeSet<&Secret> = checks.iter().flat_map(|check| check.question.secrets()).collect();
    let had = named.into_iter().filter_map(|name| match read(name) {
        Ok(value) => Some((name.clone(), value)),
        Err(error) => {
            tracing::error!(secret = %name, %error, "secret.missing");
            None
        }
    });
    had.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_file_loses_its_last_line_break_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (written, read_as) in [("a b\n", "a b"), ("a\n\n", "a\n"), ("a\r\n", "a"), ("a", "a")] {
            fs::write(&path, written).unwrap();
            assert_eq!(read(&Secret::File(path.clone())).unwrap().reveal(), read_as);
        }
    }

    #[test]
    fn a_secret_that_can_not_be_had_is_told_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        fs::write(&empty, "\n").unwrap();
        let large = folder.path().join("large");
        fs::write(&large, "x".repeat(MAX_SECRET_BYTES + 1)).unwrap();
        for (name, told) in [
            (Secret::File(folder.path().join("none")), "none can't be read"),
            (Secret::File(folder.path().to_owned()), "not a file"),
            (Secret::File(empty), "empty is empty"),
            (Secret::File(large), "are more than 65536"),
            (Secret::Env("NINES_NO_SUCH".to_owned()), "no NINES_NO_SUCH"),
        ] {
            let error = read(&name).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
