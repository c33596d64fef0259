//! The table of the probes' certificates: which one is a probe's, which comes next, which was.
//!
//! A certificate that was issued counts from when it is shown. Until then the one before stays, so a probe that is cut
//! off between the answer and its disk still gets in; and for [`OVERLAP_MS`] after, so that what is under way is
//! finished.

use nines_shared::id::ProbeId;
use nines_shared::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, named_params, params};

use super::StoreError;

/// How long a certificate is good after the one that follows it was shown first, in ms: longer than a long poll.
pub const OVERLAP_MS: i64 = 60_000;

/// SQL that makes it, with the certificates that probes have.
pub(super) const TABLE: &str = "
CREATE TABLE probe_certificate (
  sha256    BLOB PRIMARY KEY,
  probe     TEXT NOT NULL REFERENCES probe (id),
  authority INTEGER NOT NULL,
  -- Which authorities the probe was told of with it: what the header of answers says.
  told      TEXT NOT NULL,
  issued_at INTEGER NOT NULL,
  until     INTEGER NOT NULL,
  -- When it was used first; NULL before.
  shown_at  INTEGER,
  -- The one that follows it was shown: it is good until then.
  ends_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX probe_certificate_of ON probe_certificate (probe);

INSERT INTO probe_certificate
  SELECT certificate_sha256, id, 1, '', joined_at, certificate_until, joined_at, NULL FROM probe;
ALTER TABLE probe DROP COLUMN certificate_sha256;
ALTER TABLE probe DROP COLUMN certificate_until;
";

/// A certificate of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRow {
    /// SHA-256 of its DER.
    pub sha256: [u8; 32],
    /// The number of the authority that signed it.
    pub authority: u32,
    /// Which authorities the probe was told of with it.
    pub told: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Until when it is good.
    pub until: Timestamp,
    /// When it was used first; `None` before.
    pub shown_at: Option<Timestamp>,
}

/// What the database says of whoever shows a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is a probe of the fleet.
    Good,
    /// It was shut out.
    Revoked,
    /// The name has another certificate by now, or there is no such probe.
    Replaced,
    /// The authority that signed it was retired.
    Retired,
}

/// Whether whoever shows the certificate with this SHA-256 under this name is a probe of the fleet now.
///
/// # Errors
/// What SQLite says.
pub fn standing(conn: &Connection, probe: &ProbeId, sha256: &[u8; 32], now: Timestamp) -> Result<Standing, StoreError> {
    Ok(looked_up(conn, probe, sha256, now)?.0)
}

/// [`standing`], and where it is good the certificate counts as shown: the one before ends soon.
///
/// # Errors
/// What SQLite says.
pub fn shown(tx: &Transaction<'_>, probe: &ProbeId, sha256: &[u8; 32], now: Timestamp) -> Result<Standing, StoreError> {
    let (standing, is_new) = looked_up(tx, probe, sha256, now)?;
    if standing == Standing::Good && is_new {
        tx.execute("DELETE FROM probe_certificate WHERE probe = ?1 AND ends_at IS NOT NULL", [probe.as_str()])?;
        let ends_at = now.plus_ms(OVERLAP_MS).as_ms();
        tx.execute(
            "UPDATE probe_certificate SET ends_at = ?2 WHERE probe = ?1 AND shown_at IS NOT NULL",
            params![probe.as_str(), ends_at],
        )?;
        tx.execute("UPDATE probe_certificate SET shown_at = ?2 WHERE sha256 = ?1", params![sha256, now.as_ms()])?;
    }
    Ok(standing)
}

/// The standing, and whether the certificate is shown for the first time.
fn looked_up(
    conn: &Connection,
    probe: &ProbeId,
    sha256: &[u8; 32],
    now: Timestamp,
) -> Result<(Standing, bool), StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT shown.shown_at IS NULL, shown.ends_at, probe.revoked_at IS NOT NULL, authority.retired_at IS NOT NULL
         FROM probe_certificate AS shown JOIN probe ON probe.id = shown.probe
           JOIN certificate_authority AS authority ON authority.no = shown.authority
         WHERE shown.sha256 = ?1 AND shown.probe = ?2",
    )?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, bool>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, bool>(2)?, row.get::<_, bool>(3)?))
    };
    let found = statement.query_row(params![sha256, probe.as_str()], row).optional()?;
    Ok(match found {
        None => (Standing::Replaced, false),
        Some((_, _, true, _)) => (Standing::Revoked, false),
        Some((_, _, _, true)) => (Standing::Retired, false),
        Some((_, Some(ends_at), ..)) if ends_at <= now.as_ms() => (Standing::Replaced, false),
        Some((is_new, ..)) => (Standing::Good, is_new),
    })
}

/// The certificate that was made for `probe` last, shown or not.
///
/// # Errors
/// What SQLite says.
pub fn newest(conn: &Connection, probe: &ProbeId) -> Result<Option<CertificateRow>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT sha256, authority, told, issued_at, until, shown_at FROM probe_certificate WHERE probe = ?1
         ORDER BY issued_at DESC, shown_at IS NOT NULL LIMIT 1",
    )?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(CertificateRow {
            sha256: row.get(0)?,
            authority: row.get(1)?,
            told: row.get(2)?,
            issued_at: Timestamp::from_ms(row.get(3)?),
            until: Timestamp::from_ms(row.get(4)?),
            shown_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_ms),
        })
    };
    Ok(statement.query_row([probe.as_str()], row).optional()?)
}

/// Puts `next` beside the certificate that `probe` has. One that was put there before and never shown is void.
///
/// # Errors
/// What SQLite says.
pub fn put_beside(tx: &Transaction<'_>, probe: &ProbeId, next: &CertificateRow) -> Result<(), StoreError> {
    tx.execute("DELETE FROM probe_certificate WHERE probe = ?1 AND shown_at IS NULL", [probe.as_str()])?;
    insert(tx, probe, &CertificateRow { shown_at: None, ..next.clone() })
}

/// Makes `only` the certificate of `probe` from `now` on; all others are void.
///
/// # Errors
/// What SQLite says.
pub fn put_in_place(
    tx: &Transaction<'_>,
    probe: &ProbeId,
    only: &CertificateRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute("DELETE FROM probe_certificate WHERE probe = ?1", [probe.as_str()])?;
    insert(tx, probe, &CertificateRow { shown_at: Some(now), ..only.clone() })
}

fn insert(tx: &Transaction<'_>, probe: &ProbeId, row: &CertificateRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO probe_certificate (sha256, probe, authority, told, issued_at, until, shown_at)
         VALUES (:sha256, :probe, :authority, :told, :issued_at, :until, :shown_at)",
        named_params! {
            ":sha256": row.sha256, ":probe": probe.as_str(), ":authority": row.authority, ":told": row.told,
            ":issued_at": row.issued_at.as_ms(), ":until": row.until.as_ms(),
            ":shown_at": row.shown_at.map(Timestamp::as_ms),
        },
    )?;
    Ok(())
}
