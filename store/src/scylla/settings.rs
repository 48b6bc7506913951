//! Where the cluster is and how it is used.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use secrecy::SecretString;

use crate::{Result, Unavailable};

/// TTL above this is refused by the servers (20 years).
const TTL_DAYS_MAX: u32 = 7_300;

/// How to reach the cluster. [`Settings::new`] gives the usual values.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port` of some nodes; the others are found.
    pub nodes: Vec<String>,
    pub keyspace: String,
    /// Used when the keyspace is made.
    pub replication_factor: u32,
    /// Only nodes of this datacenter are asked.
    pub datacenter: String,
    pub user: Option<String>,
    pub password: Option<SecretString>,
    pub tls: Option<Tls>,
    /// Observations disappear this long after they were written; never, when absent. At most 7300.
    pub ttl_days: Option<u32>,
    pub consistency: Consistency,
}

/// TLS to the nodes. A node's certificate must name its IP address, because the driver verifies addresses, not host names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of the authorities to trust; the system's when absent.
    pub ca_file: Option<PathBuf>,
}

/// How many replicas answer a plain read or write. Conditional writes are always serial within the datacenter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    LocalOne,
    #[default]
    LocalQuorum,
    Quorum,
    All,
}

impl Settings {
    /// Keyspace `headwater`, three replicas in `datacenter1`, local quorum, no TTL, no TLS, no password.
    pub fn new<N: Into<String>>(nodes: impl IntoIterator<Item = N>) -> Self {
        Self {
            nodes: nodes.into_iter().map(Into::into).collect(),
            keyspace: "headwater".to_owned(),
            replication_factor: 3,
            datacenter: "datacenter1".to_owned(),
            user: None,
            password: None,
            tls: None,
            ttl_days: None,
            consistency: Consistency::default(),
        }
    }

    /// Names go into statements as text, so they are held to what needs no quoting.
    pub(super) fn check(&self) -> Result<()> {
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let keyspace = &self.keyspace;
        if !keyspace.starts_with(|c: char| c.is_ascii_lowercase()) || keyspace.len() > 48 || !keyspace.chars().all(lower) {
            return Err(Unavailable::new("cql: the keyspace must be 1 to 48 of a-z, 0-9 and '_', beginning with a letter"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if self.datacenter.is_empty() || !self.datacenter.chars().all(plain) {
            return Err(Unavailable::new("cql: the datacenter must consist of letters, digits, '_', '-' and '.'"));
        }
        if self.nodes.is_empty() {
            return Err(Unavailable::new("cql: no node given, expected host:port"));
        }
        if self.replication_factor == 0 {
            return Err(Unavailable::new("cql: the replication factor is 0, expected at least 1"));
        }
        if self.user.is_some() != self.password.is_some() {
            return Err(Unavailable::new("cql: user and password are given together or not at all"));
        }
        match self.ttl_days {
            Some(days) if days == 0 || days > TTL_DAYS_MAX => {
                Err(Unavailable::new(format!("cql: ttl_days is {days}, expected 1 to {TTL_DAYS_MAX}")))
            }
            _ => Ok(()),
        }
    }

    /// Seconds; 0 means for ever.
    pub(super) fn ttl(&self) -> i32 {
        // `check` keeps the product below 2^31.
        self.ttl_days.map_or(0, |days| (days * 86_400) as i32)
    }
}

impl Consistency {
    pub(super) fn of_driver(self) -> scylla::statement::Consistency {
        match self {
            Self::LocalOne => scylla::statement::Consistency::LocalOne,
            Self::LocalQuorum => scylla::statement::Consistency::LocalQuorum,
            Self::Quorum => scylla::statement::Consistency::Quorum,
            Self::All => scylla::statement::Consistency::All,
        }
    }
}

impl Tls {
    pub(super) fn context(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        match &self.ca_file {
            Some(path) => {
                let unreadable = |_| Unavailable::new(format!("cql: {} holds no certificates in PEM form", path.display()));
                for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                    let added = roots.add(certificate.map_err(unreadable)?);
                    added.map_err(|_| Unavailable::new(format!("cql: {} holds an unusable certificate", path.display())))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(Unavailable::new("cql: no authority to trust was found"));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| Unavailable::new("cql: no protocol version of TLS is usable"))?;
        Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_need_quoting_are_refused() {
        let good = Settings::new(["127.0.0.1:9042"]);
        assert!(good.check().is_ok());
        for keyspace in ["", "Headwater", "1ks", "a; DROP KEYSPACE b", "a-b", &"a".repeat(49)] {
            assert!(Settings { keyspace: keyspace.to_owned(), ..good.clone() }.check().is_err(), "{keyspace:?}");
        }
        for datacenter in ["", "dc' : 1}"] {
            assert!(Settings { datacenter: datacenter.to_owned(), ..good.clone() }.check().is_err(), "{datacenter:?}");
        }
        assert!(Settings::new(Vec::<String>::new()).check().is_err());
    }

    #[test]
    fn a_ttl_is_within_what_the_servers_take() {
        let with = |ttl_days| Settings { ttl_days, ..Settings::new(["127.0.0.1:9042"]) };
        assert!(with(Some(0)).check().is_err() && with(Some(7_301)).check().is_err());
        assert!(with(Some(7_300)).check().is_ok());
        assert_eq!((with(None).ttl(), with(Some(1)).ttl(), with(Some(7_300)).ttl()), (0, 86_400, 630_720_000));
    }

    #[test]
    fn a_password_is_not_printed() {
        let settings = Settings { user: Some("u".into()), password: Some("hunter2".into()), ..Settings::new(["n:1"]) };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
