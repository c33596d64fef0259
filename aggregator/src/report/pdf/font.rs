//! The fonts that every report brings with it, and how wide their letters are.
//!
//! IBM Plex covers Latin, Greek and Cyrillic, and all its figures are equally wide. A letter is a glyph here: what
//! needs shaping beyond that is in scripts that the fonts don't have.

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::charmap::Charmap;
use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, MetadataProvider as _};

use crate::definition::look::Colour;

const REGULAR: &[u8] = include_bytes!("../../../assets/fonts/IBMPlexSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../../../assets/fonts/IBMPlexSans-SemiBold.ttf");
const MONO: &[u8] = include_bytes!("../../../assets/fonts/IBMPlexMono-Regular.ttf");

/// What stands for a letter that no font of ours has, the first that a font has.
const REPLACEMENTS: [char; 2] = ['\u{fffd}', '?'];
/// Where letters stand below the upper edge of their line, in ems.
const ASCENT: f32 = 0.95;

/// Which font.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    /// To read.
    Regular,
    /// To find.
    Bold,
    /// To copy.
    Mono,
}

/// How text is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Style {
    /// The font.
    pub(super) face: Face,
    /// In points.
    pub(super) size: f32,
    /// Its colour.
    pub(super) ink: Colour,
}

impl Style {
    pub(super) fn new(face: Face, size: f32, ink: Colour) -> Self {
        Self { face, size, ink }
    }

    /// From one line to the next.
    pub(super) fn leading(self) -> f32 {
        self.size * if self.size < 12.0 { 1.42 } else { 1.22 }
    }

    /// From the upper edge of a line to its baseline.
    pub(super) fn ascent(self) -> f32 {
        self.size * ASCENT + (self.leading() - self.size * 1.22) / 2.0
    }
}

/// All of them.
pub(super) struct Fonts {
    faces: [Loaded; 3],
}

struct Loaded {
    font: Font,
    letters: Charmap<'static>,
    widths: GlyphMetrics<'static>,
    em: f32,
}

impl Loaded {
    fn new(bytes: &'static [u8]) -> Self {
        let parsed = FontRef::new(bytes).expect("the fonts that are built in are whole");
        let font = Font::new(bytes.into(), 0).expect("the fonts that are built in are whole");
        Self {
            em: font.units_per_em(),
            font,
            letters: parsed.charmap(),
            widths: parsed.glyph_metrics(Size::unscaled(), LocationRef::default()),
        }
    }

    /// The glyph of a letter, or of what stands for it.
    fn glyph(&self, letter: char) -> skrifa::GlyphId {
        let spaced = if letter.is_whitespace() { ' ' } else { letter };
        let tried = [letter, spaced].into_iter().chain(REPLACEMENTS);
        tried.into_iter().find_map(|letter| self.letters.map(letter)).unwrap_or_default()
    }

    /// In ems.
    fn advance(&self, glyph: skrifa::GlyphId) -> f32 {
        self.widths.advance_width(glyph).unwrap_or_default() / self.em
    }
}

impl Fonts {
    pub(super) fn new() -> Self {
        Self { faces: [REGULAR, BOLD, MONO].map(Loaded::new) }
    }

    fn face(&self, face: Face) -> &Loaded {
        let [regular, bold, mono] = &self.faces;
        match face {
            Face::Regular => regular,
            Face::Bold => bold,
            Face::Mono => mono,
        }
    }

    pub(super) fn font(&self, face: Face) -> Font {
        self.face(face).font.clone()
    }

    /// How wide `text` is on one line, in points.
    pub(super) fn width(&self, text: &str, style: Style) -> f32 {
        let face = self.face(style.face);
        text.chars().map(|letter| face.advance(face.glyph(letter))).sum::<f32>() * style.size
    }

