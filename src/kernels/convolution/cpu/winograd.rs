//! 3×3 convolutions by Winograd's F(4×4, 3×3): tiles of 16 outputs by 36 products for each channel instead of 144. Four tiles
//! that are neighbours in a row are the lanes of a vector. Knows tiles and where they lie; must never know the transforms'
//! factors. `unsafe`, as tiles of products and transformed vectors go through pointers.
#![allow(unsafe_code)]

use super::transforms::{self, POINTS, TILE};
use crate::error::Result;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::lowering::Pack;
use crate::kernels::base::cpu::product::activate;
use crate::kernels::base::cpu::simd::{F4, LINE};
use crate::kernels::base::cpu::tile::{COLUMNS, LANES, ROWS, WIDE, tiles};
use crate::kernels::base::cpu::{Chain, Operands, Routine};
use crate::kernels::base::window::Axis;
use crate::kernels::convolution::Convolution;
use std::ops::Range;

/// Products of a tile.
const PLANES: usize = POINTS * POINTS;
/// Outputs of a vector of tiles in a row.
const ACROSS: usize = LANES * TILE;
/// Vectors of tiles, and filters, of a unit: its products stay in the second cache.
const UNIT_VECTORS: usize = 6 * WIDE;
const UNIT_FILTERS: usize = 11 * ROWS;
/// Blocks from which on there are enough of them to share out whole.
const MANY_BLOCKS: usize = 8;
/// Floats of weights above which four times as many are too many.
const MOST_WEIGHTS: usize = 9 * 128 * 128;

/// Reads the image, the transformed weights, the bias where there is one, and what the chain reads.
#[derive(Debug)]
pub struct Winograd {
    /// Sizes.
    pub conv: Convolution,
    /// Whether there is a bias.
    pub bias: bool,
    /// Applied last.
    pub chain: Chain,
}

/// Whether it takes clearly fewer operations than the direct way: of vectors of tiles, with what their edges waste.
pub fn pays(conv: &Convolution) -> bool {
    let plain = |a: &Axis| a.kernel == 3 && a.stride == 1 && a.dilation == 1 && a.output > 0;
    if conv.group != 1 || !plain(&conv.y) || !plain(&conv.x) || 9 * conv.channels * conv.filters > MOST_WEIGHTS {
        return false;
    }
    let (c, f) = (conv.channels, conv.filters.next_multiple_of(ROWS));
    let direct = (conv.y.output * conv.x.output).div_ceil(LANES) * 9 * c * f;
    steps(conv) * 4 < direct * 3
}

/// Vectors of operations that an image takes.
fn steps(conv: &Convolution) -> usize {
    let (c, f) = (conv.channels, conv.filters.next_multiple_of(ROWS));
    let blocks = Blocks::of(conv);
    let vectors = blocks.count * blocks.tall * blocks.vectors;
    vectors * (PLANES * c * f + transforms::INPUT_STEPS * c + transforms::OUTPUT_STEPS * f)
}

/// The rows of tiles that a unit takes.
#[derive(Clone, Copy, Debug)]
struct Blocks {
    /// Rows of tiles.
    rows: usize,
    /// Vectors in a row of tiles.
    vectors: usize,
    /// Rows of tiles in a block.
    tall: usize,
    /// Blocks of an image.
    count: usize,
}

impl Blocks {
    fn of(conv: &Convolution) -> Blocks {
        let (rows, vectors) = (conv.y.output.div_ceil(TILE), conv.x.output.div_ceil(ACROSS));
        let tall = (UNIT_VECTORS / vectors).clamp(1, rows);
        // As many rows as make whole panels, and as fill blocks alike, waste least.
        let wasted = |tall: usize| rows.div_ceil(tall) * (tall * vectors).next_multiple_of(WIDE);
        let tall = (tall.div_ceil(2)..=tall).rev().min_by_key(|&tall| wasted(tall)).unwrap_or(tall);
        Blocks { rows, vectors, tall, count: rows.div_ceil(tall) }
    }

    /// Panels of tiles in a block.
    fn panels(&self) -> usize {
        (self.tall * self.vectors).div_ceil(WIDE)
    }

