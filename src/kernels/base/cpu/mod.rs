//! What every kernel of a processor is made of: routines over spans of an arena, tiles of products, panels, chains of
//! elementwise operators, vectors. Knows memory and numbers; must never know a family of operators, threads or a page.

pub mod access;
pub mod ceiling;
pub mod chain;
pub mod image;
pub mod line;
pub mod links;
pub mod loops;
pub mod lowering;
pub mod math;
pub mod panels;
pub mod product;
pub mod reference;
pub mod routine;
pub mod seen;
pub mod simd;
pub mod sums;
pub mod tile;

pub use access::Access;
pub use chain::Chain;
pub use lowering::{Lower, Routines, Steps};
pub use reference::Reference;
pub use routine::{Operands, Routine, Span};
