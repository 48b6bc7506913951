//! The keyspace and its tables, from the statements in `infra/cql`.

use std::time::Duration;

use scylla::client::session::Session;
use scylla::statement::Statement;

use super::{Settings, failed};
use crate::{Result, Unavailable};

const KEYSPACE: &str = include_str!("../../../infra/cql/keyspace.cql");
const TABLES: [&str; 7] = [
    include_str!("../../../infra/cql/connections.cql"),
    include_str!("../../../infra/cql/tokens.cql"),
    include_str!("../../../infra/cql/keys.cql"),
    include_str!("../../../infra/cql/subjects.cql"),
    include_str!("../../../infra/cql/progress.cql"),
    include_str!("../../../infra/cql/observations.cql"),
    include_str!("../../../infra/cql/devices.cql"),
];

/// A change of the schema has to reach every node.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Two nodes that change the schema at once can refuse one of the changes; it succeeds when repeated.
const ATTEMPTS: u32 = 3;

pub async fn migrate(session: &Session, settings: &Settings) -> Result<()> {
    // Asked first, so that a role that may not make keyspaces can use one that was made for it.
    let known = session.query_unpaged(
        "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?",
        (settings.keyspace.as_str(),),
    );
    let known =
        known.await.map_err(failed)?.into_rows_result().map_err(|_| Unavailable::new("cql: keyspaces cannot be listed"))?;
    if known.rows_num() == 0 {
        apply(session, settings, KEYSPACE).await?;
    }
    for file in TABLES {
        apply(session, settings, file).await?;
    }
    Ok(())
}

async fn apply(session: &Session, settings: &Settings, file: &str) -> Result<()> {
    for text in statements(file, settings) {
        let mut statement = Statement::new(text);
        statement.set_request_timeout(Some(TIMEOUT));
        let mut attempt = 1;
        while let Err(e) = session.query_unpaged(statement.clone(), ()).await {
            // Text of a schema error names tables and types only.
            tracing::debug!(attempt, "cql schema change failed");
            if attempt == ATTEMPTS {
                return Err(Unavailable::new(format!("cql: schema: {e}")));
            }
            tokio::time::sleep(Duration::from_millis(200) * attempt).await;
            attempt += 1;
        }
    }
    Ok(())
}

/// The statements of a file: comments removed, split at semicolons (no statement of ours has one inside), names put in.
fn statements(file: &str, settings: &Settings) -> Vec<String> {
    let bare: String = file
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default().trim_end())
        .fold(String::new(), |all, line| all + line + "\n");
    let filled = bare
        .replace("{keyspace}", &settings.keyspace)
        .replace("{datacenter}", &settings.datacenter)
        .replace("{replication_factor}", &settings.replication_factor.to_string());
    filled.split(';').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_is_repeatable_complete_and_in_our_keyspace() {
        let settings = Settings { keyspace: "ks".to_owned(), ..Settings::new(["127.0.0.1:9042"]) };
        let all: Vec<String> = [KEYSPACE].iter().chain(&TABLES).flat_map(|file| statements(file, &settings)).collect();
        assert_eq!(all.len(), 22);
        for statement in all {
            assert!(statement.starts_with("CREATE ") && statement.contains(" IF NOT EXISTS ks"), "{statement}");
            for name in ["{keyspace}", "{datacenter}", "{replication_factor}", "--"] {
                assert!(!statement.contains(name), "{statement}");
            }
        }
    }
}
