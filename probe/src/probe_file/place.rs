//! Where in the file something stands, and the list of what is wrong so far.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Fault;

/// The text being read and its faults.
pub(super) struct Place<'a> {
    file: &'a str,
    text: &'a str,
    faults: Vec<(Range<usize>, Fault)>,
}

impl<'a> Place<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, faults: Vec::new() }
    }

    /// Notes a fault at `span`; a reader of a value can end with it.
    pub(super) fn fault<T>(&mut self, span: Range<usize>, key: &str, message: impl Into<String>) -> Option<T> {
        self.note(span, key, message);
        None
    }

    /// Notes a fault at `span`.
    pub(super) fn note(&mut self, span: Range<usize>, key: &str, message: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let fault = Fault { file: self.file.to_owned(), line, column, key: key.to_owned(), message: message.into() };
        self.faults.push((span, fault));
    }

    /// The faults in the order of the lines.
    pub(super) fn faults(&mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|(span, _)| span.start);
        std::mem::take(&mut self.faults).into_iter().map(|(_, fault)| fault).collect()
    }

    /// Notes every key of `table` that is not one of `keys`.
    pub(super) fn known(&mut self, below: &str, table: &DeTable<'_>, keys: &[&str]) {
        for key in table.keys().filter(|key| !keys.contains(&key.get_ref().as_ref())) {
            let dot = if below.is_empty() { "" } else { "." };
            let message = format!("is not a key here; the keys are {}", keys.join(", "));
            self.note(key.span(), &format!("{below}{dot}{}", key.get_ref()), message);
        }
    }

    pub(super) fn text<'v>(&mut self, key: &str, value: &'v Spanned<DeValue<'_>>) -> Option<&'v str> {
        match value.get_ref().as_str() {
            Some(text) => Some(text),
            None => self.unfit(key, value, "a text in quotes"),
        }
    }

    pub(super) fn table<'v, 'i>(&mut self, key: &str, value: &'v Spanned<DeValue<'i>>) -> Option<&'v DeTable<'i>> {
        match value.get_ref().as_table() {
            Some(table) => Some(table),
            None => self.unfit(key, value, "a table in braces"),
        }
    }

    /// The items of a list of texts, each read by `read`; every item that is wrong is noted.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let Some(items) = value.get_ref().as_array() else {
            return self.unfit(key, value, "a list in square brackets");
        };
        let mut good = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let key = format!("{key}[{index}]");
            if let Some(text) = self.text(&key, item) {
                match read(text) {
                    Ok(item) => good.push(item),
                    Err(message) => self.note(item.span(), &key, message),
                }
            }
        }
        (good.len() == items.len()).then_some(good)
    }

    fn unfit<T>(&mut self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Option<T> {
        let message = format!("is of type {}; write {wanted}", value.get_ref().type_str());
        self.fault(value.span(), key, message)
    }
}
