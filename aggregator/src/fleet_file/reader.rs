//! Walks the tree of a TOML file with the place of every key and value. A [`Table`] remembers which keys
//! were asked for, so what nobody asked for is unknown and an error.
//!
//! `None` from a [`Value`]'s readers means: noted already, go on and find more.

use std::cell::RefCell;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use nines_shared::duration::parse_ms;
use nines_shared::spelling;
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::notes::{Message, Notes, Spot};
use super::number;

/// A table and where it is.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) notes: &'a Notes<'a>,
    pub(super) spot: Spot,
    table: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
}

/// A value and where it is.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    pub(super) notes: &'a Notes<'a>,
    pub(super) spot: Spot,
    value: &'a DeValue<'a>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) fn root(notes: &'a Notes<'a>, root: &'a DeTable<'a>) -> Self {
        Self { notes, spot: Spot { span: 0..0, key: String::new(), id: None }, table: root, asked: RefCell::default() }
    }

    /// The value of `key`, where it is there.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.table.get(key).map(|value| self.value(key, value))
    }

    /// The value of `key`; where it is missing that is an error, mended by `mend`.
    pub(super) fn need(&self, key: &'static str, mend: &str) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() {
            self.notes.error(&self.spot, format!("{key} is missing"), Some(mend.to_owned()));
        }
        value
    }

    /// Where the value of a dotted key below this table stands, such as `http.url`, if it is there.
    pub(super) fn spot_of(&self, dotted: &str) -> Option<Spot> {
        let (first, rest) = dotted.split_once('.').map_or((dotted, None), |(first, rest)| (first, Some(rest)));
        let value = self.value(first, self.table.get(first)?);
        match (rest, value.value) {
            (None, _) => Some(value.spot),
            (Some(rest), DeValue::Table(table)) => {
                let below = Table { notes: self.notes, spot: value.spot, table, asked: RefCell::default() };
                below.spot_of(rest)
            }
            (Some(_), _) => None,
        }
    }

    /// Every key with its value, in the file's order: where the keys are the writer's own.
    pub(super) fn entries(&self) -> Vec<(&'a str, Value<'a>)> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries.into_iter().map(|(key, value)| (key.get_ref().as_ref(), self.value(key.get_ref(), value))).collect()
    }

    /// The value of `key` as `read` takes it, `default` where it is not there, `None` where it is wrong.
    pub(super) fn get_or<T>(
        &self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> Option<T> {
        self.get(key).map_or(Some(default), |value| read(&value))
    }

    /// The value of `key` as `read` takes it: `Some(None)` where it is not there, `None` where it is wrong.
    pub(super) fn get_if<T>(&self, key: &'static str, read: impl FnOnce(&Value<'a>) -> Option<T>) -> Option<Option<T>> {
        self.get(key).map_or(Some(None), |value| read(&value).map(Some))
    }

    /// The tables of the array `key`, such as every `[[check]]`; each bears its index and its id.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Self> {
        let items = self.get(key).and_then(|value| value.items()).unwrap_or_default();
        items.iter().filter_map(Value::table).map(Table::named).collect()
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(&self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table {
            if asked.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let spot = Spot { span: key.span(), ..self.below(key.get_ref()) };
            let mend = match spelling::closest(key.get_ref(), asked.iter().copied()) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("known here: {}", asked.join(", ")),
            };
            self.notes.error(&spot, format!("unknown key {:?}", key.get_ref()), Some(mend));
        }
    }

    fn named(mut self) -> Self {
        if let Some(DeValue::String(id)) = self.table.get("id").map(Spanned::get_ref) {
            self.spot.id = Some(id.clone().into_owned());
        }
        self
    }

    fn value(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        let spot = Spot { span: value.span(), ..self.below(key) };
        Value { notes: self.notes, spot, value: value.get_ref() }
    }

    fn below(&self, key: &str) -> Spot {
        let key = if self.spot.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.spot.key) };
        Spot { key, ..self.spot.clone() }
    }
}

impl<'a> Value<'a> {
    /// Notes that the value is wrong.
    pub(super) fn error(&self, message: impl Into<Message>) {
        self.notes.error(&self.spot, message, None);
    }

    fn not_a<T>(&self, wanted: &str) -> Option<T> {
        let is = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(format!("wants {wanted}, not {is}"));
        None
    }

