//! ConvTranspose: the gradient of a convolution by its input, used to enlarge.

pub mod cpu;
mod gpu;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operator, TensorType};
use crate::kernels::base::Entry;
use crate::kernels::base::operand::{float_shape, optional_values, real, result, values};

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[&ConvTranspose];

/// Of (N, C, spatial…) with weights (C, M/group, kernel…) and an optional bias (M); one or two spatial axes.
#[derive(Debug)]
pub struct ConvTranspose;

/// One spatial axis.
#[derive(Clone, Copy, Debug)]
struct Axis {
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
}

impl Axis {
    /// An axis that is not there.
    const NONE: Axis = Axis { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, before: 0 };

    /// The input element that tap `k` brings to output element `o`.
    fn source(&self, o: usize, k: usize) -> Option<usize> {
        let at = (o + self.before).checked_sub(k * self.dilation)?;
        (at.is_multiple_of(self.stride) && at / self.stride < self.input).then_some(at / self.stride)
    }
}

#[derive(Debug)]
struct Rule {
    batch: usize,
    channels: usize,
    filters: usize,
    group: usize,
    y: Axis,
    x: Axis,
    shape: Vec<usize>,
}

fn rule(call: &Call<'_>) -> Result<Rule> {
    let (x, w) = (float_shape(call, 0)?, float_shape(call, 1)?);
    let invalid = |why: &str| {
        Error::new(Kind::InvalidInput, format!("a transposed convolution of shape {x:?} with weights {w:?}: {why}"))
    };
    let axes = x.len().checked_sub(2).filter(|n| (1..=2).contains(n) && w.len() == n + 2);
    let axes = axes.ok_or_else(|| invalid("one or two spatial axes are understood"))?;
    let group = usize::try_from(call.attributes.int("group", 1)?).ok().filter(|&g| g > 0 && x[1].is_multiple_of(g));
    let group = group.ok_or_else(|| invalid("the group does not divide the channels"))?;
    if x[1] != w[0] {
        return Err(invalid("the channels differ"));
    }
    match call.attributes.string("auto_pad", "NOTSET")? {
        "NOTSET" | "VALID" => {}
        other => return Err(Error::new(Kind::Unsupported, format!("auto_pad '{other}' of a transposed convolution"))),
    }
    if call.attributes.ints("output_shape")?.is_some_and(|s| !s.is_empty()) {
        return Err(Error::new(Kind::Unsupported, "output_shape of a transposed convolution"));
    }
    if call.attributes.ints("kernel_shape")?.is_some_and(|k| !k.iter().copied().eq(w[2..].iter().map(|&d| d as i64))) {
        return Err(invalid("kernel_shape is not that of the weights"));
    }
    let list = |name: &str, count: usize, default: i64, least: i64| {
        let given = call.attributes.ints(name)?.map(<[i64]>::to_vec).unwrap_or_else(|| vec![default; count]);
        let sound = given.len() == count && given.iter().all(|v| (least..1 << 20).contains(v));
        if sound { Ok(given) } else { Err(invalid(&format!("{name} {given:?}"))) }
    };
    let (strides, dilations) = (list("strides", axes, 1, 1)?, list("dilations", axes, 1, 1)?);
    let (pads, extra) = (list("pads", 2 * axes, 0, 0)?, list("output_padding", axes, 0, 0)?);
    let axis = |i: usize| {
        let (input, kernel) = (x[2 + i], w[2 + i]);
        let (stride, dilation) = (strides[i] as usize, dilations[i] as usize);
        if input == 0 || kernel == 0 {
            return Err(invalid("an empty axis"));
        }
        let whole = (input - 1) * stride + extra[i] as usize + (kernel - 1) * dilation + 1;
        let output = whole.checked_sub((pads[i] + pads[axes + i]) as usize).filter(|&o| o > 0);
        let output = output.ok_or_else(|| invalid("nothing is left of the output"))?;
        Ok(Axis { input, output, kernel, stride, dilation, before: pads[i] as usize })
    };
    let (y, last) = if axes == 2 { (axis(0)?, axis(1)?) } else { (Axis::NONE, axis(0)?) };
    let filters = w[1] * group;
    if call.optional(2).is_some() && float_shape(call, 2)? != [filters] {
        return Err(invalid(&format!("a bias of shape {:?}", float_shape(call, 2)?)));
    }
    let mut shape = vec![x[0], filters];
    shape.extend(if axes == 2 { vec![y.output, last.output] } else { vec![last.output] });
    Ok(Rule { batch: x[0], channels: x[1], filters, group, y, x: last, shape })
}

impl Operator for ConvTranspose {
    fn op_type(&self) -> &'static str {
        "ConvTranspose"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["auto_pad", "dilations", "group", "kernel_shape", "output_padding", "output_shape", "pads", "strides"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![real(call, rule(call)?.shape)])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        // Pictures are apart; what a kernel sees of one is not.
        call.only_first(axes).filter(|&axis| axis == 0).map(|axis| vec![axis])
    }

    fn foldable(&self) -> bool {
        // Nobody has this of constants; the page goes without the reference.
        false
    }

    #[cfg(feature = "references")]
    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let r = rule(call)?;
        let (x, w, bias) = (values(inputs, 0)?, values(inputs, 1)?, optional_values(inputs, 2));
        let (channels, filters) = (r.channels / r.group, r.filters / r.group);
        let mut out = Vec::with_capacity(r.shape.iter().product());
        for (n, f) in (0..r.batch).flat_map(|n| (0..r.filters).map(move |f| (n, f))) {
            let part = f / filters;
            for (oy, ox) in (0..r.y.output).flat_map(|oy| (0..r.x.output).map(move |ox| (oy, ox))) {
                let mut sum = bias.as_ref().map_or(0.0, |b| b[f]);
                for (ky, iy) in (0..r.y.kernel).filter_map(|k| Some((k, r.y.source(oy, k)?))) {
                    for (kx, ix) in (0..r.x.kernel).filter_map(|k| Some((k, r.x.source(ox, k)?))) {
                        for c in part * channels..(part + 1) * channels {
                            let from = ((n * r.channels + c) * r.y.input + iy) * r.x.input + ix;
                            let tap = ((c * filters + f % filters) * r.y.kernel + ky) * r.x.kernel + kx;
                            sum += x[from] * w[tap];
                        }
                    }
                }
                out.push(sum);
            }
        }
        Ok(vec![result(call, r.shape, &out)?])
    }
}
