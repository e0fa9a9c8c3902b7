//! Looks at the demo page as those do who use it: whom it shuts out, what its console says, whether it moves by itself, fits its
//! window, and answers while it works. Knows what is asked of a page; must never know how this one computes.

use crate::browsers::{Browser, Session};
use crate::drive::Drive;
use crate::keys::walked;
use crate::setup::npm_packages;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// What a page takes at most, on a machine that is busy with others.
const MOST: Duration = Duration::from_secs(180);
/// How long it is watched while it does nothing.
const IDLE: Duration = Duration::from_secs(1);
/// How far all that moved by itself may have moved: cumulative layout shift.
const MOVES: f64 = 0.1;
/// Milliseconds of the processor that a task of the page's own thread may take: what else the machine does counts for nothing.
const TASK: f64 = 50.0;
/// A driver that kept so much may have thrown something away.
const KEPT: usize = 100_000;
/// Windows that the page must fit, in CSS pixels.
const WIDTHS: [u32; 5] = [360, 512, 1024, 1920, 3840];
/// Its schemes of colours.
const SCHEMES: [&str; 2] = ["light", "dark"];

/// Opens the page, then opens it with `query`, which has it do all that it does; says what is wrong with it, else what came out.
pub fn looked(root: &Path, browser: Browser, port: u16, query: &str) -> Result<(Value, String)> {
    let axe = npm_packages(root).join("axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&axe).with_context(|| axe.display().to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = format!("127.0.0.1:{port}/");
    let page = |query: &str| {
        let url = format!("http://{address}{query}");
        Drive { root, browser, webgpu: true, url, screenshots: vec![] }
    };
    runtime.block_on(async {
        let mut faults = vec![];
        let session = page("").watched().await?;
        let end = opened(&session, &address, &axe, &mut faults).await;
        session.close().await;
        let stops = end.context("just opened")?;
        // A browser of its own: Chromium cuts its trace where a page goes to another.
        let drive = page(query);
        let session = drive.watched().await?;
        let end = worked(&session, &drive, &address, &axe, &mut faults).await;
        session.close().await;
        let (result, told) = end?;
        let told = format!("{told}; {stops} stops of the keyboard");
        if faults.is_empty() { Ok((result, told)) } else { bail!("the demo page:\n  {}", faults.join("\n  ")) }
    })
}

/// Judges the page as it comes: how often the keyboard stops on its way through it.
async fn opened(session: &Session, address: &str, axe: &str, faults: &mut Vec<String>) -> Result<usize> {
    ready(session).await?;
    // It is to be as quick where nothing is asked of it.
    tokio::time::sleep(IDLE).await;
    let (_, long) = tasks(session, address, "just opened").await?;
    faults.extend(long);
    faults.extend(judged(session, axe).await?);
    faults.extend(state(session).await?.0);
    let (stops, wrong) = walked(session).await?;
    faults.extend(texts(&Value::Array(wrong)));
    faults.extend(console(session).await?);
    Ok(stops)
}

/// Judges the page once it has done all that it does: what came out, and what is to be told of it.
async fn worked(
    session: &Session,
    drive: &Drive<'_>,
    address: &str,
    axe: &str,
    faults: &mut Vec<String>,
) -> Result<(Value, String)> {
    let result = drive.follow(&session.client, &mut |_| ()).await?;
    // Before anything is asked of the page that its thread has to do.
    let (longest, long) = tasks(session, address, "at work").await?;
    faults.extend(long);
    let (said, moved) = state(session).await?;
    faults.extend(said);
    if moved > MOVES {
        faults.push(format!("what moved by itself adds up to {moved:.3}, more than {MOVES}"));
    }
    faults.extend(judged(session, axe).await?);
    faults.extend(fits(session).await?);
    // What was done for the judges above is none of the page's.
    session.log("performance").await?;
    let said = beside(session).await.context("another runtime beside ours")?;
    let (most, long) = tasks(session, address, "beside another runtime").await?;
    faults.extend(long);
    let longest = longest.into_iter().chain(most).reduce(f64::max);
    faults.extend(judged(session, axe).await?);
    faults.extend(fits(session).await?.into_iter().map(|fault| format!("beside another runtime: {fault}")));
    faults.extend(console(session).await?);
    let mut told = "no serious fault in two schemes".to_owned();
    if drive.browser != Browser::Firefox {
        told += &format!(", moved by {moved:.3}, its longest task ");
        told += &longest.map_or_else(|| "not traced".to_owned(), |ms| format!("{ms:.0} ms of the processor"));
    }
    Ok((result, format!("{told}; {said}")))
}

/// Waits until the page offers all that it has.
async fn ready(session: &Session) -> Result<()> {
    let asked = "return globalThis.driven?.error ?? (driven.lines.some((line) => line.startsWith('Ready')) || null)";
    let since = Instant::now();
    loop {
        match session.client.execute(asked, vec![]).await? {
            Value::Bool(true) => return Ok(()),
            Value::String(error) => bail!("{error}"),
            _ if since.elapsed() > MOST => bail!("the page is not ready after {} s", MOST.as_secs()),
            _ => tokio::time::sleep(Duration::from_millis(150)).await,
        }
    }
}

/// What shuts people out, in light and in dark.
async fn judged(session: &Session, axe: &str) -> Result<Vec<String>> {
    session.client.execute(axe, vec![]).await?;
    let mut faults = vec![];
    for scheme in SCHEMES {
        let told = session.client.execute_async(include_str!("../page/judge.js"), vec![json!(scheme)]).await?;
        faults.extend(texts(&told));
    }
    Ok(faults)
}

/// What the page complained of, and how far it moved by itself.
async fn state(session: &Session) -> Result<(Vec<String>, f64)> {
    let told = session.client.execute(include_str!("../page/state.js"), vec![]).await?;
    Ok((texts(&told["complaints"]), told["moved"].as_f64().context("the page does not say what moved")?))
}

/// Windows in which something lies beyond an edge.
async fn fits(session: &Session) -> Result<Vec<String>> {
    let mut faults = vec![];
    for width in WIDTHS {
        session.sized(width, 900).await?;
        // What is drawn anew waits for the window to keep its size.
        tokio::time::sleep(Duration::from_millis(400)).await;
        for scheme in SCHEMES {
            let paint = "document.documentElement.style.colorScheme = arguments[0]";
            session.client.execute(paint, vec![json!(scheme)]).await?;
            faults.extend(state(session).await?.0);
        }
    }
    session.sized(1280, 900).await?;
    faults.dedup();
    Ok(faults)
}

/// Has the page put another runtime beside ours, and waits for the end of it: what it said.
async fn beside(session: &Session) -> Result<String> {
    let ask = "document.getElementById('peer-form').requestSubmit(document.getElementById('peer-run'))";
    session.client.execute(ask, vec![]).await?;
    let asked = "return document.getElementById('peer-run').disabled ? null : document.getElementById('peer-status').textContent";
    let since = Instant::now();
    loop {
        match session.client.execute(asked, vec![]).await? {
            Value::String(said) if said.starts_with("Median of") => return Ok(said),
            Value::String(said) => bail!("{said}"),
            _ if since.elapsed() > MOST => bail!("the other runtime has not ended after {} s", MOST.as_secs()),
            _ => tokio::time::sleep(Duration::from_millis(150)).await,
        }
    }
}

/// What the console of a Chromium was told by the browser itself, too.
async fn console(session: &Session) -> Result<Vec<String>> {
    let log = session.log("browser").await?;
    Ok(log.iter().filter(|line| line["level"] == "SEVERE").map(|line| line["message"].to_string()).collect())
}

/// The longest task of the page's own thread since the last time, by the processor's time: what else the machine does is no fault of
/// the page. Then the faults. Only a Chromium tells.
async fn tasks(session: &Session, page: &str, when: &str) -> Result<(Option<f64>, Vec<String>)> {
    let log = session.log("performance").await?;
    if log.is_empty() {
        return Ok((None, vec![]));
    }
    if log.len() >= KEPT {
        bail!("the driver kept {} entries, and may have lost some", log.len());
    }
    let traced: Vec<Value> = log.iter().filter_map(traced).collect();
    // Of several pages, of which the browser has its own and another may just have gone, the one at work of those that spoke of this
    // address.
    // Workers have no style.
    let main = |event: &&Value| event["name"] == "ScheduleStyleRecalculation";
    let spoke = |thread: &&Value| {
        traced.iter().any(|event| event["pid"] == thread["pid"] && event["args"].to_string().contains(page))
    };
    let tasks = |thread: &Value| -> Vec<&Value> {
        let own = |event: &&Value| event["pid"] == thread["pid"] && event["tid"] == thread["tid"];
        traced.iter().filter(|event| event["name"] == "RunTask").filter(own).collect()
    };
    let mut threads: Vec<&Value> = traced.iter().filter(main).collect();
    threads.dedup_by(|a, b| a["pid"] == b["pid"] && a["tid"] == b["tid"]);
    let pages = threads.into_iter().filter(spoke).map(tasks);
    let Some(tasks) = pages.max_by_key(Vec::len) else { return Ok((None, vec![])) };
    let mut longest = 0.0f64;
    let mut long = vec![];
    for task in tasks {
        longest = longest.max(took(task));
        if took(task) > TASK {
            let did = within(task, &traced).join(", ");
            long.push(format!("{when}: a task took {:.0} ms of the processor, more than {TASK}: {did}", took(task)));
        }
    }
    Ok((Some(longest), long))
}

/// Milliseconds of the processor that an event of a trace took.
fn took(event: &Value) -> f64 {
    event["tdur"].as_f64().unwrap_or_default() / 1e3
}

/// What was done in a task for a fifth of it or more, each with its milliseconds and, of a script, where that is.
fn within(task: &Value, traced: &[Value]) -> Vec<String> {
    let time = |event: &Value, key: &str| event[key].as_f64().unwrap_or_default();
    let (begin, end) = (time(task, "ts"), time(task, "ts") + time(task, "dur"));
    let inside = |event: &&Value| {
        let same = event["pid"] == task["pid"] && event["tid"] == task["tid"] && event["name"] != "RunTask";
        same && time(event, "ts") >= begin && time(event, "ts") <= end && took(event) >= took(task) / 5.0
    };
    let told = |event: &Value| {
        let data = &event["args"]["data"];
        let place = data["url"].as_str().map(|url| format!(" {url}:{}", data["lineNumber"]));
        let name = event["name"].as_str().unwrap_or_default();
        format!("{name}{} {:.0} ms", place.unwrap_or_default(), took(event))
    };
    traced.iter().filter(inside).map(told).collect()
}

/// The event in an entry of the driver's log.
fn traced(entry: &Value) -> Option<Value> {
    let mut message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
    let message = message["message"].take();
    (message["method"] == "Tracing.dataCollected").then(|| message["params"].clone())
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
