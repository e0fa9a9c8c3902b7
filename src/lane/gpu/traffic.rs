//! Counts of what crossed between host and device, so that "moves no bytes" and "one readback" can be asserted.

use serde::Serialize;
use std::cell::Cell;

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

#[derive(Debug, Default)]
pub(super) struct Traffic {
    counts: Cell<TrafficCounts>,
}

impl Traffic {
    pub(super) fn counts(&self) -> TrafficCounts {
        self.counts.get()
    }

    fn change(&self, change: impl Fn(&mut TrafficCounts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    pub(super) fn executed(&self) {
        self.change(|c| c.executions += 1);
    }

    pub(super) fn uploaded(&self, bytes: u64) {
        self.change(|c| c.uploaded_bytes += bytes);
    }

    pub(super) fn read_back(&self, bytes: u64) {
        self.change(|c| {
            c.readbacks += 1;
            c.read_back_bytes += bytes;
        });
    }
}
