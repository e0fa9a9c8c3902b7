//! Rows: the view of a tensor in which one axis, or several neighbours, are reduced; and how threads share them.

use super::lean::lean;
use super::limits::{rounds, workgroups};
use super::{Element, Tuning};
use crate::error::Result;

/// A tensor as `outer` × `len` × `inner` elements, worked on along `len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Product of the dimensions before.
    pub outer: usize,
    /// Elements of a row.
    pub len: usize,
    /// Product of the dimensions after: elements from one of a row to the next.
    pub inner: usize,
}

impl Rows {
    /// Where `axis` of a tensor of shape `from` is in one of `rank` axes, of which these are the rows; nothing where it is in them.
    pub fn along(&self, from: &[usize], axis: usize, rank: usize) -> Option<usize> {
        let after: usize = from[axis + 1..].iter().product();
        if after >= self.len * self.inner {
            return Some(axis);
        }
        (after * from[axis] <= self.inner).then(|| (rank + axis).checked_sub(from.len())).flatten()
    }
}

/// Threads in a workgroup of a kernel over rows.
pub const GROUP: usize = 64;
/// Workgroups in x before a dispatch goes on in y.
const WIDE: usize = 32_768;
/// Threads that share a row at most, where they may wait for each other at little cost.
const MOST_LANES: usize = 32;
/// Threads that share a row where a barrier is dear but the row is long and rows are few.
const FEW_ROWS_LANES: usize = 8;
/// Elements as they are bound above which a row is long.
const LONG: usize = 2048;

/// What is over the threads of a row where there is one only.
const ALONE: &str = "fn over_lanes(value: f32, thread: u32, greatest: bool) -> f32 {\n    return value;\n}\n";

/// What is over the threads of a row where they are of one subgroup.
const BY_SUBGROUP: &str = "fn over_lanes(value: f32, thread: u32, greatest: bool) -> f32 {\n    \
                           var all = value;\n${exchanges}    return all;\n}\n";

/// How a dispatch covers the rows.
#[derive(Clone, Copy, Debug)]
pub struct Cover {
    /// Threads that share a row.
    pub lanes: usize,
    /// Threads of a subgroup at least; 0 where they are not used.
    subgroups: usize,
    /// Workgroups.
    pub workgroups: [u32; 3],
}

/// Elements as they are bound that a thread holds of a row in registers; more where it would have to wait for others.
const HELD: usize = 8;
const HELD_ALONE: usize = 32;

/// How threads hold a row in registers.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// How the rows are covered.
    pub cover: Cover,
    /// Elements as they are bound that each holds, `lanes` apart.
    pub count: usize,
}

impl Held {
    /// `line` for each element that a thread holds: `{j}` stands for its number, `{far}` for how far it lies from the
    /// first.
    pub fn lines(&self, line: &str) -> String {
        let one = |j: usize| line.replace("{j}", &j.to_string()).replace("{far}", &(j * self.cover.lanes).to_string());
        (0..self.count).map(one).collect()
    }
}

impl Rows {
    /// The rows of `shape` along the axes `from..to`.
    pub fn of(shape: &[usize], from: usize, to: usize) -> Rows {
        let size = |dims: &[usize]| dims.iter().product();
        Rows { outer: size(&shape[..from]), len: size(&shape[from..to]), inner: size(&shape[to..]) }
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.outer * self.inner
    }

    /// Index of the first element of row `r`; the next are `inner` apart.
    pub fn start(&self, r: usize) -> usize {
        r / self.inner * self.inner * self.len + r % self.inner
    }

    /// How its elements are bound: in vec4 where a row is a whole number of them.
    pub fn element(&self) -> Element {
        if self.inner == 1 && self.len > 0 && self.len.is_multiple_of(4) { Element::Vec4F32 } else { Element::F32 }
    }

    /// Elements of a row as they are bound.
    pub fn bound_len(&self) -> usize {
        self.len / self.element().wide()
    }

