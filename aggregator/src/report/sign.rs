//! Signatures of report files: Ed25519, in the format of minisign, so that a customer needs no tool of ours.
//!
//! The key is made once and lies beside the database, its owner's alone. What is signed is a file's BLAKE2b-512 (what
//! minisign calls prehashed, and expects), and with it the trusted comment that says what the file is. Nothing
//! random goes in: the same file and comment have the same signature.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use data_encoding::BASE64;

/// What is put after a file's name for the file of its signature.
pub const ENDING: &str = ".minisig";
/// The largest file of a key or a signature that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 8_192;
/// Ed25519 of the file's BLAKE2b-512.
const PREHASHED: &[u8; 2] = b"ED";
/// Ed25519 of the file itself; also what minisign puts before a public key.
const PLAIN: &[u8; 2] = b"Ed";
const KEY_ID: usize = 8;
const PUBLIC: usize = 32;
const SIGNATURE: usize = 64;
const TRUSTED: &str = "trusted comment: ";
const UNTRUSTED: &str = "untrusted comment: ";
const PEM: [&str; 2] = ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"];

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system does not let it be read or made.
    #[error("the reports' key {}: {source}", path.display())]
    File {
        /// Its file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others can read it.
    #[error("the reports' key {} can be read by others; if nobody has, run chmod 600 on it, else make another", path.display())]
    Open {
        /// Its file.
        path: PathBuf,
    },
    /// It is no key.
    #[error("the reports' key {} is no Ed25519 key of PKCS #8; put it back from a copy, or move it away and a new one is made", path.display())]
    NoKey {
        /// Its file.
        path: PathBuf,
    },
}

/// The key that reports are signed with.
pub struct Key {
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.public().to_string()).finish()
    }
}

impl Key {
    /// The key at `path`; made there where there is none. Of several who make it at once one wins, and all have its.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn at(path: &Path) -> Result<Self, KeyError> {
        let file = |source| KeyError::File { path: path.to_owned(), source };
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(path).map_err(file)?,
            Err(error) => return Err(file(error)),
            Ok(_there) => {}
        }
        let about = fs::metadata(path).map_err(file)?;
        if about.mode() & 0o077 != 0 {
            return Err(KeyError::Open { path: path.to_owned() });
        }
        let no_key = || KeyError::NoKey { path: path.to_owned() };
        if MAX_FILE_BYTES < about.len() {
            return Err(no_key());
        }
        let text = fs::read_to_string(path).map_err(file)?;
        let der = unwrapped(&text).ok_or_else(no_key)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_not_a_key| no_key())?;
        Ok(Self { pair })
    }

    /// What others check signatures with.
    pub fn public(&self) -> PublicKey {
        let mut key = [0; PUBLIC];
        key.copy_from_slice(self.pair.public_key().as_ref());
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&digest(&SHA256, &key).as_ref()[..KEY_ID]);
        PublicKey { id, key }
    }

    /// The text of the signature's file for `bytes`, with a `comment` that is signed too: one line.
    pub fn sign(&self, bytes: &[u8], comment: &str) -> String {
        let public = self.public();
        let signature = self.pair.sign(blake2b(bytes).as_ref());
        let both = self.pair.sign(&[signature.as_ref(), comment.as_bytes()].concat());
        let body = BASE64.encode(&[PREHASHED, &public.id[..], signature.as_ref()].concat());
        let both = BASE64.encode(both.as_ref());
        format!("{UNTRUSTED}check with minisign -V -P {public} -m FILE\n{body}\n{TRUSTED}{comment}\n{both}\n")
    }
}

/// Writes a new key beside `path` and gives it that name, unless another came first.
fn make(path: &Path) -> io::Result<()> {
    let failed = |what: &str| io::Error::other(what.to_owned());
    let pair = Ed25519KeyPair::generate().map_err(|_unspecified| failed("no key can be made"))?;
    let der = pair.to_pkcs8v1().map_err(|_unspecified| failed("the key can't be written"))?;
    let mut text = format!("{}\n", PEM[0]);
    for line in BASE64.encode(der.as_ref()).as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(PEM[1]);
    text.push('\n');
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let named = match fs::hard_link(&beside, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    };
    fs::remove_file(&beside)?;
    named
}

fn unwrapped(text: &str) -> Option<Vec<u8>> {
    let body = text.trim().strip_prefix(PEM[0])?.strip_suffix(PEM[1])?;
    let body: String = body.split_ascii_whitespace().collect();
    BASE64.decode(body.as_bytes()).ok()
}

fn blake2b(bytes: &[u8]) -> blake2b_simd::Hash {
    blake2b_simd::blake2b(bytes)
}

/// A public key, as minisign writes it: `RW…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    id: [u8; KEY_ID],
    key: [u8; PUBLIC],
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE64.encode(&[PLAIN, &self.id[..], &self.key[..]].concat()))
    }
}

impl std::str::FromStr for PublicKey {
    type Err = SignatureError;

