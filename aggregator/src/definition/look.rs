//! How a report looks: the customer's or the operator's logo, and one colour.
//!
//! Part of what a rendering is made of: the same report and look give the same bytes.

use std::fmt;
use std::io::Cursor;

use png::{ColorType, Decoder, Transformations};

/// The largest logo that is taken, in bytes.
pub const MAX_LOGO_BYTES: u64 = 128 << 10;
/// The most pixels of a logo that paper shows: a small PNG may be a very large picture.
pub const MAX_LOGO_PIXELS: u64 = 4 << 20;
/// What a text and a line must differ by from what they stand on (WCAG 2.2, 1.4.3).
const CONTRAST: f64 = 4.5;
/// What dark pages are made of.
const DARK: Colour = Colour(0x1a, 0x1d, 0x1c);
const WHITE: Colour = Colour(0xff, 0xff, 0xff);
/// Where nobody chose one.
const ACCENT: Colour = Colour(0x1f, 0x5f, 0x8b);

/// How a report looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The colour of rules and curves; `None` is ours.
    pub accent: Option<Colour>,
    /// What stands at the head of the first page.
    pub logo: Option<Logo>,
}

/// A colour: red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

/// A logo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    /// Its format.
    pub format: LogoFormat,
    /// The file as it is.
    pub bytes: Vec<u8>,
    /// What stands in its place on paper: a PNG, for a PDF shows no SVG.
    pub paper: Option<Vec<u8>>,
}

/// A picture as it is drawn: red, green, blue and opacity of each pixel, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Pixels in a row, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Four bytes a pixel.
    pub rgba: Vec<u8>,
}

/// Which formats a logo may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoFormat {
    /// Only ever shown as an image, in which nothing runs and nothing is fetched.
    Svg,
    /// Pixels.
    Png,
}

impl Look {
    /// The colour of rules and curves.
    pub fn accent(&self) -> Colour {
        self.accent.unwrap_or(ACCENT)
    }
}

impl Colour {
    /// The colour that `#rgb` or `#rrggbb` names.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let part = |from: usize, to: usize| u8::from_str_radix(&digits[from..to], 16).ok();
        match digits.len() {
            3 => Some(Self(part(0, 1)? * 17, part(1, 2)? * 17, part(2, 3)? * 17)),
            6 => Some(Self(part(0, 2)?, part(2, 4)?, part(4, 6)?)),
            _ => None,
        }
    }

    /// Whether text of this colour can be read on white.
    pub fn is_read_on_white(self) -> bool {
        CONTRAST <= self.contrast(WHITE)
    }

    /// The same colour, or one as much lighter as it takes to be read on a dark page.
    pub fn on_dark(self) -> Self {
        let lighter = (0..=10).map(|tenths| self.mixed_with_white(tenths));
        lighter.into_iter().find(|colour| CONTRAST <= colour.contrast(DARK)).unwrap_or(WHITE)
    }

    /// With so many tenths of white.
    /// `tenths` is at most 10.
    pub fn mixed_with_white(self, tenths: u16) -> Self {
        let mixed = |part: u8| {
            let part = u16::from(part);
            u8::try_from((part * (10 - tenths) + 255 * tenths) / 10).unwrap_or(u8::MAX)
        };
        Self(mixed(self.0), mixed(self.1), mixed(self.2))
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// Relative luminance, as WCAG 2.2 defines it.
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

impl Logo {
    /// The logo in `bytes`, by what they begin with. `None` where they are neither SVG nor PNG.
    pub fn of(bytes: Vec<u8>) -> Option<Self> {
        let svg = std::str::from_utf8(&bytes).is_ok_and(|text| {
            let text = text.trim_start_matches('\u{feff}').trim_start();
            (text.starts_with("<?xml") || text.starts_with("<!--") || text.starts_with("<svg")) && text.contains("<svg")
        });
        let format = match bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            true => LogoFormat::Png,
            false if svg => LogoFormat::Svg,
            false => return None,
        };
        Some(Self { format, bytes, paper: None })
    }

    /// What paper shows of it. `None` for an SVG without a PNG beside it, and for what can't be decoded.
    pub fn pixels(&self) -> Option<Pixels> {
        match (&self.paper, self.format) {
            (Some(png), _) => Pixels::of(png),
            (None, LogoFormat::Png) => Pixels::of(&self.bytes),
            (None, LogoFormat::Svg) => None,
        }
    }

    /// The logo inside an address, so that the page needs no network.
    pub fn data_url(&self) -> String {
        let kind = match self.format {
            LogoFormat::Svg => "image/svg+xml",
            LogoFormat::Png => "image/png",
        };
        format!("data:{kind};base64,{}", data_encoding::BASE64.encode(&self.bytes))
    }
}

