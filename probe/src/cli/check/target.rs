//! From what was typed to a question.

use nines_shared::check::{
    BasicAuth, ClientCertificate, DnsQuestion, Dnssec, GrpcExpect, GrpcQuestion, HostPort, HttpProxy, HttpQuestion,
    IcmpQuestion, Question, Reach, RecordType, StartTls, TcpExpect, TcpQuestion, TlsQuestion,
};
use nines_shared::secret::Secret;
use url::Url;

use super::flags::{Flags, Kind, PROXY_PASSWORD, percent_decoded, read};
use super::{Failure, usage};

/// The port of a TLS check that names none.
const HTTPS_PORT: u16 = 443;
/// What can be checked.
const WANTED: &str =
    "write https://HOST/…, dns:NAME[/TYPE], tls:HOST[:PORT], tcp:HOST:PORT, icmp:HOST or grpc:HOST:PORT[/SERVICE]";

/// The question that `target` and `flags` ask.
///
/// # Errors
/// [`Failure`]: what is wrong with them and how to write it (64), or a file that can't be read (74).
pub(super) fn question(target: &str, flags: &Flags) -> Result<Question, Failure> {
    let (kind, rest) = kind_of(target).map_err(usage)?;
    flags.fit(kind).map_err(usage)?;
    match kind {
        Kind::Http => http(&rest, flags).map(|http| Question::Http(Box::new(http))),
        Kind::Tls => tls(&rest, flags).map(|tls| Question::Tls(Box::new(tls))),
        Kind::Dns => dns(&rest, flags).map(|dns| Question::Dns(Box::new(dns))),
        Kind::Tcp => tcp(&rest, flags).map(|tcp| Question::Tcp(Box::new(tcp))),
        Kind::Icmp => rest.parse().map(|host| Question::Icmp(IcmpQuestion::to(host))).map_err(usage::<String>),
        Kind::Grpc => grpc(&rest, flags).map(|grpc| Question::Grpc(Box::new(grpc))),
    }
}

/// The kind of `target`, and what follows it. A bare host is a URL: https, as every browser takes it today.
fn kind_of(target: &str) -> Result<(Kind, String), String> {
    let (scheme, rest) = target.split_once(':').unwrap_or(("", target));
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" if rest.starts_with("//") => Ok((Kind::Http, target.to_owned())),
        "tls" => Ok((Kind::Tls, rest.to_owned())),
        "dns" => Ok((Kind::Dns, rest.to_owned())),
        "tcp" => Ok((Kind::Tcp, rest.to_owned())),
        "icmp" => Ok((Kind::Icmp, rest.to_owned())),
        "grpc" => Ok((Kind::Grpc, rest.to_owned())),
        _ if is_bare(target) => Ok((Kind::Http, format!("https://{target}"))),
        // A name alone may be the id of a check.
        "" if target.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            Err(format!("{target:?} is no target; {WANTED}, or --from CONFIG {target} for a check of this probe"))
        }
        _ => Err(format!("{target:?} can't be checked; {WANTED}")),
    }
}

/// Whether `target` is a host as it is typed without a scheme: with a dot, an address, or localhost; then perhaps a
/// port and a path.
fn is_bare(target: &str) -> bool {
    let authority = target.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, port),
        Some(_) | None => (authority, "443"),
    };
    let named = host.contains('.') && !host.contains(':') || host == "localhost" || host.starts_with('[');
    named && port.parse::<u16>().is_ok() && !authority.contains('@')
}

fn http(text: &str, flags: &Flags) -> Result<HttpQuestion, Failure> {
    let mut url: Url = text.parse().map_err(|error| usage(format!("{text:?} is no URL: {error}")))?;
    if let Some(user) = &flags.user {
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        // Both fail only for URLs without a host, which is told below.
        let _no_host = url.set_username(user);
        let _no_host = url.set_password(Some(password).filter(|text| !text.is_empty()));
    }
    let mut http = HttpQuestion { ca_pem: ca(flags)?, body: flags.body.clone(), ..HttpQuestion::get(url) };
    http.proxy = proxy(flags);
    http.client_certificate = client_certificate(flags)?;
    http.method = match (&flags.method, &flags.body) {
        (Some(method), _) => method.clone(),
        (None, Some(_)) => "POST".to_owned(),
        (None, None) => http.method,
    };
    for header in &flags.header {
        http.headers.push(read_header(header).map_err(usage)?);
    }
    if let Some(version) = flags.http {
        http.version = version.into();
    }
    if let Some(redirects) = flags.redirects {
        http.redirects = redirects;
    }
    if !flags.expect_status.is_empty() {
        let read = flags.expect_status.iter().map(|text| text.trim().parse()).collect::<Result<_, _>>();
        http.expect.status = read.map_err(|error| usage(format!("--expect-status: {error}")))?;
    }
    Ok(http)
}

