//! Tensors on the host: what constants are, what folding and the CPU references compute with.

use crate::error::{Error, Kind, Result};
use half::f16;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Element types that a graph may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DType {
    /// 32-bit float.
    Float32,
    /// 64-bit signed integer; 32 bits wide on the GPU, range-checked on upload.
    Int64,
    /// 32-bit signed integer.
    Int32,
    /// Truth value; a 32-bit 0 or 1 on the GPU.
    Bool,
}

impl DType {
    /// Name as ONNX and onnxruntime-web write it.
    pub fn name(self) -> &'static str {
        match self {
            DType::Float32 => "float32",
            DType::Int64 => "int64",
            DType::Int32 => "int32",
            DType::Bool => "bool",
        }
    }

    /// Bytes of one element in an ONNX file or a JS typed array.
    pub fn host_bytes(self) -> usize {
        match self {
            DType::Float32 | DType::Int32 => 4,
            DType::Int64 => 8,
            DType::Bool => 1,
        }
    }

    /// Its number, beside elements that travel as bytes.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The type of a number.
    pub fn of_number(number: u32) -> Option<DType> {
        [DType::Float32, DType::Int64, DType::Int32, DType::Bool].into_iter().find(|dtype| dtype.number() == number)
    }

    /// The element's WGSL storage type; each is 4 bytes.
    pub fn wgsl(self) -> &'static str {
        match self {
            DType::Float32 => "f32",
            DType::Int64 | DType::Int32 => "i32",
            DType::Bool => "u32",
        }
    }
}

/// The elements of a host tensor, in row-major order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Data {
    /// float32
    Float32(Vec<f32>),
    /// int64
    Int64(Vec<i64>),
    /// int32
    Int32(Vec<i32>),
    /// bool, each 0 or 1
    Bool(Vec<u8>),
}

impl Data {
    /// `len` elements of nothing; `None` where there is no memory for them.
    pub fn room(dtype: DType, len: usize) -> Option<Data> {
        fn of<T: Clone + Default>(len: usize) -> Option<Vec<T>> {
            let mut room = vec![];
            room.try_reserve_exact(len).ok()?;
            room.resize(len, T::default());
            Some(room)
        }
        Some(match dtype {
            DType::Float32 => Data::Float32(of(len)?),
            DType::Int64 => Data::Int64(of(len)?),
            DType::Int32 => Data::Int32(of(len)?),
            DType::Bool => Data::Bool(of(len)?),
        })
    }

    /// The elements as they lie on the host.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Data::Float32(v) => bytemuck::cast_slice(v),
            Data::Int64(v) => bytemuck::cast_slice(v),
            Data::Int32(v) => bytemuck::cast_slice(v),
            Data::Bool(v) => v,
        }
    }

    /// The same, to be written: a bool is 0 or 1.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Data::Float32(v) => bytemuck::cast_slice_mut(v),
            Data::Int64(v) => bytemuck::cast_slice_mut(v),
            Data::Int32(v) => bytemuck::cast_slice_mut(v),
            Data::Bool(v) => v,
        }
    }

    /// Their type.
    pub fn dtype(&self) -> DType {
        match self {
            Data::Float32(_) => DType::Float32,
            Data::Int64(_) => DType::Int64,
            Data::Int32(_) => DType::Int32,
            Data::Bool(_) => DType::Bool,
        }
    }
}

/// A tensor whose elements the host holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostTensor {
    shape: Vec<usize>,
    data: Data,
}

impl HostTensor {
    /// A tensor of `shape` with `data`, which must have exactly that many elements.
    pub fn new(shape: impl Into<Vec<usize>>, data: Data) -> Result<Self> {
        let shape = shape.into();
        let tensor = HostTensor { shape, data };
        let expected: usize = tensor.shape.iter().product();
        if tensor.len() != expected {
            return Err(Error::new(
                Kind::InvalidInput,
                format!("shape {:?} has {expected} elements, the data {}", tensor.shape, tensor.len()),
            ));
        }
        Ok(tensor)
    }

