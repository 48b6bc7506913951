//! A server of a test's own, to stop and kill: what other tests share must stay up.

use std::path::PathBuf;
use std::process::Command;

pub struct Server {
    name: &'static str,
    folder: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
}

impl Server {
    /// Starts it and waits until it answers.
    pub fn start(name: &'static str) -> Self {
        Self::start_with(name, vec![])
    }

    /// The same with settings of the scripts.
    pub fn start_with(name: &'static str, settings: Vec<(&'static str, String)>) -> Self {
        let server = Self { name, folder: tempfile::tempdir().expect("a folder"), settings };
        server.up();
        server
    }

    /// Starts it (again) and gives what it prints: where it is.
    pub fn up(&self) -> String {
        self.run("up")
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.run("kill");
    }

    /// SIGTERM; its data stay.
    pub fn down(&self) {
        self.run("down");
    }

    /// The process, while it runs.
    pub fn pid(&self) -> u32 {
        let file = self.folder.path().join("own").join(self.name).join("pid");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        text.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid")
    }

    pub fn runs(&self) -> bool {
        self.command("status").arg(self.name).output().expect("the script runs").status.success()
    }

    /// SIGSTOP and SIGCONT.
    pub fn pause(&self) {
        self.run("pause");
    }

    pub fn resume(&self) {
        self.run("resume");
    }

    /// The value of one of the printed assignments.
    pub fn address(&self, variable: &str) -> String {
        let printed = self.up();
        let line = printed
            .lines()
            .find_map(|l| l.strip_prefix(variable)?.strip_prefix('='))
            .unwrap_or_else(|| panic!("no {variable} in {printed}"));
        line.trim_matches('\'').to_owned()
    }

    fn run(&self, verb: &str) -> String {
        let out = self.command(verb).arg(self.name).output().expect("the script runs");
        assert!(out.status.success(), "{verb} {}: {}", self.name, String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn command(&self, verb: &str) -> Command {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infra/local").join(verb);
        let mut command = Command::new(script);
        command
            .env("HEADWATER_INFRA_DATA", self.folder.path())
            .env("HEADWATER_INFRA_INSTANCE", "own")
            .env("HEADWATER_INFRA_PORTS", "free")
            .envs(self.settings.iter().cloned());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.command("down").arg(self.name).output();
    }
}
