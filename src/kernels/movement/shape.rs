//! Operators that make shapes and ranges: they run on the host while a graph is specialised, never on the GPU.

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, DType, HostTensor, Operator, TensorType};
use crate::kernels::base::{Entry, Kernel, Lowering};

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[&Shape, &Size, &Range, &ConstantOfShape];

/// The dimensions `start..end` of a tensor.
#[derive(Debug)]
pub struct Shape;

/// How many elements a tensor has.
#[derive(Debug)]
pub struct Size;

/// `start, start + delta, …` below `limit`.
#[derive(Debug)]
pub struct Range;

/// A tensor of one value.
#[derive(Debug)]
pub struct ConstantOfShape;

fn on_host(op: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{op} of values that are only known while running"))
}

impl Shape {
    fn dims(call: &Call<'_>) -> Result<Vec<i64>> {
        let shape = &call.input(0)?.ty.shape;
        let rank = shape.len() as i64;
        let place = |v: i64| if v < 0 { v.saturating_add(rank) } else { v }.clamp(0, rank) as usize;
        let (start, end) = (place(call.attributes.int("start", 0)?), place(call.attributes.int("end", rank)?));
        Ok(shape[start..end.max(start)].iter().map(|&d| d as i64).collect())
    }
}

impl Operator for Shape {
    fn op_type(&self) -> &'static str {
        "Shape"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["start", "end"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(DType::Int64, [Shape::dims(call)?.len()])])
    }

    fn evaluate(&self, call: &Call<'_>, _: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let dims = Shape::dims(call)?;
        Ok(vec![HostTensor::i64([dims.len()], dims)?])
    }

    fn reads_elements(&self) -> bool {
        false
    }
}

impl Kernel for Shape {
    fn lower(&self, _: &Call<'_>, _: &mut Lowering<'_>) -> Result<()> {
        Err(on_host("Shape"))
    }
}

impl Operator for Size {
    fn op_type(&self) -> &'static str {
        "Size"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &[]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        call.input(0)?;
        Ok(vec![TensorType::new(DType::Int64, [])])
    }

    fn evaluate(&self, call: &Call<'_>, _: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        Ok(vec![HostTensor::i64([], vec![call.input(0)?.ty.len() as i64])?])
    }

    fn reads_elements(&self) -> bool {
        false
    }
}

impl Kernel for Size {
    fn lower(&self, _: &Call<'_>, _: &mut Lowering<'_>) -> Result<()> {
        Err(on_host("Size"))
    }
}

impl Range {
    fn values(call: &Call<'_>) -> Result<(DType, Vec<f64>)> {
        let mut given = [0.0; 3];
        for (i, slot) in given.iter_mut().enumerate() {
            let value = call.input(i)?.value.as_ref().ok_or_else(|| on_host("Range"))?;
            *slot = value
                .to_f64()
                .first()
                .copied()
                .ok_or_else(|| Error::new(Kind::InvalidModel, format!("input {i} has no element")))?;
        }
        let [start, limit, delta] = given;
        let count = ((limit - start) / delta).ceil().max(0.0);
        if !count.is_finite() || count > f64::from(1 << 24) {
            return Err(Error::new(Kind::Unsupported, format!("a Range from {start} to {limit} by {delta}")));
        }
        Ok((call.input(0)?.ty.dtype, (0..count as usize).map(|i| start + i as f64 * delta).collect()))
    }
}

impl Operator for Range {
    fn op_type(&self) -> &'static str {
        "Range"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &[]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        let (dtype, values) = Range::values(call)?;
        Ok(vec![TensorType::new(dtype, [values.len()])])
    }

    fn evaluate(&self, call: &Call<'_>, _: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let (dtype, values) = Range::values(call)?;
        Ok(vec![HostTensor::from_f64(dtype, [values.len()], &values)?])
    }
}

impl Kernel for Range {
    fn lower(&self, _: &Call<'_>, _: &mut Lowering<'_>) -> Result<()> {
        Err(on_host("Range"))
    }
}

impl Operator for ConstantOfShape {
    fn op_type(&self) -> &'static str {
        "ConstantOfShape"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["value"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        let asked = call.constant_i64(0)?;
        let shape: Vec<usize> = asked
            .iter()
            .map(|&d| usize::try_from(d))
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| Error::new(Kind::InvalidModel, format!("ConstantOfShape of {asked:?}")))?;
        let dtype = call.attributes.tensor("value")?.map_or(DType::Float32, |v| v.dtype());
        Ok(vec![TensorType::new(dtype, shape)])
    }

    fn evaluate(&self, call: &Call<'_>, _: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let ty = self.infer(call)?.remove(0);
        let count = ty.len();
        match call.attributes.tensor("value")? {
            Some(value) if value.len() == 1 => Ok(vec![value.pick(ty.shape, std::iter::repeat_n(0, count))?]),
            Some(_) => Err(Error::new(Kind::InvalidModel, "ConstantOfShape needs one value")),
            None => Ok(vec![HostTensor::f32(ty.shape, vec![0.0; count])?]),
        }
    }
}

impl Kernel for ConstantOfShape {
    fn lower(&self, _: &Call<'_>, _: &mut Lowering<'_>) -> Result<()> {
        Err(on_host("ConstantOfShape"))
    }
}
