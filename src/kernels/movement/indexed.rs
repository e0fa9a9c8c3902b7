//! CumSum, GatherElements, GatherND, ScatterElements and ScatterND: elements by places that are computed, and sums along an axis. They run
//! on a processor; no GPU has a kernel for them.

use crate::error::{Error, Kind, Result};
#[cfg(feature = "references")]
use crate::graph::HostTensor;
use crate::graph::{Call, DType, Operator, TensorType};
use crate::kernels::base::operand::axis;
#[cfg(feature = "references")]
use crate::kernels::base::operand::given;
use crate::kernels::base::{Entry, Kernel, Lowering};

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[
    &Indexed { op: "CumSum", attributes: &["exclusive", "reverse"] },
    &Indexed { op: "GatherElements", attributes: &["axis"] },
    &Indexed { op: "GatherND", attributes: &["batch_dims"] },
    &Indexed { op: "ScatterElements", attributes: &["axis", "reduction"] },
    &Indexed { op: "ScatterND", attributes: &["reduction"] },
];

/// One of them. An index counts from the end where it is negative; one out of range is an error on the host, and elsewhere reads the
/// nearest element.
#[derive(Debug)]
pub struct Indexed {
    op: &'static str,
    attributes: &'static [&'static str],
}

impl Indexed {
    /// Whether an index is of one axis, not of several.
    fn elements(&self) -> bool {
        self.op.ends_with('s')
    }

    /// What is taken, or placed.
    fn part(&self, call: &Call<'_>) -> Result<TensorType> {
        let (x, at, named) = (&call.input(0)?.ty, &call.input(1)?.ty, call.attributes);
        if named.int("batch_dims", 0)? != 0 || named.string("reduction", "none")? != "none" {
            return Err(Error::new(Kind::Unsupported, "batches or reductions at indices"));
        }
        let shape = match at.shape.split_last() {
            _ if self.op == "CumSum" => (at.len() == 1).then(|| x.shape.clone()),
            _ if self.elements() => {
                let along = axis(named.int("axis", 0)?, x.shape.len())?;
                let fits = at.shape.iter().zip(&x.shape).enumerate().all(|(i, (a, b))| i == along || a <= b);
                (fits && at.shape.len() == x.shape.len()).then(|| at.shape.clone())
            }
            Some((&count, of)) => x.shape.get(count..).map(|rest| [of, rest].concat()),
            None => None,
        };
        let part = shape.map(|shape| TensorType::new(x.dtype, shape));
        let fits = |part: &TensorType| {
            let whole = matches!(at.dtype, DType::Int32 | DType::Int64);
            whole && (part.is_empty() || !x.is_empty()) && call.optional(2).is_none_or(|placed| placed.ty == *part)
        };
        let refuse = || Error::new(Kind::InvalidModel, format!("{} of shape {:?} at {:?}", self.op, x.shape, at.shape));
        part.filter(fits).ok_or_else(refuse)
    }

    /// Where in input 0 each element of the part lies.
    #[cfg(feature = "references")]
    fn places(&self, call: &Call<'_>, at: &HostTensor) -> Result<Vec<usize>> {
        let (x, part) = (&call.input(0)?.ty.shape, self.part(call)?.shape);
        let stride = |axis: usize| x[axis + 1..].iter().product::<usize>();
        let inside = |axis: usize, i: i64| {
            let from_front = if i < 0 { i + x[axis] as i64 } else { i };
            let place = usize::try_from(from_front).ok().filter(|&i| i < x[axis]).map(|i| i * stride(axis));
            place.ok_or_else(|| Error::new(Kind::InvalidInput, format!("index {i} of an axis of {}", x[axis])))
        };
        let indices = at.to_i64().unwrap_or_default();
        if self.elements() {
            let along = axis(call.attributes.int("axis", 0)?, x.len())?;
            let place = |(mut rest, &index): (usize, &i64)| {
                let mut place = inside(along, index)?;
                for axis in (0..x.len()).rev() {
                    place += if axis == along { 0 } else { rest % part[axis] * stride(axis) };
                    rest /= part[axis];
                }
                Ok(place)
            };
            return indices.iter().enumerate().map(place).collect();
        }
        let count = at.shape().last().copied().unwrap_or(0);
        let inner: usize = x[count..].iter().product();
        let many: usize = part.iter().product::<usize>().checked_div(inner).unwrap_or(0);
        let mut places = vec![];
        for i in 0..many {
            let each = indices[i * count..][..count].iter().enumerate().map(|(axis, &i)| inside(axis, i));
            let first = each.sum::<Result<usize>>()?;
            places.extend(first..first + inner);
        }
        Ok(places)
    }

