//! The cases, by operator family. A case is data: what runs it is elsewhere.

mod attention;
mod convolution;
mod elementwise;
mod epilogues;
mod given;
mod movement;
mod planes;
mod products;
mod recurrent;
mod rows;
mod windows;

use crate::case::Case;
use fastrand::Rng;
pub use given::Refusal;

/// The cases of one family.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// Name of the family.
    pub name: &'static str,
    /// Its cases; the random ones among them follow from the generator.
    pub cases: fn(&mut Rng) -> Vec<Case>,
    /// What must be refused.
    pub refusals: fn() -> Vec<Refusal>,
}

/// Every family.
pub const SUITES: &[Suite] = &[
    Suite { name: "matrix products", cases: products::cases, refusals: products::refusals },
    Suite { name: "attention", cases: attention::cases, refusals: Vec::new },
    Suite { name: "convolutions", cases: convolution::cases, refusals: convolution::refusals },
    Suite { name: "pooling", cases: windows::cases, refusals: windows::refusals },
    Suite { name: "element-wise", cases: elementwise::cases, refusals: elementwise::refusals },
    Suite { name: "moves", cases: movement::cases, refusals: movement::refusals },
    Suite { name: "rows", cases: rows::cases, refusals: rows::refusals },
    Suite { name: "epilogues", cases: epilogues::cases, refusals: epilogues::refusals },
    Suite { name: "planes apart", cases: planes::cases, refusals: Vec::new },
    Suite { name: "recurrent", cases: recurrent::cases, refusals: Vec::new },
];
