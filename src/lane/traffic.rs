//! Counts of what crossed between host and device, so that "moves no bytes" and "one readback" can be asserted.

use serde::Serialize;
use std::cell::Cell;
use std::iter::Sum;

/// What crossed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficCounts {
    /// Executions.
    pub executions: u64,
    /// Bytes of inputs to the device; weights are not counted.
    pub uploaded_bytes: u64,
    /// Maps of a buffer to read it.
    pub readbacks: u64,
    /// Bytes of outputs from the device.
    pub read_back_bytes: u64,
}

impl Sum for TrafficCounts {
    fn sum<I: Iterator<Item = TrafficCounts>>(counts: I) -> TrafficCounts {
        counts.fold(TrafficCounts::default(), |a, b| TrafficCounts {
            executions: a.executions + b.executions,
            uploaded_bytes: a.uploaded_bytes + b.uploaded_bytes,
            readbacks: a.readbacks + b.readbacks,
            read_back_bytes: a.read_back_bytes + b.read_back_bytes,
        })
    }
}

/// Where a lane counts it.
#[derive(Debug, Default)]
pub struct Traffic {
    counts: Cell<TrafficCounts>,
}

impl Traffic {
    /// So far.
    pub fn counts(&self) -> TrafficCounts {
        self.counts.get()
    }

    fn change(&self, change: impl Fn(&mut TrafficCounts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    /// One execution more.
    pub fn executed(&self) {
        self.change(|c| c.executions += 1);
    }

    /// Bytes of inputs that went to the device.
    pub fn uploaded(&self, bytes: u64) {
        self.change(|c| c.uploaded_bytes += bytes);
    }

    /// One wait for bytes from the device.
    pub fn read_back(&self, bytes: u64) {
        self.change(|c| {
            c.readbacks += 1;
            c.read_back_bytes += bytes;
        });
    }
}
