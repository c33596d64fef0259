//! `/badge/SERVICE.svg`: the verdict now, small enough for a README.
//!
//! It shows no figure: an availability without its coverage is none.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse, Response};

use super::Web;
use super::figures::DAY_MS;
use super::pages::{PageError, refusal};
use super::shade::Shade;
use super::view::Standing;

/// The longest name that is shown, in characters.
const MAX_NAME: usize = 40;
/// About the width of a character at this size; the text is stretched to fit exactly.
const CHARACTER: usize = 7;
/// Beside each text.
const PAD: usize = 8;

#[derive(Template)]
#[template(path = "badge.svg")]
struct Badge {
    name: String,
    word: &'static str,
    fill: &'static str,
    width: usize,
    split: usize,
    turn: usize,
    name_length: usize,
    word_at: usize,
    word_length: usize,
}

pub(super) async fn badge(State(web): State<Web>, Path(file): Path<String>) -> Response {
    match drawn(&web, &file).await {
        Ok(svg) => {
            let headers = [
                (CONTENT_TYPE, "image/svg+xml"),
                (CACHE_CONTROL, "public, max-age=30"),
                // The one thing here that is made to be shown on other sites.
                (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
            ];
            (headers, svg).into_response()
        }
        Err(error) => refusal(&web, &error),
    }
}

async fn drawn(web: &Web, file: &str) -> Result<String, PageError> {
    let id = file.strip_suffix(".svg").ok_or_else(|| PageError::Unknown(format!("badge {file:?}")))?;
    let figures = web.figures(id, DAY_MS, web.running.clock.now()).await?;
    let assessment = &figures.assessment;
    let standing = Standing::of(&assessment.timeline, &assessment.excluded, figures.life);
    Ok(of(&figures.service.name, standing.shade).render()?)
}

fn of(name: &str, shade: Shade) -> Badge {
    let name: String = name.chars().take(MAX_NAME).collect();
    let (name_length, word_length) = (name.chars().count() * CHARACTER, shade.word().len() * CHARACTER);
    let split = name_length + 2 * PAD;
    let width = split + word_length + 2 * PAD;
    Badge {
        name,
        word: shade.word(),
        fill: fill(shade),
        width,
        split,
        turn: width - 5,
        name_length,
        word_at: split + PAD,
        word_length,
    }
}

/// Dark enough for white letters: at least 4.5 to 1.
const fn fill(shade: Shade) -> &'static str {
    match shade {
        Shade::Up => "#2c7d5f",
        Shade::Degraded => "#8f5d00",
        Shade::Down => "#b3261e",
        Shade::Maintenance => "#3f5f86",
        Shade::Unknown | Shade::Blank => "#62666b",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_text() {
        let svg = of("<script>alert(1)</script> \"&", Shade::Up).render().unwrap();
        assert!(!svg.contains("<script"), "{svg}");
        assert!(svg.contains("&#60;script&#62;"), "{svg}");
    }
}
