//! Every rendering says the same: each is read back, and its figures are held against the report's.

use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use crate::definition::look::{Colour, Logo};
use crate::definition::{Afterwards, Weekly};
use crate::report::model::{DayReport, MaintenanceReport};
use crate::report::paper::{Block, Table};
use crate::uptime::Accounts;

const DAY: i64 = 86_400_000;

/// A month whose figures are as awkward as can be: just below the objective, a millisecond of this and that,
/// names that would break a table, and a reason that would break out of a page.
fn awkward() -> Report {
    let request = ReportRequest { time: Time::Month("2026-10".to_owned()), ..asked(0, 1) };
    let mut report = built(&filled(), &request, 60 * 24 * 60).unwrap();
    report.customer_name = "Ōsaka 株式会社 | \"Söhne\" <b>& Cie</b>, *Łódź* 🙂".to_owned();
    let service = &mut report.services[0];
    service.name = "=Shop_[1](x) | `a` \\ 100 %".to_owned();
    for (index, day) in (0..).zip(&mut service.days) {
        let (down, unknown) = (index * 977 % 7_919, index * index * 131 % 10_007);
        let up = day.to.since(day.from) - down - unknown - 1_009 - index;
        day.accounts = Accounts {
            up_ms: up,
            degraded_ms: 1_009,
            down_ms: down,
            unknown_ms: unknown,
            excluded_ms: index,
            down_at_least_ms: down / 3,
            down_at_most_ms: down + unknown,
        };
    }
    let sum = |of: fn(&Accounts) -> i64| service.days.iter().map(|day: &DayReport| of(&day.accounts)).sum();
    service.accounts = Accounts {
        up_ms: sum(|of| of.up_ms),
        degraded_ms: sum(|of| of.degraded_ms),
        down_ms: sum(|of| of.down_ms),
        unknown_ms: sum(|of| of.unknown_ms),
        excluded_ms: sum(|of| of.excluded_ms),
        down_at_least_ms: sum(|of| of.down_at_least_ms),
        down_at_most_ms: sum(|of| of.down_at_most_ms),
    };
    service.availability_ppm = service.accounts.availability_ppm();
    service.coverage_ppm = service.accounts.coverage_ppm();
    service.worst_case_ppm = service.accounts.worst_case_ppm();
    service.best_case_ppm = service.accounts.best_case_ppm();
    let sla = service.sla.as_mut().unwrap();
    (sla.objective_ppm, sla.measured_ppm, sla.verdict, sla.met) = (999_999, Some(999_998), Kept::Breached, Some(false));
    (sla.worst_case_ppm, sla.best_case_ppm) = (Some(999_990), Some(999_998));
    report.restatement = Some(model::Restatement {
        of: 1,
        of_digest: "sha256:0".to_owned(),
        at: report.to,
        by: "Ann | <b>".to_owned(),
        reason: "late samples".to_owned(),
        changes: vec![diff::Change {
            path: "services[shop].accounts.down_ms".to_owned(),
            before: 1.into(),
            after: "=2".into(),
        }],
        further_changes: 3,
    });
    service.maintenance.push(MaintenanceReport {
        from: report.from.plus_ms(DAY),
        to: report.from.plus_ms(DAY + 61_001),
        reason: "@cmd|' /C calc'!A0 <script>alert(1)</script> \\| ".repeat(3),
        afterwards: Some(Afterwards { at: report.to, by: "Bob & \"Co\"".to_owned() }),
        weekly: None,
    });
    service.maintenance.extend(every_week(report.from));
    report
}

/// Three occurrences of one rule.
fn every_week(from: Timestamp) -> [MaintenanceReport; 3] {
    let hours = vec!["mon-fri,sun 22:00-24:00".parse().unwrap(), "sun 00:00-02:00".parse().unwrap()];
    [6, 13, 20].map(|days| MaintenanceReport {
        from: from.plus_ms(days * DAY),
        to: from.plus_ms(days * DAY + 7_200_001),
        reason: "agreed | weekly".to_owned(),
        afterwards: None,
        weekly: Some(Weekly { hours: hours.clone(), timezone: "UTC".to_owned() }),
    })
}

