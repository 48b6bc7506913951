//! Calls to webhooks: the matrix of handshakes, and what becomes of a signature that is changed in every way a signature can be wrong.

use base64::Engine as _;
use headwater_schemas::hint::Change;
use headwater_sources::keys::Keys;
use headwater_sources::source::{Entry, Inbound, Receipt, Refusal};
use headwater_sources::{ALL, Source};
use hmac::Hmac;
use serde::Deserialize;

use super::folder;

const NOW: i64 = 1_790_000_000_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contract {
    keys: KeyFile,
    /// Absent where nothing is signed, or where the source proves its signature in tests of its own.
    sign: Option<Sign>,
    calls: Vec<Call>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct KeyFile {
    path_secret: Option<String>,
    client_secret: Option<String>,
    verification_code: Option<String>,
    signing_key: Option<String>,
    subscription: Option<String>,
    authorization: Option<String>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Sign {
    header: String,
    algorithm: String,
    /// `base64`, `hex` or `HEX`.
    encoding: String,
    /// Which of the keys.
    key: String,
    #[serde(default)]
    key_suffix: String,
    /// What is signed: `{timestamp}` and `{body}` are put in.
    over: String,
    /// What stands in the header: `{timestamp}` and `{signature}` are put in.
    value: String,
    timestamp: Option<Timestamp>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Timestamp {
    /// Of its own; else it stands in the signature's.
    header: Option<String>,
    unit: String,
    tolerance_s: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    name: String,
    method: String,
    #[serde(default)]
    tail: String,
    #[serde(default)]
    query: String,
    #[serde(default)]
    sign: bool,
    body: String,
    status: u16,
    #[serde(default)]
    entries: usize,
    #[serde(default)]
    ignored: u32,
    #[serde(default)]
    revoked: usize,
    answer: Option<String>,
}

fn contract(source: &dyn Source) -> Option<Contract> {
    let text = std::fs::read(folder(source).join("contract.json")).ok()?;
    Some(serde_json::from_slice(&text).unwrap_or_else(|e| panic!("contract.json of {}: {e}", source.profile().id)))
}

impl Contract {
    fn keys(&self) -> Keys {
        Keys {
            path_secret: self.keys.path_secret.clone(),
            client_secret: self.keys.client_secret.clone(),
            verification_code: self.keys.verification_code.clone(),
            signing_key: self.keys.signing_key.clone(),
            subscription: self.keys.subscription.clone(),
            authorization: self.keys.authorization.clone(),
            ..Keys::default()
        }
    }

    fn secret(&self, sign: &Sign) -> String {
        let key = match sign.key.as_str() {
            "client_secret" => &self.keys.client_secret,
            "signing_key" => &self.keys.signing_key,
            other => panic!("no key is called {other}"),
        };
        key.clone().expect("the key is among the keys")
    }
}

impl Sign {
    /// Header values for a body.
    fn headers(&self, secret: &str, body: &str, at: i64) -> Vec<(String, String)> {
        let stamp = match self.timestamp.as_ref().map(|t| t.unit.as_str()) {
            Some("ms") => (at / 1000).to_string(),
            Some("s") => (at / 1_000_000).to_string(),
            Some(other) => panic!("no unit is called {other}"),
            None => String::new(),
        };
        let over = self.over.replace("{timestamp}", &stamp).replace("{body}", body);
        let key = format!("{secret}{}", self.key_suffix);
        let mac = match self.algorithm.as_str() {
            "hmac-sha256" => mac::<Hmac<sha2::Sha256>>(&key, &over),
            "hmac-sha1" => mac::<Hmac<sha1::Sha1>>(&key, &over),
            other => panic!("no algorithm is called {other}"),
        };
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = match self.encoding.as_str() {
            "base64" => base64::engine::general_purpose::STANDARD.encode(&mac),
            "hex" => hex,
            "HEX" => hex.to_uppercase(),
            other => panic!("no encoding is called {other}"),
        };
        let value = self.value.replace("{timestamp}", &stamp).replace("{signature}", &signature);
        let mut headers = vec![(self.header.clone(), value)];
        headers.extend(self.timestamp.as_ref().and_then(|t| t.header.clone()).map(|name| (name, stamp)));
        headers
    }
}

fn mac<M: hmac::Mac + hmac::digest::KeyInit>(key: &str, over: &str) -> Vec<u8> {
    let mut mac = <M as hmac::Mac>::new_from_slice(key.as_bytes()).expect("any key");
    mac.update(over.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn receive(source: &dyn Source, keys: &Keys, call: &Call, headers: &[(String, String)], body: &str) -> Result<Receipt, Refusal> {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
    source.receive(&Inbound {
        method: &call.method,
        tail: &call.tail,
        query: &call.query,
        headers: &headers,
        body: body.as_bytes(),
        keys,
        now: NOW,
    })
}

#[test]
fn every_source_that_is_called_says_how() {
    for source in ALL.iter().filter(|s| s.profile().webhook.is_some()) {
        assert!(contract(*source).is_some_and(|c| c.calls.len() > 2), "{} has no contract.json", source.profile().id);
    }
}

#[test]
fn handshakes_and_calls_are_answered_as_the_contract_says() {
    for source in ALL {
        let Some(contract) = contract(*source) else { continue };
        let keys = contract.keys();
        for call in &contract.calls {
            let what = format!("{}: {}", source.profile().id, call.name);
            let headers = match (&contract.sign, call.sign) {
                (Some(sign), true) => sign.headers(&contract.secret(sign), &call.body, NOW),
                _ => vec![],
            };
            match receive(*source, &keys, call, &headers, &call.body) {
                Ok(receipt) => {
                    assert_eq!(
                        (receipt.status, receipt.entries.len(), receipt.ignored),
                        (call.status, call.entries, call.ignored),
                        "{what}"
                    );
                    let revoked = |e: &&Entry| matches!(e, Entry::Hint(notice) if notice.change == Change::Revoked);
                    assert_eq!(receipt.entries.iter().filter(revoked).count(), call.revoked, "{what}");
                    if let Some(answer) = &call.answer {
                        assert_eq!(std::str::from_utf8(&receipt.body), Ok(answer.as_str()), "{what}");
                    }
                }
                Err(refusal) => assert_eq!(refusal.status, call.status, "{what}: {refusal}"),
            }
        }
    }
}

#[test]
fn a_signature_that_is_wrong_in_any_way_is_refused() {
    let mut tried = 0;
    for source in ALL {
        let Some(contract) = contract(*source) else { continue };
        let (Some(sign), keys) = (&contract.sign, contract.keys()) else { continue };
        let secret = contract.secret(sign);
        for call in contract.calls.iter().filter(|c| c.sign && c.status < 300) {
            let what = |how: &str| format!("{}: {} with {how}", source.profile().id, call.name);
            let status = |headers: &[(String, String)], body: &str| {
                receive(*source, &keys, call, headers, body).map_or_else(|refusal| refusal.status, |receipt| receipt.status)
            };
            let right = sign.headers(&secret, &call.body, NOW);
            assert_eq!(status(&right, &call.body), call.status, "{}", what("the right signature"));
            assert_eq!(status(&sign.headers("another", &call.body, NOW), &call.body), 401, "{}", what("another secret"));
            let respaced = call.body.replacen(':', " :", 1);
            assert_ne!(respaced, call.body);
            assert_eq!(status(&right, &respaced), 401, "{}", what("other spacing"));
            assert_eq!(status(&[], &call.body), 401, "{}", what("no signature"));
            for (index, _) in right.iter().enumerate() {
                let mut less = right.clone();
                less.remove(index);
                assert_eq!(status(&less, &call.body), 401, "{}", what("a header less"));
                let mut empty = right.clone();
                empty[index].1.clear();
                assert_eq!(status(&empty, &call.body), 401, "{}", what("an empty header"));
                let mut odd = right.clone();
                odd[index].1.push('%');
                assert_eq!(status(&odd, &call.body), 401, "{}", what("a header more"));
            }
            // Hex is the same in either case; nothing else is.
            let other = |text: &str| -> String {
                text.chars()
                    .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
                    .collect()
            };
            let mut cased = right.clone();
            let start = cased[0].1.rfind('=').filter(|_| sign.encoding != "base64").map_or(0, |at| at + 1);
            cased[0].1 = format!("{}{}", &right[0].1[..start], other(&right[0].1[start..]));
            let expected = if sign.encoding == "base64" { 401 } else { call.status };
            assert_eq!(status(&cased, &call.body), expected, "{}", what("the other case"));
            if let Some(tolerance) = sign.timestamp.as_ref().and_then(|t| t.tolerance_s) {
                for away in [-(tolerance + 1), tolerance + 1] {
                    let stale = sign.headers(&secret, &call.body, NOW + away * 1_000_000);
                    assert_eq!(status(&stale, &call.body), 401, "{}", what("a stale timestamp"));
                }
            }
            let unset = Keys { client_secret: None, signing_key: None, ..keys.clone() };
            let answered = receive(*source, &unset, call, &right, &call.body).map_or_else(|r| r.status, |r| r.status);
            assert_eq!(answered, 401, "{}", what("no key configured"));
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried} signed calls");
}

#[test]
fn a_secret_path_is_the_whole_secret() {
    for source in ALL.iter().filter(|s| s.profile().webhook.as_ref().is_some_and(|w| w.secret_path)) {
        let contract = contract(*source).expect("a contract");
        for call in contract.calls.iter().filter(|c| c.status < 300) {
            for tail in ["", "s", "guess"] {
                let call = Call {
                    tail: tail.into(),
                    name: String::new(),
                    method: call.method.clone(),
                    query: String::new(),
                    body: String::new(),
                    answer: None,
                    ..*call
                };
                let answered = receive(*source, &contract.keys(), &call, &[], "{}").map_or_else(|r| r.status, |r| r.status);
                assert_eq!(answered, 401, "{} with {tail:?}", source.profile().id);
            }
        }
        let call = &contract.calls[0];
        assert!(receive(*source, &Keys::default(), call, &[], &call.body).is_err(), "an unset secret opens nothing");
    }
}
