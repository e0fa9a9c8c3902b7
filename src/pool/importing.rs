//! A lane's records out of a pool, and into one. Knows whose they are by the lane's fingerprint; must never know in which form they
//! travel.

use super::desk::Desk;
use super::known::Known;
use super::report::LaneRecords;
use crate::error::{Error, Kind, Result};
use crate::kernels::Class;
use crate::lane::host::{now_ms, time_origin};
use crate::refine::Imported;

/// Refuses what was learned where it holds what are no numbers.
pub(super) fn check((fingerprint, known): &(String, Known)) -> Result<()> {
    let why = || format!("what was learned on '{fingerprint}' has numbers that are none");
    if known.learned.believable() { Ok(()) } else { Err(Error::new(Kind::InvalidInput, why())) }
}

impl Desk {
    /// What this lane was measured by and learned from.
    pub(super) fn records(&self) -> LaneRecords {
        let predictor = self.predictor.borrow();
        let own = predictor.records();
        let profile = self.probing.known.borrow().clone();
        LaneRecords {
            lane: self.lane.name(),
            fingerprint: self.lane.facts().fingerprint(),
            rates: predictor.rates().clone(),
            classes: &Class::ALL,
            profile: profile.map(|known| Known::of(known.kernels, known.tuning, known.shares)),
            observations: own.observations.as_slice().to_vec(),
            refits: own.refits.as_slice().to_vec(),
            recalled: predictor.earlier().to_vec(),
        }
    }

    /// Goes on from what was recorded of this lane; nothing of one that was not as fast.
    pub(super) fn import(&self, known: &Known) -> Option<Imported> {
        let imported = self.predictor.borrow_mut().import(&known.learned, now_ms(), time_origin());
        // Shares are those of the variants that were measured.
        if !self.probing.done() && known.holds(&self.probing.kernels) && known.tuning == self.lane.tuning() {
            self.take_in(&Known::of(known.kernels.clone(), known.tuning, known.shares.clone()));
        }
        self.keep();
        imported
    }
}
