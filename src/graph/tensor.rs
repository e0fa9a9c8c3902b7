//! Tensors on the host: what constants are, what folding and the CPU references compute with.

use super::DType;
use crate::error::{Error, Kind, Result};
use bytemuck::Pod;
use half::f16;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

macro_rules! types {
    ($($name:ident: $of:ty),*) => {
        /// The elements of a host tensor, in row-major order; a bool is 0 or 1.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Data {
            $(
                #[doc = concat!("Elements that are `", stringify!($of), "`.")]
                $name(Vec<$of>)
            ),*
        }

        impl Data {
            /// No elements of a type.
            pub fn empty(dtype: DType) -> Data {
                match dtype {
                    $(DType::$name => Data::$name(vec![])),*
                }
            }

            /// Their type.
            pub fn dtype(&self) -> DType {
                match self {
                    $(Data::$name(_) => DType::$name),*
                }
            }

            /// The elements as they lie on the host.
            pub fn bytes(&self) -> &[u8] {
                each!(self, v => bytemuck::cast_slice(v))
            }
        }
    };
}

macro_rules! each {
    ($data:expr, $v:ident => $e:expr) => {
        match $data {
            Data::Float32($v) => $e,
            Data::Int64($v) => $e,
            Data::Int32($v) => $e,
            Data::Bool($v) => $e,
            Data::Uint8($v) => $e,
            Data::Int8($v) => $e,
            Data::Uint16($v) => $e,
            Data::Int16($v) => $e,
            Data::Uint32($v) => $e,
            Data::Uint64($v) => $e,
            Data::Float16($v) => $e,
            Data::Float64($v) => $e,
        }
    };
}

types!(
    Float32: f32,
    Int64: i64,
    Int32: i32,
    Bool: u8,
    Uint8: u8,
    Int8: i8,
    Uint16: u16,
    Int16: i16,
    Uint32: u32,
    Uint64: u64,
    Float16: f16,
    Float64: f64
);

impl Data {
    /// `len` elements of nothing; `None` where there is no memory for them.
    pub fn room(dtype: DType, len: usize) -> Option<Data> {
        let mut data = Data::empty(dtype);
        data.grow(len).then_some(data)
    }