impl Pixels {
    /// Those of a PNG. `None` where it is none, is broken, or has more than [`MAX_LOGO_PIXELS`].
    pub fn of(png: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(Cursor::new(png));
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().ok()?;
        let (width, height) = reader.info().size();
        if MAX_LOGO_PIXELS < u64::from(width) * u64::from(height) {
            return None;
        }
        let mut bytes = vec![0; reader.output_buffer_size()?];
        let frame = reader.next_frame(&mut bytes).ok()?;
        bytes.truncate(frame.buffer_size());
        let rgba = match frame.color_type {
            ColorType::Rgba => bytes,
            ColorType::Rgb => bytes.chunks_exact(3).flat_map(|of| [of[0], of[1], of[2], u8::MAX]).collect(),
            ColorType::GrayscaleAlpha => bytes.chunks_exact(2).flat_map(|of| [of[0], of[0], of[0], of[1]]).collect(),
            ColorType::Grayscale => bytes.iter().flat_map(|grey| [*grey, *grey, *grey, u8::MAX]).collect(),
            // Colours of a palette come as themselves.
            ColorType::Indexed => return None,
        };
        Some(Self { width, height, rgba })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_are_read_short_and_long() {
        assert_eq!(Colour::parse("#0a5"), Some(Colour(0x00, 0xaa, 0x55)));
        assert_eq!(Colour::parse("#1F5F8b").map(|colour| colour.to_string()), Some("#1f5f8b".to_owned()));
        assert!(["0a5", "#0a", "#0a5x", "#ää", "green", "#"].iter().all(|text| Colour::parse(text).is_none()));
    }

    #[test]
    fn contrast_is_that_of_the_guidelines() {
        assert!((Colour(0, 0, 0).contrast(WHITE) - 21.0).abs() < 1e-9);
        assert!(Colour(0x76, 0x76, 0x76).is_read_on_white() && !Colour(0x77, 0x77, 0x77).is_read_on_white());
        assert!(ACCENT.is_read_on_white());
    }

    #[test]
    fn a_logo_is_what_it_begins_with_whatever_its_name() {
        let format = |bytes: &[u8]| Logo::of(bytes.to_vec()).map(|logo| logo.format);
        assert_eq!(format(b"\x89PNG\r\n\x1a\nrest"), Some(LogoFormat::Png));
        assert_eq!(format(b"<?xml version='1.0'?><svg/>"), Some(LogoFormat::Svg));
        assert_eq!(format(b"<html><svg/></html>"), None);
        assert_eq!(format(b"GIF89a"), None);
        assert_eq!(Logo::of(b"<svg/>".to_vec()).unwrap().data_url(), "data:image/svg+xml;base64,PHN2Zy8+");
    }

    /// A PNG of so many pixels, all of one colour.
    pub(crate) fn png(width: u32, height: u32, kind: ColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(kind);
        let row = usize::try_from(width).unwrap() * kind.samples();
        let pixels = vec![0x40; row * usize::try_from(height).unwrap()];
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        bytes
    }

    #[test]
    fn a_png_is_drawn_whatever_its_colours_are_stored_as() {
        for (kind, opacity) in [
            (ColorType::Rgba, 0x40),
            (ColorType::Rgb, 0xff),
            (ColorType::GrayscaleAlpha, 0x40),
            (ColorType::Grayscale, 0xff),
        ] {
            let pixels = Pixels::of(&png(3, 2, kind)).unwrap();
            assert_eq!((pixels.width, pixels.height), (3, 2));
            assert_eq!(pixels.rgba, [0x40, 0x40, 0x40, opacity].repeat(6), "{kind:?}");
        }
    }

    #[test]
    fn a_picture_that_is_broken_or_too_large_to_draw_is_none() {
        let whole = png(64, 64, ColorType::Rgb);
        assert_eq!(Pixels::of(&whole[..whole.len() / 2]), None);
        let bomb = png(1 << 12, (1 << 10) + 1, ColorType::Grayscale);
        assert!(u64::try_from(bomb.len()).unwrap() < MAX_LOGO_BYTES, "it is small as a file");
        assert_eq!(Pixels::of(&bomb), None);
    }

    #[test]
    fn paper_shows_the_png_beside_an_svg() {
        let svg = Logo::of(b"<svg/>".to_vec()).unwrap();
        assert_eq!(svg.pixels(), None);
        let both = Logo { paper: Some(png(2, 1, ColorType::Rgb)), ..svg };
        assert_eq!(both.pixels().map(|pixels| (pixels.width, pixels.height)), Some((2, 1)));
    }

    proptest! {
        #[test]
        fn whatever_the_colour_it_can_be_read_on_a_dark_page(red: u8, green: u8, blue: u8) {
            prop_assert!(CONTRAST <= Colour(red, green, blue).on_dark().contrast(DARK));
        }
    }
}
