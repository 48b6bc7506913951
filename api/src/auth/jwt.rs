//! Tokens: signed by the issuer's key (RFC 7515), for this audience and this moment (RFC 7519, with the advice of RFC 8725).

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::Clock;
use super::caller::{Caller, Role};
use super::denied::{Denied, Reason};
use super::jwks::Keys;
use super::key::KeySet;
use super::settings::{Settings, SetupError};

const TOKEN_MAX: usize = 8 * 1024;
/// Characters of a `sub` or the id of a subject. Longer ones are refused: cut short, two people could become one.
const ID_MAX: usize = 200;

/// Checks tokens of one issuer.
pub struct Verifier {
    settings: Settings,
    keys: Keys,
    clock: Clock,
}

impl Verifier {
    /// Asks for no key yet: the first token does.
    ///
    /// # Errors
    ///
    /// Those of [`Settings::validate`], or no HTTP client.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, SetupError> {
        let keys = Keys::new(settings.location()?, clock.clone())?;
        Ok(Self { settings, keys, clock })
    }

    /// With keys that never change: `jwks_url` and `jwks_file` of the settings are not looked at.
    pub(super) fn fixed(settings: Settings, set: KeySet, clock: Clock) -> Self {
        Self { settings, keys: Keys::fixed(set, clock.clone()), clock }
    }

    /// Who holds `token`.
    ///
    /// # Errors
    ///
    /// Every [`Reason`] but [`Reason::NoToken`]; counted and logged already.
    pub async fn verify(&self, token: &str) -> Result<Caller, Denied> {
        self.check(token).await.map_err(Denied::of)
    }

    async fn check(&self, token: &str) -> Result<Caller, Reason> {
        let token = Token::split(token)?;
        let (kid, algorithm) = token.header()?;
        self.check_signature(&token, kid.as_deref(), algorithm).await?;
        let claims = Claims(object(token.payload)?);
        self.check_claims(&claims)?;
        self.caller(&claims)
    }

    async fn check_signature(&self, token: &Token<'_>, kid: Option<&str>, algorithm: Algorithm) -> Result<(), Reason> {
        let mut set = self.keys.current().await?;
        if kid.is_some() && matches!(set.choose(kid, algorithm), Err(Reason::UnknownKey)) {
            set = self.keys.newer().await?;
        }
        let key = set.choose(kid, algorithm)?;
        if key.signed(token.signed, token.signature) { Ok(()) } else { Err(Reason::Signature) }
    }

    fn check_claims(&self, claims: &Claims) -> Result<(), Reason> {
        if claims.text("iss")? != Some(&self.settings.issuer) {
            return Err(Reason::Issuer);
        }
        if !claims.words("aud", false)?.contains(&self.settings.audience.as_str()) {
            return Err(Reason::Audience);
        }
        let (now, leeway) = (self.clock.now(), i64::from(self.settings.leeway_seconds));
        let expires = claims.seconds("exp")?.ok_or(Reason::Malformed)?;
        if now >= expires.saturating_add(leeway) {
            return Err(Reason::Expired);
        }
        if claims.seconds("nbf")?.is_some_and(|begins| now.saturating_add(leeway) < begins) {
            return Err(Reason::NotYet);
        }
        Ok(())
    }

    fn caller(&self, claims: &Claims) -> Result<Caller, Reason> {
        let sub = claims.text("sub")?.ok_or(Reason::Malformed).and_then(id)?;
        let mut roles = BTreeSet::new();
        for name in ["scope", "scp"] {
            roles.extend(claims.words(name, true)?.into_iter().filter_map(Role::of_scope));
        }
        let first = roles.first().ok_or(Reason::Scope)?;
        let actor = format!("{}:{sub}", first.name());
        let mut caller = Caller { actor, roles, subject: None, subjects: Vec::new() };
        if caller.roles.contains(&Role::Subject) {
            caller.subject = claims.text(&self.settings.subject_claim)?.map(id).transpose()?;
        }
        if caller.roles.contains(&Role::Clinician) {
            let listed = claims.words(&self.settings.subjects_claim, false)?;
            caller.subjects = listed.into_iter().map(id).collect::<Result<_, _>>()?;
        }
        Ok(caller)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The parts of a token in its compact form. No `Debug`: it is the token.
struct Token<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// Header and payload with their dot.
    signed: &'a str,
}

impl<'a> Token<'a> {
    fn split(token: &'a str) -> Result<Self, Reason> {
        if token.len() > TOKEN_MAX {
            return Err(Reason::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Reason::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Reason::Malformed)?;
        if payload.contains('.') {
            return Err(Reason::Malformed);
        }
        Ok(Self { header, payload, signature, signed })
    }

    /// The key's id and the algorithm the token claims. Keys or links to keys in the header are never looked at.
    fn header(&self) -> Result<(Option<String>, Algorithm), Reason> {
        let header = object(self.header)?;
        // Extensions that must be understood, of which none is.
        if header.contains_key("crit") {
            return Err(Reason::Malformed);
        }
        let algorithm = match header.get("alg").and_then(Value::as_str) {
            Some("RS256") => Algorithm::RS256,
            Some("ES256") => Algorithm::ES256,
            Some(_) => return Err(Reason::Algorithm),
            None => return Err(Reason::Malformed),
        };
        match header.get("kid") {
            None => Ok((None, algorithm)),
            Some(Value::String(kid)) => Ok((Some(kid.clone()), algorithm)),
            Some(_) => Err(Reason::Malformed),
        }
    }
}

/// Read only after the signature was found good.
struct Claims(Map<String, Value>);

impl Claims {
    fn text(&self, name: &str) -> Result<Option<&String>, Reason> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Reason::Malformed),
        }
    }

    /// A list of texts, or one text: taken whole, or apart at its spaces. Empty where absent.
    fn words(&self, name: &str, apart: bool) -> Result<Vec<&str>, Reason> {
        match self.0.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) if apart => Ok(text.split(' ').collect()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(all)) => all.iter().map(|one| one.as_str().ok_or(Reason::Malformed)).collect(),
            Some(_) => Err(Reason::Malformed),
        }
    }

    /// A NumericDate, of which fractions are dropped.
    fn seconds(&self, name: &str) -> Result<Option<i64>, Reason> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => number
                .as_i64()
                .or_else(|| number.as_f64().map(|fraction| fraction.floor() as i64))
                .map(Some)
                .ok_or(Reason::Malformed),
            Some(_) => Err(Reason::Malformed),
        }
    }
}

fn object(part: &str) -> Result<Map<String, Value>, Reason> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Reason::Malformed)
}

fn id(text: impl AsRef<str>) -> Result<String, Reason> {
    let text = text.as_ref();
    let fits = !text.is_empty() && text.chars().count() <= ID_MAX && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(Reason::Malformed) }
}
