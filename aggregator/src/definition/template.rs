//! Templates of messages: text with `{placeholders}`. No logic, no markup: what comes out is text on every channel.

use std::fmt;
use std::str::FromStr;

use nines_shared::spelling;

/// The longest template, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 4 << 10;

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Placeholder),
}

/// What a template may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// What, since when, where from, why: one line.
    Summary,
    /// The service, the probe, or whose report.
    Subject,
    /// `down`, `suspected`, …, `acknowledged`, `resolved`, `withdrawn`.
    State,
    /// `opened`, `updated`, `resolved`, …
    Event,
    /// `page`, `ticket` or `info`.
    Severity,
    /// `outage`, `suspected`, `probe`, `report`, …
    Kind,
    /// The incident's id.
    Incident,
    /// The customer's id.
    Customer,
    /// The label of the fleet file.
    Environment,
    /// The failing checks.
    Checks,
    /// The regions that say `down`.
    Regions,
    /// The reason's code.
    Reason,
    /// The words of one failing sample.
    Detail,
    /// When it began, UTC.
    Since,
    /// How long it lasted; empty while it goes on.
    Lasted,
    /// Who acknowledged it.
    AcknowledgedBy,
    /// What else is to be said.
    Note,
    /// Where people read on.
    Link,
}

impl Placeholder {
    /// All of them, by the names that templates call them by.
    pub const ALL: [(&'static str, Self); 18] = [
        ("summary", Self::Summary),
        ("subject", Self::Subject),
        ("state", Self::State),
        ("event", Self::Event),
        ("severity", Self::Severity),
        ("kind", Self::Kind),
        ("incident", Self::Incident),
        ("customer", Self::Customer),
        ("environment", Self::Environment),
        ("checks", Self::Checks),
        ("regions", Self::Regions),
        ("reason", Self::Reason),
        ("detail", Self::Detail),
        ("since", Self::Since),
        ("lasted", Self::Lasted),
        ("acknowledged_by", Self::AcknowledgedBy),
        ("note", Self::Note),
        ("link", Self::Link),
    ];
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It names what there is not.
    #[error("{{{name}}} is not known here; {mend}")]
    Unknown {
        /// As written.
        name: String,
        /// What may be meant.
        mend: Mend,
    },
    /// A brace without its partner.
    #[error("a brace stands alone; write {{{{ or }}}} for the sign itself")]
    Brace,
    /// Nothing would be sent.
    #[error("the template is empty")]
    Empty,
    /// More than any message has room for.
    #[error("{0} bytes are more than {MAX_TEMPLATE_BYTES}")]
    Long(usize),
}

/// What an unknown placeholder may have meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mend(Option<&'static str>);

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.0 {
            return write!(f, "did you mean {{{name}}}?");
        }
        let names = Placeholder::ALL.map(|(name, _)| format!("{{{name}}}"));
        write!(f, "there are {}", names.join(", "))
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if MAX_TEMPLATE_BYTES < text.len() {
            return Err(TemplateError::Long(text.len()));
        }
        if text.trim().is_empty() {
            return Err(TemplateError::Empty);
        }
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..];
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                plain.push_str(&brace[..1]);
                rest = after;
                continue;
            }
            let inside = brace.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let (name, after) = inside.ok_or(TemplateError::Brace)?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Value(named(name)?));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }
}

fn named(name: &str) -> Result<Placeholder, TemplateError> {
    let found = Placeholder::ALL.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, placeholder)| placeholder).ok_or_else(|| TemplateError::Unknown {
        name: name.chars().take(40).collect(),
        mend: Mend(spelling::closest(name, Placeholder::ALL.into_iter().map(|(known, _)| known))),
    })
}

impl Template {
    /// The text with `value` of each placeholder in its place.
    pub fn filled(&self, value: impl Fn(Placeholder) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(placeholder) => value(*placeholder),
        };
        self.0.iter().map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> Result<String, TemplateError> {
        let name = |wanted: Placeholder| {
            let (name, _) = Placeholder::ALL.into_iter().find(|(_, known)| *known == wanted).unwrap();
            name.to_uppercase()
        };
        Ok(template.parse::<Template>()?.filled(name))
    }

    #[test]
    fn every_placeholder_is_filled_and_double_braces_are_signs() {
        assert_eq!(filled("{subject} is {state}, {{not}} {detail}").unwrap(), "SUBJECT is STATE, {not} DETAIL");
        for (name, _) in Placeholder::ALL {
            assert_eq!(filled(&format!("{{{name}}}")).unwrap(), name.to_uppercase());
        }
    }

    #[test]
    fn what_is_no_template_is_refused_with_what_may_be_meant() {
        let refused = |template: &str| filled(template).unwrap_err().to_string();
        assert_eq!(refused("{sumary}"), "{sumary} is not known here; did you mean {summary}?");
        assert!(refused("{xyzzy}").contains("there are {summary}, {subject}"));
        for alone in ["a { b", "a } b", "{", "{{}", "{a{b}}}}"] {
            assert!(filled(alone).is_err(), "{alone}");
        }
        assert_eq!(refused(" "), "the template is empty");
        assert!(refused(&"x".repeat(MAX_TEMPLATE_BYTES + 1)).contains("more than 4096"));
    }
}