fn read_header(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once(':').ok_or_else(|| format!("--header {text:?} has no colon; write 'NAME: VALUE'"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn tls(text: &str, flags: &Flags) -> Result<TlsQuestion, Failure> {
    let starttls = flags.starttls.map(StartTls::from);
    let address = host_port(text, starttls.map_or(HTTPS_PORT, StartTls::port)).map_err(usage)?;
    let (server_name, verify) = (flags.servername.clone(), !flags.insecure);
    Ok(TlsQuestion { server_name, starttls, verify, ca_pem: ca(flags)?, ..TlsQuestion::at(address) })
}

fn dns(text: &str, flags: &Flags) -> Result<DnsQuestion, Failure> {
    let (name, typed) = match text.rsplit_once('/') {
        Some((name, typed)) => (name, Some(typed)),
        None => (text, None),
    };
    let record_type = match (typed, &flags.record_type) {
        (Some(_), Some(_)) => return Err(usage("the type is named twice; write it after the name or with --type")),
        (Some(typed), None) => typed.parse().map_err(usage::<String>)?,
        (None, Some(typed)) => typed.parse().map_err(usage::<String>)?,
        (None, None) => RecordType::A,
    };
    let (dnssec, recursion) = (flags.dnssec.then(Dnssec::default), !flags.no_recursion);
    Ok(DnsQuestion {
        recursion,
        dnssec,
        ca_pem: ca(flags)?,
        ..DnsQuestion::new(name, record_type, flags.server.clone())
    })
}

fn tcp(text: &str, flags: &Flags) -> Result<TcpQuestion, Failure> {
    Ok(TcpQuestion {
        address: text.parse().map_err(usage::<String>)?,
        reach: Reach::default(),
        tls: false,
        ca_pem: None,
        send: flags.send.clone(),
        expect: TcpExpect { banner_contains: flags.expect_banner.clone(), ..TcpExpect::default() },
    })
}

fn grpc(text: &str, flags: &Flags) -> Result<GrpcQuestion, Failure> {
    let (address, service) = text.split_once('/').unwrap_or((text, ""));
    let metadata = flags.header.iter().map(|header| read_header(header)).collect::<Result<_, _>>();
    Ok(GrpcQuestion {
        address: address.parse().map_err(usage::<String>)?,
        reach: Reach::default(),
        tls: !flags.plaintext,
        service: service.to_owned(),
        authority: None,
        metadata: metadata.map_err(usage)?,
        ca_pem: ca(flags)?,
        expect: GrpcExpect::default(),
    })
}

/// The roots of `--ca`.
fn ca(flags: &Flags) -> Result<Option<String>, Failure> {
    flags.ca.as_deref().map(read).transpose()
}

/// The proxy of `--proxy`; who asks it is told apart from where it is.
fn proxy(flags: &Flags) -> Option<HttpProxy> {
    let mut url = flags.proxy.clone()?;
    let auth = (!url.username().is_empty())
        .then(|| BasicAuth { user: percent_decoded(url.username()), password: Secret::Env(PROXY_PASSWORD.to_owned()) });
    // Both fail only for URLs without a host, which are refused for that.
    let _no_host = url.set_username("");
    let _no_host = url.set_password(None);
    Some(HttpProxy { url, auth })
}

/// The certificate of `--cert`, and where its key is.
fn client_certificate(flags: &Flags) -> Result<Option<ClientCertificate>, Failure> {
    let (Some(certificate), Some(key)) = (&flags.cert, &flags.key) else { return Ok(None) };
    Ok(Some(ClientCertificate { certificate_pem: read(certificate)?, key: Secret::File(key.clone()) }))
}

/// The host and port in `text`; `port` where it names none.
fn host_port(text: &str, port: u16) -> Result<HostPort, String> {
    let bare_v6 = text.parse::<std::net::Ipv6Addr>().is_ok();
    let bare = if bare_v6 { format!("[{text}]:{port}") } else { format!("{text}:{port}") };
    // A port that is named wins; what is no address either way is reported as it was written.
    if bare_v6 { bare.parse() } else { text.parse().or_else(|error: String| bare.parse().map_err(|_same| error)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str) -> Result<String, String> {
        question(target, &Flags::default()).map(|question| question.target()).map_err(|failure| failure.message)
    }

    #[test]
    fn targets_are_read_as_people_write_them() {
        for (target, shown) in [
            ("https://shop.example", "https://shop.example/"),
            ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a"),
            ("HTTPS://Shop.Example/", "https://shop.example/"),
            ("shop.example", "https://shop.example/"),
            ("shop.example/cart?a=b", "https://shop.example/cart?a=b"),
            ("shop.example:8443/x", "https://shop.example:8443/x"),
            ("localhost:8443", "https://localhost:8443/"),
            ("192.0.2.1", "https://192.0.2.1/"),
            ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/"),
            ("[2001:db8::1]", "https://[2001:db8::1]/"),
            ("dns:shop.example", "dns:shop.example A"),
            ("dns:shop.example/mx", "dns:shop.example MX"),
            ("tls:shop.example", "tls:shop.example:443"),
            ("tls:shop.example:8443", "tls:shop.example:8443"),
            ("tls:[2001:db8::1]", "tls:[2001:db8::1]:443"),
            ("tls:2001:db8::1", "tls:[2001:db8::1]:443"),
            ("tls:[2001:db8::1]:8443", "tls:[2001:db8::1]:8443"),
            ("tcp:mail.example:25", "tcp:mail.example:25"),
            ("icmp:2001:db8::1", "icmp:[2001:db8::1]"),
            ("grpc:a.example:50051", "grpc:a.example:50051"),
            ("grpc:a.example:50051/shop.Cart", "grpc:a.example:50051/shop.Cart"),
        ] {
            assert_eq!(asked(target), Ok(shown.to_owned()));
        }
    }

    #[test]
    fn what_is_no_target_is_refused_with_what_to_write() {
        for (target, words) in [
            ("shop-home", "--from CONFIG shop-home"),
            ("ftp://shop.example/", "write https://HOST"),
            ("htps://shop.example/", "write https://HOST"),
            ("me@shop.example", "write https://HOST"),
            ("shop.example:http", "write https://HOST"),
            ("https:shop.example", "write https://HOST"),
            ("", "write https://HOST"),
            ("dns:shop.example/NOPE", "record type"),
            ("tls:", "host:port"),
            ("tcp:a.example", "host:port"),
            ("icmp:a.example:7", "no port belongs here"),
            ("https://", "is no URL"),
        ] {
            let message = asked(target).expect_err(target);
            assert!(message.contains(words), "{target}: {message}");
        }
    }

    #[test]
    fn flags_shape_the_request_as_curl_users_expect() {
        let flags = Flags {
            header: vec!["Accept: text/html".to_owned(), "x-empty:".to_owned()],
            body: Some("{}".to_owned()),
            expect_status: vec!["204".to_owned(), "3xx".to_owned()],
            redirects: Some(0),
            ..Flags::default()
        };
        let Ok(Question::Http(http)) = question("https://a.example/", &flags) else { panic!("it is a URL") };
        assert_eq!(http.method, "POST", "a body is posted");
        assert_eq!(http.headers[0], ("Accept".to_owned(), "text/html".to_owned()));
        assert_eq!((http.expect.status.len(), http.redirects), (2, 0));
        let flags = Flags { method: Some("PUT".to_owned()), ..flags };
        let Ok(Question::Http(http)) = question("https://a.example/", &flags) else { panic!("it is a URL") };
        assert_eq!(http.method, "PUT");
    }

    #[test]
    fn a_flag_that_the_target_can_do_nothing_with_is_refused() {
        let server = Flags { server: "udp://192.0.2.53".parse().ok(), ..Flags::default() };
        let body = Flags { body: Some(String::new()), ..Flags::default() };
        for (target, flags, words) in [
            ("tls:shop.example", &server, "--server goes with dns:NAME only"),
            ("https://shop.example", &server, "--server goes with dns:NAME only"),
            ("dns:shop.example", &body, "--body goes with a URL only"),
        ] {
            assert_eq!(question(target, flags).unwrap_err().message, words);
        }
        let twice = Flags { record_type: Some("MX".to_owned()), ..Flags::default() };
        assert!(question("dns:shop.example/A", &twice).unwrap_err().message.contains("twice"));
    }
}
