//! Weekly hours as text: `mon-fri 08:00-18:00`. The same words in the fleet file, on the command line and in tables.

use std::fmt;
use std::str::FromStr;

use super::ServiceHours;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Minutes of a day.
const DAY: u16 = 1440;

/// Why a text is no weekly hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// Not days and times.
    #[error(
        "{0:?} is not weekly hours; write days and times, such as \"sun 02:00-04:00\" or \"mon-fri,sun 22:00-24:00\""
    )]
    Form(String),
    /// The end is not after the beginning.
    #[error(
        "the hours {0:?} end before they begin; hours that pass midnight are two entries: one up to 24:00, one of the \
         next day from 00:00"
    )]
    Backwards(String),
}

/// The days of `mon` or `mon-fri`, Monday = 1; `sat-mon` goes on over the week's end.
pub fn days(text: &str) -> Option<Vec<u8>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let day = |name: &str| (1..).zip(DAYS).find(|(_, word)| *word == name).map(|(number, _)| number);
    let (first, last): (u8, u8) = (day(first)?, day(last)?);
    Some((0..=(last + 7 - first) % 7).map(|n| (first - 1 + n) % 7 + 1).collect())
}

/// Minutes after midnight of `08:30`; up to `24:00`.
pub fn minute(text: &str) -> Option<u16> {
    let two = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok()).flatten();
    let (hour, minute) = text.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)))?;
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY).then_some(minutes)
}

impl FromStr for ServiceHours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let form = || HoursError::Form(text.to_owned());
        let (names, times) = text.trim().split_once(' ').ok_or_else(form)?;
        let (from, to) = times.trim().split_once('-').ok_or_else(form)?;
        let all = names.split(',').map(days).collect::<Option<Vec<_>>>();
        let (Some(all), Some(from_minute), Some(to_minute)) = (all, minute(from), minute(to)) else {
            return Err(form());
        };
        if to_minute <= from_minute {
            return Err(HoursError::Backwards(text.to_owned()));
        }
        let mut days = all.concat();
        days.sort_unstable();
        days.dedup();
        Ok(Self { days, from_minute, to_minute })
    }
}

impl fmt::Display for ServiceHours {
    /// `mon-fri,sun 22:00-24:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |day: u8| usize::from(day).checked_sub(1).and_then(|index| DAYS.get(index)).copied().unwrap_or("?");
        for (index, run) in self.days.chunk_by(|left, right| left + 1 == *right).enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match run {
                [first, .., last] => write!(f, "{comma}{}-{}", name(*first), name(*last))?,
                _ => write!(f, "{comma}{}", name(run[0]))?,
            }
        }
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        write!(f, " {}-{}", clock(self.from_minute), clock(self.to_minute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<ServiceHours, HoursError> {
        text.parse()
    }

    #[test]
    fn hours_are_days_and_times() {
        let hours = |days: &[u8], from_minute, to_minute| ServiceHours { days: days.to_vec(), from_minute, to_minute };
        assert_eq!(read("sun 02:00-04:00"), Ok(hours(&[7], 120, 240)));
        assert_eq!(read("sat-mon,wed 22:30-24:00"), Ok(hours(&[1, 3, 6, 7], 1_350, 1_440)));
    }

    #[test]
    fn what_is_no_hours_is_quoted() {
        for text in [
            "",
            "sun",
            "02:00-04:00",
            "sun 2:00-4:00",
            "son 02:00-04:00",
            "sun 02:00",
            "sun, 02:00-04:00",
            "sun 02:00-24:01",
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error, HoursError::Form(text.to_owned()));
            assert!(error.to_string().contains(&format!("{text:?}")));
        }
        assert_eq!(read("sun 22:00-02:00"), Err(HoursError::Backwards("sun 22:00-02:00".to_owned())));
    }

    proptest! {
        #[test]
        fn hours_are_read_as_they_are_shown(days in prop::collection::btree_set(1_u8..=7, 1..=7), from in 0_u16..1440, length in 1_u16..=1440) {
            let hours = ServiceHours { days: days.into_iter().collect(), from_minute: from, to_minute: (from + length).min(1440) };
            prop_assert_eq!(read(&hours.to_string()), Ok(hours));
        }
    }
}
