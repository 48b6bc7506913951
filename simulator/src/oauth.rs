//! What both clouds share of OAuth: codes, tokens, and the page where a person says yes or no.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::dice;
use crate::people::{Person, Provider};

/// Who granted what to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub provider: Provider,
    pub user_id: String,
    pub scopes: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub grant: Grant,
    pub redirect_uri: String,
    pub expires: i64,
    /// S256 challenge of PKCE.
    pub challenge: Option<String>,
    pub offline: bool,
}

#[derive(Clone, Debug)]
struct Access {
    grant: Grant,
    expires: i64,
    /// The refresh token that stops working when this token is first used.
    retires: Option<String>,
}

#[derive(Clone, Debug)]
struct Refresh {
    grant: Grant,
    expires: Option<i64>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Unknown,
    Expired,
}

/// Every code and token that is alive. Times are epoch milliseconds.
#[derive(Debug)]
pub(crate) struct Grants {
    seed: u64,
    /// Stands at the front of every code and token.
    prefix: String,
    issued: u64,
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    connected: HashSet<(Provider, String)>,
}

impl Grants {
    /// `seed` must differ from one start to the next: a client may still hold tokens of the last run, and they must not
    /// turn into somebody else's.
    pub fn new(seed: u64, prefix: String) -> Self {
        Self {
            seed,
            prefix,
            issued: 0,
            codes: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            connected: HashSet::new(),
        }
    }

    fn secret(&mut self, bytes: usize) -> String {
        self.issued += 1;
        format!("{}{}", self.prefix, dice::hex(&[self.seed, dice::key("token"), self.issued], bytes))
    }

    pub fn issue_code(&mut self, code: Code) -> String {
        let secret = self.secret(20);
        self.codes.insert(secret.clone(), code);
        secret
    }

    /// A code works once, even where the rest of the exchange then fails.
    pub fn take_code(&mut self, provider: Provider, code: &str, now: i64) -> Option<Code> {
        let found = self.codes.get(code).filter(|held| held.grant.provider == provider)?.expires;
        let code = self.codes.remove(code)?;
        (found > now).then_some(code)
    }

    pub fn issue_access(&mut self, grant: &Grant, now: i64, life: Duration, retires: Option<String>) -> String {
        let secret = self.secret(20);
        // Kept a while past their end, so that an expired token can be told from an invented one.
        self.access.retain(|_, held| held.expires > now - 86_400_000);
        self.access.insert(secret.clone(), Access { grant: grant.clone(), expires: now + millis(life), retires });
        self.connected.insert((grant.provider, grant.user_id.clone()));
        secret
    }

    pub fn issue_refresh(&mut self, grant: &Grant, now: i64, life: Option<Duration>) -> String {
        let secret = self.secret(20);
        let expires = life.map(|life| now + millis(life));
        self.refresh.insert(secret.clone(), Refresh { grant: grant.clone(), expires });
        secret
    }

    /// Whose access token this is. Its first use retires the refresh token that it replaced.
    pub fn bearer(&mut self, provider: Provider, token: &str, now: i64) -> Result<Grant, Refused> {
        let held = self.access.get_mut(token).filter(|held| held.grant.provider == provider).ok_or(Refused::Unknown)?;
        if held.expires <= now {
            return Err(Refused::Expired);
        }
        let grant = held.grant.clone();
        if let Some(old) = held.retires.take() {
            self.refresh.remove(&old);
        }
        Ok(grant)
    }

    pub fn refreshing(&mut self, provider: Provider, token: &str, now: i64) -> Option<Grant> {
        let held = self.refresh.get(token).filter(|held| held.grant.provider == provider)?;
        if held.expires.is_some_and(|expires| expires <= now) {
            self.refresh.remove(token);
            return None;
        }
        Some(held.grant.clone())
    }

    /// A replaced refresh token keeps working for the grace period at most.
    pub fn shorten(&mut self, token: &str, now: i64, grace: Duration) {
        if let Some(held) = self.refresh.get_mut(token) {
            let end = now + millis(grace);
            held.expires = Some(held.expires.map_or(end, |expires| expires.min(end)));
        }
    }

    /// Whose token this is, of either kind, alive or expired.
    pub fn owner(&self, provider: Provider, token: &str) -> Option<String> {
        let grant = self.access.get(token).map(|held| &held.grant).or_else(|| self.refresh.get(token).map(|held| &held.grant));
        grant.filter(|grant| grant.provider == provider).map(|grant| grant.user_id.clone())
    }

