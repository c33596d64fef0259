//! What an incident is about in figures, where it is not about failing samples.

use serde::{Deserialize, Serialize};

use super::ailment::Ailment;
use super::certificate::Notice;
use crate::uptime::burn_rate::Burn;
use crate::uptime::calendar;
use crate::words;

/// What was measured when it failed last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// How fast the error budget is spent.
    Burn(Burn),
    /// How much of the last hour was observed, against the floor.
    Coverage {
        /// observed / (window − excluded), in parts per million.
        ppm: u32,
        /// The least that is wanted.
        floor_ppm: u32,
    },
    /// Which certificate ends soon, or took the place of another.
    Certificate(Notice),
    /// What is wrong with a probe, the worst first.
    Probe(Vec<Ailment>),
}

impl Measured {
    /// In one line.
    pub fn words(&self) -> String {
        match self {
            Self::Burn(burn) => of_burn(burn),
            Self::Coverage { ppm, floor_ppm } => {
                format!("{} of the last hour was observed, under {}", words::percent(*ppm), words::percent(*floor_ppm))
            }
            Self::Certificate(notice) => notice.words(),
            Self::Probe(ailments) => {
                ailments.iter().map(|ailment| ailment.words.as_str()).collect::<Vec<_>>().join("; ")
            }
        }
    }
}

fn of_burn(burn: &Burn) -> String {
    let rate = format!(
        "{} times what the objective allows over {}, {} over {}",
        times(burn.long_milli),
        words::duration(burn.long_ms),
        times(burn.short_milli),
        words::duration(burn.short_ms)
    );
    match burn.ends_at {
        _ if burn.remaining_ms <= 0 => {
            format!("{rate}; the budget is overspent by {}", words::length(-burn.remaining_ms))
        }
        Some(at) => {
            let left = words::length(burn.remaining_ms);
            format!("{rate}; {left} of budget are left, until {} at this rate", calendar::utc(at))
        }
        None => rate,
    }
}

/// Thousandths as a number with one digit after the point, floored.
fn times(milli: u64) -> String {
    format!("{}.{}", milli / 1_000, milli % 1_000 / 100)
}
