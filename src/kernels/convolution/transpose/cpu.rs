//! A transposed convolution on a processor: the product of its weights with every pixel, then each filter's sum of what the
//! taps bring to an output. Knows a product's results; must never know how tiles multiply.

use super::{Rule, rule};
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::lowering::Pack;
use crate::kernels::base::cpu::panels::Packed;
use crate::kernels::base::cpu::product::{Product, Side};
use crate::kernels::base::cpu::tile::ROWS;
use crate::kernels::base::cpu::{Chain, Operands, Routine, Routines, Steps};
use crate::kernels::base::epilogue::Activation;
use std::ops::Range;

/// What computes this file's operator on a processor.
pub const ROUTINES: Routines = &[("ConvTranspose", lower)];

fn lower(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let of = rule(call)?;
    let (x, w, y) = (steps.input(0)?, steps.input(1)?, steps.output(0)?);
    if of.group != 1 || !steps.constant(w) || of.shape.contains(&0) || of.channels == 0 {
        return Ok(false);
    }
    let (pixels, rows) = (of.y.input * of.x.input, of.filters * of.y.kernel * of.x.kernel);
    let packed = Packed { count: rows, depth: of.channels };
    let pack = Pack::moves(move |from| packed.pack::<ROWS>(from, 0, (rows, 1)));
    let weights = steps.pack(w, format!("rows {rows} {} {:?}", of.channels, (rows, 1)), packed.floats::<ROWS>(), pack);
    let brought = steps.scratch(of.batch * rows * pixels);
    let product = Product {
        m: rows,
        n: pixels,
        k: of.channels,
        batch: vec![(of.batch, 0, of.channels * pixels)],
        a: Side::Packed,
        b: Side::Strided(pixels, 1),
        alpha: 1.0,
        addend: None,
        activation: Activation::Identity,
        chain: Chain::default(),
    };
    // The chain is the scatter's.
    let chain = steps.chain.take();
    steps.push(product, vec![weights, x], vec![brought]);
    steps.chain = chain;
    let mut reads = vec![brought];
    let bias = steps.optional_input(2);
    reads.extend(bias);
    let chain = steps.take_chain(&mut reads);
    steps.push(Scatter { of, bias: bias.is_some(), chain }, reads, vec![y]);
    Ok(true)
}

/// Reads what each tap of each filter makes of each pixel, the bias where there is one, and what the chain reads.
#[derive(Debug)]
struct Scatter {
    of: Rule,
    bias: bool,
    chain: Chain,
}

impl Routine for Scatter {
    fn units(&self, _: usize) -> usize {
        self.of.batch * self.of.filters
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let (of, brought) = (&self.of, on.read::<f32>(0));
        let (pixels, outputs) = (of.y.input * of.x.input, of.y.output * of.x.output);
        let taps = of.y.kernel * of.x.kernel;
        let mut registers = self.chain.registers();
        for unit in units {
            let y: &mut [f32] = on.write(0, unit * outputs..(unit + 1) * outputs);
            y.fill(if self.bias { on.read::<f32>(1)[unit % of.filters] } else { 0.0 });
            for tap in 0..taps {
                let (ky, kx) = (tap / of.x.kernel, tap % of.x.kernel);
                let plane = &brought[(unit * taps + tap) * pixels..(unit * taps + tap + 1) * pixels];
                for (iy, row) in plane.chunks_exact(of.x.input).enumerate() {
                    let at = (iy * of.y.stride + ky * of.y.dilation).checked_sub(of.y.before);
                    let Some(oy) = at.filter(|&oy| oy < of.y.output) else { continue };
                    let to = &mut y[oy * of.x.output..(oy + 1) * of.x.output];
                    // The first pixel that is brought into the row, and where to.
                    let along = kx * of.x.dilation;
                    let first = of.x.before.saturating_sub(along).div_ceil(of.x.stride);
                    let at = first * of.x.stride + along - of.x.before;
                    let to = to.iter_mut().skip(at).step_by(of.x.stride);
                    to.zip(row.iter().skip(first)).for_each(|(y, x)| *y += x);
                }
            }
            self.chain.run(on, &mut registers, unit * outputs, y);
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Conv
    }

    fn flops(&self) -> f64 {
        let outputs: usize = self.of.shape.iter().product();
        let added = self.of.batch * self.of.filters * self.of.y.kernel * self.of.x.kernel;
        (added * self.of.y.input * self.of.x.input) as f64 + self.chain.flops * outputs as f64
    }
}
