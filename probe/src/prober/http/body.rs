//! A response's body, decoded as it comes, up to a limit.
//!
//! The limit holds for decoded bytes where an expectation wants them, else for the bytes as they come. A bomb
//! is stopped at the limit, in pieces of what its few bytes decode to. The body is read to its end or to the
//! limit even where nothing wants it, since how long that takes is a phase.

mod codec;
mod gzip;
mod layers;

use http_body_util::BodyExt;
use hyper::body::Bytes;
use nines_shared::sample::{Phase, Reason};

use super::super::expect::{Body, Head};
use super::super::failure::Failure;
use layers::{Codings, Layers, Stop};

/// What becomes of the bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// They are counted as they come.
    Nothing,
    /// They are decoded and counted.
    Size,
    /// They are decoded and kept.
    Bytes,
}

/// How to read a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The most bytes.
    pub(super) limit: usize,
    pub(super) keep: Keep,
}

/// Reads `incoming`, which came after `head`, to its end or to the plan's limit into `body`. That holds what
/// came even where this fails or is cut off.
pub(super) async fn read<B>(mut incoming: B, plan: Plan, head: Option<&Head>, body: &mut Body) -> Result<(), Failure>
where
    B: hyper::body::Body<Data = Bytes, Error = Failure> + Unpin,
{
    let codings = match head {
        Some(head) if plan.keep != Keep::Nothing => Codings::of(&head.headers)?,
        Some(_) | None => Codings::default(),
    };
    let mut layers = Layers::new(codings).map_err(failure)?;
    let mut room = Room { body, keep: plan.keep == Keep::Bytes, left: plan.limit };
    while let Some(frame) = incoming.frame().await {
        let frame = frame?;
        let Some(data) = frame.data_ref() else { continue };
        match layers.feed(data, &mut |decoded| room.take(decoded)) {
            Ok(()) => {}
            // What the limit was reached with shows that there is more.
            Err(Stop::Full) => return Ok(()),
            Err(stop @ (Stop::Damaged(_) | Stop::Ours(_))) => return Err(failure(stop)),
        }
    }
    layers.finish().map_err(failure)?;
    body.whole = true;
    Ok(())
}

fn failure(stop: Stop) -> Failure {
    let damaged = |why: &str| {
        let detail = format!("the body can't be decoded as its content-encoding says: {why}");
        Failure::theirs(Reason::BodyEncoding, Phase::Transfer, detail)
    };
    match stop {
        Stop::Damaged(why) => damaged(&why),
        Stop::Full => damaged("it is longer than was to be read"),
        Stop::Ours(why) => Failure::ours(Reason::Resources, Phase::Transfer, why),
    }
}

/// Takes bytes up to a limit, and refuses more.
struct Room<'b> {
    body: &'b mut Body,
    keep: bool,
    left: usize,
}

impl Room<'_> {
    fn take(&mut self, data: &[u8]) -> Result<(), Stop> {
        let taken = data.len().min(self.left);
        if self.keep {
            self.body.bytes.extend_from_slice(&data[..taken]);
        }
        self.body.size += taken as u64;
        self.left -= taken;
        if taken < data.len() { Err(Stop::Full) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
