//! The tables of probes: the authority that vouches for them, who is invited, who has joined and how each is.
//!
//! An invitation's secret is kept only as its SHA-256. A probe has one certificate in force, known by its
//! SHA-256; whoever shows another one, even of the same name, is not that probe any more.

use aws_lc_rs::constant_time;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::sample::detail;
use nines_shared::time::Timestamp;
use nines_shared::wire::Health;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, named_params, params};

use super::StoreError;
use crate::incident::ailment::complains;

/// How long an invitation is good, in ms.
pub const INVITATION_MS: i64 = 86_400_000;
/// How long a used or expired invitation is kept, so that whoever comes with it is told what happened to it, in ms.
const KEPT_MS: i64 = 30 * INVITATION_MS;

/// SQL that makes them, in the first migration.
pub(super) const TABLES: &str = "
CREATE TABLE authority (
  one             INTEGER PRIMARY KEY CHECK (one = 1),
  certificate_pem TEXT NOT NULL,
  key_pem         TEXT NOT NULL,
  made_at         INTEGER NOT NULL
) STRICT;

CREATE TABLE invitation (
  secret_sha256 BLOB PRIMARY KEY,
  probe         TEXT NOT NULL,
  region        TEXT NOT NULL,
  expires_at    INTEGER NOT NULL,
  used_at       INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE probe (
  id                   TEXT PRIMARY KEY,
  region               TEXT NOT NULL,
  joined_at            INTEGER NOT NULL,
  certificate_sha256   BLOB NOT NULL,
  certificate_until    INTEGER NOT NULL,
  revoked_at           INTEGER,
  -- What it told with its last batch.
  seen_at              INTEGER,
  version              TEXT NOT NULL DEFAULT '',
  boot_id              TEXT NOT NULL DEFAULT '',
  spooled              INTEGER NOT NULL DEFAULT 0,
  dropped              INTEGER NOT NULL DEFAULT 0,
  refused              INTEGER NOT NULL DEFAULT 0,
  held                 INTEGER NOT NULL DEFAULT 0,
  missed               INTEGER NOT NULL DEFAULT 0,
  clock_offset_ms      INTEGER,
  clock_uncertainty_ms INTEGER,
  lateness_max_ms      INTEGER,
  canaries_ok          INTEGER
) STRICT, WITHOUT ROWID;
";

/// SQL of a later migration: since when a probe has complained of itself, and when it last dropped samples.
pub(super) const AILING: &str = "
ALTER TABLE probe ADD COLUMN ailing_since INTEGER;
ALTER TABLE probe ADD COLUMN dropped_at INTEGER;
";

/// The private authority as it is kept.
#[derive(Clone)]
pub struct AuthorityRow {
    /// Its certificate.
    pub certificate_pem: String,
    /// Its key.
    pub key_pem: String,
    /// When it was made.
    pub made_at: Timestamp,
}

/// Someone may join once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationRow {
    /// SHA-256 of the secret that the one who joins must know.
    pub secret_sha256: [u8; 32],
    /// Under which name.
    pub probe: ProbeId,
    /// In which region.
    pub region: RegionId,
    /// Until when.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

/// A probe that has joined, and what it told last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRecord {
    /// Its id.
    pub id: ProbeId,
    /// The region it looks from.
    pub region: RegionId,
    /// When it joined, last.
    pub joined_at: Timestamp,
    /// Its certificate is good until.
    pub certificate_until: Timestamp,
    /// When it was shut out; `None` while it is a probe of the fleet.
    pub revoked_at: Option<Timestamp>,
    /// When its last batch came, by the aggregator's clock; `None` before the first.
    pub seen_at: Option<Timestamp>,
    /// What it told with that batch; the default before the first.
    pub health: Health,
    /// Since when it has complained of itself with every batch, by the aggregator's clock.
    pub ailing_since: Option<Timestamp>,
    /// When it last told of more dropped samples than before, by the aggregator's clock.
    pub dropped_at: Option<Timestamp>,
}

/// A probe at the moment it joins.
#[derive(Clone, Debug)]
pub struct NewProbe {
    /// Its id.
    pub id: ProbeId,
    /// Its region.
    pub region: RegionId,
    /// SHA-256 of its certificate.
    pub certificate_sha256: [u8; 32],
    /// Its certificate is good until.
    pub certificate_until: Timestamp,
}

/// Why a name can't be invited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A probe of that name has joined and is not revoked.
    Joined,
    /// Another region has the name.
    OtherRegion,
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
}

/// The authority, if there is one.
///
/// # Errors
/// What SQLite says.
pub fn authority(conn: &Connection) -> Result<Option<AuthorityRow>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT certificate_pem, key_pem, made_at FROM authority")?;
    let row = |row: &Row<'_>| {
        let made_at = Timestamp::from_ms(row.get(2)?);
        Ok(AuthorityRow { certificate_pem: row.get(0)?, key_pem: row.get(1)?, made_at })
    };
    Ok(statement.query_row([], row).optional()?)
}

