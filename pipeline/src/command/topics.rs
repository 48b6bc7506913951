//! `headwater topics plan|apply`: the difference between catalogue and cluster.

use clap::Subcommand;

use crate::app::App;
use crate::log::kafka::{Admin, Change, catalogue};

#[derive(Debug, Subcommand)]
pub enum Topics {
    /// Show what `apply` would do; exit code 2 if there is anything
    Plan,
    /// Create missing topics and mend their configuration
    Apply {
        /// Also add partitions to topics that have too few. Keys move by this: order across the change is lost
        #[arg(long)]
        repartition: bool,
    },
    /// Print the catalogue
    List,
}

impl Topics {
    /// True if the cluster is as the catalogue wants it.
    ///
    /// # Errors
    /// When the cluster does not answer or refuses a change.
    pub async fn run(self, app: &App) -> anyhow::Result<bool> {
        let wanted = catalogue(&app.config.namespace, &super::workers());
        if let Self::List = self {
            for want in &wanted {
                println!("{}  key: {}  {}", want.name, want.topic.key, want.topic.doc);
            }
            return Ok(true);
        }
        let admin = Admin::new(&app.config.kafka, app.config.topics.replication_factor)?;
        let changes = admin.plan(&wanted, app.config.topics.partitions).await?;
        changes.iter().for_each(|change| println!("{change}"));
        match self {
            Self::Plan | Self::List => {
                println!("{} topics, {} changes", wanted.len(), changes.len());
                Ok(changes.is_empty())
            }
            Self::Apply { repartition } => {
                admin.apply(&changes, repartition).await?;
                let left = changes.iter().filter(|c| !repartition && matches!(c, Change::AddPartitions { .. })).count();
                println!(
                    "{} topics, {} changes made{}",
                    wanted.len(),
                    changes.len() - left,
                    if left > 0 { format!(", {left} need --repartition") } else { String::new() }
                );
                Ok(left == 0)
            }
        }
    }
}
