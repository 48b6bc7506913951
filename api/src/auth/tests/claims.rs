//! What a token must say, and by which key it must be signed.

use aws_lc_rs::hmac;

use super::super::key::KeySet;
use super::*;

/// One key named `k`.
fn one() -> (DevKeys, Value, Verifier) {
    let keys = DevKeys::generate();
    let jwk = named(keys.jwk(), "k");
    let verifier = fixed(&[&jwk], &Time::new());
    (keys, jwk, verifier)
}

async fn code_of_claims(claims: Value) -> &'static str {
    let (keys, _, verifier) = one();
    code(&verifier, &keys.sign(&header("ES256", "k"), &claims)).await
}

async fn code_of_header(header: Value) -> &'static str {
    let (keys, _, verifier) = one();
    code(&verifier, &keys.sign(&header, &claims())).await
}

#[tokio::test]
async fn a_right_token_names_its_caller() {
    let (keys, _, verifier) = one();
    let caller = verifier.verify(&keys.sign(&header("ES256", "k"), &claims())).await.unwrap();
    assert_eq!(caller.actor, "subject:u-1");
    assert_eq!(caller.subject.as_deref(), Some("u-1"));
    assert!(caller.subjects.is_empty());
}

#[tokio::test]
async fn a_right_rsa_token_is_taken_and_one_by_another_rsa_key_is_not() {
    let (rsa, other) = (Rsa::generate(), Rsa::generate());
    let verifier = fixed(&[&rsa.jwk("r")], &Time::new());
    assert_eq!(code(&verifier, &rsa.sign(&header("RS256", "r"), &claims())).await, "ok");
    assert_eq!(code(&verifier, &other.sign(&header("RS256", "r"), &claims())).await, "signature");
}

#[tokio::test]
async fn a_minted_token_is_taken_by_the_verifier_of_its_key() {
    use secrecy::ExposeSecret as _;
    let (keys, time) = (DevKeys::generate(), Time::new());
    let verifier = keys.verifier(ISSUER, AUDIENCE, time.clock());
    let grant = super::super::Grant {
        issuer: ISSUER,
        audience: AUDIENCE,
        sub: "c-1",
        scope: "headwater.clinician",
        subjects: &["p-1", "p-2"],
        issued_at: NOW,
        lifetime_seconds: 60,
    };
    let token = keys.mint(&grant);
    let caller = verifier.verify(token.expose_secret()).await.unwrap();
    assert_eq!((caller.actor.as_str(), caller.subjects.as_slice()), ("clinician:c-1", ["p-1".into(), "p-2".into()].as_slice()));
    time.turn(60 + 30);
    assert_eq!(code(&verifier, token.expose_secret()).await, "expired");
}

#[tokio::test]
async fn another_audience_or_none_is_refused() {
    assert_eq!(code_of_claims(claims_with("aud", "billing")).await, "audience");
    assert_eq!(code_of_claims(claims_with("aud", "headwater billing")).await, "audience");
    assert_eq!(code_of_claims(claims_with("aud", json!(["billing"]))).await, "audience");
    assert_eq!(code_of_claims(claims_without("aud")).await, "audience");
    assert_eq!(code_of_claims(claims_with("aud", json!(["billing", AUDIENCE]))).await, "ok");
}

#[tokio::test]
async fn another_issuer_or_none_is_refused() {
    assert_eq!(code_of_claims(claims_with("iss", "https://id.example.org")).await, "issuer");
    assert_eq!(code_of_claims(claims_with("iss", format!("{ISSUER}/"))).await, "issuer");
    assert_eq!(code_of_claims(claims_without("iss")).await, "issuer");
}

#[tokio::test]
async fn a_token_ends_at_its_exp_and_the_leeway() {
    assert_eq!(code_of_claims(claims_with("exp", NOW - 29)).await, "ok");
    assert_eq!(code_of_claims(claims_with("exp", NOW - 30)).await, "expired");
    assert_eq!(code_of_claims(claims_with("exp", (NOW - 30) as f64 + 0.5)).await, "expired");
    assert_eq!(code_of_claims(claims_with("exp", 1e300)).await, "ok");
    assert_eq!(code_of_claims(claims_with("exp", -1e300)).await, "expired");
    assert_eq!(code_of_claims(claims_with("exp", (NOW + 600).to_string())).await, "malformed");
    assert_eq!(code_of_claims(claims_without("exp")).await, "malformed");
}

