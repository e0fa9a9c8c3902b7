//! Drives one page to its end: the page says how far it is and what came out in `globalThis.driven`.
//! Knows WebDriver; must never know what a page does.

use crate::browsers::{Browser, Session};
use anyhow::{Context, Result, anyhow, bail};
use fantoccini::Client;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the page is asked.
const EVERY: Duration = Duration::from_millis(150);
/// A page that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(400);

/// A page that has not begun by then will not: the browser did not open it.
const OPENS: Duration = Duration::from_secs(60);
/// Browsers that are started for a page that does not begin.
const STARTS: usize = 3;

/// Lines said since the last time, the result or `null`, the error or `null`, and what is to be done with the page's window: `'hide'`,
/// `'show'` or `null`.
const ASK: &str = "const d = globalThis.driven; if (!d) return [[], null, null, null];
    const { wish = null } = d; d.wish = undefined;
    return [d.lines.splice(0), d.result ?? null, d.error ?? null, wish];";

/// What to drive.
pub struct Drive<'a> {
    /// The repository.
    pub root: &'a Path,
    /// In which browser.
    pub browser: Browser,
    /// False for a browser without WebGPU.
    pub webgpu: bool,
    /// The page.
    pub url: String,
    /// Pictures of the page once it is done: width in CSS pixels, file.
    pub screenshots: Vec<(u32, PathBuf)>,
}

/// What a page left.
pub struct Driven {
    /// Its `driven.result`.
    pub result: Value,
    /// Browser and version.
    pub browser: String,
}

impl Drive<'_> {
    /// Opens the page and waits for its result; `line` is told what it says on the way.
    pub fn run(&self, line: &mut dyn FnMut(&str)) -> Result<Driven> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let session = self.opened().await?;
            let browser = session.version.clone();
            let result = self.follow(&session.client, line).await;
            session.close().await;
            Ok(Driven { result: result.with_context(|| format!("{browser}, {}", self.url))?, browser })
        })
    }

    /// Opens the page in a browser that is there, and waits no longer than `most` for its result.
    pub async fn within(&self, session: &Session, most: Duration) -> Result<Value> {
        let work = async {
            // A page that does not come must not be taken for the one before.
            session.client.goto("about:blank").await?;
            self.open(&session.client).await?;
            self.follow(&session.client, &mut |_| ()).await
        };
        let waited = tokio::time::timeout(most, work).await;
        waited.unwrap_or_else(|_| Err(anyhow!("nothing after {} s", most.as_secs()))).with_context(|| self.url.clone())
    }

    /// A browser in which the page has begun. Now and then a renderer never answers its driver, before any of the page's
    /// code ran: another browser is started then.
    async fn opened(&self) -> Result<Session> {
        self.opened_in(async || Session::start(self.root, self.browser, self.webgpu).await).await
    }

    /// The same in a browser that keeps what it says and does.
    pub async fn watched(&self) -> Result<Session> {
        self.opened_in(async || Session::watched(self.root, self.browser, self.webgpu).await).await
    }

    async fn opened_in(&self, start: impl AsyncFn() -> Result<Session>) -> Result<Session> {
        let mut starts = 1;
        loop {
            let session = start().await?;
            let opening = tokio::time::timeout(OPENS, self.open(&session.client)).await;
            let error = match opening {
                Ok(Ok(())) => return Ok(session),
                Ok(Err(error)) => error,
                Err(_) => anyhow!("the page has not begun after {} s", OPENS.as_secs()),
            };
            let error = error.context(format!("{}, {}", session.version, self.url));
            // A browser that hangs does not close either.
            let _ = tokio::time::timeout(OPENS, session.close()).await;
            if starts == STARTS {
                return Err(error);
            }
            println!("{error:#}: another browser is started");
            starts += 1;
        }
    }

    async fn open(&self, client: &Client) -> Result<()> {
        client.set_window_size(1280, 900).await?;
        if self.url.starts_with("moz-extension:") {
            // Firefox lets no driver go there: the extension opens its page itself.
            while !self.found(client).await? {
                tokio::time::sleep(EVERY).await;
            }
        } else {
            client.goto(&self.url).await?;
        }
        while client.execute("return globalThis.driven === undefined", vec![]).await? == Value::Bool(true) {
            tokio::time::sleep(EVERY).await;
        }
        Ok(())
    }

    /// Whether a window has the page; then it is the one that is driven.
    async fn found(&self, client: &Client) -> Result<bool> {
        for window in client.windows().await? {
            client.switch_to_window(window).await?;
            if client.current_url().await?.as_str() == self.url {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits for the result of a page that is open; `line` is told what it says on the way.
    pub async fn follow(&self, client: &Client, line: &mut dyn FnMut(&str)) -> Result<Value> {
        let mut heard = Instant::now();
        loop {
            let answer = client.execute(ASK, vec![]).await?;
            let [lines, result, error, wish] = answer.as_array().map(Vec::as_slice).unwrap_or_default() else {
                bail!("the page answered {answer}");
            };
            for text in lines.as_array().into_iter().flatten() {
                heard = Instant::now();
                line(text.as_str().unwrap_or_default());
            }
            if let Some(error) = error.as_str() {
                self.pictures(client).await?;
                bail!("{error}");
            }
            if !result.is_null() {
                self.pictures(client).await?;
                return Ok(result.clone());
            }
            match wish.as_str() {
                Some("hide") => client.minimize_window().await?,
                Some("show") => client.set_window_size(1280, 900).await?,
                _ => {}
            }
            if heard.elapsed() > SILENCE {
                return Err(anyhow!("the page has said nothing for {} s", SILENCE.as_secs()));
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Each picture shows the whole page at its width.
    async fn pictures(&self, client: &Client) -> Result<()> {
        for (width, file) in &self.screenshots {
            client.set_window_size(*width, 900).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            let height = client.execute("return document.documentElement.scrollHeight", vec![]).await?;
            let height = height.as_u64().unwrap_or(900).clamp(400, 8000) as u32;
            client.set_window_size(*width, height + 150).await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            std::fs::write(file, client.screenshot().await?).with_context(|| file.display().to_string())?;
        }
        Ok(())
    }
}
