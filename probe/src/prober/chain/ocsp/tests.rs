use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, SerialNumber, SigningKey};

use super::super::der::BIT_STRING;
use super::*;
use crate::prober::chain::parsed;
use crate::prober::trust::provider;

const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);
const BEFORE: &str = "20260101000000Z";
const AFTER: &str = "20270101000000Z";

/// A value of DER.
fn der(tag: u8, inside: &[&[u8]]) -> Vec<u8> {
    let inside = inside.concat();
    let length = u16::try_from(inside.len()).unwrap().to_be_bytes();
    [&[tag, 0x82][..], &length, &inside].concat()
}

/// A response before it is signed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) status: Status,
    pub(crate) this_update: &'static str,
    pub(crate) next_update: Option<&'static str>,
    pub(crate) serial: u8,
}

impl Default for Draft {
    fn default() -> Self {
        Self { status: Status::Good, this_update: BEFORE, next_update: Some(AFTER), serial: 7 }
    }
}

impl Draft {
    /// The response about `own`, whose issuer has `issuer_key`, signed by `by` (ECDSA P-256, SHA-256).
    pub(crate) fn signed(
        &self,
        own: &CertificateDer<'_>,
        issuer_key: &[u8],
        by: &KeyPair,
        signers: &[&[u8]],
    ) -> Vec<u8> {
        let own = parsed(own).unwrap();
        let mut key = Der(issuer_key).inside(SEQUENCE).unwrap();
        let _kind = key.any();
        let hash = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec();
        let id = der(
            SEQUENCE,
            &[
                &der(SEQUENCE, &[&der(OID, &[OID_SHA1])]),
                &der(OCTETS, &[&hash(own.issuer().as_raw())]),
                &der(OCTETS, &[&hash(key.bits().unwrap())]),
                &der(INTEGER, &[&[self.serial]]),
            ],
        );
        let status = match self.status {
            Status::Good => der(0x80, &[]),
            Status::Revoked => der(0xa1, &[&der(0x18, &[BEFORE.as_bytes()])]),
            Status::Unknown => der(0x82, &[]),
        };
        let next = self.next_update.map(|next| der(0xa0, &[&der(0x18, &[next.as_bytes()])])).unwrap_or_default();
        let single = der(SEQUENCE, &[&id, &status, &der(0x18, &[self.this_update.as_bytes()]), &next]);
        let responder = der(0xa2, &[&der(OCTETS, &[&[0; 20]])]);
        let data = der(SEQUENCE, &[&responder, &der(0x18, &[BEFORE.as_bytes()]), &der(SEQUENCE, &[&single])]);
        let ecdsa_sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        // As short as it can be written: it is compared byte by byte.
        let algorithm = [&[SEQUENCE, 10, OID, 8][..], &ecdsa_sha256].concat();
        let signature = der(BIT_STRING, &[&[0], &by.sign(&data).unwrap()]);
        let signers = if signers.is_empty() { Vec::new() } else { der(0xa0, &[&der(SEQUENCE, signers)]) };
        let basic = der(SEQUENCE, &[&data, &algorithm, &signature, &signers]);
        let bytes = der(SEQUENCE, &[&der(OID, &[BASIC]), &der(OCTETS, &[&basic])]);
        der(SEQUENCE, &[&der(ENUMERATED, &[&[0]]), &der(0xa0, &[&bytes])])
    }
}

struct Scene {
    issuer: KeyPair,
    issuer_params: CertificateParams,
    own: CertificateDer<'static>,
}

fn scene() -> Scene {
    let issuer = KeyPair::generate().unwrap();
    let mut issuer_params = CertificateParams::default();
    issuer_params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let mut own = CertificateParams::default();
    own.serial_number = Some(SerialNumber::from(7));
    let key = KeyPair::generate().unwrap();
    let own = own.signed_by(&key, &rcgen::Issuer::from_params(&issuer_params, &issuer)).unwrap().der().clone();
    Scene { issuer, issuer_params, own }
}

/// A certificate that `scene`'s issuer signed for `signer`.
fn signer(scene: &Scene, signer: &KeyPair, purposes: Vec<ExtendedKeyUsagePurpose>) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.extended_key_usages = purposes;
    params.signed_by(signer, &rcgen::Issuer::from_params(&scene.issuer_params, &scene.issuer)).unwrap().der().clone()
}

fn key_of(pair: &KeyPair) -> Vec<u8> {
    use rcgen::PublicKeyData;
    pair.subject_public_key_info()
}

fn ask(staple: &[u8], scene: &Scene) -> Result<Stapled, String> {
    ask_of(staple, &scene.own, &key_of(&scene.issuer))
}