#[tokio::test]
async fn a_token_begins_at_its_nbf_less_the_leeway() {
    assert_eq!(code_of_claims(claims_with("nbf", NOW + 30)).await, "ok");
    assert_eq!(code_of_claims(claims_with("nbf", NOW + 31)).await, "not_yet");
    assert_eq!(code_of_claims(claims_with("nbf", "soon")).await, "malformed");
}

#[tokio::test]
async fn a_wrong_key_under_the_right_kid_is_refused() {
    let (_, _, verifier) = one();
    assert_eq!(code(&verifier, &token(&DevKeys::generate(), "k")).await, "signature");
}

#[tokio::test]
async fn a_changed_payload_is_refused() {
    let (keys, _, verifier) = one();
    let good = keys.sign(&header("ES256", "k"), &claims());
    let signature = good.rsplit_once('.').unwrap().1;
    let forged = unsigned(&header("ES256", "k"), &claims_with("scope", "headwater.operator"));
    assert_eq!(code(&verifier, &format!("{forged}.{signature}")).await, "signature");
    assert_eq!(code(&verifier, &format!("{forged}.")).await, "signature");
}

#[tokio::test]
async fn no_algorithm_is_refused_signed_or_not() {
    let (_, _, verifier) = one();
    for alg in ["none", "None", "NONE", ""] {
        assert_eq!(code(&verifier, &format!("{}.", unsigned(&header(alg, "k"), &claims()))).await, "algorithm");
        assert_eq!(code_of_header(header(alg, "k")).await, "algorithm");
    }
    assert_eq!(code_of_header(json!({ "kid": "k" })).await, "malformed");
}

#[tokio::test]
async fn an_hmac_with_the_public_key_as_its_secret_is_refused() {
    let (_, jwk, verifier) = one();
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    for secret in [point.as_slice(), jwk.to_string().as_bytes()] {
        for alg in ["HS256", "ES256"] {
            let signed = unsigned(&header(alg, "k"), &claims());
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
            let refused = code(&verifier, &format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))).await;
            assert_eq!(refused, if alg == "HS256" { "algorithm" } else { "signature" });
        }
    }
}

#[tokio::test]
async fn the_header_does_not_choose_the_algorithm_of_a_key() {
    let (keys, jwk, verifier) = one();
    let rsa = Rsa::generate();
    assert_eq!(code(&verifier, &rsa.sign(&header("RS256", "k"), &claims())).await, "algorithm");
    assert_eq!(code(&verifier, &keys.sign(&header("RS256", "k"), &claims())).await, "algorithm");
    for alg in ["RS512", "PS256", "ES384", "EdDSA", "es256"] {
        assert_eq!(code_of_header(header(alg, "k")).await, "algorithm");
    }
    let both = fixed(&[&jwk, &rsa.jwk("r")], &Time::new());
    assert_eq!(code(&both, &keys.sign(&header("ES256", "r"), &claims())).await, "algorithm");
    assert_eq!(code(&both, &rsa.sign(&header("RS256", "k"), &claims())).await, "algorithm");
    assert_eq!(code(&both, &rsa.sign(&header("RS256", "r"), &claims())).await, "ok");
}

#[tokio::test]
async fn keys_in_the_header_are_not_looked_at() {
    let (_, _, verifier) = one();
    let attacker = DevKeys::generate();
    let mut embedded = header("ES256", "k");
    embedded["jwk"] = attacker.jwk();
    assert_eq!(code(&verifier, &attacker.sign(&embedded, &claims())).await, "signature");
}

#[tokio::test]
async fn critical_extensions_are_refused() {
    let critical = |list: Value| json!({ "alg": "ES256", "kid": "k", "crit": list, "b64": false });
    assert_eq!(code_of_header(critical(json!(["b64"]))).await, "malformed");
    assert_eq!(code_of_header(critical(json!([]))).await, "malformed");
    assert_eq!(code_of_header(critical(Value::Null)).await, "malformed");
}