/// What every table says, a text a cell; the heads are the first row.
fn said(report: &Report) -> Vec<Vec<Vec<String>>> {
    let paper = Paper::of(report);
    let tables = paper.blocks().filter_map(|block| if let Block::Table(table) = block { Some(table) } else { None });
    let rows = |table: &Table| -> Vec<Vec<String>> {
        let heads = table.columns.iter().map(|column| column.title.to_owned()).collect();
        let cells = table
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| squeezed(&format!("{} {}", cell.text, cell.notes.join(" ")))).collect());
        std::iter::once(heads).chain(cells).collect()
    };
    tables.map(rows).collect()
}

/// One space where there are some of any kind.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn entities(text: &str) -> String {
    let named = [("&#60;", "<"), ("&#62;", ">"), ("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&#39;", "'")];
    let named = named.into_iter().chain([("&#58;", ":"), ("&#38;", "&"), ("&amp;", "&")]);
    named.fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}

/// The parts of `text` between `open` and `close`.
fn between<'t>(text: &'t str, open: &str, close: &str) -> Vec<&'t str> {
    text.split(open).skip(1).filter_map(|rest| rest.split_once(close)).map(|(part, _)| part).collect()
}

fn read_html(page: &str) -> Vec<Vec<Vec<String>>> {
    let bare = |cell: &str| {
        let inner = cell.split_once('>').map_or("", |(_, inner)| inner).replace("<span", " <span");
        let (mut text, mut inside) = (String::new(), false);
        for letter in inner.chars() {
            match letter {
                '<' => inside = true,
                '>' if inside => inside = false,
                letter if !inside => text.push(letter),
                _ => {}
            }
        }
        squeezed(&entities(&text))
    };
    let row = |row: &str| row.replace("</th>", "</td>").replace("<th", "<td").split("<td").skip(1).map(bare).collect();
    let tables = between(page, "<table", "</table>");
    tables.into_iter().map(|table| between(table, "<tr>", "</tr>").into_iter().map(row).collect()).collect()
}

fn read_markdown(text: &str) -> Vec<Vec<Vec<String>>> {
    let bare = |cell: &str| {
        let cell = cell.replace("<br>", " ").replace("**", "");
        let cell = match cell.strip_prefix('[').and_then(|link| link.rsplit_once("](#")) {
            Some((words, _)) => words.to_owned(),
            None => cell,
        };
        let (mut plain, mut letters) = (String::new(), cell.chars());
        while let Some(letter) = letters.next() {
            plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
        }
        squeezed(&entities(&plain))
    };
    let row = |line: &str| -> Vec<String> {
        let guarded = line.replace("\\\\", "\u{1}").replace("\\|", "\u{2}");
        let inner = guarded.trim().trim_start_matches('|').trim_end_matches('|');
        inner
            .split('|')
            .map(|cell| bare(cell.trim().replace('\u{2}', "\\|").replace('\u{1}', "\\\\").as_str()))
            .collect()
    };
    let lines: Vec<&str> = text.lines().collect();
    let tables = lines.split(|line| !line.starts_with('|')).filter(|table| !table.is_empty());
    tables.map(|table| table.iter().filter(|line| !line.contains("---")).map(|line| row(line)).collect()).collect()
}

/// Rows of cells, as RFC 4180 has them.
fn read_csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => cell.extend(letters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            letter => cell.push(letter),
        }
    }
    assert!(!quoted && row.is_empty() && cell.is_empty(), "every row ends");
    rows
}

fn text(report: &Report, format: Format) -> String {
    String::from_utf8(render(report, format, &Look::default())).unwrap()
}

#[test]
fn html_and_markdown_say_in_every_cell_what_the_report_says() {
    let report = awkward();
    let said = said(&report);
    assert!(said.iter().flatten().flatten().any(|cell| cell.contains("99.9998 %")), "just below the objective");
    assert_eq!(read_html(&text(&report, Format::Html)), said);
    assert_eq!(read_markdown(&text(&report, Format::Md)), said);
}

fn read_pdf(report: &Report, options: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.pdf");
    std::fs::write(&file, render(report, Format::Pdf, &Look::default())).unwrap();
    let mut command = Command::new("pdftotext");
    let read = command.args(["-raw", "-enc", "UTF-8"]).args(options).arg(&file).arg("-").stderr(Stdio::null()).output();
    String::from_utf8(read.expect("pdftotext is installed").stdout).unwrap()
}

#[test]
#[ignore = "wants pdftotext (poppler-utils): tests/run installs it"]
fn paper_says_in_every_cell_what_the_report_says() {
    let report = awkward();
    let text = read_pdf(&report, &[]);
    // Where a line or a word breaks is the paper's affair.
    let bare = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
    let text = bare(&text);
    let mut from = 0;
    for row in said(&report).concat() {
        let row = bare(&pdf::text(&row.concat()));
        let at = text[from..].find(&row).unwrap_or_else(|| panic!("{row} is not read in its place"));
        from += at + row.len();
    }
}