    /// A float32 tensor; see [`HostTensor::new`].
    pub fn f32(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Result<Self> {
        Self::new(shape, Data::Float32(data))
    }

    /// An int64 tensor; see [`HostTensor::new`].
    pub fn i64(shape: impl Into<Vec<usize>>, data: Vec<i64>) -> Result<Self> {
        Self::new(shape, Data::Int64(data))
    }

    /// A bool tensor; see [`HostTensor::new`].
    pub fn bool(shape: impl Into<Vec<usize>>, data: Vec<u8>) -> Result<Self> {
        Self::new(shape, Data::Bool(data))
    }

    /// Dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Elements, row-major.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Its elements alone.
    pub fn into_data(self) -> Data {
        self.data
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// The elements as they lie on the host.
    pub fn bytes(&self) -> &[u8] {
        self.data.bytes()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Float32(v) => v.len(),
            Data::Int64(v) => v.len(),
            Data::Int32(v) => v.len(),
            Data::Bool(v) => v.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same elements under another shape of the same size.
    pub fn reshaped(&self, shape: impl Into<Vec<usize>>) -> Result<Self> {
        Self::new(shape, self.data.clone())
    }

    /// The elements at `places`, in their order, as a tensor of `shape`.
    pub fn pick(&self, shape: impl Into<Vec<usize>>, places: impl Iterator<Item = usize>) -> Result<Self> {
        let data = match &self.data {
            Data::Float32(v) => Data::Float32(places.map(|i| v[i]).collect()),
            Data::Int64(v) => Data::Int64(places.map(|i| v[i]).collect()),
            Data::Int32(v) => Data::Int32(places.map(|i| v[i]).collect()),
            Data::Bool(v) => Data::Bool(places.map(|i| v[i]).collect()),
        };
        Self::new(shape, data)
    }

    /// The elements of all `parts`, which are of type `dtype`, as one vector.
    pub fn joined(dtype: DType, parts: &[&HostTensor]) -> Result<Self> {
        let mut all = Self::from_f64(dtype, [0], &[])?;
        for part in parts {
            match (&mut all.data, &part.data) {
                (Data::Float32(a), Data::Float32(b)) => a.extend(b),
                (Data::Int64(a), Data::Int64(b)) => a.extend(b),
                (Data::Int32(a), Data::Int32(b)) => a.extend(b),
                (Data::Bool(a), Data::Bool(b)) => a.extend(b),
                _ => return Err(Error::new(Kind::InvalidModel, format!("a part is not of type {}", dtype.name()))),
            }
        }
        all.shape = vec![all.len()];
        Ok(all)
    }

    /// The elements as f32, if that is their type.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::Float32(v) => Some(v),
            _ => None,
        }
    }

    /// Integer or bool elements widened to i64; `None` for floats.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        match &self.data {
            Data::Int64(v) => Some(v.clone()),
            Data::Int32(v) => Some(v.iter().map(|&x| x.into()).collect()),
            Data::Bool(v) => Some(v.iter().map(|&x| x.into()).collect()),
            Data::Float32(_) => None,
        }
    }

    /// Every element as f64 (exact but for int64 beyond 2^53).
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            Data::Float32(v) => v.iter().map(|&x| x.into()).collect(),
            Data::Int64(v) => v.iter().map(|&x| x as f64).collect(),
            Data::Int32(v) => v.iter().map(|&x| x.into()).collect(),
            Data::Bool(v) => v.iter().map(|&x| x.into()).collect(),
        }
    }

    /// A tensor of `dtype` from f64 elements, rounded toward zero for integers as ONNX Cast does.
    pub fn from_f64(dtype: DType, shape: impl Into<Vec<usize>>, values: &[f64]) -> Result<Self> {
        let data = match dtype {
            DType::Float32 => Data::Float32(values.iter().map(|&x| x as f32).collect()),
            DType::Int64 => Data::Int64(values.iter().map(|&x| x as i64).collect()),
            DType::Int32 => Data::Int32(values.iter().map(|&x| x as i32).collect()),
            DType::Bool => Data::Bool(values.iter().map(|&x| u8::from(x != 0.0)).collect()),
        };
        Self::new(shape, data)
    }

    /// The elements as the GPU stores them: 4 bytes each, int64 narrowed where it fits and refused where not.
    pub fn to_device_words(&self) -> Result<Vec<u32>> {
        Ok(match &self.data {
            Data::Float32(v) => v.iter().map(|x| x.to_bits()).collect(),
            Data::Int32(v) => v.iter().map(|&x| x as u32).collect(),
            Data::Bool(v) => v.iter().map(|&x| u32::from(x != 0)).collect(),
            Data::Int64(v) => v
                .iter()
                .map(|&x| {
                    i32::try_from(x).map(|x| x as u32).map_err(|_| {
                        Error::new(
                            Kind::InvalidInput,
                            format!("int64 value {x} does not fit the GPU's 32-bit integers"),
                        )
                    })
                })
                .collect::<Result<_>>()?,
        })
    }

    /// Floats as f16, in half the bytes; an error where one is beyond what f16 holds.
    pub fn to_half_bytes(&self) -> Result<Vec<u8>> {
        let values = self.as_f32().ok_or_else(|| Error::new(Kind::Internal, "only floats are kept as f16"))?;
        let most = f16::MAX.to_f32();
        if let Some(value) = values.iter().find(|v| v.is_finite() && v.abs() > most) {
            let text = format!("a weight of {value} is beyond f16, whose greatest is {most}: load the model with f32");
            return Err(Error::new(Kind::Unsupported, text));
        }
        Ok(values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect())
    }

    /// The same as bytes, without a copy where the host stores them as the GPU does.
    pub fn to_device_bytes(&self) -> Result<Cow<'_, [u8]>> {
        Ok(match &self.data {
            Data::Float32(v) => Cow::Borrowed(bytemuck::cast_slice(v)),
            Data::Int32(v) => Cow::Borrowed(bytemuck::cast_slice(v)),
            Data::Bool(_) | Data::Int64(_) => Cow::Owned(bytemuck::cast_slice(&self.to_device_words()?).to_vec()),
        })
    }

    /// The inverse of [`HostTensor::to_device_words`].
    pub fn from_device_words(dtype: DType, shape: impl Into<Vec<usize>>, words: &[u32]) -> Result<Self> {
        let data = match dtype {
            DType::Float32 => Data::Float32(words.iter().map(|&x| f32::from_bits(x)).collect()),
            DType::Int64 => Data::Int64(words.iter().map(|&x| i64::from(x as i32)).collect()),
            DType::Int32 => Data::Int32(words.iter().map(|&x| x as i32).collect()),
            DType::Bool => Data::Bool(words.iter().map(|&x| u8::from(x != 0)).collect()),
        };
        Self::new(shape, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_f16_cannot_hold_is_refused() {
        let bytes = |values: &[f32]| HostTensor::f32([values.len()], values.to_vec()).unwrap().to_half_bytes();
        assert_eq!(bytes(&[1.0, -2.0]).unwrap(), [0x00, 0x3c, 0x00, 0xc0]);
        let error = bytes(&[0.5, -65536.0]).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains("-65536"), "{error}");
        assert!(bytes(&[f32::INFINITY]).is_ok());
    }
}
