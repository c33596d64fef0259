//! From what is laid out to the file.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use krilla::annotation::{Annotation, LinkAnnotation, Target};
use krilla::color::rgb;
use krilla::configure::{Accessibility, Archival, Configuration, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{Path, PathBuilder, Point, Rect, Size, Transform};
use krilla::image::Image;
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule, Stroke, StrokeDash};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, ListNumbering, Node as Child, TableHeaderScope, Tag as Is,
    TagGroup, TagKind, TagTree,
};
use krilla::{Document, SerializeSettings};

use super::font::Fonts;
use super::sheet::{Kind, Laid, Link, MARGIN, Mark, PAGE, Shape, Tag};
use crate::definition::look::Colour;
use crate::report::figures::Zone;
use crate::report::model::Report;
use crate::report::paper::Paper;

/// The bytes of the file.
pub(super) fn file(laid: &Laid, fonts: &Fonts, paper: &Paper, report: &Report) -> Vec<u8> {
    let head = format!("{} · {}", paper.customer, paper.period);
    let laid = laid.clone().with_margins(fonts, (&head, "Service level report"), &paper.foot);
    let kept = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A2_A)
        .with_accessibility_validator(Accessibility::UA1)
        .finish();
    // What no archive would take, for all we know, is still a report: it is written without that claim.
    let kept = kept.ok().and_then(|kept| written(&laid, fonts, (paper, report), kept));
    kept.or_else(|| written(&laid, fonts, (paper, report), Configuration::default()))
        .expect("without a standard to keep, nothing is refused but a broken font, and ours are whole")
}

fn written(laid: &Laid, fonts: &Fonts, told: (&Paper, &Report), kept: Configuration) -> Option<Vec<u8>> {
    let settings = SerializeSettings { configuration: kept, ..SerializeSettings::default() };
    let mut document = Document::new_with(settings);
    document.set_metadata(metadata(told));
    let mut leaves: BTreeMap<Tag, Vec<Identifier>> = BTreeMap::new();
    for (index, marks) in laid.pages.iter().enumerate() {
        let mut page = document.start_page_with(PageSettings::from_wh(PAGE.0, PAGE.1)?);
        let mut surface = page.surface();
        for run in marks.chunk_by(|left, right| left.tag == right.tag) {
            let tag = run.first().and_then(|mark| mark.tag);
            let content = match tag {
                Some(_) => ContentTag::Other,
                None => ContentTag::Artifact(Artifact::with_kind(ArtifactType::Layout)),
            };
            let identifier = surface.start_tagged(content);
            draw(&mut surface, run, fonts);
            surface.end_tagged();
            if let Some(tag) = tag {
                leaves.entry(tag).or_default().push(identifier);
            }
        }
        surface.finish();
        for link in laid.links.iter().filter(|link| link.page == index) {
            if let Some(annotation) = annotation(laid, link) {
                leaves.entry(link.tag).or_default().push(page.add_tagged_annotation(annotation));
            }
        }
        page.finish();
    }
    document.set_outline(outline(laid));
    let mut tree = TagTree::new().with_lang(Some("en".to_owned()));
    let inside = children(laid);
    for child in &inside[0] {
        tree.push(Child::Group(group(laid, (*child, &inside), &mut leaves)));
    }
    document.set_tag_tree(tree);
    document.finish().ok()
}

/// No clock has a part in it: a report is dated by the end of its window.
fn metadata((paper, report): (&Paper, &Report)) -> Metadata {
    let part = |format: &str| Zone("UTC").shown(report.to, format).parse::<u16>().unwrap_or(1);
    let small = |format: &str| u8::try_from(part(format)).unwrap_or(1);
    let date = DateTime::new(part("%Y"))
        .month(small("%m"))
        .day(small("%d"))
        .hour(small("%H"))
        .minute(small("%M"))
        .second(small("%S"))
        .utc_offset_hour(0)
        .utc_offset_minute(0);
    let identity = format!("{} {} {} {}", report.customer, report.from.as_ms(), report.to.as_ms(), report.samples);
    Metadata::new()
        .title(super::font::clean(&paper.title))
        .description(super::font::clean(&paper.front.headline))
        .language("en".to_owned())
        .creator("Nines".to_owned())
        .creation_date(date)
        .document_id(format!("{identity} {} {}", report.definitions, report.revision))
}

