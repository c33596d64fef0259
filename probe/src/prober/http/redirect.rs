//! PURE: where a redirect leads, and as what.

use hyper::Method;
use url::Url;

/// Whether `status` redirects (RFC 9110 §15.4). 300 offers a choice and 304 is about a cache: both are answers.
pub(super) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Where `location`, given by `base`, leads.
///
/// # Errors
/// Why it leads nowhere that can be asked, for people.
pub(super) fn destination(base: &Url, location: Option<&[u8]>) -> Result<Url, String> {
    let location = location.ok_or("the redirect has no location")?;
    let text = std::str::from_utf8(location).map_err(|_not_utf8| "the redirect's location is not text")?;
    let url = base.join(text).map_err(|error| format!("the redirect's location {text:?} is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(format!("the redirect's location {text:?} is not on the web"));
    }
    Ok(url)
}

/// The method after a redirect with `status`: 303 asks to look elsewhere, 301 and 302 are taken so after a
/// POST by every browser (RFC 9110 §15.4.2–4); 307 and 308 keep it.
pub(super) fn method_after(status: u16, method: &Method) -> Method {
    let look_elsewhere = match status {
        303 => method != Method::HEAD,
        301 | 302 => method == Method::POST,
        _ => false,
    };
    if look_elsewhere { Method::GET } else { method.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_against_the_url_that_gave_them() {
        let base: Url = "https://shop.example/a/b?c".parse().unwrap();
        let to = |location: &str| destination(&base, Some(location.as_bytes())).map(String::from);
        assert_eq!(to("../d").unwrap(), "https://shop.example/d");
        assert_eq!(to("//other.example/").unwrap(), "https://other.example/");
        for nowhere in ["ftp://shop.example/", "javascript:alert(1)", "http://", "file:///etc/passwd"] {
            assert!(to(nowhere).is_err(), "{nowhere}");
        }
        assert!(destination(&base, None).is_err());
        assert!(destination(&base, Some(b"\xff")).is_err());
    }

    #[test]
    fn only_a_post_becomes_a_get_and_only_where_browsers_do_so() {
        for (status, before, after) in [
            (301, Method::POST, Method::GET),
            (302, Method::PUT, Method::PUT),
            (303, Method::PUT, Method::GET),
            (303, Method::HEAD, Method::HEAD),
            (307, Method::POST, Method::POST),
            (308, Method::POST, Method::POST),
        ] {
            assert_eq!(method_after(status, &before), after, "{status} {before}");
        }
    }

    #[test]
    fn fuzz_a_redirect_leads_to_the_web_or_nowhere_and_as_a_url_it_leads_there_again() {
        let base: Url = "https://shop.example/a/b?c".parse().unwrap();
        bolero::check!().with_iterations(5_000).for_each(|location: &[u8]| {
            let Ok(url) = destination(&base, Some(location)) else { return };
            assert!(matches!(url.scheme(), "http" | "https") && url.host().is_some(), "{url}");
            assert!(url.port_or_known_default().is_some());
            assert_eq!(destination(&base, Some(url.as_str().as_bytes())).as_ref(), Ok(&url));
            // What is shown of it has no line end and no user that could pass for a host.
            assert!(!nines_shared::check::shown_url(&url).contains(char::is_control));
        });
    }
}
