//! The HTML part of a mail: tables and styles that mail programs know, nothing that is fetched, everything escaped.

use askama::Template;

use crate::alert::message::{Message, Standing};
use crate::alert::text::Text;

#[derive(Template)]
#[template(path = "alert_mail.html", whitespace = "minimize")]
struct Page<'a> {
    text: &'a Text,
    colour: &'static str,
}

/// The page that says `text`.
pub(in crate::alert::channel) fn html(message: &Message, text: &Text) -> String {
    let colour = match message.standing() {
        Standing::Open => "#b03a2e",
        Standing::Acknowledged => "#21618c",
        Standing::Over => "#1d7a41",
        Standing::Withdrawn | Standing::Notice => "#566573",
    };
    Page { text, colour }.render().expect("texts, written to memory")
}
