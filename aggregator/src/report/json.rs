//! The report as JSON: the model, plainly. And back, of whatever version of the program wrote it.

use serde::Serialize;
use serde_json::{Value, json};

use super::model::{Report, SCHEMA};

/// Why a text is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON, or not what a report has.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A later program wrote it, in a form that this one does not know.
    #[error("it is in the form {found:?}, which a later version wrote; this one reads {SCHEMA:?}")]
    Form {
        /// What it says of itself, its beginning.
        found: String,
    },
}

/// The report in `text`. Of an earlier program's, what it did not write is what it meant then.
///
/// # Errors
/// [`ReadError`].
pub fn read(text: &[u8]) -> Result<Report, ReadError> {
    let as_now = match serde_json::from_slice::<Report>(text) {
        Ok(report) if report.schema == SCHEMA => return Ok(report),
        other => other,
    };
    let mut value: Value = serde_json::from_slice(text)?;
    match value.get("schema").and_then(Value::as_str) {
        Some(found) if found != SCHEMA => {
            Err(ReadError::Form { found: nines_shared::sample::detail(found).chars().take(80).collect() })
        }
        None => as_now.map_err(ReadError::Json),
        Some(_) => {
            as_written_now(&mut value);
            Ok(serde_json::from_value(value)?)
        }
    }
}

/// Adds what the first programs did not write. A promise had two verdicts then, and a third where there was no data;
/// and what was called final was complete.
fn as_written_now(report: &mut Value) {
    let is_final = report.get("state").is_some_and(|state| state == "final");
    if let Some(report) = report.as_object_mut() {
        report.entry("complete").or_insert(is_final.into());
    }
    let services = report.get_mut("services").and_then(Value::as_array_mut);
    for sla in services.into_iter().flatten().filter_map(|service| service.get_mut("sla")?.as_object_mut()) {
        let verdict = match sla.get("met") {
            Some(Value::Bool(true)) => "met",
            Some(Value::Bool(false)) => "breached",
            Some(_) | None => "undetermined",
        };
        sla.entry("verdict").or_insert(json!(verdict));
    }
}

/// Pretty-printed, keys in the model's order, a line break at the end.
pub fn render(report: &Report) -> String {
    pretty(report)
}

/// Any of our data in the form of [`render`].
pub(crate) fn pretty(data: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(data).expect("our data has only text keys and is written to memory");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::verify;
    use crate::uptime::sla::Kept;

    const EARLIER: &str = include_str!("life/fixture-1.json");

    fn without(keys: &[&str]) -> Value {
        let mut report: Value = serde_json::from_str(EARLIER).unwrap();
        for key in keys {
            report.as_object_mut().unwrap().remove(*key);
            report["services"][0]["sla"].as_object_mut().unwrap().remove(*key);
        }
        report
    }

    fn read_back(report: &Value) -> Result<Report, ReadError> {
        read(report.to_string().as_bytes())
    }

    #[test]
    fn what_an_earlier_program_did_not_write_is_what_it_meant_and_adds_up() {
        for (met, verdict) in
            [(json!(false), Kept::Breached), (json!(true), Kept::Met), (json!(null), Kept::Undetermined)]
        {
            let mut earlier = without(&["verdict", "complete"]);
            earlier["services"][0]["sla"]["met"] = met.clone();
            let report = read_back(&earlier).unwrap();
            let sla = report.services[0].sla.as_ref().unwrap();
            assert_eq!((sla.verdict, sla.met, report.complete), (verdict, met.as_bool(), true));
        }
        let report = read_back(&without(&["verdict", "complete"])).unwrap();
        assert_eq!(verify::arithmetic(&report), [], "it had no cases, so what was measured decides");
    }

    #[test]
    fn what_is_missing_of_every_version_is_missed() {
        assert!(matches!(read_back(&without(&["objective_ppm"])), Err(ReadError::Json(_))));
        assert!(matches!(read_back(&without(&["schema"])), Err(ReadError::Json(_))));
        assert!(matches!(read(b"{"), Err(ReadError::Json(_))));
    }

    #[test]
    fn a_later_form_is_named_and_not_guessed_at() {
        let mut later = without(&[]);
        later["schema"] = json!("nines.report/2");
        let error = read_back(&later).unwrap_err().to_string();
        assert!(error.contains("nines.report/2") && error.contains("later version"), "{error}");
    }
}