    /// A key as such, or the content of a minisign.pub.
    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let line = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with(UNTRUSTED));
        let line = line.ok_or(SignatureError::NoPublicKey)?;
        let bytes = BASE64.decode(line.trim().as_bytes()).map_err(|_other| SignatureError::NoPublicKey)?;
        match bytes.split_at_checked(2 + KEY_ID) {
            Some((head, key)) if head[..2] == PLAIN[..] && key.len() == PUBLIC => Ok(Self {
                id: head[2..].try_into().map_err(|_length| SignatureError::NoPublicKey)?,
                key: key.try_into().map_err(|_length| SignatureError::NoPublicKey)?,
            }),
            Some(_) | None => Err(SignatureError::NoPublicKey),
        }
    }
}

/// Why a signature does not vouch for a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The public key is none.
    #[error("this is no public key of minisign; it begins with RW and has 56 letters")]
    NoPublicKey,
    /// The signature's file is none.
    #[error("this is no signature of minisign")]
    NoSignature,
    /// It is another key's.
    #[error("it was made with another key")]
    OtherKey,
    /// The file is not what was signed.
    #[error("the file is not the one that was signed")]
    OtherFile,
    /// The trusted comment is not what was signed.
    #[error("the trusted comment is not the one that was signed")]
    OtherComment,
}

impl PublicKey {
    /// Whether `signature`, the content of a `.minisig`, vouches for `bytes`; gives its trusted comment.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify<'s>(&self, bytes: &[u8], signature: &'s str) -> Result<&'s str, SignatureError> {
        let mut lines = signature.lines();
        let (_untrusted, body, comment, both) = (lines.next(), lines.next(), lines.next(), lines.next());
        let comment = comment.and_then(|line| line.strip_prefix(TRUSTED)).ok_or(SignatureError::NoSignature)?;
        let decoded = |line: Option<&str>| {
            BASE64.decode(line.unwrap_or_default().trim().as_bytes()).map_err(|_other| SignatureError::NoSignature)
        };
        let (body, both) = (decoded(body)?, decoded(both)?);
        if body.len() != 2 + KEY_ID + SIGNATURE || both.len() != SIGNATURE {
            return Err(SignatureError::NoSignature);
        }
        let (method, rest) = body.split_at(2);
        let (id, signed) = rest.split_at(KEY_ID);
        if *id != self.id {
            return Err(SignatureError::OtherKey);
        }
        let key = UnparsedPublicKey::new(&ED25519, self.key);
        let of_file = match method {
            _ if *method == PREHASHED[..] => key.verify(blake2b(bytes).as_ref(), signed),
            _ if *method == PLAIN[..] => key.verify(bytes, signed),
            _ => return Err(SignatureError::NoSignature),
        };
        of_file.map_err(|_unspecified| SignatureError::OtherFile)?;
        let whole = [signed, comment.as_bytes()].concat();
        key.verify(&whole, &both).map_err(|_unspecified| SignatureError::OtherComment)?;
        Ok(comment)
    }
}

/// The file of the signature of the file at `path`.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ENDING);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> (tempfile::TempDir, Key) {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::at(&folder.path().join("key")).unwrap();
        (folder, key)
    }

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let (folder, key) = key();
        let path = folder.path().join("key");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(Key::at(&path).unwrap().public(), key.public());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(!format!("{key:?}").contains("PRIVATE"));
        let mut open = fs::metadata(&path).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut open, 0o640);
        fs::set_permissions(&path, open.clone()).unwrap();
        assert!(matches!(Key::at(&path), Err(KeyError::Open { .. })));
        std::os::unix::fs::PermissionsExt::set_mode(&mut open, 0o600);
        fs::set_permissions(&path, open).unwrap();
        fs::write(&path, "no key").unwrap();
        assert!(matches!(Key::at(&path), Err(KeyError::NoKey { .. })));
    }

    #[test]
    fn a_signature_vouches_for_its_file_and_comment_and_for_nothing_else() {
        let (_folder, key) = key();
        let public: PublicKey = key.public().to_string().parse().unwrap();
        assert_eq!((public, public.to_string().len()), (key.public(), 56));
        assert!(public.to_string().starts_with("RW"));
        let signature = key.sign(b"a report", "of october");
        assert_eq!(signature, key.sign(b"a report", "of october"), "nothing random goes in");
        assert_eq!(public.verify(b"a report", &signature), Ok("of october"));
        assert_eq!(public.verify(b"a Report", &signature), Err(SignatureError::OtherFile));
        let comment = signature.replace("of october", "of november");
        assert_eq!(public.verify(b"a report", &comment), Err(SignatureError::OtherComment));
        let (_other_folder, other) = self::key();
        assert_eq!(other.public().verify(b"a report", &signature), Err(SignatureError::OtherKey));
        for broken in ["", "x\ny\nz\n", "untrusted comment: a\nRUQ=\ntrusted comment: b\nRUQ=\n"] {
            assert_eq!(public.verify(b"a report", broken), Err(SignatureError::NoSignature), "{broken}");
        }
    }

    #[test]
    fn a_public_key_is_read_from_a_file_of_minisign_too_and_nonsense_is_none() {
        let (_folder, key) = key();
        let file = format!("untrusted comment: minisign public key 0\n{}\n", key.public());
        assert_eq!(file.parse(), Ok(key.public()));
        for nonsense in ["", "RW", "untrusted comment: x\n", "QUJD"] {
            assert_eq!(nonsense.parse::<PublicKey>(), Err(SignatureError::NoPublicKey));
        }
    }
}