    /// What this person granted, where something is alive.
    pub fn granted(&self, provider: Provider, user_id: &str) -> Option<Vec<String>> {
        let mut all = self.refresh.values().map(|held| &held.grant).chain(self.access.values().map(|held| &held.grant));
        let grant = all.find(|grant| grant.provider == provider && grant.user_id == user_id)?;
        Some(grant.scopes.clone())
    }

    pub fn connected(&self, provider: Provider, user_id: &str) -> bool {
        self.connected.contains(&(provider, user_id.to_owned()))
    }

    /// Nothing of this person's works any more.
    pub fn revoke(&mut self, provider: Provider, user_id: &str) {
        let other = |grant: &Grant| grant.provider != provider || grant.user_id != user_id;
        self.codes.retain(|_, held| other(&held.grant));
        self.access.retain(|_, held| other(&held.grant));
        self.refresh.retain(|_, held| other(&held.grant));
        self.connected.remove(&(provider, user_id.to_owned()));
    }
}

fn millis(life: Duration) -> i64 {
    i64::try_from(life.as_millis()).unwrap_or(i64::MAX / 4)
}

/// Decoded parameters of a query or form, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// Empty values count as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// What a person answered on the consent page, or what the caller answered for them.
pub(crate) enum Answer {
    NotYet,
    Denied,
    /// User id and the requested scopes that were left ticked.
    Allowed(String, Vec<String>),
}

pub(crate) fn answer(params: &Params, requested: &[String]) -> Answer {
    if params.get("simulate_deny").is_some() || params.get("simulate_consent") == Some("deny") {
        return Answer::Denied;
    }
    let Some(user) = params.get("simulate_consent") else { return Answer::NotYet };
    let ticked: Vec<&str> = params.all("simulate_scope").collect();
    let granted = requested.iter().filter(|scope| ticked.is_empty() || ticked.contains(&scope.as_str()));
    Answer::Allowed(user.to_owned(), granted.cloned().collect())
}

pub(crate) fn redirect(base: &str, pairs: &[(&str, &str)]) -> String {
    let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let join = if base.contains('?') { '&' } else { '?' };
    format!("{base}{join}{query}")
}

/// A page with the people to choose from, the scopes, and two buttons. It sends everything back to the same address.
pub(crate) fn consent_page(provider: &str, people: &[&Person], params: &Params, requested: &[String]) -> String {
    let hidden: String = params
        .iter()
        .map(|(name, value)| format!("<input type=hidden name=\"{}\" value=\"{}\">\n", escape(name), escape(value)))
        .collect();
    let choices: String = people
        .iter()
        .enumerate()
        .map(|(index, person)| {
            let checked = if index == 0 { " checked" } else { "" };
            let (id, name, zone) = (escape(&person.user_id), escape(&person.display_name), escape(&person.time_zone));
            format!("<p><label><input type=radio name=simulate_consent value=\"{id}\"{checked}> {name} ({zone})</label></p>\n")
        })
        .collect();
    let scopes: String = requested
        .iter()
        .map(|scope| {
            let scope = escape(scope);
            format!("<p><label><input type=checkbox name=simulate_scope value=\"{scope}\" checked> {scope}</label></p>\n")
        })
        .collect();
    let application = escape(params.get("client_id").unwrap_or_default());
    let host = params.get("redirect_uri").and_then(|uri| reqwest::Url::parse(uri).ok());
    let host = escape(&host.map(|uri| uri.authority().to_owned()).unwrap_or_default());
    page(
        provider,
        &format!(
            "<p><b>{application}</b> asks for access and will send you back to <b>{host}</b>.</p>\n<form method=get>\n{hidden}\
             <h2>Who are you?</h2>\n{choices}<h2>The application asks for</h2>\n{scopes}\
             <button id=allow>Allow</button> <button id=deny name=simulate_deny value=1>Deny</button>\n</form>\n"
        ),
    )
}

/// A person's account: which application has access, and a button that ends it.
pub(crate) fn account_page(provider: &str, person: &Person, granted: Option<&[String]>) -> String {
    let (id, name) = (escape(&person.user_id), escape(&person.display_name));
    let access = match granted {
        None => "<p id=access data-access=none>No application has access.</p>".to_owned(),
        Some(scopes) => format!(
            "<p id=access data-access=granted>An application has access to: {}</p>\n<form method=post action=account/revoke>\
             <input type=hidden name=user_id value=\"{id}\"><button id=revoke>Remove access</button></form>",
            escape(&scopes.join(", "))
        ),
    };
    page(provider, &format!("<h2>{name}</h2>\n{access}\n"))
}

fn page(provider: &str, content: &str) -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{provider} (simulated)</title>\n<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}}\
         button{{font:inherit;padding:.4rem 1rem}}</style>\n<h1>{provider} (simulated)</h1>\n{content}</html>\n"
    )
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