fn ask_of(staple: &[u8], own: &CertificateDer<'_>, key: &[u8]) -> Result<Stapled, String> {
    let issuer = Issuer { key: Some(key), algorithms: provider().signature_verification_algorithms };
    of(staple, own, issuer).map(|said| said.believed(issuer, NOW))
}

#[test]
fn a_response_is_believed_where_the_issuer_or_whom_it_lets_sign_has_signed_it_in_date() {
    let scene = scene();
    let key = key_of(&scene.issuer);
    let stranger = KeyPair::generate().unwrap();
    let may = signer(&scene, &stranger, vec![ExtendedKeyUsagePurpose::OcspSigning]);
    let may_not = signer(&scene, &stranger, vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let draft = Draft::default();
    let table = [
        ("the issuer", draft.signed(&scene.own, &key, &scene.issuer, &[]), None),
        ("a delegate", draft.signed(&scene.own, &key, &stranger, &[&may]), None),
        ("no delegate", draft.signed(&scene.own, &key, &stranger, &[&may_not]), Some("its signature")),
        ("a stranger", draft.signed(&scene.own, &key, &stranger, &[]), Some("its signature")),
        (
            "of last year",
            Draft { next_update: Some("20260102000000Z"), ..draft.clone() }.signed(
                &scene.own,
                &key,
                &scene.issuer,
                &[],
            ),
            Some("it is out of date"),
        ),
        (
            "of next year",
            Draft { this_update: AFTER, next_update: None, ..draft }.signed(&scene.own, &key, &scene.issuer, &[]),
            Some("it is from the future"),
        ),
    ];
    for (by, staple, doubt) in table {
        let stapled = ask(&staple, &scene).unwrap_or_else(|error| panic!("{by}: {error}"));
        assert_eq!(stapled.status, Status::Good, "{by}");
        let told = stapled.doubt.as_deref();
        assert!(doubt.map_or(told.is_none(), |doubt| told.unwrap().starts_with(doubt)), "{by}: {told:?}");
    }
}

#[test]
fn each_status_is_told_and_a_response_about_another_is_of_no_use() {
    let (scene, other) = (scene(), scene());
    let key = key_of(&scene.issuer);
    for status in [Status::Good, Status::Revoked, Status::Unknown] {
        let staple = Draft { status, ..Draft::default() }.signed(&scene.own, &key, &scene.issuer, &[]);
        assert_eq!(ask(&staple, &scene).unwrap().status, status);
    }
    let another = "the stapled OCSP response is about another certificate";
    let serial = Draft { serial: 8, ..Draft::default() }.signed(&scene.own, &key, &scene.issuer, &[]);
    assert_eq!(ask(&serial, &scene).unwrap_err(), another);
    let issuer = Draft::default().signed(&scene.own, &key_of(&other.issuer), &scene.issuer, &[]);
    assert_eq!(ask(&issuer, &scene).unwrap_err(), another);
    assert!(ask(&der(SEQUENCE, &[&der(ENUMERATED, &[&[3]])]), &scene).unwrap_err().contains("an error, number 3"));
    assert!(ask(&vec![0; MAX_STAPLE + 1], &scene).unwrap_err().contains("larger than any"));
}

#[test]
fn fuzz_no_change_of_a_response_makes_it_believed() {
    let scene = scene();
    let whole = Draft { status: Status::Revoked, ..Draft::default() }.signed(
        &scene.own,
        &key_of(&scene.issuer),
        &scene.issuer,
        &[],
    );
    let wanted = ask(&whole, &scene).unwrap();
    assert_eq!(wanted.doubt, None);
    let (own, key) = (scene.own.clone(), key_of(&scene.issuer));
    bolero::check!().with_type::<(u16, u8, Option<u16>)>().for_each(|(place, with, cut)| {
        let mut staple = whole.clone();
        let place = usize::from(*place) % staple.len();
        staple[place] ^= with;
        staple.truncate(cut.map_or(staple.len(), usize::from));
        if let Ok(stapled) = ask_of(&staple, &own, &key)
            && stapled.doubt.is_none()
        {
            // What is not signed may be changed: it does not change what is said.
            assert_eq!(stapled, wanted, "byte {place}");
        }
    });
}

#[test]
fn fuzz_no_bytes_make_the_reader_panic() {
    let scene = scene();
    let (own, key) = (scene.own.clone(), key_of(&scene.issuer));
    bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
        let _any = ask_of(bytes, &own, &key);
        let mut reader = Der(bytes);
        let mut sum = 0;
        while let Some(value) = reader.any() {
            sum += value.whole.len();
        }
        assert_eq!(sum + reader.0.len(), bytes.len(), "no byte is read twice or lost");
    });
}
