//! A convolution as a product: weights in panels of filters, the image in panels of outputs, each made when a
//! block of the inner dimension needs it. Knows a channel's layout; must never know chains. `unsafe`, as panels and tiles go
//! through pointers.
#![allow(unsafe_code)]

use crate::error::Result;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::image::{Layout, SLACK};
use crate::kernels::base::cpu::panels::{DEPTH, Packed, blocks};
use crate::kernels::base::cpu::simd::F4;
use crate::kernels::base::cpu::tile::{Begin, COLUMNS, LANES, ROWS, Sums, WIDE, Within, ended};
use crate::kernels::base::cpu::{Chain, Operands, Routine};
use crate::kernels::convolution::Convolution;
use std::ops::Range;

/// Filters and outputs of a unit: what it reads stays in the second cache.
const UNIT_FILTERS: usize = 42 * ROWS;
const UNIT_OUTPUTS: usize = 21 * COLUMNS;
/// Filters whose panels are read again for each panel of outputs.
const NEAR: usize = 21 * ROWS;

/// Reads the image, the packed weights, the bias where there is one, and what the chain reads.
#[derive(Debug)]
pub struct Window {
    /// Sizes.
    pub conv: Convolution,
    /// How a channel lies.
    pub layout: Layout,
    /// Where each element of the inner dimension (channel, then tap) reads from an output's place.
    pub taps: Vec<usize>,
    /// Whether there is a bias.
    pub bias: bool,
    /// Applied last.
    pub chain: Chain,
}

/// The taps of a group's channels.
pub fn taps(conv: &Convolution, layout: &Layout) -> Vec<usize> {
    let window = (0..conv.y.kernel).flat_map(|ky| (0..conv.x.kernel).map(move |kx| (ky, kx)));
    let of = |c: usize| window.clone().map(move |(ky, kx)| c * layout.channel() + layout.tap(ky, kx));
    (0..conv.group_channels()).flat_map(of).collect()
}

impl Window {
    fn outputs(&self) -> usize {
        self.conv.y.output * self.conv.x.output
    }

    fn output_units(&self) -> usize {
        self.outputs().div_ceil(UNIT_OUTPUTS)
    }

    fn filter_units(&self) -> usize {
        self.conv.group_filters().div_ceil(UNIT_FILTERS)
    }

    /// The panel of the outputs from `first` on: each run of them in one row is copied whole, and what it writes beyond its
    /// own lanes is overwritten by what follows.
    fn panel(&self, image: &[f32], taps: &[usize], first: usize, to: &mut [f32]) {
        let width = self.conv.x.output;
        let count = COLUMNS.min(self.outputs() - first);
        let mut runs = [(0, 0); COLUMNS];
        let (mut lane, mut used) = (0, 0);
        while lane < count {
            let (oy, ox) = ((first + lane) / width, (first + lane) % width);
            runs[used] = (lane, self.layout.output(oy) + ox);
            lane += (width - ox).min(count - lane);
            used += 1;
        }
        let runs = &runs[..used];
        let furthest = taps.iter().copied().max().unwrap_or(0);
        let beyond = runs.iter().map(|run| run.1).max().unwrap_or(0) + furthest + COLUMNS;
        assert!(beyond <= image.len() && (taps.len() + 1) * COLUMNS <= to.len(), "a panel beyond its image");
        let (from, mut to) = (image.as_ptr(), to.as_mut_ptr());
        // SAFETY: each run reads a panel's row within the image and writes as much from a lane of a panel with one more row
        // behind it, as was asserted.
        unsafe {
            if let &[(_, at)] = runs {
                for &tap in taps {
                    let from = from.add(at + tap);
                    (0..WIDE).for_each(|j| F4::load(from.add(j * LANES)).store(to.add(j * LANES)));
                    to = to.add(COLUMNS);
                }
                return;
            }
            for &tap in taps {
                for &(lane, at) in runs {
                    let from = from.add(at + tap);
                    (0..WIDE).for_each(|j| F4::load(from.add(j * LANES)).store(to.add(lane + j * LANES)));
                }
                to = to.add(COLUMNS);
            }
        }
    }