    #[cfg(feature = "references")]
    fn summed(call: &Call<'_>, x: &HostTensor, at: &HostTensor) -> Result<HostTensor> {
        let flag = |name| Ok::<_, Error>(call.attributes.int(name, 0)? != 0);
        let (exclusive, reverse) = (flag("exclusive")?, flag("reverse")?);
        let along = axis(at.to_i64().map_or(0, |at| at[0]), x.shape().len())?;
        let (size, inner) = (x.shape()[along], x.shape()[along + 1..].iter().product::<usize>());
        // Wrapped around where it is of whole numbers.
        let (mut sums, mut exact) = (x.to_f64(), x.to_i64());
        for first in (0..x.len()).filter(|i| i / inner % size == 0) {
            let (mut sum, mut whole) = (0.0, 0i64);
            for i in 0..size {
                let place = first + inner * if reverse { size - 1 - i } else { i };
                let (before, own) = ((sum, whole), (sums[place], exact.as_ref().map_or(0, |x| x[place])));
                (sum, whole) = (sum + own.0, whole.wrapping_add(own.1));
                let told = if exclusive { before } else { (sum, whole) };
                sums[place] = told.0;
                if let Some(exact) = &mut exact {
                    exact[place] = told.1;
                }
            }
        }
        let exact = exact.and_then(|exact| HostTensor::from_i64(x.dtype(), x.shape(), &exact));
        exact.unwrap_or_else(|| HostTensor::from_f64(x.dtype(), x.shape(), &sums))
    }
}

impl Operator for Indexed {
    fn op_type(&self) -> &'static str {
        self.op
    }

    fn attributes(&self) -> &'static [&'static str] {
        self.attributes
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        let part = self.part(call)?;
        let scatters = self.op.starts_with('S');
        Ok(vec![if scatters { call.input(2).and(call.input(0))?.ty.clone() } else { part }])
    }

    fn foldable(&self) -> bool {
        // The page goes without the reference.
        false
    }

    #[cfg(feature = "references")]
    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let (x, at) = (given(inputs, 0)?, given(inputs, 1)?);
        if self.op == "CumSum" {
            return Ok(vec![Self::summed(call, x, at)?]);
        }
        let places = self.places(call, at)?;
        if !self.op.starts_with('S') {
            return Ok(vec![x.pick(self.part(call)?.shape, places.into_iter())?]);
        }
        let mut all: Vec<usize> = (0..x.len()).collect();
        places.into_iter().enumerate().for_each(|(i, place)| all[place] = x.len() + i);
        Ok(vec![HostTensor::joined(x.dtype(), &[x, given(inputs, 2)?])?.pick(x.shape(), all.into_iter())?])
    }
}

impl Kernel for Indexed {
    fn lower(&self, _: &Call<'_>, _: &mut Lowering<'_>) -> Result<()> {
        Err(Error::new(Kind::Unsupported, "it has no kernel for a GPU"))
    }

    fn on_gpu(&self) -> bool {
        false
    }
}

#[cfg(all(test, feature = "references"))]
mod tests {
    use super::*;
    use crate::graph::{Attribute, Attributes, Operand};

    fn run(op: &str, attributes: &[(&str, i64)], inputs: &[HostTensor]) -> Result<HostTensor> {
        let named = attributes.iter().map(|&(name, value)| (name.to_owned(), Attribute::Int(value)));
        let (attributes, mut known) = (Attributes::new(named), OPERATORS.iter().filter(|known| known.op_type() == op));
        let operand = |t: &HostTensor| Some(Operand { ty: TensorType::new(t.dtype(), t.shape()), value: None });
        let inputs_seen = inputs.iter().map(operand).collect();
        let call = Call { node: "node", attributes: &attributes, opset: 18, inputs: inputs_seen, outputs: 1 };
        let none = || Error::new(Kind::Internal, op);
        let of = known.next().ok_or_else(none)?;
        let ty = of.infer(&call)?.pop().ok_or_else(none)?;
        let made = of.evaluate(&call, &inputs.iter().map(Some).collect::<Vec<_>>())?.pop().ok_or_else(none)?;
        assert_eq!((ty.dtype, ty.shape.as_slice()), (made.dtype(), made.shape()), "{op}");
        Ok(made)
    }

