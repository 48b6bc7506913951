//! `headwater new provider NAME`: the folder of a new provider, which compiles and keeps the contract of all sources from the first minute.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum New {
    /// Make the folder of a provider in a checkout of the project
    Provider {
        /// Lower case with underscores: topic word, route, configuration section and metric label
        name: String,
        /// Where the checkout is
        #[arg(long, default_value = ".")]
        checkout: PathBuf,
    },
}

static FILES: &[(&str, &str)] = &[
    ("mod.rs", include_str!("template/mod.rs.txt")),
    ("receive.rs", include_str!("template/receive.rs.txt")),
    ("tests.rs", include_str!("template/tests.rs.txt")),
    ("README.md", include_str!("template/README.md")),
    ("contract.json", include_str!("template/contract.json")),
    ("fixtures/measurements.example.json", include_str!("template/fixtures/measurements.example.json")),
];

impl New {
    /// # Errors
    /// When the name is none, there is such a provider, or the folder cannot be written.
    pub fn run(&self) -> anyhow::Result<()> {
        let Self::Provider { name, checkout } = self;
        let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        anyhow::ensure!(plain, "expected a name of lower-case letters, digits and underscores, such as acme_band");
        let sources = checkout.join("connectors/sources/src");
        let list = sources.join("lib.rs");
        let text = std::fs::read_to_string(&list).with_context(|| {
            format!("cannot read {}: run it in a checkout, or say where one is with --checkout", list.display())
        })?;
        let folder = sources.join(name);
        anyhow::ensure!(!folder.exists(), "{} is there already", folder.display());
        write(&folder, name)?;
        std::fs::write(&list, listed(&text, name).context("the list of sources is not as it is known here")?)?;
        println!("{}: made, and listed in {}", folder.display(), list.display());
        println!("next: cargo test -p headwater-sources, then the recipe in CONTRIBUTING.md from its third step on");
        Ok(())
    }
}

/// `acme_band` as the name of a type: `AcmeBand`.
fn camel(name: &str) -> String {
    let word = |word: &str| word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect::<String>();
    name.split('_').map(word).collect()
}

fn write(folder: &Path, name: &str) -> anyhow::Result<()> {
    for (file, template) in FILES {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        let text = template.replace("{{name}}", name).replace("{{Name}}", &camel(name));
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The list with one more in it.
fn listed(text: &str, name: &str) -> Option<String> {
    let line = format!("mod {name};\n");
    // Modules stand in the order of the alphabet.
    let modules = text.match_indices("\nmod ").map(|(at, _)| at + 1).filter(|at| !text[..*at].ends_with("]\n"));
    let after = modules.into_iter().find(|at| text[*at..] > *line)?;
    let (before, rest) = text.split_at(after);
    let with_module = format!("{before}{line}{rest}");
    let end = with_module.find("\n];").filter(|at| with_module[..*at].contains("pub static ALL"))?;
    let (before, rest) = with_module.split_at(end);
    Some(format!("{before}\n    &{name}::{},{rest}", camel(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_one_module_and_one_line_of_the_list() {
        let list = "#[cfg(test)]\nmod testing;\nmod alpha;\nmod beta;\nmod gamma;\n\npub static ALL: &[&dyn Source] = &[\n    &alpha::Alpha,\n];\n";
        let text = format!("//! x\n\n{list}");
        let more = listed(&text, "acme_band").expect("listed");
        assert!(
            more.contains("\nmod acme_band;\nmod alpha;") && more.contains("    &alpha::Alpha,\n    &acme_band::AcmeBand,\n];"),
            "{more}"
        );
        assert!(listed("nothing", "acme").is_none());
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for name in ["", "Acme", "acme-band", "../acme", "1acme", "äcme"] {
            assert!(New::Provider { name: name.into(), checkout: ".".into() }.run().is_err(), "{name}");
        }
    }
}