#[test]
fn csv_has_the_very_numbers_and_its_days_make_the_month() {
    let report = awkward();
    let service = &report.services[0];
    let read = |table| read_csv(&csv::render(&report, table));
    let number = |rows: &[Vec<String>], row: usize, name: &str| -> i64 {
        let column = rows[0].iter().position(|head| head == name).unwrap();
        rows[row][column].parse().unwrap()
    };
    let (services, days) = (read(csv::Table::Services), read(csv::Table::Days));
    assert_eq!((services.len(), days.len()), (2, 32));
    for (name, ms) in [
        ("up_ms", service.accounts.up_ms),
        ("degraded_ms", service.accounts.degraded_ms),
        ("down_ms", service.accounts.down_ms),
        ("unknown_ms", service.accounts.unknown_ms),
        ("excluded_ms", service.accounts.excluded_ms),
    ] {
        assert_eq!(number(&services, 1, name), ms);
        assert_eq!((1..days.len()).map(|row| number(&days, row, name)).sum::<i64>(), ms, "{name}");
    }
    assert_eq!(number(&services, 1, "sla_measured_ppm"), 999_998);
    assert!(services[1].contains(&"99.9998 %".to_owned()) && services[1].contains(&"not kept".to_owned()));
    assert!(services[1].contains(&format!("'{}", service.name)), "a formula is text");
    let maintenance = read(csv::Table::Maintenance);
    assert_eq!(maintenance[2][3], "61001");
    assert!(maintenance[2][6].starts_with("'@cmd"));
    assert_eq!(maintenance[5][7], "mon-fri,sun 22:00-24:00; sun 00:00-02:00");
    for table in csv::Table::ALL {
        let rows = read(table);
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{table:?}");
    }
}

#[test]
fn the_days_of_a_report_make_its_month() {
    let request = ReportRequest { time: Time::Month("2026-10".to_owned()), ..asked(0, 1) };
    let report = built(&filled(), &request, 60 * 24 * 60).unwrap();
    let service = &report.services[0];
    assert_eq!(service.days.len(), 31);
    assert_eq!(service.days.iter().map(|day| day.accounts.total_ms()).sum::<i64>(), service.accounts.total_ms());
    assert_eq!(service.days.iter().map(|day| day.accounts.down_ms).sum::<i64>(), service.accounts.down_ms);
    let region = &service.checks[0].regions[0];
    assert_eq!(region.latency_days_us.len(), 31);
    assert_eq!(region.latency_days_us[0], region.latency_us, "all samples are of the first day");
    assert!(region.latency_days_us[1..].iter().all(Option::is_none));
}

/// Whether the file claims to be fit to be kept and read aloud.
fn is_archival(pdf: &[u8]) -> bool {
    let has = |part: &[u8]| pdf.windows(part.len()).any(|window| window == part);
    pdf.starts_with(b"%PDF-1.7") && has(b"pdfaid:part") && has(b"pdfuaid:part") && has(b"/StructTreeRoot")
}

#[test]
fn paper_is_archival_whatever_the_names_are_and_however_long_a_reason_is() {
    let mut report = awkward();
    assert!(is_archival(&render(&report, Format::Pdf, &Look::default())));
    report.services[0].maintenance[0].reason = "why ".repeat(5_000);
    report.customer_name = "\u{e000}\u{feff}\u{0}\u{ffff}عربى\u{202e}".to_owned();
    assert!(is_archival(&render(&report, Format::Pdf, &Look::default())));
}

#[test]
fn a_report_of_many_services_and_regions_is_told_on_as_many_pages_as_it_takes() {
    let mut report = awkward();
    let check = report.services[0].checks[0].clone();
    let region = check.regions[0].clone();
    report.services[0].checks[0].regions =
        (0..20).map(|n| model::RegionReport { name: format!("Region {n}"), ..region.clone() }).collect();
    let service = report.services[0].clone();
    report.services = (0..13)
        .map(|n| model::ServiceReport { service: format!("service-{n}").parse().unwrap(), ..service.clone() })
        .collect();
    assert!(is_archival(&render(&report, Format::Pdf, &Look::default())));
    assert_eq!(read_html(&text(&report, Format::Html)), said(&report));
}

