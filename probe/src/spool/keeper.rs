//! The spool's thread: gathers what is asked, commits it at once, then answers.

use std::collections::VecDeque;
use std::time::Duration;

use nines_shared::time::Timestamp;
use rusqlite::ErrorCode;
use tokio::sync::{mpsc, oneshot, watch};

use super::disk::{Disk, Write};
use super::{Counts, Kept, Load, MAX_HELD, Row, SpoolError, Waiting};

/// How long the first sample waits for others to share its commit. Checks fall due together on a grid, so
/// this turns most of a second's commits into one or two, and the samples ship later anyway.
const GATHER: Duration = Duration::from_millis(25);
/// The most commands in one turn.
const MAX_TURN: usize = 1_024;

/// What callers ask of the thread.
#[derive(Debug)]
pub(super) enum Command {
    Append { rows: Vec<Row>, reply: oneshot::Sender<Result<Kept, SpoolError>> },
    Acknowledge { ids: Vec<i64>, reply: oneshot::Sender<Result<(), SpoolError>> },
    Refuse { id: i64, why: String, now: Timestamp, reply: oneshot::Sender<Result<(), SpoolError>> },
    Peek { limit: usize, max_bytes: usize, reply: oneshot::Sender<Result<Load, SpoolError>> },
    PeekRefused { now: Timestamp, reply: oneshot::Sender<Result<Option<Waiting>, SpoolError>> },
    Close { reply: oneshot::Sender<()> },
}

/// The thread's own: the file, its inbox, and what the disk did not take.
pub(super) struct Keeper {
    disk: Disk,
    inbox: mpsc::Receiver<Command>,
    telling: watch::Sender<Counts>,
    held: VecDeque<Row>,
    /// Dropped from `held`, not yet in the file's count.
    lost: u64,
}

/// The file can't be trusted any more.
struct Broken(rusqlite::Error);

impl Keeper {
    pub(super) fn new(disk: Disk, inbox: mpsc::Receiver<Command>, telling: watch::Sender<Counts>) -> Self {
        Self { disk, inbox, telling, held: VecDeque::new(), lost: 0 }
    }

    /// Works until it is told to close, nobody is left to ask, or the file breaks. Whoever still waits
    /// then is answered by the closing of its channel.
    pub(super) fn run(mut self) {
        while let Some(first) = self.inbox.blocking_recv() {
            match self.turn(first) {
                Ok(None) => {}
                Ok(Some(closing)) => {
                    drop(self);
                    // Whoever asked may have gone; the file is closed all the same.
                    let _told = closing.send(());
                    return;
                }
                Err(Broken(error)) => {
                    tracing::error!(%error, "spool.broken");
                    return;
                }
            }
        }
    }

    fn turn(&mut self, first: Command) -> Result<Option<oneshot::Sender<()>>, Broken> {
        if matches!(first, Command::Append { .. }) {
            std::thread::sleep(GATHER);
        }
        let mut gathered = Vec::new();
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Append { .. } | Command::Acknowledge { .. } | Command::Refuse { .. } => gathered.push(command),
                Command::Peek { limit, max_bytes, reply } => {
                    self.commit(std::mem::take(&mut gathered))?;
                    // Whoever asked may have gone; that is no concern of the spool's, here and below.
                    let _told = reply.send(Ok(self.disk.peek(limit, max_bytes).map_err(Broken)?));
                }
                Command::PeekRefused { now, reply } => {
                    self.commit(std::mem::take(&mut gathered))?;
                    let _told = reply.send(Ok(self.disk.peek_refused(now).map_err(Broken)?));
                }
                Command::Close { reply } => {
                    self.commit(gathered)?;
                    return Ok(Some(reply));
                }
            }
            next = if gathered.len() < MAX_TURN { self.inbox.try_recv().ok() } else { None };
        }
        self.commit(gathered)?;
        Ok(None)
    }

    /// Makes what was gathered durable, in one commit, and answers. What was held goes first.
    fn commit(&mut self, gathered: Vec<Command>) -> Result<(), Broken> {
        if gathered.is_empty() && self.held.is_empty() {
            return Ok(());
        }
        let before = *self.telling.borrow();
        let held = &*self.held.make_contiguous();
        let mut writes = vec![Write::Lost(self.lost), Write::Append(held)];
        writes.extend(gathered.iter().filter_map(write));
        match self.disk.write(&writes, Counts { held: 0, dropped: before.dropped - self.lost, ..before }) {
            Ok(counts) => {
                if !self.held.is_empty() {
                    tracing::info!(samples = self.held.len(), "spool.disk_takes_samples_again");
                }
                (self.held, self.lost) = (VecDeque::new(), 0);
                tell_dropped(before, counts);
                self.telling.send_replace(counts);
                gathered.into_iter().for_each(|command| answer(command, true));
                if counts.waiting == 0 {
                    self.disk.shrink().map_err(Broken)?;
                }
                Ok(())
            }
            Err(error) if is_full(&error) => {
                self.hold(gathered, &error);
                Ok(())
            }
            Err(error) => Err(Broken(error)),
        }
    }

    /// Keeps in memory what the disk does not take.
    fn hold(&mut self, gathered: Vec<Command>, error: &rusqlite::Error) {
        if self.held.is_empty() {
            tracing::error!(%error, "spool.disk_full");
        }
        let lost_before = self.lost;
        for command in &gathered {
            if let Command::Append { rows, .. } = command {
                self.held.extend(rows.iter().cloned());
            }
        }
        let over = self.held.len().saturating_sub(MAX_HELD);
        self.held.drain(..over);
        self.lost += over as u64;
        let held = self.held.len() as u64;
        self.telling.send_modify(|counts| {
            counts.held = held;
            counts.dropped += self.lost - lost_before;
        });
        gathered.into_iter().for_each(|command| answer(command, false));
    }
}

fn write(command: &Command) -> Option<Write<'_>> {
    match command {
        Command::Append { rows, .. } => Some(Write::Append(rows)),
        Command::Acknowledge { ids, .. } => Some(Write::Acknowledge(ids)),
        Command::Refuse { id, why, now, .. } => Some(Write::Refuse { id: *id, why, now: *now }),
        Command::Peek { .. } | Command::PeekRefused { .. } | Command::Close { .. } => None,
    }
}

fn answer(command: Command, durable: bool) {
    // Whoever asked may have gone.
    let _told = match command {
        Command::Append { reply, .. } => reply.send(Ok(if durable { Kept::Durable } else { Kept::Held })).map_err(drop),
        Command::Acknowledge { reply, .. } | Command::Refuse { reply, .. } => {
            reply.send(if durable { Ok(()) } else { Err(SpoolError::Full) }).map_err(drop)
        }
        Command::Peek { .. } | Command::PeekRefused { .. } | Command::Close { .. } => Ok(()),
    };
}

fn tell_dropped(before: Counts, after: Counts) {
    if before.dropped < after.dropped {
        tracing::error!(samples = after.dropped - before.dropped, total = after.dropped, "spool.full_oldest_dropped");
    }
}

/// Whether nothing was written for want of room, or of a lock that a reader with too much rights holds:
/// both pass, and neither puts what is in the file in doubt.
fn is_full(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy))
}

#[cfg(test)]
impl Keeper {
    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// One turn, with what waits in the inbox.
    pub(super) fn once(&mut self) {
        let first = self.inbox.try_recv().unwrap();
        assert!(self.turn(first).is_ok());
    }
}
