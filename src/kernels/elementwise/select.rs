//! Choosing and converting elements: Where, Cast, Clip, Not.

pub mod cpu;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, DType, HostTensor, Operator, TensorType};
use crate::kernels::base::map::Map;
use crate::kernels::base::operand::{broadcast, given, values};
use crate::kernels::base::strides::Strided;
use crate::kernels::base::strides::places;
use crate::kernels::base::wgsl::literal;
use crate::kernels::base::{Entry, Kernel, Lowering, Planes};

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[&Where, &Cast, &Clip, &Not];

/// `condition ? x : y`, all broadcast.
#[derive(Debug)]
pub struct Where;

/// To another element type.
#[derive(Debug)]
pub struct Cast;

/// Between two bounds: inputs since opset 11, attributes before.
#[derive(Debug)]
pub struct Clip;

/// The other truth value.
#[derive(Debug)]
pub struct Not;

impl Operator for Where {
    fn op_type(&self) -> &'static str {
        "Where"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &[]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        let (c, x, y) = (&call.input(0)?.ty, &call.input(1)?.ty, &call.input(2)?.ty);
        if c.dtype != DType::Bool || x.dtype != y.dtype {
            return Err(Error::new(
                Kind::InvalidModel,
                format!("Where of {}, {} and {}", c.dtype.name(), x.dtype.name(), y.dtype.name()),
            ));
        }
        Ok(vec![TensorType::new(x.dtype, broadcast(&c.shape, &broadcast(&x.shape, &y.shape)?)?)])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        Some(vec![call.aligned(axes, self.infer(call).ok()?.first()?.shape.len())?])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let ty = self.infer(call)?.remove(0);
        let (holds, x, y) = (values(inputs, 0)?, given(inputs, 1)?, given(inputs, 2)?);
        let at = |i: usize| call.input(i).map(|operand| places(&operand.ty.shape, &ty.shape));
        let taken = at(0)?.zip(at(1)?.zip(at(2)?)).map(|(c, (a, b))| if holds[c] != 0.0 { a } else { x.len() + b });
        Ok(vec![HostTensor::joined(ty.dtype, &[x, y])?.pick(ty.shape.clone(), taken)?])
    }
}

impl Kernel for Where {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let output = out.output(0)?;
        let shape = out.ty(output).shape.clone();
        let mut operands = vec![];
        for i in 0..3 {
            operands.push(Strided::broadcast(out.input(i)?, &call.input(i)?.ty.shape, &shape));
        }
        let expression = "select(w, v, u != 0u)".to_owned();
        Map { moves: false, expression, functions: "", operands, output, flops: 1.0 }.lower(out)
    }
}

impl Cast {
    fn to(call: &Call<'_>) -> Result<DType> {
        let to = call.attributes.int("to", 0)?;
        DType::of_code(to).ok_or_else(|| Error::new(Kind::Unsupported, format!("a cast to ONNX type {to}")))
    }
}

impl Operator for Cast {
    fn op_type(&self) -> &'static str {
        "Cast"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["to", "saturate"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(Cast::to(call)?, call.input(0)?.ty.shape.clone())])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        Some(vec![call.only_first(axes)?])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let ty = self.infer(call)?.remove(0);
        // Integers between themselves must not pass through f64, which does not hold them all.
        if let Some(exact) = inputs.first().copied().flatten().and_then(HostTensor::to_i64)
            && let Some(cast) = HostTensor::from_i64(ty.dtype, ty.shape.clone(), &exact)
        {
            return Ok(vec![cast?]);
        }
        Ok(vec![HostTensor::from_f64(ty.dtype, ty.shape, &values(inputs, 0)?)?])
    }
}

impl Kernel for Cast {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let (x, output) = (out.input(0)?, out.output(0)?);
        let (from, to) = (call.input(0)?.ty.dtype, Cast::to(call)?);
        if from.wgsl() == to.wgsl() && (to != DType::Bool || from == DType::Bool) {
            out.view(output, x);
            return Ok(());
        }
        let expression = match (from, to) {
            (DType::Float32 | DType::Float16, DType::Bool) => "select(0u, 1u, u != 0.0)",
            (DType::Uint8 | DType::Uint16 | DType::Uint32, DType::Bool) => "select(0u, 1u, u != 0u)",
            (_, DType::Bool) => "select(0u, 1u, u != 0)",
            _ => "y_t(u)",
        };
        let shape = out.ty(output).shape.clone();
        let operands = vec![Strided::broadcast(x, &shape, &shape)];
        Map { moves: false, expression: expression.to_owned(), functions: "", operands, output, flops: 1.0 }.lower(out)
    }
}