    /// Tiles of a block.
    fn tiles(&self) -> usize {
        self.panels() * COLUMNS
    }

    /// Rows of tiles of block `at`.
    fn tile_rows(&self, at: usize) -> Range<usize> {
        at * self.tall..((at + 1) * self.tall).min(self.rows)
    }
}

/// Name and floats of the weights' form, and what makes it: for each product panels of filters along the channels.
pub fn packed(conv: &Convolution) -> (String, usize, Pack) {
    let (channels, filters) = (conv.channels, conv.filters);
    let panels = filters.div_ceil(ROWS);
    let floats = PLANES * panels * ROWS * channels;
    let place = move |point: usize, f: usize, c: usize| ((point * panels + f / ROWS) * channels + c) * ROWS + f % ROWS;
    let make = move |from: &[f32]| {
        let mut to = vec![0.0; floats];
        for (at, filter) in from.as_chunks::<9>().0.iter().enumerate() {
            let (f, c) = (at / channels, at % channels);
            for (point, value) in transforms::weight(filter).into_iter().enumerate() {
                to[place(point, f, c)] = value;
            }
        }
        to
    };
    let undo = move |from: &[f32]| {
        let of = |at: usize| {
            transforms::unweight(&std::array::from_fn(|point| from[place(point, at / channels, at % channels)]))
        };
        (0..filters * channels).flat_map(of).collect()
    };
    (format!("winograd {filters} {channels}"), floats, Pack { make: Box::new(make), undo: Some(Box::new(undo)) })
}

impl Winograd {
    /// Floats of a row of the image under tiles, and of one of its four parts.
    fn row(&self, blocks: &Blocks) -> (usize, usize) {
        let part = blocks.vectors * LANES + LANES;
        (part * TILE, part)
    }

    /// The transformed tiles of row `row` of an image `x` with all its channels, into the panels of its block, of which there are so
    /// many floats at `to`; by way of `aside`.
    fn transform(&self, blocks: &Blocks, x: &[f32], row: usize, aside: &mut [f32], (to, floats): (*mut f32, usize)) {
        let (y, x_axis, channels) = (&self.conv.y, &self.conv.x, self.conv.channels);
        let (whole, part) = self.row(blocks);
        let (padded, rows) = aside.split_at_mut(whole);
        let of_plane = self.of_plane(blocks);
        assert!(PLANES * of_plane <= floats && row < blocks.rows, "a block beyond its panels");
        padded.fill(0.0);
        // Of what a row has only as much as windows see is taken.
        let taken = x_axis.input.min(whole - x_axis.before.min(whole));
        for (c, plane) in x.chunks_exact(y.input * x_axis.input).enumerate() {
            for (r, to) in rows.chunks_exact_mut(whole).take(POINTS).enumerate() {
                let at = (row * TILE + r).checked_sub(y.before).filter(|&at| at < y.input);
                let Some(at) = at else {
                    to.fill(0.0);
                    continue;
                };
                padded[x_axis.before..][..taken].copy_from_slice(&plane[at * x_axis.input..][..taken]);
                for (at, four) in padded.as_chunks::<ACROSS>().0.iter().enumerate() {
                    let four = F4::transposed(std::array::from_fn(|i| F4::of(&four[i * LANES..])));
                    four.iter().enumerate().for_each(|(q, v)| v.put(&mut to[q * part + at * LANES..]));
                }
            }
            for vector in 0..blocks.vectors {
                let seen =
                    |r: usize, q: usize| F4::of(&rows[r * whole + q % TILE * part + vector * LANES + q / TILE..]);
                let points = transforms::input(seen);
                let at = (row % blocks.tall) * blocks.vectors + vector;
                let at = (at / WIDE * channels + c) * COLUMNS + at % WIDE * LANES;
                for (point, value) in points.iter().flatten().enumerate() {
                    // SAFETY: the vector of this row and channel in a panel of the block, which is there, as was asserted;
                    // each row of tiles has vectors of its own.
                    unsafe {
                        value.store(to.add(at + point * of_plane));
                    }
                }
            }
        }
    }