    /// WGSL functions that make one number of an element as it is bound: the sum and the greatest of its parts.
    pub fn parts(&self) -> &'static str {
        match self.element() {
            Element::Vec4F32 => {
                "fn total(v: x_t) -> f32 {\n    return (v.x + v.y) + (v.z + v.w);\n}\n\
                 fn widest(v: x_t) -> f32 {\n    return max(max(v.x, v.y), max(v.z, v.w));\n}\n"
            }
            _ => "fn total(v: x_t) -> f32 {\n    return v;\n}\nfn widest(v: x_t) -> f32 {\n    return v;\n}\n",
        }
    }

    /// How threads may hold a row in registers. Only rows of a power of two: each length is a kernel of its own.
    pub fn held(&self, tuning: Tuning) -> Result<Option<Held>> {
        let len = self.bound_len();
        // Neighbours that need not wait for each other read neighbouring elements.
        let free = tuning.subgroups.min(len).min(MOST_LANES);
        let lanes = len.div_ceil(if tuning.barriers { HELD } else { HELD_ALONE }).max(free);
        let most = if tuning.barriers { MOST_LANES } else { MOST_LANES.min(tuning.subgroups.max(1)) };
        if self.element() != Element::Vec4F32 || !len.is_power_of_two() || lanes > most {
            return Ok(None);
        }
        Ok(Some(Held { cover: Cover::of(lanes, self.count(), tuning)?, count: len / lanes }))
    }

    /// How a dispatch whose threads go `passes` times over their part of a row of `len` bound elements covers the rows.
    pub fn cover(&self, len: usize, passes: usize, tuning: Tuning) -> Result<Cover> {
        let lanes = match () {
            () if self.inner > 1 => 1,
            () if tuning.barriers => len.next_power_of_two().min(MOST_LANES),
            () if tuning.subgroups > 0 => len.next_power_of_two().min(MOST_LANES).min(tuning.subgroups),
            () if self.count() < tuning.threads && len > LONG => FEW_ROWS_LANES,
            () => 1,
        };
        rounds(len.div_ceil(lanes) * passes + lanes * passes)?;
        Cover::of(lanes, self.count(), tuning)
    }
}

impl Cover {
    /// `lanes` threads to each of `rows` rows.
    fn of(lanes: usize, rows: usize, tuning: Tuning) -> Result<Cover> {
        Ok(Cover { lanes, subgroups: tuning.subgroups, workgroups: spread(rows.div_ceil(GROUP / lanes))? })
    }

    /// What the shaders of this family are given, whose parameter `count` is the number of rows. A thread that shares its
    /// row with none waits for none, and does nothing where it has no row.
    pub fn snippets(&self, count: &str) -> [(&'static str, String); 3] {
        let (together, alone) = match self.lanes {
            1 => (ALONE.to_owned(), format!("    if (asked >= params.{count}) {{\n        return;\n    }}")),
            _ => (self.together(), String::new()),
        };
        [("lanes", self.lanes.to_string()), ("together", together), ("alone", alone)]
    }

    /// How the threads of a row join what they have: within subgroups first, then through memory that they share.
    fn together(&self) -> String {
        let within = self.subgroups.clamp(1, self.lanes.max(1));
        let masks = (0..within.trailing_zeros()).map(|bit| 1 << bit);
        let exchange = |mask: u32| format!("    all = both(all, subgroupShuffleXor(all, {mask}u), greatest);\n");
        let beyond = if self.lanes > within { lean!("lanes_wait.wgsl") } else { BY_SUBGROUP };
        beyond
            .replace("${within}", &within.to_string())
            .replace("${exchanges}", &masks.map(exchange).collect::<String>())
    }
}

/// `groups` workgroups, in x and y where x alone does not hold them; the kernel gets the number in x.
pub fn spread(groups: usize) -> Result<[u32; 3]> {
    workgroups([groups.min(WIDE), groups.div_ceil(WIDE), 1])
}