/// Keeps `row` unless there is an authority already; returns the one that is kept.
///
/// # Errors
/// What SQLite says.
pub fn keep_authority(tx: &Transaction<'_>, row: &AuthorityRow) -> Result<AuthorityRow, StoreError> {
    let made_at = row.made_at.as_ms();
    tx.execute(
        "INSERT INTO authority VALUES (1, ?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![row.certificate_pem, row.key_pem, made_at],
    )?;
    Ok(authority(tx)?.unwrap_or_else(|| row.clone()))
}

/// Invites one to join `region` under `name`, or under the region's next free name. An open invitation for
/// the same name is void from then on.
///
/// # Errors
/// What SQLite says.
pub fn invite(
    tx: &Transaction<'_>,
    region: &RegionId,
    name: Option<&ProbeId>,
    secret_sha256: [u8; 32],
    now: Timestamp,
) -> Result<Result<InvitationRow, Taken>, StoreError> {
    tx.execute("DELETE FROM invitation WHERE expires_at < ?1", [now.plus_ms(-KEPT_MS).as_ms()])?;
    let probe = match name {
        Some(name) => match taken(tx, name, region)? {
            Some(taken) => return Ok(Err(taken)),
            None => name.clone(),
        },
        None => free_name(tx, region)?,
    };
    tx.execute("DELETE FROM invitation WHERE probe = ?1 AND used_at IS NULL", [probe.as_str()])?;
    let expires_at = now.plus_ms(INVITATION_MS);
    tx.execute(
        "INSERT INTO invitation (secret_sha256, probe, region, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![secret_sha256, probe.as_str(), region.as_str(), expires_at.as_ms()],
    )?;
    Ok(Ok(InvitationRow { secret_sha256, probe, region: region.clone(), expires_at, used_at: None }))
}

fn taken(conn: &Connection, name: &ProbeId, region: &RegionId) -> Result<Option<Taken>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT region, revoked_at IS NULL FROM probe WHERE id = ?1")?;
    let found: Option<(String, bool)> =
        statement.query_row([name.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(match found {
        Some((_, true)) => Some(Taken::Joined),
        Some((other, false)) if other != region.as_str() => Some(Taken::OtherRegion),
        Some(_) | None => None,
    })
}

/// The first of `region-1`, `region-2`, … that nobody has or is invited under.
fn free_name(conn: &Connection, region: &RegionId) -> Result<ProbeId, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM probe WHERE id = ?1) OR EXISTS (SELECT 1 FROM invitation WHERE probe = ?1)",
    )?;
    for number in 1_u32.. {
        let end = format!("-{number}");
        // A region's id may be as long as an id can be.
        let start: String = region.as_str().chars().take(nines_shared::id::MAX_ID_LEN - end.len()).collect();
        let name = format!("{start}{end}");
        if !statement.query_row([&name], |row| row.get::<_, bool>(0))? {
            return name.parse().map_err(|error| unreadable("a probe's name", error));
        }
    }
    unreachable!("there are fewer probes than numbers")
}

/// The invitation whose secret has this SHA-256, used or not, expired or not.
///
/// # Errors
/// What SQLite says.
pub fn invitation(conn: &Connection, secret_sha256: &[u8; 32]) -> Result<Option<InvitationRow>, StoreError> {
    // All of them are compared in constant time: how long the answer takes tells nothing about a secret.
    let mut found = None;
    for row in invitations(conn)? {
        if constant_time::verify_slices_are_equal(&row.secret_sha256, secret_sha256).is_ok() {
            found = Some(row);
        }
    }
    Ok(found)
}

/// Every invitation that is kept, by name.
///
/// # Errors
/// What SQLite says.
pub fn invitations(conn: &Connection) -> Result<Vec<InvitationRow>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT secret_sha256, probe, region, expires_at, used_at FROM invitation ORDER BY probe, expires_at",
    )?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(InvitationRow {
            secret_sha256: row.get(0)?,
            probe: id(row, 1)?,
            region: id(row, 2)?,
            expires_at: Timestamp::from_ms(row.get(3)?),
            used_at: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_ms),
        });
    }
    Ok(all)
}

/// Uses the invitation up and lets `probe` in, in the place of whoever had its name.
///
/// # Errors
/// What SQLite says.
pub fn join(
    tx: &Transaction<'_>,
    secret_sha256: &[u8; 32],
    probe: &NewProbe,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute("UPDATE invitation SET used_at = ?2 WHERE secret_sha256 = ?1", params![secret_sha256, now.as_ms()])?;
    tx.execute(
        "INSERT INTO probe (id, region, joined_at, certificate_sha256, certificate_until)
         VALUES (:id, :region, :now, :sha256, :until)
         ON CONFLICT (id) DO UPDATE SET region = :region, joined_at = :now, certificate_sha256 = :sha256,
           certificate_until = :until, revoked_at = NULL",
        named_params! {
            ":id": probe.id.as_str(), ":region": probe.region.as_str(), ":now": now.as_ms(),
            ":sha256": probe.certificate_sha256, ":until": probe.certificate_until.as_ms(),
        },
    )?;
    Ok(())
}

