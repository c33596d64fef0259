//! The tables of probes: who is invited, who has joined and how each is.
//!
//! An invitation's secret is kept only as its SHA-256. Who a probe is its certificate says, of which
//! [`certificates`] keeps count.

use aws_lc_rs::constant_time;
use nines_shared::id::{CheckId, ProbeId, RegionId};
use nines_shared::sample::detail;
use nines_shared::time::{Span, Timestamp};
use nines_shared::wire::{Health, MAX_UNREAD};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, named_params, params};

use super::certificates::CertificateRow;
use super::{StoreError, certificates};
use crate::incident::ailment::{CLONED_FOR_MS, complains};

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

/// SQL that adds what is known of a second process under a probe's name.
pub(super) const CLONES: &str = "
-- When a second process was seen beside the first, first and last.
ALTER TABLE probe ADD COLUMN cloned_since INTEGER;
ALTER TABLE probe ADD COLUMN cloned_at    INTEGER;
";

/// SQL that adds what a probe works by.
pub(super) const ASSIGNED: &str = "
ALTER TABLE probe ADD COLUMN assignment INTEGER NOT NULL DEFAULT 0;
-- NULL where it does not say.
ALTER TABLE probe ADD COLUMN checks     INTEGER;
-- Ids with blanks between them.
ALTER TABLE probe ADD COLUMN unread     TEXT NOT NULL DEFAULT '';
";

/// SQL that adds from where on a probe's backlog is still to come.
pub(super) const BACKLOG: &str = "ALTER TABLE probe ADD COLUMN backlog_from INTEGER;";

/// SQL that adds with which key an invitation was used.
pub(super) const JOINED: &str = "
-- SHA-256 of the public key; NULL before, and where that was before it was kept.
ALTER TABLE invitation ADD COLUMN key_sha256 BLOB;
";

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
    /// The number of the authority whose fingerprint the token carries.
    pub authority: u32,
}

/// Whom to invite, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Invited<'a> {
    /// The region that it will look from.
    pub region: &'a RegionId,
    /// Its name; `None`: the region's next free one.
    pub name: Option<&'a ProbeId>,
    /// SHA-256 of the secret.
    pub secret_sha256: [u8; 32],
    /// The number of the authority whose fingerprint the token carries.
    pub authority: u32,
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
    /// The certificate that it uses is good until.
    pub certificate_until: Timestamp,
    /// The number of the authority that signed it.
    pub authority: u32,
    /// A second process with its identity was seen beside it: first and last.
    pub cloned: Option<Span>,
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
    /// Its certificate.
    pub certificate: CertificateRow,
}

/// Why a name can't be invited: another region has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken;

/// Invites one to join under its name or the region's next free one. An open invitation for the same name is void
/// from then on. A probe of that name goes on as it is until the invitation is used; then the new one has its place.
///
/// # Errors
/// What SQLite says.
pub fn invite(
    tx: &Transaction<'_>,
    invited: &Invited<'_>,
    now: Timestamp,
) -> Result<Result<InvitationRow, Taken>, StoreError> {
    let Invited { region, name, secret_sha256, authority } = *invited;
    tx.execute("DELETE FROM invitation WHERE expires_at < ?1", [now.plus_ms(-KEPT_MS).as_ms()])?;
    let probe = match name {
        Some(name) if is_elsewhere(tx, name, region)? => return Ok(Err(Taken)),
        Some(name) => name.clone(),
        None => free_name(tx, region)?,
    };
    tx.execute("DELETE FROM invitation WHERE probe = ?1 AND used_at IS NULL", [probe.as_str()])?;
    let expires_at = now.plus_ms(INVITATION_MS);
    tx.execute(
        "INSERT INTO invitation (secret_sha256, probe, region, expires_at, authority) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![secret_sha256, probe.as_str(), region.as_str(), expires_at.as_ms(), authority],
    )?;
    Ok(Ok(InvitationRow { secret_sha256, probe, region: region.clone(), expires_at, used_at: None, authority }))
}

fn is_elsewhere(conn: &Connection, name: &ProbeId, region: &RegionId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM probe WHERE id = ?1 AND region <> ?2)";
    let mut statement = conn.prepare_cached(sql)?;
    Ok(statement.query_row([name.as_str(), region.as_str()], |row| row.get(0))?)
}

