//! Every file of `config/invalid` is refused with what its first lines expect, and the examples are good.

use std::path::{Path, PathBuf};
use std::{env, fs};

use nines_shared::check::{BasicAuth, HttpAuth, MustFail, Question};
use nines_shared::sample::Reason;
use nines_shared::secret::Secret;
use proptest::prelude::*;

use super::*;
use crate::definition::{ChannelKind, Period};

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config")
}

fn good(text: &str) -> (Fleet, Vec<Warning>) {
    parse(text, Path::new("nines.toml")).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What an invalid file is refused with, in one text.
fn bad(text: &str) -> String {
    refused_with(text, Path::new("nines.toml")).iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
}

fn refused_with(text: &str, name: &Path) -> Vec<Finding> {
    match parse(text, name) {
        Err(FleetFileErrors::Invalid { errors, .. }) => errors,
        Err(error @ FleetFileErrors::Unreadable { .. }) => panic!("{error}"),
        Ok(_) => panic!("{} is taken for good", name.display()),
    }
}

/// `LINE: KEY: MESSAGE; MEND`: what `# expect:` lines hold the beginning of.
fn told(finding: &Finding) -> String {
    let text = finding.to_string();
    let rest = text.strip_prefix(&finding.place()).unwrap();
    format!("{}{rest}", finding.line)
}

#[test]
fn every_invalid_file_is_refused_with_exactly_what_it_expects() {
    let mut files: Vec<PathBuf> = fs::read_dir(config().join("invalid")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(60 < files.len());
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
        let errors: Vec<String> = refused_with(&text, &path).iter().map(told).collect();
        let shown = format!("{}:\n# expect: {}", path.display(), errors.join("\n# expect: "));
        assert_eq!(errors.len(), expected.len(), "{shown}");
        for (error, expected) in errors.iter().zip(&expected) {
            assert!(error.starts_with(expected), "expected {expected}\n{shown}");
        }
        assert!(!errors.is_empty(), "{}", path.display());
    }
}

#[test]
fn no_secret_of_any_invalid_file_is_shown() {
    for entry in fs::read_dir(config().join("invalid")).unwrap() {
        let path = entry.unwrap().path();
        let errors = load(&path).unwrap_err();
        assert!(!errors.drawn().contains("hunter2") && !errors.to_string().contains("hunter2"), "{}", path.display());
    }
}

#[test]
fn the_example_is_good_and_says_what_it_seems_to() {
    let text = fs::read_to_string(config().join("fleet.example.toml")).unwrap();
    let (fleet, warnings) = good(&text);
    assert_eq!(warnings, []);
    let service = &fleet.services[0];
    assert_eq!(service.slo.as_ref().map(|slo| slo.availability_ppm), Some(999_500));
    assert_eq!(service.sla.as_ref().map(|sla| (sla.objective_ppm, sla.period)), Some((999_000, Period::Month)));
    assert_eq!(service.since.map(|at| at.as_ms()), Some(1_767_225_600_000));
    // 02:00 in Berlin's winter is 01:00 UTC.
    assert_eq!(fleet.maintenance[0].span.from.as_ms(), 1_796_086_800_000);
    let home = &fleet.checks[0];
    assert_eq!((home.interval_ms, home.timeout_ms, home.quorum, home.recheck_ms), (30_000, 10_000, 2, 30_000));
    let Question::Http(api) = &fleet.checks[1].question else { panic!("shop-api asks by HTTP") };
    assert_eq!(api.headers[0].0, "content-type", "headers keep the file's order");
    let expect = &api.expect;
    assert_eq!((expect.version.len(), expect.body_lacks.len(), expect.json.len()), (2, 2, 3));
    assert_eq!(expect.body_size.map(|size| (size.min, size.max)), Some((Some(20), Some(32 << 10))));
    assert_eq!(expect.json[1].to_string(), "json $.queues[*].depth is at least 0 and is below 1000, every one");
    assert_eq!((expect.within.first_byte_ms, expect.within.tls_ms), (Some(1_000), None));
    assert!(expect.certificate.is_some());
    let plain = fleet.checks.iter().find(|check| check.id.as_str() == "shop-plain-port").unwrap();
    let refused = vec![Reason::ConnectRefused, Reason::ConnectTimeout];
    assert_eq!(plain.must_fail, Some(MustFail::With(refused)));
    assert_eq!(fleet.checks[2].regions.len(), 3, "without regions: all of them");
    let ChannelKind::Webhook { secret, .. } = &fleet.channels[0].kind else { panic!("oncall is a webhook") };
    assert_eq!(secret, &Some(Secret::Env("NINES_HOOK_SECRET".to_owned())));
}

#[test]
fn a_logo_that_paper_can_not_show_is_told_when_the_file_is_checked() {
    use crate::definition::look::tests::png;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("logo.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>");
    write("logo.png", &png(4, 2, png::ColorType::Rgb));
    write("broken.png", b"\x89PNG\r\n\x1a\nrest");
    let read = |logo: &str| parse(&format!("[report]\nlogo = {logo}"), &folder.path().join("nines.toml"));
    let told = |logo: &str| {
        let (fleet, warnings) = read(logo).unwrap();
        (fleet.report.logo.unwrap().pixels().is_some(), warnings.len())
    };
    assert_eq!(told("{ file = 'logo.png' }"), (true, 0));
    assert_eq!(told("{ file = 'logo.svg' }"), (false, 1));
    assert_eq!(told("{ file = 'logo.svg', paper = 'logo.png' }"), (true, 0));
    for logo in [
        "{ file = 'broken.png' }",
        "{ file = 'logo.svg', paper = 'broken.png' }",
        "{ file = 'logo.png', paper = 'logo.svg' }",
    ] {
        let error = read(logo).unwrap_err().to_string();
        assert!(error.contains("no whole PNG"), "{logo}: {error}");
    }
}

#[test]
fn maintenance_every_week_is_of_the_customers_zone_and_its_days_are_both_in_it() {
    let read = |keys: &str| {
        let window = format!("[[maintenance]]\nservice = 'shop'\nreason = 'agreed'\n{keys}");
        let text = shop("", "", &window).replace("'UTC'", "'Europe/Berlin'");
        good(&text).0.maintenance.remove(0)
    };
    let rule = read(
        "weekly = ['sun 02:00-04:00', { days = ['mon-wed'], to = '01:00' }]\nfrom = 2026-10-25\nuntil = '2026-10-25'",
    );
    assert_eq!(rule.span.length_ms(), 25 * 3_600_000, "the day on which clocks are set back");
    let weekly = rule.weekly.unwrap();
    assert_eq!(weekly.timezone, "Europe/Berlin");
    let hours: Vec<String> = weekly.hours.iter().map(ToString::to_string).collect();
    assert_eq!(hours, ["sun 02:00-04:00", "mon-wed 00:00-01:00"]);
    let ever = read("weekly = ['sun 02:00-04:00']").span;
    assert_eq!((ever.from, ever.to), (nines_shared::time::Timestamp::MIN, nines_shared::time::Timestamp::MAX));
}

#[test]
fn the_probes_example_is_good_too() {
    let text = fs::read_to_string(config().join("probe.example.toml")).unwrap();
    assert_eq!(nines_probe::probe_file::parse("probe.example.toml", &text).err(), None);
}

#[test]
fn paths_are_relative_to_the_file() {
    let (fleet, _) = parse("", Path::new("/etc/nines/fleet.toml")).unwrap();
    assert_eq!(fleet.aggregator.database, Path::new("/etc/nines/nines.db"));
    let (fleet, _) = parse("[aggregator]\ndatabase = '/srv/n.db'", Path::new("/etc/nines/fleet.toml")).unwrap();
    assert_eq!(fleet.aggregator.database, Path::new("/srv/n.db"));
    assert_eq!(fleet.report.key(&fleet.aggregator), Path::new("/srv/n.db.report-key"), "beside the database");
    let (fleet, _) = parse("[report]\nkey = 'k'\nfolder = 'out'", Path::new("/etc/nines/fleet.toml")).unwrap();
    assert_eq!(fleet.report.key(&fleet.aggregator), Path::new("/etc/nines/k"));
    assert_eq!(fleet.report.folder.as_deref(), Some(Path::new("/etc/nines/out")));
}

/// A service with one check, before which `slo` and after which `more` is written.
fn shop(of_service: &str, of_check: &str, more: &str) -> String {
    format!(
        "[[region]]\nid = 'a'\n[[region]]\nid = 'b'\n[[region]]\nid = 'c'\n[[customer]]\nid = 'acme'\ntimezone = 'UTC'\n\
         [[service]]\nid = 'shop'\ncustomer = 'acme'\n{of_service}\n\
         [[check]]\nid = 'home'\nservice = 'shop'\nhttp = {{ url = 'https://shop.example/' }}\n{of_check}\n\
         [[channel]]\nid = 'oncall'\nwebhook = {{ url = 'https://hooks.example/', secret = {{ env = 'X' }} }}\n\
         [[route]]\nchannels = ['oncall']\n{more}"
    )
}

#[test]
fn what_is_allowed_but_unwise_is_warned_of() {
    let warned = |text: String| good(&text).1.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(warned(shop("", "", "")), "");
    assert!(warned(shop("", "", "[[service]]\nid = 'idle'\ncustomer = 'acme'")).contains("idle has no check"));
    let early = "sla = { exclusions_by = 'Ann', availability = 99.0, credits = [{ below = 99.9, percent = 10 }] }";
    assert!(warned(shop(early, "", "")).contains("although the SLA is met"));
    let moot = "sla = { exclusions_by = 'Ann', availability = 99.0, method = 'occurrences', min_outage = '1m' }";
    assert!(warned(shop(moot, "", "")).contains("min_outage says nothing where the method counts samples"));
    assert_eq!(warned(shop(&moot.replace("occurrences", "time"), "", "")), "");
    let unsigned = "[[channel]]\nid = 'desk'\nwebhook = { url = 'https://hooks.example/' }";
    let unsigned = warned(shop("", "", unsigned));
    assert!(unsigned.contains("not signed") && unsigned.contains("no route leads to channel desk"), "{unsigned}");
    let tls = "tls = { address = 'shop.example:443', verify = false }";
    let unverified = warned(shop("", "", "").replace("http = { url = 'https://shop.example/' }", tls));
    assert!(unverified.contains("anybody can answer for this target"), "{unverified}");
    let open = warned(shop("", "", "").replace("https://shop", "https://me:hunter2@shop"));
    assert!(open.contains("in the open") && !open.contains("hunter2"), "{open}");
}

#[test]
fn a_contract_that_can_not_be_evidenced_is_warned_of() {
    let warned = |text: String| good(&text).1.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n");
    let sla = |terms: &str| format!("sla = {{ exclusions_by = 'Ann', {terms} }}");
    // A month of 30 days allows 43 m 12 s at 99.9 and 4 m 19.2 s at 99.99; three regions each minute look every 20 s.
    assert_eq!(warned(shop(&sla("availability = 99.9"), "", "")), "");
    assert_eq!(warned(shop(&sla("availability = 99.99"), "interval = '1m'", "")), "");
    let coarse = warned(shop(&sla("availability = 99.99"), "interval = '90s'", ""));
    assert!(coarse.contains("looks that are 30s apart") && coarse.contains("4m19s200ms of downtime"), "{coarse}");
    assert!(coarse.contains("every 25s920ms or oftener"), "{coarse}");
    let rolling = warned(shop(&sla("availability = 99.9, period = '7d'"), "interval = '5m'", ""));
    assert!(rolling.contains("looks that are 1m40s apart"), "{rolling}");
    assert!(warned(shop(&sla("availability = 100"), "", "")).contains("allows no downtime at all"));

    let even = warned(shop("", "regions = ['a', 'b']\ninterval = '30s'", ""));
    assert!(even.contains("with 2 regions and quorum 2, no outage can be shown while 1 region is silent"), "{even}");
    assert_eq!(warned(shop("", "quorum = 1\ninterval = '30s'", "")), "");
    assert_eq!(warned(shop("", "regions = ['a']\nquorum = 1", "")), "");

    // Three regions look every 20 s, so the start is seen after 10 s; re-checks every 15 s of a minute see the end
    // after 2.5.
    let hasty = warned(shop("", "interval = '1m'\nrecheck = '15s'", ""));
    assert!(hasty.contains("with recheck 15s") && hasty.contains("come out 7s500ms too short on average"), "{hasty}");
    assert_eq!(warned(shop("", "interval = '1m'\nrecheck = '20s'", "")), "", "on the slots of the others");

    let weak = format!("slo = {{ availability = 99.0 }}\n{}", sla("availability = 99.9"));
    assert!(warned(shop(&weak, "", "")).contains("the SLO is weaker than the SLA"));
    let orphan = warned(shop("sla = { availability = 99.9 }", "", ""));
    assert!(orphan.contains("nobody is named who may grant exclusions"), "{orphan}");
}

#[test]
fn a_service_may_be_promised_to_several_customers_once_each() {
    let beta = "[[customer]]\nid = 'beta'\ntimezone = 'America/New_York'\n";
    let promise = "[[sla]]\nservice = 'shop'\ncustomer = 'beta'\navailability = 99.5\nexclusions_by = 'Bob'\n";
    let (fleet, warnings) =
        good(&shop("sla = { exclusions_by = 'Ann', availability = 99.9 }", "", &[beta, promise].concat()));
    assert_eq!(warnings.len(), 0, "{warnings:?}");
    let service = &fleet.services[0];
    let promised = |customer: &str| service.sla_with(&customer.parse().unwrap()).map(|sla| sla.objective_ppm);
    assert_eq!([promised("acme"), promised("beta"), promised("gamma")], [Some(999_000), Some(995_000), None]);
    let twice = shop("", "", &[beta, promise, promise].concat());
    assert!(bad(&twice).contains("service shop is promised to beta already"), "{}", bad(&twice));
    // Written apart, the contract with the service's own customer is the same as within it.
    let own = promise.replace("beta", "acme");
    assert!(good(&shop("", "", &own)).0.services[0].sla.is_some());
    assert!(bad(&shop("sla = { availability = 99.9 }", "", &own)).contains("promised to acme already"));
}

#[test]
fn a_channel_that_nothing_reaches_is_warned_of() {
    let to = |host: &str| shop("", "", "").replace("https://hooks.example", host);
    let warned = |text: String| good(&text).1.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n");
    for host in ["http://10.0.0.7", "http://[::1]:9093", "http://localhost"] {
        assert!(warned(to(host)).contains("nothing is delivered to channel oncall"), "{host}");
    }
    assert_eq!(warned(format!("[aggregator]\nwebhook_allow = ['10.0.0.0/8']\n{}", to("http://10.0.0.7"))), "");
}

#[test]
fn a_secret_that_can_not_be_had_is_warned_of_before_serving() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nines.toml");
    let warned = |secret: &str| {
        fs::write(&path, shop("", "", "").replace("{ env = 'X' }", secret)).unwrap();
        assert_eq!(load(&path).unwrap().1, [], "only whoever serves needs it");
        load_to_serve(&path).unwrap().1.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(warned("{ env = 'NINES_NO_SUCH' }").contains("the environment has no NINES_NO_SUCH"));
    assert!(warned("{ file = 'hook' }").contains("hook can't be read"));
    fs::write(folder.path().join("hook"), "s").unwrap();
    assert_eq!(warned("{ file = 'hook' }"), "");
    assert_eq!(warned("{ env = 'PATH' }"), "");
    let check = shop("", "", "").replace("{ env = 'X' }", "{ env = 'PATH' }");
    let check = check.replace("shop.example/'", "shop.example/', bearer = { env = 'NINES_NO_SUCH' }");
    fs::write(&path, check).unwrap();
    let warned = load_to_serve(&path).unwrap().1.iter().map(Finding::to_string).collect::<String>();
    assert!(warned.contains("check home says nothing without its secret: the environment has no NINES_NO"), "{warned}");
}

#[test]
fn the_secrets_of_a_check_are_read_by_name() {
    let asked = |http: &str| {
        let (fleet, warnings) = good(&shop("", "", "").replace("shop.example/'", &format!("shop.example/', {http}")));
        let Question::Http(http) = fleet.checks[0].question.clone() else { panic!("it asks by HTTP") };
        (http, warnings)
    };
    let (http, warnings) = asked("headers = { x-token = { env = 'T', prefix = 'Token ' }, accept = 'a/b' }");
    assert_eq!((http.secret_headers[0].name.as_str(), http.secret_headers[0].prefix.as_str()), ("x-token", "Token "));
    assert_eq!((http.secret_headers[0].secret.clone(), warnings), (Secret::Env("T".to_owned()), Vec::new()));
    assert_eq!(http.headers, [("accept".to_owned(), "a/b".to_owned())]);
    let (http, _) = asked("basic_auth = { user = 'me', password = { file = 'p' } }");
    let wanted = HttpAuth::Basic(BasicAuth { user: "me".to_owned(), password: Secret::File("p".into()) });
    assert_eq!(http.auth, Some(wanted));
    let (_, warnings) = asked("headers = { x-token = 'hunter2' }");
    assert!(warnings[0].mend.as_ref().unwrap().contains("{ env = ") && !warnings[0].to_string().contains("hunter2"));
}

#[test]
fn http3_is_warned_of_where_nobody_would_speak_it() {
    let text = shop("", "", "").replace("shop.example/'", "shop.example/', version = '3'");
    let warned = good(&text).1.iter().map(Finding::to_string).collect::<String>();
    assert_eq!(warned.contains("cargo feature http3"), !nines_probe::prober::SPEAKS_HTTP3, "{warned}");
}

#[test]
fn json_is_a_body_that_says_its_type() {
    let asked = |http: &str| {
        let (fleet, _) = good(&shop("", "", "").replace("shop.example/'", &format!("shop.example/', {http}")));
        let Question::Http(http) = fleet.checks[0].question.clone() else { panic!("it asks by HTTP") };
        (http.body.unwrap(), http.headers)
    };
    let typed = |text: &str| vec![("content-type".to_owned(), text.to_owned())];
    assert_eq!(
        asked("json = { deep = true, n = [1, 2.5] }"),
        (r#"{"deep":true,"n":[1,2.5]}"#.to_owned(), typed("application/json"))
    );
    let (body, headers) = asked("json = [], headers = { content-type = 'application/vnd.api+json' }");
    assert_eq!((body.as_str(), headers), ("[]", typed("application/vnd.api+json")));
}

#[test]
fn a_finding_is_drawn_with_its_line_and_a_caret_under_what_is_meant() {
    let text = "[aggregator]\n\tweb = \"8080\" # ü\n";
    let drawn = parse(text, Path::new("nines.toml")).unwrap_err().drawn();
    let plain = anstream::adapter::strip_str(&drawn).to_string();
    assert!(plain.contains("nines.toml:2:8\n"), "{plain}");
    assert!(plain.contains("2 | \tweb = \"8080\" # ü\n  | \t      ^^^^^^ aggregator.web\n"), "{plain}");
    assert!(plain.contains("nines.toml is refused: 1 error\n"), "{plain}");
}

#[test]
fn a_long_line_is_quoted_in_part() {
    let text = format!("environment = {{ {} }}\n", "x = 1, ".repeat(200));
    let errors = refused_with(&text, Path::new("nines.toml"));
    assert!(errors.iter().all(|error| error.quoted.chars().count() < 200), "{errors:?}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "([a-z\\[\\]{}='\".,#0-9 \\n-]|\\[\\[check\\]\\]|http|interval|sla|é|\\r\\n|\"\"\"){0,80}") {
        if let Err(errors) = parse(&text, Path::new("nines.toml")) {
            prop_assert!(!errors.drawn().is_empty());
        }
    }

    #[test]
    fn no_slip_in_the_example_makes_the_reader_panic(at in 0_usize..6_000, cut in 0_usize..40, with in "[a-z'\"={}\\[\\], 0-9\\n]{0,6}") {
        let mut text = fs::read_to_string(config().join("fleet.example.toml")).unwrap();
        let from = text.floor_char_boundary(at.min(text.len()));
        let to = text.floor_char_boundary((from + cut).min(text.len()));
        text.replace_range(from..to, &with);
        if let Err(FleetFileErrors::Invalid { errors, .. }) = parse(&text, Path::new("nines.toml")) {
            prop_assert!(!errors.is_empty());
        }
    }
}

/// A file with one service, a channel and these routes.
fn routed(routes: &str) -> (Fleet, Vec<Warning>) {
    let text = format!(
        "[[region]]\nid = \"eu\"\n[[region]]\nid = \"us\"\n[[region]]\nid = \"ap\"\n[[customer]]\nid = \"acme\"\ntimezone = \"UTC\"\n\
         [[service]]\nid = \"shop\"\ncustomer = \"acme\"\n\
         [[check]]\nid = \"shop-home\"\nservice = \"shop\"\nhttp = {{ url = \"https://shop.example/\" }}\n\
         [[check]]\nid = \"shop-api\"\nservice = \"shop\"\nhttp = {{ url = \"https://shop.example/api\" }}\n\
         [[channel]]\nid = \"oncall\"\nwebhook = {{ url = \"https://hooks.example/\", secret = {{ env = \"HOOK\" }} }}\n{routes}"
    );
    good(&text)
}

#[test]
fn a_route_says_when_how_often_and_to_whom_next() {
    let (fleet, warnings) = routed(
        r#"
        [[route]]
        kind = ["outage", "probe"]
        check = "shop-home"
        hours = [{ days = ["mon-fri"], from = "08:00", to = "18:00" }]
        timezone = "Europe/Berlin"
        channels = ["oncall"]
        repeat = "30m"
        escalate = [{ after = "10m", channels = ["oncall"] }, { after = "20m", channels = ["oncall"] }]
        [[route]]
        channels = ["oncall"]
        "#,
    );
    assert_eq!(warnings, []);
    let route = &fleet.routes[0];
    assert_eq!(route.kinds, [crate::incident::Kind::Outage, crate::incident::Kind::Probe]);
    assert_eq!(route.check.as_ref().map(CheckId::as_str), Some("shop-home"));
    let hours = route.hours.as_ref().unwrap();
    assert_eq!((hours.timezone.as_str(), hours.hours[0].from_minute), ("Europe/Berlin", 480));
    let steps: Vec<i64> = route.escalate.iter().map(|step| step.after_ms).collect();
    assert_eq!((route.repeat_ms, steps), (Some(1_800_000), vec![600_000, 1_200_000]));
}

#[test]
fn pages_that_no_route_takes_at_all_or_at_some_hours_are_warned_of() {
    let warned = |routes: &str| -> Vec<String> {
        routed(routes)
            .1
            .into_iter()
            .map(|warning| warning.message)
            .filter(|message| message.contains("nobody"))
            .collect()
    };
    let route = |condition: &str| format!("[[route]]\nchannels = [\"oncall\"]\n{condition}\n");
    assert_eq!(warned(&route("")), [""; 0]);
    for nothing in ["severity = \"ticket\"", "kind = \"probe\"", "environment = \"other\""] {
        assert!(warned(&route(nothing))[0].contains("no route takes a page"), "{nothing}");
    }
    assert!(warned(&route("check = \"shop-home\""))[0].contains("no route takes a page"), "the other check");
    let hours = "hours = [{ days = [\"mon-sun\"], to = \"18:00\" }]\ntimezone = \"UTC\"";
    assert!(warned(&route(hours))[0].contains("from Monday 18:00 to Tuesday 00:00 UTC"));
    assert_eq!(warned(&(route(hours) + &route(""))), [""; 0]);
}

#[test]
fn routes_that_can_never_match_are_warned_of() {
    let warned = |condition: &str| {
        let (_, warnings) = routed(&format!("[[route]]\nchannels = [\"oncall\"]\n{condition}\n"));
        warnings.into_iter().map(|warning| warning.message).find(|message| message.contains("never matches"))
    };
    assert_eq!(warned("environment = \"prod\""), None);
    assert!(warned("environment = \"test\"").unwrap().contains("this fleet is \"prod\""));
}