impl Operator for Clip {
    fn op_type(&self) -> &'static str {
        "Clip"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["min", "max"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        let ty = &call.input(0)?.ty;
        if ty.dtype == DType::Bool {
            return Err(Error::new(Kind::Unsupported, format!("Clip of type {}", ty.dtype.name())));
        }
        for bound in (1..3).filter_map(|i| call.optional(i)) {
            if bound.ty.len() != 1 || bound.ty.dtype != ty.dtype {
                return Err(Error::new(Kind::InvalidModel, format!("a bound of shape {:?}", bound.ty.shape)));
            }
        }
        Ok(vec![ty.clone()])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        Some(vec![call.only_first(axes)?])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let ty = self.infer(call)?.remove(0);
        if let Some(exact) = inputs.first().copied().flatten().and_then(HostTensor::to_i64) {
            let bound = |i: usize| inputs.get(i).copied().flatten().and_then(HostTensor::to_i64)?.first().copied();
            // The order of uint64 is that of i64 with the first bit turned.
            let turned = if ty.dtype == DType::Uint64 { i64::MIN } else { 0 };
            let (low, high) = (bound(1), bound(2));
            let y: Vec<i64> = exact
                .into_iter()
                .map(|x| x ^ turned)
                .map(|x| low.map_or(x, |low| x.max(low ^ turned)))
                .map(|x| high.map_or(x, |high| x.min(high ^ turned)) ^ turned)
                .collect();
            let none = || Error::new(Kind::Internal, "a Clip of whole numbers to floats");
            return Ok(vec![HostTensor::from_i64(ty.dtype, ty.shape, &y).ok_or_else(none)??]);
        }
        let bound = |i: usize, name: &str, default: f32| -> Result<f64> {
            let given = crate::kernels::base::operand::optional_values(inputs, i).and_then(|v| v.first().copied());
            given.map_or_else(|| Ok(f64::from(call.attributes.float(name, default)?)), Ok)
        };
        let (low, high) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
        let y: Vec<f64> = values(inputs, 0)?.into_iter().map(|x| x.max(low).min(high)).collect();
        Ok(vec![HostTensor::from_f64(ty.dtype, ty.shape, &y)?])
    }
}

impl Kernel for Clip {
    fn planes(&self, _: &Call<'_>) -> Planes {
        Planes::Alike
    }

    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let (x, output) = (out.input(0)?, out.output(0)?);
        let shape = out.ty(output).shape.clone();
        let mut operands = vec![Strided::broadcast(x, &shape, &shape)];
        let mut expression = "u".to_owned();
        for (i, name, default, function) in [(1, "min", f32::MIN, "max"), (2, "max", f32::MAX, "min")] {
            let bound = match call.optional(i) {
                None if call.input(0)?.ty.dtype != DType::Float32 => continue,
                None => literal(call.attributes.float(name, default)?),
                Some(operand) => match operand.value.as_ref().and_then(|v| v.as_f32().map(|v| v[0])) {
                    Some(value) => literal(value),
                    None => {
                        operands.push(Strided::broadcast(out.input(i)?, &[], &shape));
                        ["u", "v", "w"][operands.len() - 1].to_owned()
                    }
                },
            };
            expression = format!("{function}({expression}, y_t({bound}))");
        }
        Map { moves: false, expression, functions: "", operands, output, flops: 2.0 }.lower(out)
    }
}

impl Operator for Not {
    fn op_type(&self) -> &'static str {
        "Not"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &[]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        let ty = &call.input(0)?.ty;
        if ty.dtype != DType::Bool {
            return Err(Error::new(Kind::InvalidModel, format!("Not of type {}", ty.dtype.name())));
        }
        Ok(vec![ty.clone()])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        Some(vec![call.only_first(axes)?])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let y: Vec<f64> = values(inputs, 0)?.into_iter().map(|x| f64::from(u8::from(x == 0.0))).collect();
        Ok(vec![HostTensor::from_f64(DType::Bool, call.input(0)?.ty.shape.clone(), &y)?])
    }
}

impl Kernel for Not {
    fn lower(&self, _: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let (x, output) = (out.input(0)?, out.output(0)?);
        let shape = out.ty(output).shape.clone();
        let operands = vec![Strided::broadcast(x, &shape, &shape)];
        Map { moves: false, expression: "1u - u".to_owned(), functions: "", operands, output, flops: 1.0 }.lower(out)
    }
}
