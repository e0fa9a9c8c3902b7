//! Choosing and converting elements: Where, Cast, Clip, Not.

pub mod cpu;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, DType, HostTensor, Operator, TensorType};
use crate::kernels::base::map::Map;
use crate::kernels::base::operand::{broadcast, values};
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

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let ty = self.infer(call)?.remove(0);
        let operands = [values(inputs, 0)?, values(inputs, 1)?, values(inputs, 2)?];
        let mut at = Vec::new();
        for i in 0..3 {
            at.push(places(&call.input(i)?.ty.shape, &ty.shape).collect::<Vec<_>>());
        }
        let y: Vec<f64> = (0..ty.len())
            .map(|i| {
                let of = if operands[0][at[0][i]] != 0.0 { 1 } else { 2 };
                operands[of][at[of][i]]
            })
            .collect();
        Ok(vec![HostTensor::from_f64(ty.dtype, ty.shape, &y)?])
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
        match call.attributes.int("to", 0)? {
            1 => Ok(DType::Float32),
            6 => Ok(DType::Int32),
            7 => Ok(DType::Int64),
            9 => Ok(DType::Bool),
            other => Err(Error::new(Kind::Unsupported, format!("a cast to ONNX type {other}"))),
        }
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

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let ty = self.infer(call)?.remove(0);
        // Integers between themselves must not pass through f64, which does not hold them all.
        if let (DType::Int64, Some(Some(x))) = (ty.dtype, inputs.first())
            && let Some(exact) = x.to_i64()
        {
            return Ok(vec![HostTensor::i64(ty.shape, exact)?]);
        }
        Ok(vec![HostTensor::from_f64(ty.dtype, ty.shape, &values(inputs, 0)?)?])
    }
}

impl Kernel for Cast {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let (x, output) = (out.input(0)?, out.output(0)?);
        let (from, to) = (call.input(0)?.ty.dtype, Cast::to(call)?);
        if from.wgsl() == to.wgsl() {
            out.view(output, x);
            return Ok(());
        }
        let expression = match (from, to) {
            (DType::Float32, DType::Bool) => "select(0u, 1u, u != 0.0)",
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
        if ty.dtype != DType::Float32 {
            return Err(Error::new(Kind::Unsupported, format!("Clip of type {}", ty.dtype.name())));
        }
        for bound in (1..3).filter_map(|i| call.optional(i)) {
            if bound.ty.len() != 1 || bound.ty.dtype != ty.dtype {
                return Err(Error::new(Kind::InvalidModel, format!("a bound of shape {:?}", bound.ty.shape)));
            }
        }
        Ok(vec![ty.clone()])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let ty = self.infer(call)?.remove(0);
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
