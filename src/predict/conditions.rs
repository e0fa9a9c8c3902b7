//! How the machine is while something runs, as far as it tells. Plain values; must never know who told.

use serde::{Deserialize, Serialize};

/// How hard the processor is pressed, as the Compute Pressure API names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pressure {
    /// As usual.
    #[default]
    Nominal,
    /// Some.
    Fair,
    /// Much; it may go on like this.
    Serious,
    /// It is about to be throttled, or is.
    Critical,
}

impl Pressure {
    /// From the least to the most.
    pub const ALL: [Pressure; 4] = [Pressure::Nominal, Pressure::Fair, Pressure::Serious, Pressure::Critical];
}

/// What a page is told of its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Whether nobody sees the page.
    pub hidden: bool,
    /// The processor's; nothing where nobody tells.
    pub pressure: Option<Pressure>,
    /// Whether it lives on its battery; nothing where nobody tells.
    pub on_battery: Option<bool>,
}

/// The conditions under which something runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conditions {
    /// When it begins, in milliseconds by a clock that never goes back.
    pub now_ms: f64,
    /// What the page was told.
    #[serde(flatten)]
    pub machine: Machine,
    /// How many other executions of the same pool are at work meanwhile, on average.
    pub busy: f64,
}

impl Conditions {
    /// What the logarithm of a time is linear in: hidden, pressed, on battery, busy.
    pub(super) fn levels(&self) -> [f64; LEVELS] {
        let pressed = f64::from(self.machine.pressure.unwrap_or_default() as u8) / 3.0;
        let one = |yes: bool| f64::from(u8::from(yes));
        [one(self.machine.hidden), pressed, one(self.machine.on_battery == Some(true)), self.busy]
    }
}

/// How many levels there are.
pub(super) const LEVELS: usize = 4;
