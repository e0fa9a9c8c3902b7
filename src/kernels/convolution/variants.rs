//! The kernels that compute a convolution, and the choice among them. A variant is one file, and one line here.
//! Knows them all; must never know attributes.

use super::depthwise::Depthwise;
use super::direct::Direct;
use super::geometry::Task;
use super::implicit::Implicit;
use super::pointwise::Pointwise;
use super::unfold::Unfold;
use super::winograd::Winograd;
use crate::error::Result;
use crate::kernels::base::{Lowering, Variant, variant};

/// Of equal cost the first is taken: those for one form of convolution, then by what was found faster where they suit.
static VARIANTS: &[&dyn Variant<Task>] = &[&Pointwise, &Depthwise, &Implicit, &Unfold, &Direct, &Winograd];

/// Appends the dispatches of the best.
pub(super) fn lower(task: &Task, out: &mut Lowering<'_>) -> Result<()> {
    variant::lower(VARIANTS, task, out)
}
