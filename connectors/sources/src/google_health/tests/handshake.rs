//! What the webhook answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::json;

use super::super::GoogleHealth;
use crate::keys::Keys;
use crate::source::{Entry, Inbound, Notice, Receipt, Refusal, Source, Window};

const SECRET: &str = "Bearer correct-horse";
const DATA: &[u8] = br#"{"data":{"version":"1","clientProvidedSubscriptionName":"s","healthUserId":"person-1","operation":"UPSERT","dataType":"steps","intervals":[{"physicalTimeInterval":{"startTime":"2026-10-05T14:00:00Z","endTime":"2026-10-05T15:00:00Z"}}]}}"#;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

/// A protobuf EcdsaPublicKey with coordinates as Tink writes them: no zeros in front but one before a high bit, or `width` bytes.
fn public_key(key: &SigningKey, width: Option<usize>) -> Vec<u8> {
    let point = key.verifying_key().to_encoded_point(false);
    let mut out = vec![0x12, 6, 0x08, 3, 0x10, 2, 0x18, 2];
    for (tag, coordinate) in [(0x1a, point.x().unwrap()), (0x22, point.y().unwrap())] {
        let first = coordinate.iter().position(|b| *b != 0).unwrap();
        let mut number = coordinate[first..].to_vec();
        match width {
            Some(width) => number = [vec![0; width - number.len()], number].concat(),
            None if number[0] & 0x80 != 0 => number.insert(0, 0),
            None => {}
        }
        out.extend([tag, u8::try_from(number.len()).unwrap()]);
        out.extend(number);
    }
    out
}

fn keyset(id: u32, status: &str, key: &[u8]) -> Vec<u8> {
    json!({"primaryKeyId": id, "key": [{"keyId": id, "status": status, "outputPrefixType": "TINK", "keyData": {
        "typeUrl": "type.googleapis.com/google.crypto.tink.EcdsaPublicKey", "keyMaterialType": "ASYMMETRIC_PUBLIC", "value": STANDARD.encode(key)}}]})
    .to_string()
    .into_bytes()
}

fn tinked(id: u32, der: &[u8]) -> String {
    STANDARD.encode([&[1], id.to_be_bytes().as_slice(), der].concat())
}

fn sign(id: u32, key: &SigningKey, body: &[u8]) -> String {
    let signature: Signature = key.sign(body);
    tinked(id, signature.to_der().as_bytes())
}

struct Call {
    keys: Keys,
    authorization: Option<&'static str>,
    signature: Option<(&'static str, String)>,
    method: &'static str,
    tail: &'static str,
}

impl Call {
    fn new() -> Self {
        let keys = Keys {
            authorization: Some(SECRET.into()),
            keyset: Some(keyset(7, "ENABLED", &public_key(&key(3), None))),
            ..Keys::default()
        };
        Self { keys, authorization: Some(SECRET), signature: None, method: "POST", tail: "" }
    }

    fn signed(body: &[u8]) -> Self {
        Self { signature: Some(("google-health-api-signature", sign(7, &key(3), body))), ..Self::new() }
    }

