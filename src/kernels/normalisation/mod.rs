//! LayerNormalization over the last axes, and BatchNormalization as it is when a model only runs.
//! Knows rows and maps; must never know another family.

pub mod cpu;
mod gpu;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operator, TensorType};
use crate::kernels::base::Entry;
use crate::kernels::base::operand::{at_most_outputs, axis, float_shape, optional_values, real, result, values};
use crate::kernels::base::rows::Rows;

/// The operators of this family.
pub const OPERATORS: &[&[&Entry]] = &[&[&LayerNormalization, &BatchNormalization]];

/// `(x − mean) / √(variance + epsilon) · scale + bias` over the axes from `axis` on.
#[derive(Debug)]
pub struct LayerNormalization;

/// `(x − mean) / √(variance + epsilon) · scale + bias` with one of each for every channel.
#[derive(Debug)]
pub struct BatchNormalization;

fn layer_rows(call: &Call<'_>) -> Result<Rows> {
    at_most_outputs(call, 1)?;
    let shape = float_shape(call, 0)?;
    let axis = axis(call.attributes.int("axis", -1)?, shape.len())?;
    let rows = Rows::of(shape, axis, shape.len());
    if call.attributes.int("stash_type", 1)? != 1 {
        return Err(Error::new(Kind::Unsupported, "a stash_type other than float32"));
    }
    for i in 1..3 {
        if call.optional(i).is_some() && float_shape(call, i)?.iter().product::<usize>() != rows.len {
            return Err(Error::new(
                Kind::InvalidModel,
                format!("input {i} of shape {:?} for rows of {} elements", float_shape(call, i)?, rows.len),
            ));
        }
    }
    Ok(rows)
}

impl Operator for LayerNormalization {
    fn op_type(&self) -> &'static str {
        "LayerNormalization"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis", "epsilon", "stash_type"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        layer_rows(call)?;
        Ok(vec![real(call, float_shape(call, 0)?)])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let (from, axis) = (&call.input(0).ok()?.ty.shape, call.only_first(axes)?);
        Some(vec![layer_rows(call).ok()?.along(from, axis, from.len())?])
    }

    fn foldable(&self) -> bool {
        // Nobody has this of constants; the page goes without the reference.
        false
    }

    #[cfg(feature = "references")]
    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let rows = layer_rows(call)?;
        let epsilon = f64::from(call.attributes.float("epsilon", 1e-5)?);
        let (x, scale, bias) = (values(inputs, 0)?, values(inputs, 1)?, optional_values(inputs, 2));
        let mut y = Vec::with_capacity(x.len());
        for row in x.chunks(rows.len.max(1)) {
            let n = row.len() as f64;
            let mean = row.iter().sum::<f64>() / n;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            for (i, v) in row.iter().enumerate() {
                let shift = bias.as_ref().map_or(0.0, |b| b[i]);
                y.push((v - mean) / (variance + epsilon).sqrt() * scale[i] + shift);
            }
        }
        Ok(vec![result(call, float_shape(call, 0)?, &y)?])
    }
}

fn channels(call: &Call<'_>) -> Result<usize> {
    at_most_outputs(call, 1)?;
    if call.attributes.int("training_mode", 0)? != 0 {
        return Err(Error::new(Kind::Unsupported, "training_mode"));
    }
    let shape = float_shape(call, 0)?;
    let channels = *shape.get(1).ok_or_else(|| Error::new(Kind::InvalidModel, format!("no channels in {shape:?}")))?;
    for i in 1..5 {
        if float_shape(call, i)? != [channels] {
            return Err(Error::new(
                Kind::InvalidModel,
                format!("input {i} of shape {:?} for {channels} channels", float_shape(call, i)?),
            ));
        }
    }
    Ok(channels)
}

impl Operator for BatchNormalization {
    fn op_type(&self) -> &'static str {
        "BatchNormalization"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["epsilon", "momentum", "training_mode"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        channels(call)?;
        Ok(vec![real(call, float_shape(call, 0)?)])
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
        let channels = channels(call)?;
        let shape = float_shape(call, 0)?;
        let inner: usize = shape[2..].iter().product();
        let epsilon = f64::from(call.attributes.float("epsilon", 1e-5)?);
        let x = values(inputs, 0)?;
        let (scale, bias, mean, variance) =
            (values(inputs, 1)?, values(inputs, 2)?, values(inputs, 3)?, values(inputs, 4)?);
        let y = x.iter().enumerate().map(|(i, v)| {
            let c = i / inner % channels;
            (v - mean[c]) / (variance[c] + epsilon).sqrt() * scale[c] + bias[c]
        });
        Ok(vec![result(call, shape, &y.collect::<Vec<_>>())?])
    }
}
