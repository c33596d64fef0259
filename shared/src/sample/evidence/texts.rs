//! Every text of evidence, made safe to print. A probe does so before it spools; whoever takes evidence from a probe
//! does not rely on it.

use super::{
    Certificate, DnsEvidence, DnsServerEvidence, DnssecEvidence, Evidence, ExpectationEvidence, Hop, OcspEvidence,
    Offer, Part, ResponseEvidence, TlsEvidence,
};
use crate::sample::clean;

impl Evidence {
    /// Makes every text as [`clean`] would; no longer than it was.
    pub fn clean(&mut self) {
        let Self { address: _, tried: _, parts, hops, tls, dns, response, expectations } = self;
        for Part { what, detail, outcome: _, reason: _, phase: _, duration_us: _, phases_us: _ } in parts {
            all([what], [detail]);
        }
        for Hop { url, proxy, version, address: _, status: _, phases_us: _ } in hops {
            all([url], [proxy, version]);
        }
        for ExpectationEvidence { what, seen, verdict: _ } in expectations {
            all([what], [seen]);
        }
        tls.iter_mut().for_each(TlsEvidence::clean);
        dns.iter_mut().for_each(DnsEvidence::clean);
        response.iter_mut().for_each(|response| response.clean());
    }
}

impl ResponseEvidence {
    fn clean(&mut self) {
        let Self { status: _, version, headers, headers_left_out: _, body, binary: _, truncated: _, encoding } = self;
        all([version], [body, encoding]);
        for (name, value) in headers {
            all([name, value], []);
        }
    }
}

impl TlsEvidence {
    fn clean(&mut self) {
        let Self { version, cipher, alpn, chain, path, unverified, ocsp, offers } = self;
        all(path, [version, cipher, alpn, unverified]);
        chain.iter_mut().for_each(Certificate::clean);
        if let Some(OcspEvidence { status, this_update: _, next_update: _, doubt }) = ocsp {
            all([status], [doubt]);
        }
        for Offer { asked, answer, taken: _ } in offers {
            all([asked, answer], []);
        }
    }
}

impl Certificate {
    fn clean(&mut self) {
        let Self { subject, issuer, names, not_before: _, not_after: _, sha256, pin, serial, key, signature, is_ca: _ } =
            self;
        all([subject, issuer, sha256, pin, serial, key, signature], []);
        all(names, []);
    }
}

impl DnsEvidence {
    fn clean(&mut self) {
        let Self { transport, rcode, answers, ttl_s: _, flags: _, serial: _, authority, additional, dnssec, servers } =
            self;
        all([transport, rcode], []);
        all(answers.iter_mut().chain(authority).chain(additional), []);
        if let Some(DnssecEvidence { proof: _, why, questions: _ }) = dnssec {
            all([], [why]);
        }
        for DnsServerEvidence { server, rcode, answers, serial: _, duration_us: _, reason: _ } in servers {
            all(answers.iter_mut().chain([server]), [rcode]);
        }
    }
}

fn all<'a, const N: usize>(texts: impl IntoIterator<Item = &'a mut String>, some: [&'a mut Option<String>; N]) {
    for text in texts.into_iter().chain(some.into_iter().flatten()) {
        *text = clean(text, usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LOUD: &str = "\u{1b}[2J\u{202e}gone";

    /// Evidence with `text` wherever a text can be.
    fn full(text: &str) -> Value {
        let certificate = json!({
            "subject": text, "issuer": text, "names": [text], "not_before": 0, "not_after": 1, "sha256": text,
            "pin": text, "serial": text, "key": text, "signature": text,
        });
        json!({
            "parts": [{ "what": text, "outcome": "up", "detail": text, "duration_us": 1 }],
            "hops": [{ "url": text, "proxy": text, "version": text }],
            "tls": {
                "version": text, "cipher": text, "alpn": text, "chain": [certificate], "path": [text],
                "unverified": text, "ocsp": { "status": text, "doubt": text },
                "offers": [{ "asked": text, "answer": text, "taken": false }],
            },
            "dns": {
                "transport": text, "rcode": text, "answers": [text], "authority": [text], "additional": [text],
                "dnssec": { "proof": "bogus", "why": text, "questions": 1 },
                "servers": [{ "server": text, "rcode": text, "answers": [text], "duration_us": 1 }],
            },
            "response": { "status": 500, "version": text, "headers": [[text, text]], "body": text, "encoding": text },
            "expectations": [{ "what": text, "verdict": "unmet", "seen": text }],
        })
    }

    #[test]
    fn no_text_of_evidence_can_draw_on_a_terminal_and_what_was_clean_stays_as_it_was() {
        let read = |value: Value| serde_json::from_value::<Evidence>(value).unwrap();
        let mut loud = read(full(LOUD));
        let before = serde_json::to_string(&loud).unwrap();
        assert_eq!(
            before.matches("gone").count(),
            full(LOUD).to_string().matches("gone").count(),
            "all of it was read"
        );
        loud.clean();
        assert_eq!(loud, read(full(" [2J gone")));
    }
}