    /// The products of `filters` with the panels of a block, into `sums`.
    fn products(&self, blocks: &Blocks, panels: &[f32], weights: &[f32], filters: Range<usize>, sums: &mut [f32]) {
        let (channels, wide) = (self.conv.channels, blocks.tiles());
        let (of_panels, of_weights) = (self.of_plane(blocks), self.conv.filters.next_multiple_of(ROWS) * channels);
        let rows = filters.len().next_multiple_of(ROWS);
        let each = panels.chunks_exact(of_panels).zip(weights.chunks_exact(of_weights));
        for ((b, a), sums) in each.zip(sums.chunks_exact_mut(rows * wide)) {
            let a = &a[filters.start * channels..][..rows * channels];
            for (panel, b) in b.chunks_exact(COLUMNS * channels).take(blocks.panels()).enumerate() {
                let to = &mut sums[panel * COLUMNS..];
                assert!(to.len() >= (rows - 1) * wide + COLUMNS, "tiles beyond their sums");
                let (a, b, to) = (a.as_ptr(), b.as_ptr(), to.as_mut_ptr());
                // SAFETY: both have whole panels of as many elements as channels, and of the sums there are as many rows of a panel.
                unsafe {
                    match blocks.tall * blocks.vectors - panel * WIDE {
                        1 => tiles::<1>(a, b, channels, to, wide, rows / ROWS),
                        2 => tiles::<2>(a, b, channels, to, wide, rows / ROWS),
                        _ => tiles::<WIDE>(a, b, channels, to, wide, rows / ROWS),
                    }
                }
            }
        }
    }

    /// The outputs of a filter in the rows of tiles `rows`, of its products.
    fn outputs(&self, blocks: &Blocks, sums: &[f32], plane: usize, rows: Range<usize>, y: &mut [f32]) {
        let wide = self.conv.x.output;
        for (r, y) in rows.clone().zip(y.chunks_mut(TILE * wide)) {
            for vector in 0..blocks.vectors {
                let at = (r - rows.start) * blocks.vectors + vector;
                let seen = |i: usize, j: usize| F4::of(&sums[(i * POINTS + j) * plane + at * LANES..]);
                let made = transforms::output(seen);
                let first = vector * ACROSS;
                let count = ACROSS.min(wide - first);
                for (row, y) in made.into_iter().zip(y.chunks_exact_mut(wide)) {
                    let row = F4::transposed(row);
                    if count == ACROSS {
                        row.iter().enumerate().for_each(|(i, v)| v.put(&mut y[first + i * LANES..]));
                        continue;
                    }
                    let mut aside = [0.0; ACROSS];
                    row.iter().enumerate().for_each(|(i, v)| v.put(&mut aside[i * LANES..]));
                    y[first..].copy_from_slice(&aside[..count]);
                }
            }
        }
    }

    /// Image `n` of those that are read.
    fn image<'a>(&self, on: &'a Operands<'_>, n: usize) -> &'a [f32] {
        let floats = self.conv.channels * self.conv.y.input * self.conv.x.input;
        &on.read::<f32>(0)[n * floats..(n + 1) * floats]
    }

    /// Floats from a plane of a block to the next: an odd number of lines, as a cache keeps few lines that are some powers of two apart,
    /// and a transformed tile writes to all planes at once.
    fn of_plane(&self, blocks: &Blocks) -> usize {
        ((blocks.tiles() * self.conv.channels).div_ceil(LINE) | 1) * LINE
    }

    /// Floats of a block's panels.
    fn of_block(&self, blocks: &Blocks) -> usize {
        PLANES * self.of_plane(blocks)
    }

    /// Floats of the sums of a unit's filters, or of the rows that are being transformed.
    fn aside(&self, blocks: &Blocks) -> usize {
        let sums = PLANES * UNIT_FILTERS.min(self.conv.filters.next_multiple_of(ROWS)) * blocks.tiles();
        sums.max(self.row(blocks).0 * (POINTS + 1))
    }

    /// Whether there are so many blocks that each is transformed by the thread that sums it, while it is near.
    fn near(&self, blocks: &Blocks) -> bool {
        self.conv.batch * blocks.count >= MANY_BLOCKS
    }