/// Whether a probe called `name` is in the fleet and not revoked.
///
/// # Errors
/// What SQLite says.
pub fn is_there(conn: &Connection, name: &ProbeId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM probe WHERE id = ?1 AND revoked_at IS NULL)";
    Ok(conn.prepare_cached(sql)?.query_row([name.as_str()], |row| row.get(0))?)
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
        "SELECT secret_sha256, probe, region, expires_at, used_at, authority FROM invitation ORDER BY probe, expires_at",
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
            authority: row.get(5)?,
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
        "INSERT INTO probe (id, region, joined_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET region = ?2, joined_at = ?3, revoked_at = NULL,
           cloned_since = NULL, cloned_at = NULL",
        params![probe.id.as_str(), probe.region.as_str(), now.as_ms()],
    )?;
    certificates::put_in_place(tx, &probe.id, &probe.certificate, now)
}

/// Keeps with which key the invitation was used: by the SHA-256 of the public one.
///
/// # Errors
/// What SQLite says.
pub fn joined_with(tx: &Transaction<'_>, secret_sha256: &[u8; 32], key_sha256: &[u8; 32]) -> Result<(), StoreError> {
    let sql = "UPDATE invitation SET key_sha256 = ?2 WHERE secret_sha256 = ?1";
    tx.execute(sql, params![secret_sha256, key_sha256])?;
    Ok(())
}

/// Whether `invitation` was used with the key of this SHA-256 by one who may not have learnt of it: it has not been
/// heard since, is still the probe that joined then, and was not shut out.
///
/// # Errors
/// What SQLite says.
pub fn was_not_told(conn: &Connection, invitation: &InvitationRow, key_sha256: &[u8; 32]) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (
                 SELECT 1 FROM invitation JOIN probe ON probe.id = invitation.probe AND joined_at = used_at
                 WHERE secret_sha256 = ?1 AND key_sha256 = ?2 AND revoked_at IS NULL
                   AND (seen_at IS NULL OR seen_at < joined_at))";
    let by = params![invitation.secret_sha256, key_sha256];
    Ok(conn.prepare_cached(sql)?.query_row(by, |row| row.get(0))?)
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
           backlog_from = :backlog_from, dropped = :dropped, refused = :refused, held = :held, missed = :missed, clock_offset_ms = :clock_offset_ms,
           clock_uncertainty_ms = :clock_uncertainty_ms, lateness_max_ms = :lateness_max_ms,
           canaries_ok = :canaries_ok, assignment = :assignment, checks = :checks, unread = :unread,
           ailing_since = CASE WHEN :ailing THEN coalesce(ailing_since, :now) END,
           dropped_at = CASE WHEN dropped < :dropped THEN :now ELSE dropped_at END
         WHERE id = :id",
    )?;
    // A probe may say what it likes; the columns hold what fits and what can be printed.
    let (version, boot_id) = (detail(&health.version), detail(&health.boot_id));
    let unread: Vec<&str> = health.unread.iter().take(MAX_UNREAD).map(CheckId::as_str).collect();
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    statement.execute(named_params! {
        ":id": id.as_str(), ":now": now.as_ms(), ":version": version, ":boot_id": boot_id,
        ":spooled": count(health.spooled),
        ":backlog_from": health.backlog_from.map(Timestamp::as_ms), ":dropped": count(health.dropped), ":refused": count(health.refused), ":held": count(health.held),
        ":missed": count(health.missed), ":clock_offset_ms": health.clock_offset_ms,
        ":clock_uncertainty_ms": health.clock_uncertainty_ms, ":lateness_max_ms": health.lateness_max_ms,
        ":canaries_ok": health.canaries_ok, ":ailing": complains(health),
        ":assignment": count(health.assignment), ":checks": health.checks.map(count), ":unread": unread.join(" "),
    })?;
    Ok(())
}

/// The regions of the probes that may still have samples of slots before `at`: that told so, that hold some which are
/// in no spool or were refused, or that were heard from `since` on and have not been since all of those slots were
/// over, at `over`.
///
/// # Errors
/// What SQLite says.
pub fn regions_behind(
    conn: &Connection,
    since: Timestamp,
    (at, over): (Timestamp, Timestamp),
) -> Result<Vec<RegionId>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT region FROM probe WHERE revoked_at IS NULL
           AND (backlog_from < :at OR 0 < held OR 0 < refused OR (:since <= seen_at AND seen_at < :over))
         ORDER BY region",
    )?;
    let mut rows =
        statement.query(named_params! { ":since": since.as_ms(), ":at": at.as_ms(), ":over": over.as_ms() })?;
    let mut regions = Vec::new();
    while let Some(row) = rows.next()? {
        regions.push(id(row, 0)?);
    }
    Ok(regions)
}

