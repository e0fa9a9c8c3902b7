//! Operators that compute each element of their output from the elements at its place: of one operand, of two that
//! broadcast, or chosen by a condition. Each is a map, and chains of them become one dispatch.
//! Knows expressions; must never know another family.

pub mod binary;
pub mod cpu;
pub mod select;
mod typed;
pub mod unary;

use super::base::Entry;

/// The operators of this family.
pub const OPERATORS: &[&[&Entry]] = &[binary::OPERATORS, select::OPERATORS, unary::OPERATORS];