    /// A text.
    pub(super) fn text(&self) -> Option<&'a str> {
        let DeValue::String(text) = self.value else { return self.not_a("a text in quotes") };
        Some(text.as_ref())
    }

    /// The text, where it is one; nothing is noted where it is not.
    pub(super) fn peek(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// A text with something in it, for people.
    pub(super) fn words(&self) -> Option<String> {
        let text = self.text()?;
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            self.error("wants at least one letter and no control characters");
            return None;
        }
        Some(text.to_owned())
    }

    /// A text that is a `T`.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self) -> Option<T> {
        self.accept(self.text()?.parse())
    }

    /// One of some words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let meant = spelling::closest(text, known.iter().copied());
            let mend = match meant {
                Some(word) => format!("did you mean {word:?}?"),
                None => format!("use one of {}", known.join(", ")),
            };
            self.notes.error(&self.spot, format!("{text:?} is not known here"), Some(mend));
        }
        found.map(|(_, meant)| *meant)
    }

    /// A duration, in ms.
    pub(super) fn duration_ms(&self) -> Option<i64> {
        let DeValue::String(text) = self.value else { return self.not_a("a duration in quotes, such as \"30s\"") };
        self.accept(parse_ms(text))
    }

    /// A whole number that a `T` holds.
    pub(super) fn whole<T: TryFrom<i64>>(&self) -> Option<T> {
        let DeValue::Integer(digits) = self.value else { return self.not_a("a whole number") };
        let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok().and_then(|n| T::try_from(n).ok());
        if number.is_none() {
            let small = digits.as_str().starts_with('-');
            self.error(format!("{digits} is too {}", if small { "small" } else { "large" }));
        }
        number
    }

    /// A percentage, in parts per million.
    pub(super) fn percent_ppm(&self) -> Option<u32> {
        let whole = self.value.as_integer().filter(|digits| digits.radix() == 10).map(DeInteger::as_str);
        let digits = whole.or_else(|| self.value.as_float().map(DeFloat::as_str));
        let Some(digits) = digits else { return self.not_a("a percentage, such as 99.95") };
        self.accept(number::percent_ppm(digits))
    }

    /// A size in bytes: `"64KiB"`, `"1MiB"`, or a whole number.
    pub(super) fn size_bytes(&self) -> Option<u32> {
        let DeValue::String(text) = self.value else { return self.whole() };
        let size = number::bytes(text).and_then(|bytes| u32::try_from(bytes).ok());
        if size.is_none() {
            self.error(format!("{text:?} is not a size; write one such as \"64KiB\" or \"1MiB\""));
        }
        size
    }

    /// True or false.
    pub(super) fn flag(&self) -> Option<bool> {
        let DeValue::Boolean(flag) = self.value else { return self.not_a("true or false") };
        Some(*flag)
    }

    /// A time as text, quoted or bare.
    pub(super) fn time_text(&self) -> Option<String> {
        let bare = self.value.as_datetime().map(ToString::to_string);
        let text = bare.or_else(|| self.value.as_str().map(ToOwned::to_owned));
        text.or_else(|| self.not_a("a time, such as \"2026-12-01T02:00:00\""))
    }

    /// A table.
    pub(super) fn table(&self) -> Option<Table<'a>> {
        let DeValue::Table(table) = self.value else { return self.not_a("a table, such as { … }") };
        Some(Table { notes: self.notes, spot: self.spot.clone(), table, asked: RefCell::default() })
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        let DeValue::Array(items) = self.value else { return self.not_a("a list, such as [ … ]") };
        let item = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| {
            let spot = Spot { span: item.span(), key: format!("{}[{index}]", self.spot.key), id: self.spot.id.clone() };
            Value { notes: self.notes, spot, value: item.get_ref() }
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A list with at least one item, each read by `read`; `None` where one of them is wrong.
    pub(super) fn list<T>(&self, read: impl Fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        let items = self.items()?;
        if items.is_empty() {
            self.error("the list is empty; name at least one, or leave the key out");
            return None;
        }
        // Every item is read, so that every wrong one is noted.
        let read: Vec<Option<T>> = items.iter().map(read).collect();
        read.into_iter().collect()
    }

    /// A path, relative to the file.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let text = self.text()?;
        if text.is_empty() {
            self.error("the path is empty");
            return None;
        }
        Some(self.notes.resolve(text))
    }

    /// The value as JSON, for expectations on JSON bodies.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        match self.value {
            DeValue::String(text) => Some(text.as_ref().into()),
            DeValue::Integer(_) => self.whole::<i64>().map(Into::into),
            DeValue::Float(digits) => {
                match digits.as_str().parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
                    Some(number) => Some(number.into()),
                    None => self.not_a("a finite number"),
                }
            }
            DeValue::Boolean(flag) => Some((*flag).into()),
            DeValue::Datetime(_) => self.not_a("a text, a number, true or false, a list or a table"),
            DeValue::Array(_) => self.items()?.iter().map(Value::json).collect(),
            DeValue::Table(_) => {
                let entries = self.table()?.entries();
                entries.into_iter().map(|(key, value)| Some((key.to_owned(), value.json()?))).collect()
            }
        }
    }

    /// A number, as JSON has them.
    pub(super) fn number(&self) -> Option<serde_json::Number> {
        if !self.value.is_integer() && !self.value.is_float() {
            return self.not_a("a number");
        }
        self.json()?.as_number().cloned()
    }

    /// What is good, or a note of why it is not.
    pub(super) fn accept<T, E: Display>(&self, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.error(error.to_string())).ok()
    }
}