    /// Makes it `len` elements, those that are new of nothing; `false` where there is no memory for them.
    pub fn grow(&mut self, len: usize) -> bool {
        fn of<T: bytemuck::Zeroable + Clone>(v: &mut Vec<T>, len: usize) -> bool {
            // Bytes that the system gives as nothing need not be written.
            if v.capacity() == 0 {
                return bytemuck::allocation::try_zeroed_vec(len).map(|new| *v = new).is_ok();
            }
            let more = len.saturating_sub(v.len());
            let room = v.try_reserve_exact(more).is_ok();
            if room {
                v.resize(len, T::zeroed());
            }
            room
        }
        each!(self, v => of(v, len))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        each!(self, v => v.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as they lie on the host, to be written: a bool is 0 or 1.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        each!(self, v => bytemuck::cast_slice_mut(v))
    }

    /// Elements from their little-endian bytes.
    pub fn of_bytes(dtype: DType, bytes: &[u8]) -> Option<Data> {
        const { assert!(cfg!(target_endian = "little")) };
        let mut data = Data::room(dtype, bytes.len() / dtype.host_bytes())?;
        let to = data.bytes_mut();
        to.copy_from_slice(bytes.get(..to.len())?);
        data.settle();
        Some(data)
    }

    /// The elements at `places`, in their order. By their width alone: for each type it would be much code.
    fn pick(&self, places: &[usize]) -> Option<Data> {
        fn of<T: Pod>(from: &[u8], to: &mut [u8], places: &[usize]) {
            let (from, to): (&[T], &mut [T]) = (bytemuck::cast_slice(from), bytemuck::cast_slice_mut(to));
            to.iter_mut().zip(places).for_each(|(to, &place)| *to = from[place]);
        }
        let mut data = Data::room(self.dtype(), places.len())?;
        let (from, to) = (self.bytes(), data.bytes_mut());
        match self.dtype().host_bytes() {
            1 => of::<u8>(from, to, places),
            2 => of::<u16>(from, to, places),
            4 => of::<u32>(from, to, places),
            _ => of::<u64>(from, to, places),
        }
        Some(data)
    }

    /// Makes every bool 0 or 1.
    pub fn settle(&mut self) {
        if let Data::Bool(v) = self {
            v.iter_mut().for_each(|b| *b = u8::from(*b != 0));
        }
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        (self.dtype(), self.bytes()).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let (dtype, bytes) = <(DType, Vec<u8>)>::deserialize(from)?;
        Data::of_bytes(dtype, &bytes).ok_or_else(|| serde::de::Error::custom("there is no memory for elements"))
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
        self.data.len()
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
        let none = || Error::new(Kind::OutOfMemory, "there is no memory for a tensor");
        Self::new(shape, self.data.pick(&places.collect::<Vec<_>>()).ok_or_else(none)?)
    }

    /// The elements of all `parts`, which are of type `dtype`, as one vector.
    pub fn joined(dtype: DType, parts: &[&HostTensor]) -> Result<Self> {
        if parts.iter().any(|part| part.dtype() != dtype) {
            return Err(Error::new(Kind::InvalidModel, format!("a part is not of type {}", dtype.name())));
        }
        let bytes = parts.iter().map(|part| part.bytes()).collect::<Vec<_>>().concat();
        let none = || Error::new(Kind::OutOfMemory, "there is no memory for a tensor");
        let all = Data::of_bytes(dtype, &bytes).ok_or_else(none)?;
        Self::new([all.len()], all)
    }

    /// The elements as f32, if that is their type.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::Float32(v) => Some(v),
            _ => None,
        }
    }

    /// Integer or bool elements as i64, a uint64 beyond it as its bits; `None` for floats.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        macro_rules! widened {
            ($v:expr) => {
                $v.iter().map(|&x| x as i64).collect()
            };
        }
        Some(match &self.data {
            Data::Int64(v) => v.clone(),
            Data::Int32(v) => widened!(v),
            Data::Bool(v) | Data::Uint8(v) => widened!(v),
            Data::Int8(v) => widened!(v),
            Data::Uint16(v) => widened!(v),
            Data::Int16(v) => widened!(v),
            Data::Uint32(v) => widened!(v),
            Data::Uint64(v) => widened!(v),
            Data::Float32(_) | Data::Float16(_) | Data::Float64(_) => return None,
        })
    }

    /// A tensor of whole numbers or truth values from i64 elements, which wrap around as ONNX Cast lets them; `None` for floats.
    pub fn from_i64(dtype: DType, shape: impl Into<Vec<usize>>, values: &[i64]) -> Option<Result<Self>> {
        macro_rules! wrapped {
            ($name:ident, $of:ty) => {
                Data::$name(values.iter().map(|&x| x as $of).collect())
            };
        }
        let data = match dtype {
            DType::Int64 => Data::Int64(values.to_vec()),
            DType::Int32 => wrapped!(Int32, i32),
            DType::Bool => Data::Bool(values.iter().map(|&x| u8::from(x != 0)).collect()),
            DType::Uint8 => wrapped!(Uint8, u8),
            DType::Int8 => wrapped!(Int8, i8),
            DType::Uint16 => wrapped!(Uint16, u16),
            DType::Int16 => wrapped!(Int16, i16),
            DType::Uint32 => wrapped!(Uint32, u32),
            DType::Uint64 => wrapped!(Uint64, u64),
            DType::Float32 | DType::Float16 | DType::Float64 => return None,
        };
        Some(Self::new(shape, data))
    }

    /// Every element as f64 (exact but for 64-bit integers beyond 2^53).
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            Data::Float32(v) => v.iter().map(|&x| x.into()).collect(),
            Data::Float16(v) => v.iter().map(|&x| x.to_f64()).collect(),
            Data::Float64(v) => v.clone(),
            Data::Uint64(v) => v.iter().map(|&x| x as f64).collect(),
            _ => self.to_i64().unwrap_or_default().into_iter().map(|x| x as f64).collect(),
        }
    }

    /// A tensor of `dtype` from f64 elements, rounded toward zero for integers as ONNX Cast does.
    pub fn from_f64(dtype: DType, shape: impl Into<Vec<usize>>, values: &[f64]) -> Result<Self> {
        macro_rules! toward_zero {
            ($name:ident, $of:ty) => {
                Data::$name(values.iter().map(|&x| x as $of).collect())
            };
        }
        let data = match dtype {
            DType::Float32 => toward_zero!(Float32, f32),
            DType::Int64 => toward_zero!(Int64, i64),
            DType::Int32 => toward_zero!(Int32, i32),
            DType::Bool => Data::Bool(values.iter().map(|&x| u8::from(x != 0.0)).collect()),
            DType::Uint8 => toward_zero!(Uint8, u8),
            DType::Int8 => toward_zero!(Int8, i8),
            DType::Uint16 => toward_zero!(Uint16, u16),
            DType::Int16 => toward_zero!(Int16, i16),
            DType::Uint32 => toward_zero!(Uint32, u32),
            DType::Uint64 => toward_zero!(Uint64, u64),
            DType::Float16 => Data::Float16(values.iter().map(|&x| f16::from_f64(x)).collect()),
            DType::Float64 => Data::Float64(values.to_vec()),
        };
        Self::new(shape, data)
    }

    /// The elements as the GPU stores them: 4 bytes each, int64 narrowed where it fits and refused where not.
    pub fn to_device_words(&self) -> Result<Vec<u32>> {
        Ok(match &self.data {
            Data::Float32(v) => v.iter().map(|x| x.to_bits()).collect(),
            Data::Float16(v) => v.iter().map(|x| x.to_f32().to_bits()).collect(),
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
            Data::Uint64(_) | Data::Float64(_) => {
                return Err(Error::new(Kind::Unsupported, format!("no GPU has {}", self.dtype().name())));
            }
            // Sign and all: a smaller one is extended.
            _ => self.to_i64().unwrap_or_default().into_iter().map(|x| x as u32).collect(),
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
            _ => Cow::Owned(bytemuck::cast_slice(&self.to_device_words()?).to_vec()),
        })
    }

    /// The inverse of [`HostTensor::to_device_words`].
    pub fn from_device_words(dtype: DType, shape: impl Into<Vec<usize>>, words: &[u32]) -> Result<Self> {
        let floats = || words.iter().map(|&x| f32::from_bits(x));
        let data = match dtype {
            DType::Float32 => Data::Float32(floats().collect()),
            DType::Float16 => Data::Float16(floats().map(f16::from_f32).collect()),
            DType::Int32 => Data::Int32(words.iter().map(|&x| x as i32).collect()),
            _ => {
                let whole: Vec<i64> = match dtype.wgsl() {
                    "i32" => words.iter().map(|&x| i64::from(x as i32)).collect(),
                    _ => words.iter().map(|&x| i64::from(x)).collect(),
                };
                let none = || Error::new(Kind::Unsupported, format!("no GPU has {}", dtype.name()));
                return Self::from_i64(dtype, shape, &whole).ok_or_else(none)?;
            }
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
