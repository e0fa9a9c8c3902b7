//! Operators that only rename the same bytes: Identity, Reshape, Flatten, Squeeze, Unsqueeze.

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, Follows, HostTensor, Operator, TensorType, renamed};
use crate::kernels::base::operand::{axis, given};
use crate::kernels::base::{Entry, Kernel, Lowering};

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[
    &View { op: "Identity", attributes: &[], shape: |call| Ok(call.input(0)?.ty.shape.clone()) },
    &View { op: "Reshape", attributes: &["allowzero"], shape: reshape },
    &View { op: "Flatten", attributes: &["axis"], shape: flatten },
    &View { op: "Squeeze", attributes: &["axes"], shape: squeeze },
    &View { op: "Unsqueeze", attributes: &["axes"], shape: unsqueeze },
];

/// One such operator: its shape rule is all of it.
#[derive(Debug)]
pub struct View {
    op: &'static str,
    attributes: &'static [&'static str],
    shape: fn(&Call<'_>) -> Result<Vec<usize>>,
}

fn invalid(message: String) -> Error {
    Error::new(Kind::InvalidModel, message)
}

fn reshape(call: &Call<'_>) -> Result<Vec<usize>> {
    let from = &call.input(0)?.ty.shape;
    let keeps_zero = call.attributes.int("allowzero", 0)? != 0;
    let asked = call.constant_i64(1)?;
    let refuse = || Error::new(Kind::InvalidInput, format!("shape {from:?} cannot become {asked:?}"));
    let mut shape = Vec::with_capacity(asked.len());
    let mut free = None;
    for (i, &dim) in asked.iter().enumerate() {
        shape.push(match dim {
            0 if !keeps_zero => *from.get(i).ok_or_else(refuse)?,
            -1 if free.is_none() => {
                free = Some(i);
                1
            }
            _ => usize::try_from(dim).map_err(|_| refuse())?,
        });
    }
    let (total, known): (usize, usize) = (from.iter().product(), shape.iter().product());
    if let Some(i) = free {
        if known == 0 || !total.is_multiple_of(known) {
            return Err(refuse());
        }
        shape[i] = total / known;
    }
    if shape.iter().product::<usize>() == total { Ok(shape) } else { Err(refuse()) }
}

fn flatten(call: &Call<'_>) -> Result<Vec<usize>> {
    let from = &call.input(0)?.ty.shape;
    let given = call.attributes.int("axis", 1)?;
    let at = if given == from.len() as i64 { from.len() } else { axis(given, from.len())? };
    Ok(vec![from[..at].iter().product(), from[at..].iter().product()])
}

/// Axes as an attribute before opset 13, as an input since.
fn axes(call: &Call<'_>) -> Result<Option<Vec<i64>>> {
    match call.attributes.ints("axes")? {
        Some(axes) => Ok(Some(axes.to_vec())),
        None => call.optional_i64(1),
    }
}

fn squeeze(call: &Call<'_>) -> Result<Vec<usize>> {
    let from = &call.input(0)?.ty.shape;
    let drop: Vec<usize> = match axes(call)? {
        None => (0..from.len()).filter(|&i| from[i] == 1).collect(),
        Some(axes) => axes.into_iter().map(|a| axis(a, from.len())).collect::<Result<_>>()?,
    };
    if let Some(&i) = drop.iter().find(|&&i| from[i] != 1) {
        return Err(invalid(format!("axis {i} of shape {from:?} cannot be squeezed")));
    }
    Ok((0..from.len()).filter(|i| !drop.contains(i)).map(|i| from[i]).collect())
}

fn unsqueeze(call: &Call<'_>) -> Result<Vec<usize>> {
    let from = &call.input(0)?.ty.shape;
    let axes = axes(call)?.ok_or_else(|| invalid("Unsqueeze without axes".to_owned()))?;
    let rank = from.len() + axes.len();
    let new: Vec<usize> = axes.iter().map(|&a| axis(a, rank)).collect::<Result<_>>()?;
    let mut kept = from.iter();
    let shape: Vec<usize> =
        (0..rank).filter_map(|i| if new.contains(&i) { Some(1) } else { kept.next().copied() }).collect();
    if shape.len() == rank { Ok(shape) } else { Err(invalid(format!("axes {axes:?} name one axis twice"))) }
}

impl Operator for View {
    fn op_type(&self) -> &'static str {
        self.op
    }

    fn attributes(&self) -> &'static [&'static str] {
        self.attributes
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(call.input(0)?.ty.dtype, (self.shape)(call)?)])
    }

    fn follows(&self, i: usize) -> Follows {
        if i == 1 && self.op == "Reshape" { Follows::Shape } else { Follows::Nothing }
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let axis = call.only_first(axes)?;
        Some(vec![renamed(&call.input(0).ok()?.ty.shape, axis, &(self.shape)(call).ok()?)?])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let x = given(inputs, 0)?;
        Ok(vec![x.reshaped((self.shape)(call)?)?])
    }
}

impl Kernel for View {
    fn lower(&self, _: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let (x, y) = (out.input(0)?, out.output(0)?);
        out.view(y, x);
        Ok(())
    }
}