    /// The sums of `filters` of one group for `outputs`, into the plane of the first filter at `y`.
    fn sums(
        &self,
        image: &[f32],
        (weights, bias): (&[f32], Option<&[f32]>),
        filters: Range<usize>,
        outputs: Range<usize>,
        on: &Operands<'_>,
        y: usize,
    ) {
        let packed = Packed { count: self.conv.group_filters(), depth: self.taps.len() };
        let (plane, panels) = (self.outputs(), on.scratch());
        let (result, len) = on.result(0);
        assert!(y + (filters.len() - 1) * plane + outputs.len() <= len, "a unit beyond its result");
        assert!(bias.is_none_or(|bias| bias.len() >= filters.len()), "a bias for each filter");
        let within = Within::of(self.conv.activation);
        for block in blocks(self.taps.len()) {
            let depth = block.len();
            for (c, first) in outputs.clone().step_by(COLUMNS).enumerate() {
                self.panel(image, &self.taps[block.clone()], first, &mut panels[c * COLUMNS * depth..]);
            }
            let left = &weights[packed.at::<ROWS>(&block, filters.start)..];
            assert!(left.len() >= filters.len().next_multiple_of(ROWS) * depth, "panels of weights");
            for near in filters.clone().step_by(NEAR) {
                let rows = NEAR.min(filters.end - near);
                let (a, bias) =
                    (&left[(near - filters.start) * depth..], bias.map(|bias| &bias[near - filters.start..]));
                for (b, first) in panels.chunks_exact(COLUMNS * depth).zip(outputs.clone().step_by(COLUMNS)) {
                    let size = (rows, COLUMNS.min(outputs.end - first));
                    // SAFETY: panels are whole, there is a bias for each filter, and the unit's elements are within the result, as
                    // was asserted.
                    unsafe {
                        let to = result.add(y + (near - filters.start) * plane + first - outputs.start);
                        let begin = match bias {
                            _ if block.start > 0 => Begin::Each(to, plane),
                            None => Begin::Nothing,
                            Some(bias) => Begin::Row(bias.as_ptr(), 1),
                        };
                        let within = within.filter(|_| block.end == self.taps.len());
                        ended(a.as_ptr(), b.as_ptr(), depth, size, Sums { begin, within, to, stride: plane });
                    }
                }
            }
        }
    }
}

impl Routine for Window {
    fn phases(&self) -> usize {
        2
    }

    fn units(&self, phase: usize) -> usize {
        let conv = &self.conv;
        match phase {
            0 => conv.batch * conv.channels,
            _ => conv.batch * conv.group * self.filter_units() * self.output_units(),
        }
    }

    fn scratch(&self) -> usize {
        DEPTH * UNIT_OUTPUTS + COLUMNS
    }

    fn shared(&self) -> usize {
        self.conv.batch * self.conv.channels * self.layout.channel() + SLACK
    }

    fn run(&self, phase: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let conv = &self.conv;
        let (plane, channel) = (conv.y.input * conv.x.input, self.layout.channel());
        if phase == 0 {
            let x: &[f32] = on.read(0);
            for unit in units {
                self.layout.fill(
                    &x[unit * plane..(unit + 1) * plane],
                    0.0,
                    on.share(unit * channel..(unit + 1) * channel),
                );
            }
            return Ok(());
        }
        let group_filters = conv.group_filters();
        let floats = Packed { count: group_filters, depth: self.taps.len() }.floats::<ROWS>();
        let weights: &[f32] = on.read(1);
        let mut registers = self.chain.registers();
        for unit in units {
            let (rest, at) = (unit / self.output_units(), unit % self.output_units());
            let outputs = at * UNIT_OUTPUTS..((at + 1) * UNIT_OUTPUTS).min(self.outputs());
            let (rest, at) = (rest / self.filter_units(), rest % self.filter_units());
            let filters = at * UNIT_FILTERS..((at + 1) * UNIT_FILTERS).min(group_filters);
            let (n, group) = (rest / conv.group, rest % conv.group);
            let image = &on.shared()[(n * conv.channels + group * conv.group_channels()) * channel..];
            let first = n * conv.filters + group * group_filters + filters.start;
            let y = first * self.outputs() + outputs.start;
            let bias = self.bias.then(|| &on.read::<f32>(2)[group * group_filters + filters.start..][..filters.len()]);
            let weights = &weights[group * floats..(group + 1) * floats];
            self.sums(image, (weights, bias), filters.clone(), outputs.clone(), on, y);
            if self.chain.is_empty() {
                continue;
            }
            // Whole planes lie next to each other.
            let (at_once, len) = match outputs.len() == self.outputs() && self.chain.is_flat() {
                true => (filters.len(), filters.len() * outputs.len()),
                false => (1, outputs.len()),
            };
            for filter in (0..filters.len()).step_by(at_once) {
                let start = y + filter * self.outputs();
                let row: &mut [f32] = on.write(0, start..start + len);
                self.chain.run(on, &mut registers, start, row);
            }
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Conv
    }

    fn flops(&self) -> f64 {
        let outputs: usize = self.conv.shape.iter().product();
        self.conv.flops(self.bias) + self.chain.flops * outputs as f64
    }
}
