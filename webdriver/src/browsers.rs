//! Real browsers: where they are, the flags that tests need, a driver and a session that end with their owner.

use crate::tools::{find, tools};
use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a driver may take to listen, and to say whether it is ready.
const DRIVER_STARTS: Duration = Duration::from_secs(60);
const DRIVER_ANSWERS: Duration = Duration::from_secs(2);
/// Ports that are tried for a driver that cannot have the one it was given.
const PORTS: usize = 4;

/// A browser that can be driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Browser {
    /// Chromium, with the WebGPU of SwiftShader where there is no GPU.
    Chromium,
    /// A Chromium that has WebNN, from npm, below `target/`.
    ChromiumWebnn,
    /// Firefox, with the WebGPU of mesa's llvmpipe where there is no GPU.
    Firefox,
}

impl fmt::Display for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Browser::Chromium => "Chromium",
            Browser::ChromiumWebnn => "Chromium-WebNN",
            Browser::Firefox => "Firefox",
        })
    }
}

impl Browser {
    /// Every one.
    pub const ALL: [Browser; 3] = [Browser::Chromium, Browser::ChromiumWebnn, Browser::Firefox];

    fn binary(self, root: &Path) -> Option<PathBuf> {
        match self {
            Browser::Chromium => find(&["chromium", "chromium-browser", "google-chrome"]),
            Browser::ChromiumWebnn => Some(webnn_path(root)).filter(|path| path.is_file()),
            Browser::Firefox => find(&["firefox-esr", "firefox"]),
        }
    }

    /// Its name in a command line and in a page's address.
    pub fn id(self) -> &'static str {
        match self {
            Browser::Chromium => "chromium",
            Browser::ChromiumWebnn => "chromium-webnn",
            Browser::Firefox => "firefox",
        }
    }

    /// Whether browser and, for Chromium, driver are there.
    pub fn is_installed(self, root: &Path) -> bool {
        self.binary(root).is_some() && (self == Browser::Firefox || find(&["chromedriver"]).is_some())
    }

    /// Flags for tests; `webgpu` false starts the browser as one that has none.
    fn capabilities(self, root: &Path, webgpu: bool) -> Result<Value> {
        let binary = self.binary(root).ok_or_else(|| anyhow!("{self} was not found"))?;
        Ok(match self {
            Browser::Chromium => {
                let mut args = vec!["--no-sandbox", "--headless=new", "--disable-dev-shm-usage"];
                // Without it a page that asks how large it is waits for the next collection.
                args.push("--enable-blink-features=ForceEagerMeasureMemory");
                args.extend(MICROPHONE);
                let microphone = hears(root);
                args.push(&microphone);
                if webgpu {
                    args.extend(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]);
                } else {
                    args.push("--disable-features=WebGPUService,WebGPU");
                }
                json!({ "browserName": "chrome", "goog:chromeOptions": { "binary": binary, "args": args } })
            }
            Browser::ChromiumWebnn => {
                let mut args = vec!["--no-sandbox", "--headless=old", "--disable-dev-shm-usage"];
                args.extend(["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]);
                args.push("--enable-features=WebMachineLearningNeuralNetwork,Vulkan");
                args.extend(MICROPHONE);
                let microphone = hears(root);
                args.push(&microphone);
                if webgpu {
                    args.extend(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]);
                } else {
                    args.push("--disable-features=WebGPUService,WebGPU");
                }
                json!({ "browserName": "chrome", "goog:chromeOptions": { "binary": binary, "args": args } })
            }
            Browser::Firefox => json!({ "browserName": "firefox", "moz:firefoxOptions": {
                "binary": binary,
                "args": ["-headless"],
                "prefs": {
                    "dom.webgpu.enabled": webgpu,
                    "gfx.webgpu.ignore-blocklist": webgpu,
                    // A microphone that may be used, and plays one tone.
                    "media.navigator.streams.fake": true,
                    "media.navigator.permission.disabled": true,
                    "media.navigator.audio.fake_frequency": 440,
                },
            } }),
        })
    }

    /// Has a Chromium keep what its console says, and how long every task of its threads takes them.
    fn watched(self, capabilities: &mut Value) {
        if self == Browser::Firefox {
            return;
        }
        capabilities["goog:loggingPrefs"] = json!({ "browser": "ALL", "performance": "ALL" });
        let traced = json!({ "traceCategories": "-*,disabled-by-default-devtools.timeline,devtools.timeline" });
        capabilities["goog:chromeOptions"]["perfLoggingPrefs"] = traced;
    }

    /// Where its driver is.
    pub fn driver_path(self, root: &Path) -> Result<PathBuf> {
        match self {
            Browser::Chromium | Browser::ChromiumWebnn => {
                find(&["chromedriver"]).ok_or_else(|| anyhow!("chromedriver was not found"))
            }
            Browser::Firefox => Ok(geckodriver_path(root)),
        }
    }

    fn driver(self, root: &Path, port: u16) -> Result<Child> {
        let path = self.driver_path(root)?;
        let mut command = Command::new(&path);
        match self {
            Browser::Chromium | Browser::ChromiumWebnn => {
                command.args([format!("--port={port}"), "--disable-build-check".to_owned()])
            }
            Browser::Firefox => command.args(["--port".to_owned(), port.to_string(), "--log=fatal".to_owned()]),
        };
        // Its own log goes nowhere: what matters comes back as an error of a command.
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().with_context(|| format!("could not start {}", path.display()))
    }
}