    fn whole(shape: &[usize], values: &[i64]) -> HostTensor {
        HostTensor::i64(shape, values.to_vec()).unwrap_or_else(|why| unreachable!("{why}"))
    }

    /// As ONNX's own text has them.
    #[test]
    fn elements_are_taken_and_placed_as_onnx_says() -> Result<()> {
        let x = whole(&[3, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let taken = run("GatherElements", &[("axis", 0)], &[x.clone(), whole(&[2, 3], &[1, 2, 0, 2, 0, -3])])?;
        assert_eq!(taken.to_i64(), Some(vec![4, 8, 3, 7, 2, 3]));
        let taken = run("GatherND", &[], &[x.clone(), whole(&[2, 1], &[1, -1])])?;
        assert_eq!((taken.shape(), taken.to_i64()), (&[2, 3][..], Some(vec![4, 5, 6, 7, 8, 9])));
        let taken = run("GatherND", &[], &[x, whole(&[2, 2], &[0, 0, 1, -2])])?;
        assert_eq!((taken.shape(), taken.to_i64()), (&[2][..], Some(vec![1, 5])));
        let row = whole(&[1, 5], &[1, 2, 3, 4, 5]);
        let given = [row, whole(&[1, 2], &[1, -2]), whole(&[1, 2], &[11, 21])];
        assert_eq!(run("ScatterElements", &[("axis", 1)], &given)?.to_i64(), Some(vec![1, 11, 3, 21, 5]));
        let eight = whole(&[8], &[1, 2, 3, 4, 5, 6, 7, 8]);
        let given = [eight, whole(&[4, 1], &[4, 3, 1, 7]), whole(&[4], &[9, 10, 11, 12])];
        assert_eq!(run("ScatterND", &[], &given)?.to_i64(), Some(vec![1, 11, 3, 10, 9, 6, 7, 12]));
        Ok(())
    }

    #[test]
    fn sums_go_on_along_their_axis() -> Result<()> {
        let x = || whole(&[2, 3], &[1, 2, 3, 4, 5, i64::MAX]);
        let axis = |axis| whole(&[], &[axis]);
        let sums =
            |attributes: &[(&str, i64)], along| run("CumSum", attributes, &[x(), axis(along)]).map(|y| y.to_i64());
        assert_eq!(sums(&[], -1)?, Some(vec![1, 3, 6, 4, 9, i64::MIN + 8]));
        assert_eq!(sums(&[("exclusive", 1)], 0)?, Some(vec![0, 0, 0, 1, 2, 3]));
        assert_eq!(sums(&[("reverse", 1)], 0)?, Some(vec![5, 7, i64::MIN + 2, 4, 5, i64::MAX]));
        let floats = HostTensor::f32([3], vec![0.5, 1.5, -4.0])?;
        let both = run("CumSum", &[("exclusive", 1), ("reverse", 1)], &[floats, axis(0)])?;
        assert_eq!(both.to_f64(), [-2.5, -4.0, 0.0]);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let x = || whole(&[2, 3], &[0; 6]);
        let kind = |op, attributes: &[(&str, i64)], inputs: &[HostTensor]| {
            run(op, attributes, inputs).map_err(|e| e.kind()).err()
        };
        let (invalid, input) = (Some(Kind::InvalidModel), Some(Kind::InvalidInput));
        assert_eq!(kind("GatherElements", &[("axis", 1)], &[x(), whole(&[3, 1], &[0; 3])]), invalid);
        assert_eq!(kind("GatherElements", &[("axis", 1)], &[x(), whole(&[1, 1], &[3])]), input);
        assert_eq!(kind("GatherND", &[], &[x(), whole(&[1, 3], &[0; 3])]), invalid);
        assert_eq!(kind("GatherND", &[], &[x(), whole(&[1, 1], &[-3])]), input);
        assert_eq!(kind("GatherND", &[("batch_dims", 1)], &[x(), whole(&[2, 1], &[0; 2])]), Some(Kind::Unsupported));
        assert_eq!(kind("ScatterND", &[], &[x(), whole(&[1, 1], &[0]), whole(&[1, 2], &[0; 2])]), invalid);
        assert_eq!(kind("CumSum", &[], &[x(), whole(&[2], &[0; 2])]), invalid);
    }
}
