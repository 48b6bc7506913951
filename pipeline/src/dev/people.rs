//! The simulated people: how the roles are told of their clouds, and how they are connected.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use headwater_ingest::Accounts;
use headwater_ingest::account::{self, Begin, Callback};
use headwater_simulator::Control;

/// What simulator and roles share. Made anew for each store.
pub struct Secrets {
    pub path: String,
    pub authorization: String,
    pub keys: String,
    /// Bearer token of the API.
    pub token: String,
}

/// Reads the secrets of this folder, or makes them.
///
/// # Errors
/// When the folder cannot be written.
pub fn secrets(folder: &Path) -> anyhow::Result<Secrets> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = folder.join("dev.keys");
    if !file.exists() {
        let mut made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
        let word = || uuid::Uuid::new_v4().simple().to_string();
        std::io::Write::write_all(
            &mut made,
            format!("{}\n{}\n{}\n{}\n", word(), word(), crate::command::store::new_key("dev"), word()).as_bytes(),
        )?;
    }
    let text = std::fs::read_to_string(&file)?;
    let mut lines = text.lines().map(str::to_owned);
    let mut line = || lines.next().with_context(|| format!("{} is damaged: delete it and the store beside it", file.display()));
    Ok(Secrets { path: line()?, authorization: format!("Bearer {}", line()?), keys: line()?, token: line()? })
}

/// Where the parts are, as addresses.
pub struct Places<'a> {
    pub kafka: &'a str,
    pub registry: &'a str,
    pub simulator: &'a str,
    pub receive: &'a str,
    pub api: &'a str,
}

/// The configuration of the roles: the embedded parts, and each live provider at the simulator.
///
/// # Errors
/// When an address cannot be put together.
pub fn config(places: &Places<'_>, data: &Path, secrets: &Secrets) -> anyhow::Result<String> {
    let Places { kafka, registry, simulator, receive, api } = places;
    let mut text = format!(
        "[kafka]\nbootstrap = \"{kafka}\"\n\
         [registry]\nurl = \"{registry}\"\nauto_register = true\n\
         [store]\nkeys = \"{}\"\n[store.sqlite]\npath = {:?}\n\
         [api]\ntoken = \"{}\"\npublic_url = \"{api}\"\nname = \"Headwater dev\"\n\
         [api.mail]\nfrom = \"Headwater dev <dev@localhost>\"\nfolder = {:?}\n\
         [ingest]\nwebhooks = \"{receive}/webhooks\"\n\
         [sinks.scylla]\nerase_settle_seconds = 3\n\
         [topics]\nreplication_factor = 1\npartitions = 4\n\
         [group]\nfetch_wait_ms = 20\nsession_timeout_ms = 10000\ndrain_ms = 5000\n",
        secrets.keys,
        data.join("headwater.db"),
        secrets.token,
        data.join("mail"),
    );
    for source in headwater_sources::ALL.iter().filter(|s| s.profile().live() || s.profile().upload.is_some()) {
        let (profile, cloud) = (source.profile(), format!("{simulator}/{}", source.folder()));
        writeln!(text, "[providers.{}]", profile.id)?;
        if let Some(oauth) = &profile.oauth {
            writeln!(text, "client_id = \"headwater-dev\"\nclient_secret = \"headwater-dev-secret\"\napi_url = \"{cloud}\"")?;
            write!(text, "authorize_url = \"{}\"\ntoken_url = \"{}\"\n", at(&cloud, oauth.authorize)?, at(&cloud, oauth.token)?)?;
            if let Some(revoke) = oauth.revoke {
                writeln!(text, "revoke_url = \"{}\"", at(&cloud, revoke)?)?;
            }
        }
        if let Some(webhook) = &profile.webhook {
            writeln!(text, "[providers.{}.webhook]", profile.id)?;
            if webhook.secret_path {
                writeln!(text, "path_secret = \"{}\"", secrets.path)?;
            } else {
                writeln!(text, "authorization = \"{}\"\nsigning_key = \"headwater-dev-signing\"", secrets.authorization)?;
            }
            if let Some(keyset) = webhook.keyset {
                writeln!(text, "keyset_url = \"{}\"", at(&cloud, keyset)?)?;
            }
        }
    }
    Ok(text)
}

/// The same path at the simulated cloud.
fn at(cloud: &str, real: &str) -> anyhow::Result<String> {
    Ok(format!("{cloud}{}", real.parse::<reqwest::Url>()?.path()))
}

/// A connected person.
pub struct Connected {
    pub provider: String,
    pub subject: String,
    pub name: String,
    pub zone: String,
}

/// Sends each person through the provider's consent, as a browser would, and connects the account.
///
/// # Errors
/// When a simulated cloud refuses.
pub async fn connect(accounts: &Accounts, control: &Control, redirects: &str) -> anyhow::Result<Vec<Connected>> {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let session = account::hash("dev", &account::secret());
    let mut connected = Vec::new();
    for (number, person) in control.people().into_iter().enumerate() {
        let provider = person.provider.name();
        if !accounts.providers().iter().any(|profile| profile.id == provider) {
            continue;
        }
        let (subject, redirect) = (format!("person-{}", number + 1), format!("{redirects}/{provider}"));
        let begin = Begin {
            provider,
            subject: &subject,
            session: &session,
            redirect_uri: &redirect,
            zone: Some(&person.time_zone),
            invitation: None,
            note: "",
        };
        let mut url: reqwest::Url = accounts.begin(begin).await?.url.parse()?;
        url.query_pairs_mut().append_pair("simulate_consent", &person.user_id);
        let answer = http.get(url).send().await?;
        let location = answer
            .headers()
            .get("location")
            .and_then(|l| l.to_str().ok())
            .with_context(|| format!("{provider}'s consent page gave no redirect"))?;
        let given: HashMap<String, String> = location.parse::<reqwest::Url>()?.query_pairs().into_owned().collect();
        let get = |name: &str| given.get(name).map(String::as_str);
        let callback = Callback {
            provider,
            state: get("state").with_context(|| format!("{provider} gave no state"))?,
            code: get("code"),
            error: get("error"),
            issuer: get("iss"),
            session: Some(&session),
        };
        accounts.finish(callback).await.map_err(|unfinished| unfinished.why)?;
        connected.push(Connected { provider: provider.to_owned(), subject, name: person.display_name, zone: person.time_zone });
    }
    Ok(connected)
}