/// Path of geckodriver: the system's, or the one that cargo installed.
pub fn geckodriver_path(root: &Path) -> PathBuf {
    find(&["geckodriver"]).unwrap_or_else(|| tools(root).join("bin/geckodriver"))
}

/// An extension that a browser is started with.
pub struct Extension<'a> {
    /// Its unpacked files.
    pub folder: &'a Path,
    /// What Chromium makes of the key in its manifest.
    pub key_id: &'a str,
    /// What its manifest tells Firefox, and the number by which that is to know it.
    pub gecko_id: &'a str,
    pub uuid: &'a str,
}

impl Extension<'_> {
    /// Where its files are for `browser`.
    pub fn address(&self, browser: Browser) -> String {
        match browser {
            Browser::Chromium | Browser::ChromiumWebnn => format!("chrome-extension://{}/", self.key_id),
            Browser::Firefox => format!("moz-extension://{}/", self.uuid),
        }
    }

    /// Adds to a browser's capabilities what it takes.
    fn told(&self, browser: Browser, capabilities: &mut Value) {
        if browser == Browser::Firefox {
            let known = json!({ self.gecko_id: self.uuid }).to_string();
            capabilities["moz:firefoxOptions"]["prefs"]["extensions.webextensions.uuids"] = json!(known);
        } else if let Some(args) = capabilities["goog:chromeOptions"]["args"].as_array_mut() {
            args.push(json!(format!("--load-extension={}", self.folder.display())));
            args.push(json!("--disable-features=DisableLoadExtensionCommandLineSwitch"));
        }
    }
}

/// Has Firefox take an extension, which its driver knows and WebDriver does not.
fn install(port: u16, session: &str, extension: &Extension<'_>) -> Result<()> {
    let body = json!({ "path": extension.folder, "temporary": true });
    posted(port, &format!("session/{session}/moz/addon/install"), &body).context("the extension was not taken")?;
    Ok(())
}

/// What a driver answers to a command that WebDriver does not know.
fn posted(port: u16, path: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(DRIVER_STARTS))?;
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = BufReader::new(stream);
    let mut head = String::new();
    // A driver may keep the connection: where its answer ends the head says.
    while !head.ends_with("\r\n\r\n") && answer.read_line(&mut head)? > 0 {}
    let bytes =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; bytes.context("an answer without a length")?];
    answer.read_exact(&mut body)?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("{head}{}", String::from_utf8_lossy(&body));
    }
    Ok(serde_json::from_slice::<Value>(&body).context("what a driver answers")?["value"].take())
}

/// Where the Chromium with WebNN is, once its package is unpacked.
pub fn webnn_path(root: &Path) -> PathBuf {
    root.join("target/webnn/browser/chromium")
}

/// Flags of a Chromium whose microphone may be used.
const MICROPHONE: [&str; 2] = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

/// The flag by which its microphone hears the demo's own sound again and again.
fn hears(root: &Path) -> String {
    format!("--use-file-for-fake-audio-capture={}", microphone_path(root).display())
}

/// What a Chromium's microphone hears, once it is written: it opens no path with `..` in it.
pub fn microphone_path(root: &Path) -> PathBuf {
    root.canonicalize().unwrap_or_else(|_| root.to_owned()).join("target/microphone.wav")
}

