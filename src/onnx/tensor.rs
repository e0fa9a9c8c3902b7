//! TensorProto → constants. Knows how ONNX stores elements, inline and in external files.

use super::ExternalData;
use super::proto::{DATA_TYPES, EXTERNAL, TensorProto};
use crate::error::{Error, Kind, Result};
use crate::graph::{Constant, ContentHash, DType, Data, HostTensor};
use std::sync::Arc;

/// The element type that an ONNX type code names.
pub fn dtype(code: Option<i32>, what: &str) -> Result<DType> {
    match code {
        Some(1) => Ok(DType::Float32),
        Some(6) => Ok(DType::Int32),
        Some(7) => Ok(DType::Int64),
        Some(9) => Ok(DType::Bool),
        Some(other) => {
            let name = usize::try_from(other).ok().and_then(|i| DATA_TYPES.get(i)).copied();
            let name = name.map_or_else(|| other.to_string(), str::to_owned);
            Err(Error::new(Kind::Unsupported, format!("{what} of element type {name}")))
        }
        None => Err(Error::new(Kind::InvalidModel, format!("{what} has no element type"))),
    }
}

/// blake3 of the tensor's device bytes; of its host bytes where an int64 does not fit the device.
pub fn content_hash(tensor: &HostTensor) -> ContentHash {
    let mut hasher = blake3::Hasher::new();
    let mut feed = |bytes: &mut dyn Iterator<Item = [u8; 4]>| {
        // In pieces: a whole copy of a large weight would double the memory.
        let mut buffer = Vec::with_capacity(1 << 16);
        for word in bytes {
            buffer.extend(word);
            if buffer.len() == 1 << 16 {
                hasher.update(&buffer);
                buffer.clear();
            }
        }
        hasher.update(&buffer);
    };
    match tensor.data() {
        Data::Float32(v) => feed(&mut v.iter().map(|x| x.to_le_bytes())),
        Data::Int32(v) => feed(&mut v.iter().map(|x| x.to_le_bytes())),
        Data::Bool(v) => feed(&mut v.iter().map(|&x| u32::from(x).to_le_bytes())),
        Data::Int64(v) if v.iter().all(|&x| i32::try_from(x).is_ok()) => {
            feed(&mut v.iter().map(|&x| (x as i32).to_le_bytes()));
        }
        Data::Int64(v) => v.iter().for_each(|x| {
            hasher.update(&x.to_le_bytes());
        }),
    }
    ContentHash(*hasher.finalize().as_bytes())
}

/// A constant that the host holds.
pub fn constant(tensor: HostTensor) -> Constant {
    Constant {
        dtype: tensor.dtype(),
        shape: tensor.shape().to_vec(),
        hash: content_hash(&tensor),
        tensor: Some(Arc::new(tensor)),
    }
}

/// Name of a tensor, for messages.
pub fn name(tensor: &TensorProto) -> &str {
    tensor.name.as_deref().unwrap_or("")
}

/// Whether the elements stand in another file.
pub fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(EXTERNAL)
}

/// Entry `key` of a tensor's external-data description.
pub fn external_entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    tensor.external_data.iter().find(|e| e.key.as_deref() == Some(key)).and_then(|e| e.value.as_deref())
}

/// The tensor with its elements.
pub fn tensor(proto: &TensorProto, external: &ExternalData) -> Result<HostTensor> {
    let invalid = |message: String| Error::new(Kind::InvalidModel, format!("tensor '{}' {message}", name(proto)));
    let dtype = dtype(proto.data_type, &format!("tensor '{}'", name(proto)))?;
    let shape: Vec<usize> = proto
        .dims
        .iter()
        .map(|&d| usize::try_from(d).map_err(|_| invalid(format!("has shape {:?}", proto.dims))))
        .collect::<Result<_>>()?;
    let count = shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        // With room for the bytes of the largest element.
        .filter(|n| n.checked_mul(8).is_some())
        .ok_or_else(|| invalid(format!("has shape {shape:?}")))?;
    let short = |have: usize| invalid(format!("of shape {shape:?} has data for {have} elements, not {count}"));
    let data = if is_external(proto) {
        decode(dtype, external_bytes(proto, external, count * dtype.host_bytes())?)
    } else if let Some(raw) = &proto.raw_data {
        if raw.len() != count * dtype.host_bytes() {
            return Err(short(raw.len() / dtype.host_bytes()));
        }
        decode(dtype, raw)
    } else {
        match dtype {
            DType::Float32 => Data::Float32(proto.float_data.clone()),
            DType::Int64 => Data::Int64(proto.int64_data.clone()),
            DType::Int32 => Data::Int32(proto.int32_data.clone()),
            DType::Bool => Data::Bool(proto.int32_data.iter().map(|&v| u8::from(v != 0)).collect()),
        }
    };
    let have = match &data {
        Data::Float32(v) => v.len(),
        Data::Int64(v) => v.len(),
        Data::Int32(v) => v.len(),
        Data::Bool(v) => v.len(),
    };
    if have != count {
        return Err(short(have));
    }
    HostTensor::new(shape, data)
}

/// The stretch of an external file that holds `tensor`, of `bytes` bytes.
fn external_bytes<'a>(proto: &TensorProto, external: &'a ExternalData, bytes: usize) -> Result<&'a [u8]> {
    let number = |key: &str| match external_entry(proto, key) {
        None => Ok(None),
        Some(text) => text.parse::<usize>().map(Some).map_err(|_| {
            Error::new(Kind::InvalidModel, format!("tensor '{}' has external {key} '{text}'", name(proto)))
        }),
    };
    let location = external_entry(proto, "location").ok_or_else(|| {
        Error::new(Kind::InvalidModel, format!("tensor '{}' is external but names no file", name(proto)))
    })?;
    let offset = number("offset")?.unwrap_or(0);
    if let Some(length) = number("length")?.filter(|&l| l != bytes) {
        return Err(Error::new(
            Kind::InvalidModel,
            format!("tensor '{}' needs {bytes} bytes, its external length is {length}", name(proto)),
        ));
    }
    let file = external.get(location).ok_or_else(|| {
        Error::new(
            Kind::MissingData,
            format!("tensor '{}' is in the file '{location}', which was not given", name(proto)),
        )
    })?;
    offset.checked_add(bytes).and_then(|end| file.get(offset..end)).ok_or_else(|| {
        Error::new(
            Kind::MissingData,
            format!(
                "tensor '{}' is {bytes} bytes from {offset} of the file '{location}', which has only {}",
                name(proto),
                file.len()
            ),
        )
    })
}

/// Little-endian elements.
fn decode(dtype: DType, bytes: &[u8]) -> Data {
    let four = |c: &[u8]| [c[0], c[1], c[2], c[3]];
    match dtype {
        DType::Float32 => Data::Float32(bytes.chunks_exact(4).map(|c| f32::from_le_bytes(four(c))).collect()),
        DType::Int32 => Data::Int32(bytes.chunks_exact(4).map(|c| i32::from_le_bytes(four(c))).collect()),
        DType::Int64 => Data::Int64(
            bytes
                .chunks_exact(8)
                .map(|c| i64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]))
                .collect(),
        ),
        DType::Bool => Data::Bool(bytes.iter().map(|&b| u8::from(b != 0)).collect()),
    }
}