fn draw(surface: &mut Surface<'_>, run: &[Mark], fonts: &Fonts) {
    for mark in run {
        match &mark.shape {
            Shape::Text { at: (x, y), text, style } => {
                surface.set_stroke(None);
                surface.set_fill(Some(fill(style.ink)));
                let glyphs = fonts.glyphs(text, style.face);
                let font = fonts.font(style.face);
                surface.draw_glyphs(Point::from_xy(*x, *y), &glyphs, font, text, style.size, false);
            }
            Shape::Fill(points, ink) => {
                surface.set_stroke(None);
                surface.set_fill(Some(fill(*ink)));
                draw_path(surface, std::slice::from_ref(points), true);
            }
            Shape::Strokes { lines, ink, width, dashed } => {
                let dash = dashed.then(|| StrokeDash { array: vec![2.4, 2.4], offset: 0.0 });
                surface.set_fill(None);
                surface.set_stroke(Some(Stroke {
                    paint: colour(*ink).into(),
                    width: *width,
                    dash,
                    ..Stroke::default()
                }));
                draw_path(surface, lines, false);
            }
            Shape::Picture { at: (x, y), size: (width, height), pixels } => {
                let image = Image::from_rgba8(pixels.rgba.clone(), pixels.width, pixels.height);
                if let Some(size) = Size::from_wh(*width, *height) {
                    surface.push_transform(&Transform::from_translate(*x, *y));
                    surface.draw_image(image, size);
                    surface.pop();
                }
            }
        }
    }
}

fn draw_path(surface: &mut Surface<'_>, lines: &[Vec<(f32, f32)>], closed: bool) {
    let mut builder = PathBuilder::new();
    for line in lines {
        for (index, (x, y)) in line.iter().enumerate() {
            if index == 0 { builder.move_to(*x, *y) } else { builder.line_to(*x, *y) }
        }
        if closed {
            builder.close();
        }
    }
    let path: Option<Path> = builder.finish();
    if let Some(path) = path {
        surface.draw_path(&path);
    }
}

fn colour(colour: Colour) -> rgb::Color {
    rgb::Color::new(colour.0, colour.1, colour.2)
}

fn fill(ink: Colour) -> Fill {
    Fill { paint: colour(ink).into(), opacity: NormalizedF32::ONE, rule: FillRule::NonZero }
}

fn annotation(laid: &Laid, link: &Link) -> Option<Annotation> {
    let (x, y, width, height) = link.area;
    let anchor = laid.anchors.iter().find(|anchor| anchor.id == link.to)?;
    let place = XyzDestination::new(anchor.page, Point::from_xy(MARGIN, anchor.y - 12.0));
    let target = Target::Destination(place.into());
    let area = Rect::from_xywh(x, y, width, height)?;
    Some(Annotation::new_link(LinkAnnotation::new(area, target), Some(format!("To the section {}", link.words))))
}

fn outline(laid: &Laid) -> Outline {
    let mut outline = Outline::new();
    for anchor in &laid.anchors {
        let place = XyzDestination::new(anchor.page, Point::from_xy(MARGIN, anchor.y - 12.0));
        outline.push_child(OutlineNode::new(super::font::clean(&anchor.title), place));
    }
    outline
}

/// The parts inside each part, in order.
fn children(laid: &Laid) -> Vec<Vec<Tag>> {
    let mut children = vec![Vec::new(); laid.nodes.len()];
    for (tag, node) in laid.nodes.iter().enumerate().skip(1) {
        children[node.parent].push(tag);
    }
    children
}

fn group(laid: &Laid, (tag, inside): (Tag, &[Vec<Tag>]), leaves: &mut BTreeMap<Tag, Vec<Identifier>>) -> TagGroup {
    let mut group = TagGroup::new(kind(&laid.nodes[tag].kind));
    for leaf in leaves.remove(&tag).unwrap_or_default() {
        group.push(leaf);
    }
    for child in &inside[tag] {
        group.push(Child::Group(self::group(laid, (*child, inside), leaves)));
    }
    group
}

fn kind(kind: &Kind) -> TagKind {
    match kind {
        Kind::Document | Kind::Section => Is::Section.into(),
        Kind::Heading(level, title) => {
            let level = NonZeroU16::new(*level).unwrap_or(NonZeroU16::MIN);
            Is::Hn(level, Some(super::font::clean(title))).into()
        }
        Kind::Paragraph => Is::P.into(),
        Kind::List => Is::L(ListNumbering::None).into(),
        Kind::Item => Is::LI.into(),
        Kind::ItemBody => Is::LBody.into(),
        Kind::Table(what) => Is::Table.with_summary(Some(what.clone())).into(),
        Kind::TableHead => Is::THead.into(),
        Kind::TableBody => Is::TBody.into(),
        Kind::Row => Is::TR.into(),
        Kind::ColumnHead => Is::TH(TableHeaderScope::Column).into(),
        Kind::RowHead => Is::TH(TableHeaderScope::Row).into(),
        Kind::Cell => Is::TD.into(),
        Kind::Figure(alt) => Is::Figure(Some(super::font::clean(alt))).into(),
        Kind::Code => Is::Code.into(),
        Kind::Link => Is::Link.into(),
    }
}