/// Whether a driver answers at `port` and says that it is ready. Another process may have been given the port meanwhile,
/// and takes connections too.
fn ready(port: u16) -> bool {
    let asked = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(DRIVER_ANSWERS))?;
        write!(stream, "GET /status HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        // What came before the end is enough, should the driver keep the connection.
        let _ = stream.read_to_string(&mut answer);
        Ok(answer)
    };
    asked().is_ok_and(|answer| answer.contains("\"ready\":true"))
}

/// A driver of `browser` that is ready, and its port. A port is free when it is asked for, not always when the driver takes
/// it: a driver that ends then is started with another.
async fn listening(root: &Path, browser: Browser) -> Result<(u16, Child)> {
    for _ in 0..PORTS {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut driver = browser.driver(root, port)?;
        let since = Instant::now();
        while driver.try_wait()?.is_none() {
            if ready(port) {
                return Ok((port, driver));
            }
            if since.elapsed() > DRIVER_STARTS {
                let _ = driver.kill();
                bail!("the driver of {browser} does not answer");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    bail!("the driver of {browser} ends as soon as it is started")
}

/// A driver with an open browser.
pub struct Session {
    /// To drive it with.
    pub client: Client,
    /// Name and version as the browser states them.
    pub version: String,
    driver: Child,
    port: u16,
}

impl Session {
    /// Starts `browser`.
    pub async fn start(root: &Path, browser: Browser, webgpu: bool) -> Result<Session> {
        Self::with(root, browser, webgpu, None).await
    }

    /// Starts `browser` with an extension in it, where one is given.
    pub async fn with(
        root: &Path,
        browser: Browser,
        webgpu: bool,
        extension: Option<&Extension<'_>>,
    ) -> Result<Session> {
        let mut capabilities = browser.capabilities(root, webgpu)?;
        if let Some(extension) = extension {
            extension.told(browser, &mut capabilities);
        }
        let session = Self::of(root, browser, capabilities).await?;
        if let (Browser::Firefox, Some(extension)) = (browser, extension) {
            let id = session.client.session_id().await?.context("a session without a number")?;
            install(session.port, &id, extension)?;
        }
        Ok(session)
    }

    /// Starts `browser` so that `log` has what it keeps of itself.
    pub async fn watched(root: &Path, browser: Browser, webgpu: bool) -> Result<Session> {
        let mut capabilities = browser.capabilities(root, webgpu)?;
        browser.watched(&mut capabilities);
        Self::of(root, browser, capabilities).await
    }

    /// What a watched Chromium kept of `kind` since the last time; of others nothing.
    pub async fn log(&self, kind: &str) -> Result<Vec<Value>> {
        if self.version.starts_with(&Browser::Firefox.to_string()) {
            return Ok(vec![]);
        }
        let id = self.client.session_id().await?.context("a session without a number")?;
        let kept = posted(self.port, &format!("session/{id}/se/log"), &json!({ "type": kind }))?;
        Ok(kept.as_array().cloned().unwrap_or_default())
    }

    /// Has the page lie in a window of that size, also where no window of the browser's is so narrow; a Firefox's is as narrow as it can be.
    pub async fn sized(&self, width: u32, height: u32) -> Result<()> {
        if self.version.starts_with(&Browser::Firefox.to_string()) {
            return Ok(self.client.set_window_size(width, height).await?);
        }
        let id = self.client.session_id().await?.context("a session without a number")?;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": size });
        posted(self.port, &format!("session/{id}/goog/cdp/execute"), &command)?;
        Ok(())
    }

    async fn of(root: &Path, browser: Browser, capabilities: Value) -> Result<Session> {
        let Value::Object(capabilities) = capabilities else { bail!("no capabilities") };
        let (port, mut driver) = listening(root, browser).await?;
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{port}")).await;
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                let _ = driver.kill();
                return Err(error).with_context(|| format!("{browser} does not start"));
            }
        };
        let told = client.capabilities();
        let version = told.and_then(|c| c.get("browserVersion")).and_then(Value::as_str).unwrap_or("");
        let version = format!("{browser} {version}");
        Ok(Session { client, version, driver, port })
    }

    /// Closes the browser and its driver.
    pub async fn close(mut self) {
        // The driver is killed all the same.
        let _ = self.client.clone().close().await;
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.driver.kill();
    }
}
