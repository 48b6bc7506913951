//! What each role holds with nothing to do: all of them at once, each a process, on real parts; and peers beside them.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;

use crate::entrant;
use crate::group::Group;
use crate::payload;
use crate::process::Subject;
use crate::rig::{Parts, Rig, address};

const PARTITIONS: i32 = 12;

#[derive(Debug, Args)]
pub struct Idle {
    #[command(flatten)]
    parts: Parts,
    #[arg(long, env = "EVENTHUBS_BOOTSTRAP")]
    eventhubs: Option<String>,
    #[arg(long, env = "EVENTHUBS_CONNECTION_STRING", hide_env_values = true)]
    connection_string: Option<String>,
    #[arg(long, env = "EVENTHUBS_CA")]
    eventhubs_ca: Option<PathBuf>,
    /// How long there is nothing to do before it is looked
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Also these peers, each a folder of benches/peers/normalize; built first
    #[arg(long = "peer", value_name = "FOLDER")]
    peers: Vec<PathBuf>,
}

/// A role or a peer.
struct One {
    name: String,
    subject: Subject,
    cpu_before: f64,
}

impl Idle {
    pub async fn run(&self) -> anyhow::Result<()> {
        let rig = Rig::new(&self.parts, PARTITIONS, &self.settings()?).await?;
        rig.end(self.measure(&rig).await).await
    }

    fn settings(&self) -> anyhow::Result<String> {
        // Nobody listens where records would be sent: there are none.
        let (receive, api, nobody) = (address()?, address()?, address()?);
        let mut more = format!(
            "[listen]\nreceive = \"{receive}\"\napi = \"{api}\"\n[api]\ntoken = \"bench\"\npublic_url = \"http://{api}\"\n\
             [providers.{}]\nclient_id = \"c\"\nclient_secret = \"s\"\n[sinks.fhir]\nurl = \"http://{nobody}\"\n\
             [sinks.hooks]\nurl = \"http://{nobody}\"\nsecret = \"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n",
            payload::PROVIDER
        );
        if let (Some(bootstrap), Some(secret)) = (&self.eventhubs, &self.connection_string) {
            more +=
                &format!("[sinks.eventhubs]\nbootstrap = \"{bootstrap}\"\nconnection_string = \"{secret}\"\ntopic = \"bench\"\n");
            if let Some(ca) = &self.eventhubs_ca {
                more += &format!("ca_file = \"{}\"\n", ca.display());
            }
        }
        Ok(more)
    }

    async fn measure(&self, rig: &Rig<'_>) -> anyhow::Result<()> {
        let mut roles = vec!["receive", "fetch", "process normalize", "sink scylla", "sink fhir", "sink hooks", "api"];
        if self.eventhubs.is_some() && self.connection_string.is_some() {
            roles.push("sink eventhubs");
        }
        let mut all = Vec::new();
        for name in roles {
            let arguments: Vec<&str> = name.split(' ').collect();
            let role = rig.start(&arguments, &[])?;
            role.ready()?;
            all.push(One { name: name.to_owned(), subject: role.subject, cpu_before: 0.0 });
        }
        let (mut groups, client) =
            (vec![format!("{}.normalize", rig.namespace), format!("{}.scylla", rig.namespace)], rig.broker().client());
        for folder in &self.peers {
            let (name, folder) = entrant::built(folder)?;
            let to = format!("{}.{name}", rig.namespace);
            rig.broker().create(&to).await?;
            let mut peer = Command::new(folder.join("run"));
            peer.args(["--bootstrap", &self.parts.bootstrap, "--registry", &self.parts.registry]);
            peer.args(["--from", &payload::topic(&rig.namespace), "--to", &to, "--group", &to]);
            all.push(One { name, subject: Subject::start(&mut peer)?, cpu_before: 0.0 });
            groups.push(to);
        }
        // Who has no partitions yet holds less.
        for name in groups {
            let group = Group::new(&client, name.clone())?;
            let until = Instant::now() + Duration::from_secs(60);
            while group.holders()?.is_none_or(|(_, holders)| holders.is_empty()) {
                anyhow::ensure!(Instant::now() < until, "nobody of {name} holds a partition after a minute");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        for one in &mut all {
            one.cpu_before = one.subject.cost()?.cpu_seconds;
        }
        tokio::time::sleep(Duration::from_secs(self.seconds)).await;
        println!("after {} s with nothing to do, {PARTITIONS} partitions of each topic", self.seconds);
        println!(
            "{:>18} {:>13} {:>13} {:>10} {:>8} {:>10}",
            "role", "resident MiB", "of it its own", "peak MiB", "threads", "CPU ms/s"
        );
        for One { name, mut subject, cpu_before } in all {
            subject.running()?;
            let cost = subject.cost()?;
            println!(
                "{name:>18} {:>13.1} {:>13.1} {:>10.1} {:>8} {:>10.1}",
                subject.resident_mib()?,
                subject.memory_mib("RssAnon")?,
                cost.peak_mib,
                subject.threads()?,
                (cost.cpu_seconds - cpu_before) * 1e3 / self.seconds as f64
            );
            subject.stop();
        }
        Ok(())
    }
}