    /// The outputs of `filters` in a block of image `n`, of its panels.
    fn summed(
        &self,
        (blocks, n, block): (&Blocks, usize, usize),
        filters: Range<usize>,
        panels: &[f32],
        sums: &mut [f32],
        on: &Operands<'_>,
    ) {
        let (conv, rows) = (&self.conv, blocks.tile_rows(block));
        let (wide, plane) = (conv.x.output, conv.y.output * conv.x.output);
        let mut registers = self.chain.registers();
        self.products(blocks, panels, on.read(1), filters.clone(), sums);
        let of_point = filters.len().next_multiple_of(ROWS) * blocks.tiles();
        let pixels = rows.start * TILE * wide..(rows.end * TILE).min(conv.y.output) * wide;
        for (i, filter) in filters.enumerate() {
            let start = (n * conv.filters + filter) * plane + pixels.start;
            let y: &mut [f32] = on.write(0, start..start + pixels.len());
            self.outputs(blocks, &sums[i * blocks.tiles()..], of_point, rows.clone(), y);
            if self.bias {
                let bias = on.read::<f32>(2)[filter];
                y.iter_mut().for_each(|v| *v += bias);
            }
            activate(conv.activation, y);
            self.chain.run(on, &mut registers, start, y);
        }
    }
}

impl Routine for Winograd {
    fn phases(&self) -> usize {
        if self.near(&Blocks::of(&self.conv)) { 1 } else { 2 }
    }

    fn units(&self, phase: usize) -> usize {
        let blocks = Blocks::of(&self.conv);
        let of_image = match phase {
            0 if self.near(&blocks) => blocks.count,
            0 => blocks.rows,
            _ => blocks.count * self.conv.filters.div_ceil(UNIT_FILTERS),
        };
        self.conv.batch * of_image
    }

    fn scratch(&self) -> usize {
        let blocks = Blocks::of(&self.conv);
        self.aside(&blocks) + if self.near(&blocks) { self.of_block(&blocks) } else { 0 }
    }

    fn shared(&self) -> usize {
        let blocks = Blocks::of(&self.conv);
        if self.near(&blocks) { 0 } else { self.conv.batch * blocks.count * self.of_block(&blocks) }
    }

    fn run(&self, phase: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let (conv, blocks) = (&self.conv, Blocks::of(&self.conv));
        let (of_block, filter_units) = (self.of_block(&blocks), conv.filters.div_ceil(UNIT_FILTERS));
        let filters = |at: usize| at * UNIT_FILTERS..((at + 1) * UNIT_FILTERS).min(conv.filters);
        for unit in units {
            if self.near(&blocks) {
                let (n, block) = (unit / blocks.count, unit % blocks.count);
                let (panels, aside) = on.scratch().split_at_mut(of_block);
                for row in blocks.tile_rows(block) {
                    self.transform(&blocks, self.image(on, n), row, aside, (panels.as_mut_ptr(), panels.len()));
                }
                for at in 0..filter_units {
                    self.summed((&blocks, n, block), filters(at), panels, aside, on);
                }
            } else if phase == 0 {
                let (n, row) = (unit / blocks.rows, unit % blocks.rows);
                let (shared, floats) = on.shares();
                let at = (n * blocks.count + row / blocks.tall) * of_block;
                assert!(at + of_block <= floats, "a block beyond its panels");
                // SAFETY: within what is shared, as was asserted; each row of tiles has vectors of its own there.
                let to = unsafe { shared.add(at) };
                self.transform(&blocks, self.image(on, n), row, on.scratch(), (to, of_block));
            } else {
                let (block, at) = (unit / filter_units, unit % filter_units);
                let panels = &on.shared()[block * of_block..(block + 1) * of_block];
                self.summed(
                    (&blocks, block / blocks.count, block % blocks.count),
                    filters(at),
                    panels,
                    on.scratch(),
                    on,
                );
            }
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Conv
    }

    fn flops(&self) -> f64 {
        // What it does, not what the direct way would: a forecast of other convolutions follows from it.
        let outputs: usize = self.conv.shape.iter().product();
        let done = self.conv.batch * steps(&self.conv) * LANES * 2;
        done as f64 + (self.chain.flops + f64::from(u8::from(self.bias))) * outputs as f64
    }
}
