//! An operator's reference as a routine: what has no routine of its own runs by it. Knows host tensors and spans; must never
//! know which operator it is.

use super::routine::{Operands, Routine};
use crate::error::{Error, Kind, Result};
use crate::graph::{Attributes, Call, Data, HostTensor, Operand, Operator, TensorType};
use crate::kernels::base::Class;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A node, whole.
pub struct Reference {
    /// The operator.
    pub operator: &'static dyn Operator,
    /// The node's name.
    pub node: String,
    /// Its attributes.
    pub attributes: Attributes,
    /// Version of the operator set.
    pub opset: i64,
    /// Types of its inputs; those left out are not among what the routine reads.
    pub inputs: Vec<Option<TensorType>>,
    /// How many outputs it names, and which the routine writes.
    pub outputs: usize,
    /// The outputs that somebody reads.
    pub written: Vec<usize>,
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reference").field("op", &self.operator.op_type()).finish_non_exhaustive()
    }
}

/// A host tensor of what a span holds.
fn tensor(on: &Operands<'_>, i: usize, ty: &TensorType) -> Result<HostTensor> {
    if ty.is_empty() {
        return HostTensor::new(ty.shape.clone(), Data::empty(ty.dtype));
    }
    HostTensor::new(ty.shape.clone(), on.taken(i, ty.dtype)?)
}

impl Routine for Reference {
    fn run(&self, _: usize, _: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let (mut operands, mut at) = (vec![], 0);
        for ty in &self.inputs {
            let Some(ty) = ty else {
                operands.push(None);
                continue;
            };
            operands.push(Some(Operand { ty: ty.clone(), value: Some(Arc::new(tensor(on, at, ty)?)) }));
            at += 1;
        }
        let values: Vec<_> = operands.iter().map(|o| o.as_ref().and_then(|o| o.value.clone())).collect();
        let given: Vec<Option<&HostTensor>> = values.iter().map(Option::as_deref).collect();
        let (node, attributes) = (self.node.as_str(), &self.attributes);
        let call = Call { node, attributes, opset: self.opset, inputs: operands, outputs: self.outputs };
        let results = self.operator.evaluate(&call, &given)?;
        for (to, &i) in self.written.iter().enumerate() {
            let result = results.get(i).ok_or_else(|| Error::new(Kind::Internal, format!("no result {i}")))?;
            if !result.is_empty() {
                let bytes = result.bytes();
                on.write(to, 0..bytes.len()).copy_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn is_reference(&self) -> bool {
        true
    }

    fn class(&self) -> Class {
        Class::Elementwise
    }

    fn flops(&self) -> f64 {
        self.inputs.iter().flatten().map(|ty| ty.len() as f64).sum()
    }
}