#[tokio::test]
async fn a_token_without_kid_needs_a_set_with_one_key_of_its_algorithm() {
    let (keys, other, rsa) = (DevKeys::generate(), DevKeys::generate(), Rsa::generate());
    let token = keys.sign(&json!({ "alg": "ES256" }), &claims());
    let time = Time::new();
    assert_eq!(code(&fixed(&[&keys.jwk()], &time), &token).await, "ok");
    assert_eq!(code(&fixed(&[&keys.jwk(), &rsa.jwk("r")], &time), &token).await, "ok");
    assert_eq!(code(&fixed(&[&keys.jwk(), &other.jwk()], &time), &token).await, "unknown_key");
    assert_eq!(code(&fixed(&[&rsa.jwk("r")], &time), &token).await, "unknown_key");
    assert_eq!(code_of_header(json!({ "alg": "ES256", "kid": 7 })).await, "malformed");
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let (keys, _, verifier) = one();
    let good = keys.sign(&header("ES256", "k"), &claims());
    for text in ["", ".", "..", "a.b", "a.b.c", &format!("{good}.x"), &format!("x.{good}"), &good[..good.find('.').unwrap()]] {
        assert_eq!(code(&verifier, text).await, "malformed", "{} characters", text.len());
    }
    assert_eq!(code(&verifier, &format!("{good}=")).await, "signature");
    let long = keys.sign(&header("ES256", "k"), &claims_with("pad", "x".repeat(8 * 1024)));
    assert_eq!(code(&verifier, &long).await, "malformed");
    let below = keys.sign(&header("ES256", "k"), &claims_with("pad", "x".repeat(5 * 1024)));
    assert_eq!(code(&verifier, &below).await, "ok");
}

#[tokio::test]
async fn ids_are_bounded_and_never_cut() {
    assert_eq!(code_of_claims(claims_with("sub", "é".repeat(200))).await, "ok");
    assert_eq!(code_of_claims(claims_with("sub", "é".repeat(201))).await, "malformed");
    for sub in [json!(""), json!("a\nb"), json!(7), Value::Null] {
        assert_eq!(code_of_claims(claims_with("sub", sub)).await, "malformed");
    }
    assert_eq!(code_of_claims(claims_without("sub")).await, "malformed");
}

#[test]
fn keys_for_other_uses_are_left_out() {
    let count = |jwk: Value| KeySet::parse(set(&[&jwk]).as_bytes()).unwrap().len();
    let (ec, rsa) = (DevKeys::generate().jwk(), Rsa::generate().jwk("r"));
    let changed = |jwk: &Value, name: &str, value: Value| count(changed(jwk.clone(), name, value));
    assert_eq!((count(ec.clone()), count(rsa.clone())), (1, 1));
    for (name, value) in [("use", json!("enc")), ("use", json!(1)), ("key_ops", json!(["sign"])), ("key_ops", json!("verify"))] {
        assert_eq!(changed(&ec, name, value), 0, "{name}");
    }
    assert_eq!(changed(&ec, "key_ops", json!(["verify"])), 1);
    for (name, value) in
        [("crv", "P-384"), ("kty", "oct"), ("kty", "OKP"), ("alg", "RS256"), ("alg", "ECDH-ES"), ("x", "AAAA"), ("d", "AA")]
    {
        assert_eq!(changed(&ec, name, json!(value)), 0, "{name} {value}");
    }
    assert_eq!(changed(&ec, "y", ec["x"].clone()), 0, "a point that is not on the curve");
    assert_eq!(changed(&ec, "kid", json!(7)), 0);
    for (name, value) in
        [("alg", "RS512"), ("alg", "PS256"), ("alg", "RSA-OAEP"), ("e", "AQ"), ("e", "AAAB"), ("e", "AgAA"), ("e", "")]
    {
        assert_eq!(changed(&rsa, name, json!(value)), 0, "{name} {value}");
    }
    let modulus = |bits: usize| {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        bytes[0] >>= bytes.len() * 8 - bits;
        json!(URL_SAFE_NO_PAD.encode([vec![0; 64], bytes].concat()))
    };
    for (bits, used) in [(1024, 0), (2047, 0), (2048, 1), (8192, 1), (8193, 0)] {
        assert_eq!(changed(&rsa, "n", modulus(bits)), used, "{bits} bits");
    }
}

#[test]
fn what_is_no_key_set_is_told_from_an_empty_one() {
    assert!(KeySet::parse(b"{}").is_none());
    assert!(KeySet::parse(b"<html>").is_none());
    assert_eq!(KeySet::parse(br#"{"keys":[1,{"kty":"future"}]}"#).unwrap().len(), 0);
}