    fn send(&self, body: &[u8]) -> Result<Receipt, Refusal> {
        let mut headers: Vec<(&str, &[u8])> = Vec::new();
        headers.extend(self.authorization.map(|value| ("authorization", value.as_bytes())));
        headers.extend(self.signature.as_ref().map(|(name, value)| (*name, value.as_bytes())));
        let Self { keys, method, tail, .. } = self;
        GoogleHealth.receive(&Inbound { method, tail, query: "", headers: &headers, body, keys, now: 0 })
    }
}

fn notices(receipt: &Receipt) -> Vec<&Notice> {
    let mut notices = Vec::new();
    for entry in &receipt.entries {
        let Entry::Hint(notice) = entry else { panic!("a notification carries no data") };
        notices.push(notice);
    }
    notices
}

#[test]
fn the_handshake_is_answered_201_with_the_secret_and_401_without() {
    let body = br#"{"type":"verification"}"#;
    assert_eq!(Call::new().send(body).unwrap(), Receipt::status(201));
    for authorization in [None, Some(""), Some("Bearer wrong"), Some("bearer correct-horse")] {
        let refusal = Call { authorization, ..Call::new() }.send(body).unwrap_err();
        assert_eq!((refusal.status, refusal.unknown_key), (401, false), "{authorization:?}");
    }
    let mut unset = Call::new();
    unset.keys.authorization = None;
    assert_eq!(unset.send(body).unwrap_err().status, 401);
}

#[test]
fn a_signed_handshake_needs_the_secret_too() {
    let body = br#"{ "type": "verification" }"#;
    assert_eq!(Call::signed(body).send(body).unwrap().status, 201);
    assert_eq!(Call { authorization: None, ..Call::signed(body) }.send(body).unwrap_err().status, 401);
}

#[test]
fn a_notification_is_answered_204_and_names_person_streams_and_window() {
    let receipt = Call::signed(DATA).send(DATA).unwrap();
    assert_eq!((receipt.status, receipt.ignored, receipt.body.len()), (204, 0, 0));
    let notices = notices(&receipt);
    assert_eq!((notices[0].user.as_str(), notices[0].streams.as_slice()), ("person-1", ["steps", "steps-daily"].as_slice()));
    assert_eq!(notices[0].window, Some(Window { start: 1_791_208_800_000_000, end: 1_791_212_400_000_000 }));
}

#[test]
fn both_names_of_the_signature_header_are_read() {
    let call = Call { signature: Some(("x-healthapi-signature", sign(7, &key(3), DATA))), ..Call::new() };
    assert_eq!(call.send(DATA).unwrap().status, 204);
}

#[test]
fn a_signature_that_is_wrong_in_any_way_is_refused() {
    let der = |body: &[u8]| {
        let signature: Signature = key(3).sign(body);
        signature.to_der().as_bytes().to_vec()
    };
    let good = der(DATA);
    let cases = [
        ("of another key", sign(7, &key(4), DATA)),
        ("truncated", tinked(7, &good[..good.len() - 3])),
        ("prolonged", tinked(7, &[good.clone(), vec![0]].concat())),
        ("of nothing", tinked(7, &[])),
        ("without prefix", STANDARD.encode(&good)),
        ("of another prefix", STANDARD.encode([&[0, 0, 0, 0, 7], good.as_slice()].concat())),
        ("too short", STANDARD.encode([1, 0])),
        ("no base64", "~~~".into()),
        ("empty", String::new()),
    ];
    for (what, signature) in cases {
        let call = Call { signature: Some(("google-health-api-signature", signature)), ..Call::new() };
        let refusal = call.send(DATA).unwrap_err();
        assert_eq!((refusal.status, refusal.unknown_key), (401, false), "{what}");
    }
    let spaced = String::from_utf8(DATA.to_vec()).unwrap().replace("\":", "\": ");
    assert_eq!(Call::signed(DATA).send(spaced.as_bytes()).unwrap_err().code, "bad_signature");
    assert_eq!(Call::new().send(DATA).unwrap_err(), Refusal::new(401, "no_signature"));
}

#[test]
fn a_key_that_is_not_held_is_told_apart_so_that_the_set_can_be_fetched_again() {
    let mut call = Call::signed(DATA);
    for keyset in [
        None,
        Some(b"".to_vec()),
        Some(keyset(8, "ENABLED", &public_key(&key(3), None))),
        Some(keyset(7, "DISABLED", &public_key(&key(3), None))),
        Some(keyset(7, "ENABLED", b"\x1a\xff")),
        Some(br#"{"primaryKeyId":7}"#.to_vec()),
    ] {
        call.keys.keyset = keyset;
        assert_eq!(call.send(DATA).unwrap_err(), Refusal::unknown_key());
    }
}

#[test]
fn coordinates_are_read_with_zeros_in_front_and_without() {
    let starts_with_zero = |key: &SigningKey| key.verifying_key().to_encoded_point(false).x().unwrap()[0] == 0;
    let short = (1..=u16::MAX).find_map(|n| {
        let mut seed = [1; 32];
        seed[..2].copy_from_slice(&n.to_be_bytes());
        SigningKey::from_slice(&seed).ok().filter(starts_with_zero)
    });
    for key in [key(3), key(9), short.unwrap()] {
        for width in [None, Some(32), Some(33), Some(40)] {
            let mut call = Call { signature: Some(("google-health-api-signature", sign(7, &key, DATA))), ..Call::new() };
            call.keys.keyset = Some(keyset(7, "ENABLED", &public_key(&key, width)));
            assert_eq!(call.send(DATA).unwrap().status, 204, "{width:?}");
        }
    }
}

#[test]
fn the_secret_is_a_second_factor_that_can_be_demanded() {
    let mut call = Call { authorization: None, ..Call::signed(DATA) };
    assert_eq!(call.send(DATA).unwrap().status, 204);
    call.keys.authorization_required = true;
    assert_eq!(call.send(DATA).unwrap_err(), Refusal::new(401, "bad_authorization"));
    call.authorization = Some(SECRET);
    assert_eq!(call.send(DATA).unwrap().status, 204);
}

#[test]
fn an_array_is_many_notifications_and_what_is_unknown_is_counted() {
    let body = br#"[
        {"data":{"healthUserId":"a","operation":"DELETE","dataType":"daily_resting_heart_rate","intervals":[]}},
        {"data":{"healthUserId":"b","operation":"UPDATE","dataType":"heartRate"}},
        {"data":{"healthUserId":"b","operation":"UPSERT","dataType":"horoscope"}},
        {"data":{"operation":"UPSERT","dataType":"steps"}},
        {"type":"news"}, 7,
        {"data":{"healthUserId":"c","dataType":"weight","intervals":[
            {"physicalTimeInterval":{"startTime":"2026-10-05T14:00:00Z","endTime":"2026-10-05T14:00:00Z"}},
            {"physicalTimeInterval":{"startTime":"2026-10-01T14:00:00Z","endTime":"2026-10-01T15:00:00Z"}},
            {"civilIso8601TimeInterval":{"startTime":"2026-10-03T00:00:00","endTime":"2026-10-04T00:00:00"}},
            {"civilDateTimeInterval":{"startDateTime":{"date":{"year":2026,"month":10,"day":3}},"endDateTime":{"date":{"year":2026,"month":10,"day":4}}}},
            {"physicalTimeInterval":{"startTime":"0001-01-01T00:00:00Z"}}]}}
    ]"#;
    let receipt = Call::signed(body).send(body).unwrap();
    assert_eq!((receipt.status, receipt.ignored), (204, 4));
    let told: Vec<_> = notices(&receipt)
        .iter()
        .map(|n| (n.user.as_str(), n.streams.join(" "), n.window.map(|w| (super::rfc(w.start), (w.end - w.start) / 1_000_000))))
        .collect();
    let weight = |window| ("c", "weight".to_owned(), window);
    assert_eq!(
        told,
        [
            ("a", "daily-resting-heart-rate".to_owned(), None),
            ("b", "heart-rate heart-rate-daily".to_owned(), None),
            weight(None),
            weight(Some(("2026-10-01T14:00:00Z".to_owned(), 3600))),
            // A civil day is this long when nobody says where.
            weight(Some(("2026-10-02T10:00:00Z".to_owned(), 50 * 3600))),
            weight(Some(("2026-10-05T14:00:00Z".to_owned(), 1))),
        ]
    );
}

#[test]
fn what_is_signed_but_no_json_is_refused_and_comes_again() {
    assert_eq!(Call::signed(b"{").send(b"{").unwrap_err(), Refusal::new(400, "bad_body"));
}

#[test]
fn other_methods_and_routes_are_refused() {
    assert_eq!(Call { method: "GET", ..Call::signed(DATA) }.send(DATA).unwrap_err().status, 405);
    assert_eq!(Call { tail: "x", ..Call::signed(DATA) }.send(DATA).unwrap_err().status, 404);
}

proptest::proptest! {
    #[test]
    fn no_signature_key_set_or_body_makes_it_panic(header: Vec<u8>, keyset_bytes: Vec<u8>, key_bytes: Vec<u8>, body: Vec<u8>) {
        let mut call = Call::signed(&body);
        // Genuine bytes of any content are answered or refused.
        let _ = call.send(&body);
        call.keys.keyset = Some(keyset(7, "ENABLED", &key_bytes));
        proptest::prop_assert!(call.send(&body).unwrap_err().unknown_key);
        call.keys.keyset = Some(keyset_bytes);
        proptest::prop_assert!(call.send(&body).unwrap_err().unknown_key);
        call.signature = Some(("google-health-api-signature", STANDARD.encode([&[1, 0, 0, 0, 7], header.as_slice()].concat())));
        proptest::prop_assert!(call.send(&body).is_err());
    }
}
