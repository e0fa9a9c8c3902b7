//! Operators that compute nothing: they move elements, join tensors, pick parts of them, or only see them under another
//! shape. Knows strides, and of products that they can store where a move would take them; must never know other families.

pub mod concat;
pub mod cpu;
pub mod gather;
pub mod indexed;
pub mod moves;
pub mod pad;
pub mod shape;
pub mod split;
pub mod trilu;
pub mod view;

use super::base::Entry;

/// The operators of this family.
pub const OPERATORS: &[&[&Entry]] = &[
    concat::OPERATORS,
    gather::OPERATORS,
    indexed::OPERATORS,
    moves::OPERATORS,
    pad::OPERATORS,
    shape::OPERATORS,
    split::OPERATORS,
    trilu::OPERATORS,
    view::OPERATORS,
];