#[test]
fn what_is_no_contract_says_so_in_every_form_for_people() {
    let shelf = filled();
    let stands = built(&shelf, &asked(0, 120), 200).unwrap();
    let policy = ["degraded=down".parse().unwrap()];
    let report = shelf.store.read_blocking(|conn| Ok(what_if::build(conn, &stands, &policy))).unwrap().unwrap();
    for format in [Format::Html, Format::Md] {
        let (marked, plain) = (text(&report, format), text(&stands, format));
        for mark in ["WHAT IF: not what the contract says", "WHAT IF degraded=down", "What if: "] {
            assert!(marked.contains(mark) && !plain.contains(mark), "{format:?}: {mark}");
        }
    }
    // On paper the sentence is a part of what the file says of itself, which is not compressed.
    let pdf = |report: &Report| String::from_utf8_lossy(&render(report, Format::Pdf, &Look::default())).into_owned();
    assert!(pdf(&report).contains("What if: ") && !pdf(&stands).contains("What if: "));
}

#[test]
#[ignore = "wants pdftotext (poppler-utils): tests/run installs it"]
fn paper_says_on_its_first_page_what_is_no_contract() {
    let shelf = filled();
    let stands = built(&shelf, &asked(0, 120), 200).unwrap();
    let policy = ["degraded=down".parse().unwrap()];
    let report = shelf.store.read_blocking(|conn| Ok(what_if::build(conn, &stands, &policy))).unwrap().unwrap();
    let page = squeezed(&read_pdf(&report, &["-l", "1"]));
    assert!(page.contains("WHAT IF: not what the contract says") && page.contains("WHAT IF degraded=down"), "{page}");
}

#[test]
fn no_form_prints_a_figure_above_the_true_one() {
    let mut report = awkward();
    let sla = report.services[0].sla.as_mut().unwrap();
    (sla.objective_ppm, sla.measured_ppm) = (999_991, Some(999_998));
    for format in [Format::Html, Format::Md, Format::Csv] {
        let text = text(&report, format).replace('\u{202f}', " ");
        assert!(text.contains("99.9998 %"), "{format:?} floors");
        assert!(!text.contains("99.9999 %"), "{format:?} does not round up");
    }
}

#[test]
fn a_logo_of_pixels_is_on_paper_which_stays_archival_and_the_same() {
    use crate::definition::look::tests::png;
    let report = awkward();
    let plain = render(&report, Format::Pdf, &Look::default());
    for kind in [png::ColorType::Rgba, png::ColorType::Rgb, png::ColorType::Grayscale] {
        let look = Look { accent: None, logo: Logo::of(png(60, 20, kind)) };
        let paper = render(&report, Format::Pdf, &look);
        assert!(is_archival(&paper) && paper == render(&report, Format::Pdf, &look), "{kind:?}");
        let pictures = |pdf: &[u8]| pdf.windows(14).filter(|window| *window == b"/Subtype/Image").count();
        assert!(pictures(&plain) < pictures(&paper), "{kind:?}");
    }
    let svg = Look { accent: None, logo: Logo::of(b"<svg/>".to_vec()) };
    assert_eq!(render(&report, Format::Pdf, &svg), plain, "an SVG is no picture on paper");
}

#[test]
fn a_look_shows_and_needs_no_network() {
    let report = awkward();
    let logo = Logo::of(b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec());
    let look = Look { accent: Colour::parse("#7a1f5c"), logo };
    let page = String::from_utf8(render(&report, Format::Html, &look)).unwrap();
    assert!(
        page.contains("--accent: #7a1f5c;") && page.contains("<img class=\"logo\" src=\"data:image/svg+xml;base64,")
    );
    assert!(!page.contains("<script"), "an image's script is no script of the page");
    assert_ne!(render(&report, Format::Pdf, &look), render(&report, Format::Pdf, &Look::default()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn inv_7_whatever_is_said_in_a_report_every_format_takes_it_and_says_it_again(name in "\\PC{1,60}", reason in ".{1,200}") {
        let mut report = awkward();
        report.customer_name = name.clone();
        report.services[0].name = name;
        report.services[0].maintenance[0].reason = reason;
        let pdf = render(&report, Format::Pdf, &Look::default());
        prop_assert!(is_archival(&pdf));
        prop_assert!(pdf == render(&report, Format::Pdf, &Look::default()), "the same bytes");
        prop_assert_eq!(read_html(&text(&report, Format::Html)), said(&report));
    }
}