/// Whether whoever shows the certificate with this SHA-256 under this name is a probe of the fleet.
///
/// # Errors
/// What SQLite says.
pub fn standing(conn: &Connection, id: &ProbeId, certificate_sha256: &[u8; 32]) -> Result<Standing, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT certificate_sha256, revoked_at IS NULL FROM probe WHERE id = ?1")?;
    let found: Option<([u8; 32], bool)> =
        statement.query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(match found {
        Some((sha256, _)) if sha256 != *certificate_sha256 => Standing::Replaced,
        Some((_, true)) => Standing::Good,
        Some((_, false)) => Standing::Revoked,
        None => Standing::Replaced,
    })
}

/// Shuts `id` out, and voids an open invitation of that name. Tells whether there was anything to revoke.
///
/// # Errors
/// What SQLite says.
pub fn revoke(tx: &Transaction<'_>, id: &ProbeId, now: Timestamp) -> Result<bool, StoreError> {
    let uninvited = tx.execute("DELETE FROM invitation WHERE probe = ?1 AND used_at IS NULL", [id.as_str()])?;
    let revoked = tx.execute(
        "UPDATE probe SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
        params![id.as_str(), now.as_ms()],
    )?;
    Ok(0 < uninvited + revoked)
}

/// Keeps what `id` told with a batch that came now.
///
/// # Errors
/// What SQLite says.
pub fn seen(tx: &Transaction<'_>, id: &ProbeId, health: &Health, now: Timestamp) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(
        "UPDATE probe SET seen_at = :now, version = :version, boot_id = :boot_id, spooled = :spooled,
           dropped = :dropped, refused = :refused, held = :held, missed = :missed, clock_offset_ms = :clock_offset_ms,
           clock_uncertainty_ms = :clock_uncertainty_ms, lateness_max_ms = :lateness_max_ms,
           canaries_ok = :canaries_ok,
           ailing_since = CASE WHEN :ailing THEN coalesce(ailing_since, :now) END,
           dropped_at = CASE WHEN dropped < :dropped THEN :now ELSE dropped_at END
         WHERE id = :id",
    )?;
    // A probe may say what it likes; the columns hold what fits and what can be printed.
    let (version, boot_id) = (detail(&health.version), detail(&health.boot_id));
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    statement.execute(named_params! {
        ":id": id.as_str(), ":now": now.as_ms(), ":version": version, ":boot_id": boot_id,
        ":spooled": count(health.spooled), ":dropped": count(health.dropped), ":refused": count(health.refused), ":held": count(health.held),
        ":missed": count(health.missed), ":clock_offset_ms": health.clock_offset_ms,
        ":clock_uncertainty_ms": health.clock_uncertainty_ms, ":lateness_max_ms": health.lateness_max_ms,
        ":canaries_ok": health.canaries_ok, ":ailing": complains(health),
    })?;
    Ok(())
}

/// Every probe that ever joined, revoked ones too, by region and id.
///
/// # Errors
/// What SQLite says.
pub fn list(conn: &Connection) -> Result<Vec<ProbeRecord>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT * FROM probe ORDER BY region, id")?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(record(row)?);
    }
    Ok(all)
}

fn record(row: &Row<'_>) -> Result<ProbeRecord, StoreError> {
    let at = |column| Ok::<_, StoreError>(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_ms));
    let count = |column| Ok::<_, StoreError>(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0));
    Ok(ProbeRecord {
        id: id(row, "id")?,
        region: id(row, "region")?,
        joined_at: Timestamp::from_ms(row.get("joined_at")?),
        certificate_until: Timestamp::from_ms(row.get("certificate_until")?),
        revoked_at: at("revoked_at")?,
        seen_at: at("seen_at")?,
        health: Health {
            version: row.get("version")?,
            boot_id: row.get("boot_id")?,
            spooled: count("spooled")?,
            dropped: count("dropped")?,
            refused: count("refused")?,
            held: count("held")?,
            missed: count("missed")?,
            clock_offset_ms: row.get("clock_offset_ms")?,
            clock_uncertainty_ms: row.get("clock_uncertainty_ms")?,
            lateness_max_ms: row.get("lateness_max_ms")?,
            canaries_ok: row.get("canaries_ok")?,
        },
        ailing_since: at("ailing_since")?,
        dropped_at: at("dropped_at")?,
    })
}

fn id<T: std::str::FromStr<Err = nines_shared::id::IdError>>(
    row: &Row<'_>,
    column: impl rusqlite::RowIndex,
) -> Result<T, StoreError> {
    row.get::<_, String>(column)?.parse().map_err(|error| unreadable("a row of probes", error))
}

fn unreadable(what: &str, error: nines_shared::id::IdError) -> StoreError {
    StoreError::Unreadable { what: what.to_owned(), why: error.to_string() }
}