/// Keeps that a second process with the identity of `id` was seen beside the first.
///
/// # Errors
/// What SQLite says.
pub fn cloned(tx: &Transaction<'_>, id: &ProbeId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE probe SET cloned_since = CASE WHEN ?3 < cloned_at THEN cloned_since ELSE ?2 END, cloned_at = ?2
         WHERE id = ?1",
        params![id.as_str(), now.as_ms(), now.plus_ms(-CLONED_FOR_MS).as_ms()],
    )?;
    Ok(())
}

/// Keeps that a certificate of `id` was shown that was replaced, as [`cloned`] does, where the probe has delivered with
/// the one that it has now: until then it may not know that one yet.
///
/// # Errors
/// What SQLite says.
pub fn replaced_is_shown(tx: &Transaction<'_>, id: &ProbeId, now: Timestamp) -> Result<(), StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM probe WHERE id = ?1 AND revoked_at IS NULL AND seen_at > (
                 SELECT max(shown_at) FROM probe_certificate WHERE probe = ?1 AND ends_at IS NULL))";
    if tx.prepare_cached(sql)?.query_row([id.as_str()], |row| row.get(0))? { cloned(tx, id, now) } else { Ok(()) }
}

/// Which life of `id` was heard last, by its boot id, and when; `None` where none was.
///
/// # Errors
/// What SQLite says.
pub fn last_heard(conn: &Connection, id: &ProbeId) -> Result<Option<(String, Timestamp)>, StoreError> {
    let sql = "SELECT boot_id, seen_at FROM probe WHERE id = ?1 AND seen_at IS NOT NULL AND boot_id <> ''";
    let row = |row: &Row<'_>| Ok((row.get(0)?, Timestamp::from_ms(row.get(1)?)));
    Ok(conn.prepare_cached(sql)?.query_row([id.as_str()], row).optional()?)
}

/// Every probe that ever joined, revoked ones too, by region and id.
///
/// # Errors
/// What SQLite says.
pub fn list(conn: &Connection) -> Result<Vec<ProbeRecord>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT probe.*, coalesce(shown.until, 0) AS certificate_until, coalesce(shown.authority, 0) AS authority
         FROM probe LEFT JOIN probe_certificate AS shown
           ON shown.probe = probe.id AND shown.shown_at IS NOT NULL AND shown.ends_at IS NULL
         ORDER BY probe.region, probe.id",
    )?;
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
        authority: row.get("authority")?,
        cloned: at("cloned_since")?.zip(at("cloned_at")?).map(|(first, last)| Span::new(first, last)),
        revoked_at: at("revoked_at")?,
        seen_at: at("seen_at")?,
        health: Health {
            version: row.get("version")?,
            boot_id: row.get("boot_id")?,
            spooled: count("spooled")?,
            backlog_from: at("backlog_from")?,
            dropped: count("dropped")?,
            refused: count("refused")?,
            held: count("held")?,
            missed: count("missed")?,
            clock_offset_ms: row.get("clock_offset_ms")?,
            clock_uncertainty_ms: row.get("clock_uncertainty_ms")?,
            lateness_max_ms: row.get("lateness_max_ms")?,
            canaries_ok: row.get("canaries_ok")?,
            assignment: count("assignment")?,
            checks: row.get::<_, Option<i64>>("checks")?.and_then(|checks| u64::try_from(checks).ok()),
            unread: unread(row)?,
        },
        ailing_since: at("ailing_since")?,
        dropped_at: at("dropped_at")?,
    })
}

fn unread(row: &Row<'_>) -> Result<Vec<CheckId>, StoreError> {
    let text: String = row.get("unread")?;
    text.split_whitespace().map(|id| id.parse().map_err(|error| unreadable("a row of probes", error))).collect()
}

pub(super) fn id<T: std::str::FromStr<Err = nines_shared::id::IdError>>(
    row: &Row<'_>,
    column: impl rusqlite::RowIndex,
) -> Result<T, StoreError> {
    row.get::<_, String>(column)?.parse().map_err(|error| unreadable("a row of probes", error))
}

fn unreadable(what: &str, error: nines_shared::id::IdError) -> StoreError {
    StoreError::Unreadable { what: what.to_owned(), why: error.to_string() }
}
