//! Sliding windows: kernel, stride, dilation and padding of convolution and pooling, and the sizes they give.
//! Knows ONNX's rules for them; must never know what is computed inside a window.

use crate::error::{Error, Kind, Result};
use crate::graph::Attributes;

/// One spatial axis of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Elements of the input.
    pub input: usize,
    /// Elements of the output.
    pub output: usize,
    /// Taps.
    pub kernel: usize,
    /// Input elements between neighbouring outputs.
    pub stride: usize,
    /// Input elements between neighbouring taps.
    pub dilation: usize,
    /// Padding before the first element.
    pub before: usize,
    /// Padding after the last element.
    pub after: usize,
}

impl Axis {
    /// An axis on which nothing slides.
    pub const POINT: Axis = Axis { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, before: 0, after: 0 };

    /// The input elements under output `o`, with the tap that meets each.
    pub fn taps(&self, o: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.kernel).filter_map(move |tap| {
            let at = (o * self.stride + tap * self.dilation).checked_sub(self.before)?;
            (at < self.input).then_some((tap, at))
        })
    }

    /// Taps of output `o` that meet the input or its padding: fewer than the kernel only where rounding up let the
    /// last window run over the edge.
    pub fn padded_taps(&self, o: usize) -> usize {
        let end = self.before + self.input + self.after;
        (0..self.kernel).filter(|tap| o * self.stride + tap * self.dilation < end).count()
    }
}

/// The window of a node over a tensor of shape (N, C, spatial…), as two axes; a 1-D one gets [`Axis::POINT`] first.
///
/// `kernel` is the kernel's spatial shape. Reads `strides`, `dilations`, `pads`, `auto_pad` and `ceil_mode`.
pub fn axes(attributes: &Attributes, input: &[usize], kernel: &[usize]) -> Result<[Axis; 2]> {
    let rank = kernel.len();
    if input.len() != rank + 2 {
        return Err(Error::new(Kind::InvalidModel, format!("a window {kernel:?} over a tensor of shape {input:?}")));
    }
    if !(1..=2).contains(&rank) {
        return Err(Error::new(Kind::Unsupported, format!("a window over {rank} axes")));
    }
    let strides = list(attributes, "strides", rank, 1)?;
    let dilations = list(attributes, "dilations", rank, 1)?;
    let pads = list(attributes, "pads", 2 * rank, 0)?;
    let auto_pad = attributes.string("auto_pad", "NOTSET")?;
    let round_up = attributes.int("ceil_mode", 0)? != 0;
    let mut axes = [Axis::POINT; 2];
    for i in 0..rank {
        let mut axis = Axis {
            input: input[i + 2],
            output: 0,
            kernel: kernel[i],
            stride: strides[i],
            dilation: dilations[i],
            before: pads[i],
            after: pads[i + rank],
        };
        if axis.stride == 0 || axis.dilation == 0 || axis.kernel == 0 {
            return Err(Error::new(Kind::InvalidModel, "a window has a stride, dilation or size of 0"));
        }
        pad(&mut axis, auto_pad)?;
        size(&mut axis, round_up)?;
        axes[i + 2 - rank] = axis;
    }
    Ok(axes)
}

/// INTS attribute `name` of `len` numbers not below 0, or all `default`.
fn list(attributes: &Attributes, name: &str, len: usize, default: usize) -> Result<Vec<usize>> {
    let Some(values) = attributes.ints(name)? else { return Ok(vec![default; len]) };
    if values.len() != len {
        return Err(Error::new(
            Kind::InvalidModel,
            format!("attribute '{name}' has {} numbers, not {len}", values.len()),
        ));
    }
    sizes(name, values)
}

/// The numbers of attribute `name`, none of them negative.
pub fn sizes(name: &str, values: &[i64]) -> Result<Vec<usize>> {
    let size = |&v: &i64| {
        usize::try_from(v).map_err(|_| Error::new(Kind::Unsupported, format!("attribute '{name}' holds {v}")))
    };
    values.iter().map(size).collect()
}

/// Replaces the padding as `auto_pad` says.
fn pad(axis: &mut Axis, auto_pad: &str) -> Result<()> {
    match auto_pad {
        "NOTSET" => {}
        "VALID" => (axis.before, axis.after) = (0, 0),
        "SAME_UPPER" | "SAME_LOWER" => {
            let outputs = axis.input.div_ceil(axis.stride).max(1);
            let reach = (outputs - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
            let total = reach.saturating_sub(axis.input);
            let small = total / 2;
            let upper = auto_pad == "SAME_UPPER";
            (axis.before, axis.after) = if upper { (small, total - small) } else { (total - small, small) };
        }
        other => return Err(Error::new(Kind::Unsupported, format!("auto_pad '{other}'"))),
    }
    Ok(())
}

/// Sets the output's size.
fn size(axis: &mut Axis, round_up: bool) -> Result<()> {
    let reach = (axis.kernel - 1) * axis.dilation + 1;
    let padded = axis.input + axis.before + axis.after;
    let Some(room) = padded.checked_sub(reach) else {
        return Err(Error::new(
            Kind::InvalidInput,
            format!("a window of {reach} elements over only {padded}, padding included"),
        ));
    };
    axis.output = if round_up {
        let outputs = room.div_ceil(axis.stride) + 1;
        // A window that would start in the padding after the input is left out (PyTorch, and ONNX since 1.16).
        if (outputs - 1) * axis.stride >= axis.input + axis.before { outputs - 1 } else { outputs }
    } else {
        room / axis.stride + 1
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Attribute;

    fn axis(pairs: &[(&str, Attribute)], input: usize, kernel: usize) -> Axis {
        let attributes = Attributes::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        axes(&attributes, &[1, 1, input], &[kernel]).unwrap()[1]
    }

    fn ints(values: &[i64]) -> Attribute {
        Attribute::Ints(values.to_vec())
    }

    #[test]
    fn rounding_up_leaves_out_a_window_that_starts_in_padding() {
        let ceil = ("ceil_mode", Attribute::Int(1));
        assert_eq!(axis(&[("strides", ints(&[2])), ceil.clone()], 4, 3).output, 2);
        assert_eq!(axis(&[("strides", ints(&[2])), ("pads", ints(&[1, 1])), ceil.clone()], 2, 1).output, 2);
        assert_eq!(axis(&[("strides", ints(&[2])), ("pads", ints(&[0, 1])), ceil], 2, 1).output, 1);
    }

    #[test]
    fn same_padding_keeps_the_size_over_the_stride() {
        let same = |side: &str| ("auto_pad", Attribute::String(format!("SAME_{side}")));
        let upper = axis(&[same("UPPER"), ("strides", ints(&[2]))], 5, 4);
        assert_eq!((upper.output, upper.before, upper.after), (3, 1, 2));
        let lower = axis(&[same("LOWER"), ("strides", ints(&[2]))], 5, 4);
        assert_eq!((lower.output, lower.before, lower.after), (3, 2, 1));
    }

    #[test]
    fn taps_meet_only_the_input() {
        let axis = axis(&[("pads", ints(&[1, 1]))], 3, 3);
        assert_eq!(axis.taps(0).collect::<Vec<_>>(), [(1, 0), (2, 1)]);
        assert_eq!(axis.taps(2).collect::<Vec<_>>(), [(0, 1), (1, 2)]);
    }
}
