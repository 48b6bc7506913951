//! A real browser: headless Chromium, driven over WebDriver. It reaches this machine's loopback and nothing else.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;

use super::super::rig::free_port;

const TIMEOUT: Duration = Duration::from_secs(90);

pub struct Browser {
    driver: Child,
    pub page: Client,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// # Panics
    /// When Chromium or its driver is not there: a machine that has the other real parts is meant to have them.
    pub async fn open() -> Self {
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed (Debian: chromium-driver)");
        let profile = tempfile::tempdir().expect("a folder");
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-dev-shm-usage".into(),
            "--disable-background-networking".into(),
            "--no-proxy-server".into(),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1".into(),
            "--window-size=900,1200".into(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = serde_json::json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
        });
        let serde_json::Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
        let (url, started) = (format!("http://127.0.0.1:{port}"), Instant::now());
        let page = loop {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            match builder.capabilities(capabilities.clone()).connect(&url).await {
                Ok(page) => break page,
                Err(e) => assert!(started.elapsed() < TIMEOUT, "the browser does not start: {e}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        Self { driver, page, _profile: profile }
    }

    pub async fn go(&self, url: &str) {
        self.page.goto(url).await.expect("the page opens");
    }

    /// Clicks what is there, or will be soon.
    pub async fn click(&self, css: &str) {
        self.see(css).await;
        self.page.find(Locator::Css(css)).await.expect("it was there").click().await.expect("it can be clicked");
    }

    /// Waits until something is on the page, which may come by the page's own refresh.
    pub async fn see(&self, css: &str) {
        let started = Instant::now();
        while self.page.find(Locator::Css(css)).await.is_err() {
            if started.elapsed() > TIMEOUT {
                let shot = self.shoot("not-seen").await;
                panic!("{css} is not on {}: {}\n{shot}", self.address().await, self.text().await);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn address(&self) -> String {
        self.page.current_url().await.expect("an address").to_string()
    }

    /// What a person reads.
    pub async fn text(&self) -> String {
        match self.page.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// A picture of the page under the build folder; its path.
    pub async fn shoot(&self, name: &str) -> String {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = folder.join(format!("{name}.png"));
        let png = self.page.screenshot().await.expect("a picture");
        std::fs::write(&path, png).expect("a writable folder");
        path.display().to_string()
    }

    pub async fn close(self) {
        let _ = self.page.clone().close().await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser that it started.
        let _ = Command::new("kill").arg(self.driver.id().to_string()).status();
        let _ = self.driver.wait();
    }
}