    /// `text` as glyphs.
    pub(super) fn glyphs(&self, text: &str, face: Face) -> Vec<KrillaGlyph> {
        let face = self.face(face);
        let glyph = |(index, letter): (usize, char)| {
            let glyph = face.glyph(letter);
            let range = index..index + letter.len_utf8();
            KrillaGlyph::new(GlyphId::new(glyph.to_u32()), face.advance(glyph), 0.0, 0.0, 0.0, range, None)
        };
        text.char_indices().map(glyph).collect()
    }

    /// `text` in lines no wider than `width`. Breaks at spaces; a word that is wider is broken where it must be.
    pub(super) fn lines(&self, text: &str, style: Style, width: f32) -> Vec<String> {
        let space = self.width(" ", style);
        let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0.0);
        for word in clean(text).split(' ') {
            for (index, part) in self.parts(word, style, width).into_iter().enumerate() {
                let wide = self.width(&part, style);
                let joined = index == 0 && !line.is_empty();
                if !line.is_empty() && (index != 0 || width + 0.01 < used + space + wide) {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                } else if joined {
                    line.push(' ');
                    used += space;
                }
                line.push_str(&part);
                used += wide;
            }
        }
        if !line.is_empty() || lines.is_empty() {
            lines.push(line);
        }
        lines
    }

    /// The widest word of `text`: it can't be set narrower without breaking one.
    pub(super) fn widest_word(&self, text: &str, style: Style) -> f32 {
        text.split(' ').map(|word| self.width(word, style)).fold(0.0, f32::max)
    }

    fn parts(&self, word: &str, style: Style, width: f32) -> Vec<String> {
        if self.width(word, style) <= width {
            return vec![word.to_owned()];
        }
        let (mut parts, mut part, mut used) = (Vec::new(), String::new(), 0.0);
        let face = self.face(style.face);
        for letter in word.chars() {
            let wide = face.advance(face.glyph(letter)) * style.size;
            if width < used + wide && !part.is_empty() {
                parts.push(std::mem::take(&mut part));
                used = 0.0;
            }
            part.push(letter);
            used += wide;
        }
        parts.push(part);
        parts
    }
}

/// `text` without what may not stand in a file that is to be kept: controls, private and reserved letters.
pub(super) fn clean(text: &str) -> String {
    let kept = |letter: char| match letter {
        letter if letter.is_control() => ' ',
        '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e000}'..='\u{f8ff}' => '\u{fffd}',
        '\u{f0000}'..='\u{10ffff}' => '\u{fffd}',
        letter => letter,
    };
    text.chars().map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STYLE: Style = Style { face: Face::Regular, size: 9.0, ink: Colour(0, 0, 0) };

    #[test]
    fn figures_are_equally_wide_so_that_columns_line_up() {
        let fonts = Fonts::new();
        for face in [Face::Regular, Face::Bold, Face::Mono] {
            let one = |letter: char| fonts.width(&letter.to_string(), Style { face, ..STYLE });
            assert!(('0'..='9').all(|digit| (one(digit) - one('0')).abs() < 1e-6), "{face:?}");
        }
    }

    #[test]
    fn latin_greek_cyrillic_and_our_own_signs_are_in_the_font() {
        let fonts = Fonts::new();
        for face in [Face::Regular, Face::Bold] {
            let loaded = fonts.face(face);
            for letter in "ÄßçñøłŐžΑλφωЖыяї€–—…−·%“”’\u{202f}\u{fffd}".chars() {
                assert!(loaded.letters.map(letter).is_some(), "{letter} {face:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_line_is_wider_than_it_may_be_and_no_letter_is_lost(text in "\\PC{0,200}", width in 12.0_f32..300.0) {
            let fonts = Fonts::new();
            let lines = fonts.lines(&text, STYLE, width);
            for line in &lines {
                prop_assert!(fonts.width(line, STYLE) <= width + 0.1 || line.chars().count() == 1, "{line:?}");
            }
            let bare = |text: &str| clean(text).replace(' ', "");
            prop_assert_eq!(bare(&lines.concat()), bare(&text));
        }
    }
}
