//! Operators that make one number, or the place of one, of all elements along some axes.
//! Knows rows; must never know another family.

pub mod argument;
pub mod reduce;

use super::base::Entry;

/// The operators of this family.
pub const OPERATORS: &[&[&Entry]] = &[argument::OPERATORS, reduce::OPERATORS];
