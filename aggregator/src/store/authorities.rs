//! The table of private authorities: who vouches for probes and aggregator, and who did.
//!
//! They are numbered in the order in which they were made. All that are not retired are believed; the oldest of them
//! signs the aggregator's certificate, since every probe knows it, and the newest signs the probes'.

use nines_shared::id::ProbeId;
use nines_shared::time::Timestamp;
use rusqlite::{Connection, Transaction, params};

use super::{StoreError, probes};

/// SQL that makes it, with what the table of one authority held.
pub(super) const SEVERAL: &str = "
CREATE TABLE certificate_authority (
  no              INTEGER PRIMARY KEY,
  certificate_pem TEXT NOT NULL,
  -- NULL once it is retired: what nobody holds can sign nothing.
  key_pem         TEXT,
  made_at         INTEGER NOT NULL,
  retired_at      INTEGER
) STRICT;

INSERT INTO certificate_authority SELECT 1, certificate_pem, key_pem, made_at, NULL FROM authority;
DROP TABLE authority;

-- Which authority's fingerprint the token carries.
ALTER TABLE invitation ADD COLUMN authority INTEGER NOT NULL DEFAULT 1;
";

/// An authority as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityRow {
    /// Its number, from 1.
    pub no: u32,
    /// Its certificate.
    pub certificate_pem: String,
    /// Its key; `None` once it is retired.
    pub key_pem: Option<SigningKey>,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it was retired; `None` while its word counts.
    pub retired_at: Option<Timestamp>,
}

/// A key, PEM, that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(pub String);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// A new authority.
#[derive(Debug)]
pub struct NewAuthority {
    /// Its certificate.
    pub certificate_pem: String,
    /// Its key.
    pub key_pem: SigningKey,
}

/// What hangs on an authority: retiring it shuts these out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hanging {
    /// Probes whose certificate it signed.
    pub probes: Vec<ProbeId>,
    /// Names that are invited by a token with its fingerprint.
    pub invited: Vec<ProbeId>,
}

/// Every authority there is and was, the oldest first.
///
/// # Errors
/// What SQLite says.
pub fn all(conn: &Connection) -> Result<Vec<AuthorityRow>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT no, certificate_pem, key_pem, made_at, retired_at FROM certificate_authority ORDER BY no",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(AuthorityRow {
            no: row.get(0)?,
            certificate_pem: row.get(1)?,
            key_pem: row.get::<_, Option<String>>(2)?.map(SigningKey),
            made_at: Timestamp::from_ms(row.get(3)?),
            retired_at: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_ms),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keeps `new` as the newest; returns its number.
///
/// # Errors
/// What SQLite says.
pub fn add(tx: &Transaction<'_>, new: &NewAuthority, now: Timestamp) -> Result<u32, StoreError> {
    tx.execute(
        "INSERT INTO certificate_authority (certificate_pem, key_pem, made_at) VALUES (?1, ?2, ?3)",
        params![new.certificate_pem, new.key_pem.0, now.as_ms()],
    )?;
    let newest = "SELECT max(no) FROM certificate_authority";
    Ok(tx.query_row(newest, [], |row| row.get(0))?)
}

/// What hangs on authority `no` now.
///
/// # Errors
/// What SQLite says.
pub fn hanging(conn: &Connection, no: u32, now: Timestamp) -> Result<Hanging, StoreError> {
    let names = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| -> Result<Vec<ProbeId>, StoreError> {
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(probes::id(row, 0)?);
        }
        Ok(found)
    };
    Ok(Hanging {
        probes: names(
            "SELECT probe.id FROM probe JOIN probe_certificate AS shown ON shown.probe = probe.id
             WHERE shown.authority = ?1 AND shown.shown_at IS NOT NULL AND shown.ends_at IS NULL
               AND probe.revoked_at IS NULL ORDER BY probe.id",
            &[&no],
        )?,
        invited: names(
            "SELECT probe FROM invitation WHERE authority = ?1 AND used_at IS NULL AND ?2 < expires_at ORDER BY probe",
            &[&no, &now.as_ms()],
        )?,
    })
}

/// Takes authority `no` out for good: its key is forgotten, and invitations that carry its fingerprint are void.
///
/// # Errors
/// What SQLite says.
pub fn retire(tx: &Transaction<'_>, no: u32, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE certificate_authority SET key_pem = NULL, retired_at = ?2 WHERE no = ?1",
        params![no, now.as_ms()],
    )?;
    tx.execute("DELETE FROM invitation WHERE authority = ?1 AND used_at IS NULL", [no])?;
    Ok(())
}
