//! Walks through a page by its keyboard alone, as those do who have no pointer. Knows keys; must never know what a page computes.

use crate::browsers::Session;
use anyhow::{Context, Result};
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("../page/keys.js");

/// How many stops there are, and what the keyboard does not reach, reaches in another order than it is read, or where nobody sees that it is.
pub async fn walked(session: &Session) -> Result<(usize, Vec<Value>)> {
    let asked = |what: &'static str| session.client.execute(SCRIPT, vec![json!(what)]);
    let stops = asked("begin").await?.as_u64().context("a page that does not say what takes keys")? as usize;
    let value = Key::Tab.into();
    // What the browser shows of a sound has several.
    for _ in 0..2 * stops + 10 {
        let tab = KeyActions::new("keys".to_owned()).then(KeyAction::Down { value }).then(KeyAction::Up { value });
        session.client.perform_actions(tab).await?;
        if asked("at").await? == Value::Bool(true) {
            break;
        }
    }
    Ok((stops, asked("end").await?.as_array().cloned().unwrap_or_default()))
}
