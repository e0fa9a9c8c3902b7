//! TensorProto → constants. Knows how ONNX stores elements, inline and in external files.

use super::external::{ExternalData, Range};
use super::proto::{DATA_TYPES, EXTERNAL, TensorProto};
use crate::error::{Error, Kind, Result};
use crate::graph::{Constant, ContentHash, DType, Data, HostTensor};
use half::f16;
use std::sync::Arc;

/// The element type that an ONNX type code names.
pub fn dtype(code: Option<i32>, what: &str) -> Result<DType> {
    let code = code.ok_or_else(|| Error::new(Kind::InvalidModel, format!("{what} has no element type")))?;
    DType::of_code(code.into()).ok_or_else(|| {
        let name = usize::try_from(code).ok().and_then(|i| DATA_TYPES.get(i)).copied();
        let name = name.map_or_else(|| code.to_string(), str::to_owned);
        Error::new(Kind::Unsupported, format!("{what} of element type {name}"))
    })
}

/// The name of the tensor's device bytes; of its host bytes where an int64 does not fit the device.
pub fn content_hash(tensor: &HostTensor) -> ContentHash {
    let named = |bytes: Vec<u8>| ContentHash::of(&bytes);
    match tensor.data() {
        // Most weights are these, and are as long as the model: the host's bytes are the device's.
        Data::Float32(_) | Data::Int32(_) => ContentHash::of(tensor.bytes()),
        Data::Bool(v) => named(v.iter().flat_map(|&x| u32::from(x).to_le_bytes()).collect()),
        Data::Int64(v) if v.iter().all(|&x| i32::try_from(x).is_ok()) => {
            named(v.iter().flat_map(|&x| (x as i32).to_le_bytes()).collect())
        }
        Data::Int64(_) => ContentHash::of(tensor.bytes()),
        // No device has it: named by its own bytes, apart from those of any other type.
        _ => named([tensor.dtype().name().as_bytes(), tensor.bytes()].concat()),
    }
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
    let (dtype, shape, count) = form(proto)?;
    let short = |have: usize| invalid(format!("of shape {shape:?} has data for {have} elements, not {count}"));
    let data = if is_external(proto) {
        external_data(proto, external, external_range(proto, dtype, count * dtype.host_bytes())?)?
    } else if let Some(raw) = &proto.raw_data {
        if raw.len() != count * dtype.host_bytes() {
            return Err(short(raw.len() / dtype.host_bytes()));
        }
        Data::of_bytes(dtype, raw).ok_or_else(|| short(0))?
    } else {
        listed(dtype, proto)
    };
    let have = data.len();
    if have != count {
        return Err(short(have));
    }
    HostTensor::new(shape, data)
}

/// The elements in the field that the type has for them: what is smaller than 32 bits stands as such a number each.
fn listed(dtype: DType, proto: &TensorProto) -> Data {
    macro_rules! narrowed {
        ($name:ident, $of:ty) => {
            Data::$name(proto.int32_data.iter().map(|&v| v as $of).collect())
        };
    }
    match dtype {
        DType::Float32 => Data::Float32(proto.float_data.clone()),
        DType::Float64 => Data::Float64(proto.double_data.clone()),
        DType::Float16 => Data::Float16(proto.int32_data.iter().map(|&v| f16::from_bits(v as u16)).collect()),
        DType::Int64 => Data::Int64(proto.int64_data.clone()),
        DType::Int32 => Data::Int32(proto.int32_data.clone()),
        DType::Bool => Data::Bool(proto.int32_data.iter().map(|&v| u8::from(v != 0)).collect()),
        DType::Uint8 => narrowed!(Uint8, u8),
        DType::Int8 => narrowed!(Int8, i8),
        DType::Uint16 => narrowed!(Uint16, u16),
        DType::Int16 => narrowed!(Int16, i16),
        DType::Uint32 => Data::Uint32(proto.uint64_data.iter().map(|&v| v as u32).collect()),
        DType::Uint64 => Data::Uint64(proto.uint64_data.clone()),
    }
}

/// The file that holds an external tensor.
fn location(proto: &TensorProto) -> Result<&str> {
    external_entry(proto, "location").ok_or_else(|| {
        Error::new(Kind::InvalidModel, format!("tensor '{}' is external but names no file", name(proto)))
    })
}

/// The stretch of its file where a tensor of `bytes` bytes lies.
fn external_range(proto: &TensorProto, dtype: DType, bytes: usize) -> Result<Range> {
    let number = |key: &str| match external_entry(proto, key) {
        None => Ok(None),
        Some(text) => text.parse::<usize>().map(Some).map_err(|_| {
            Error::new(Kind::InvalidModel, format!("tensor '{}' has external {key} '{text}'", name(proto)))
        }),
    };
    let offset = number("offset")?.unwrap_or(0);
    if let Some(length) = number("length")?.filter(|&l| l != bytes) {
        return Err(Error::new(
            Kind::InvalidModel,
            format!("tensor '{}' needs {bytes} bytes, its external length is {length}", name(proto)),
        ));
    }
    Ok(Range { offset, bytes, dtype })
}

/// Where an external tensor lies: its file and the stretch of it.
pub fn external_place(proto: &TensorProto) -> Result<(&str, Range)> {
    let (dtype, _, count) = form(proto)?;
    Ok((location(proto)?, external_range(proto, dtype, count * dtype.host_bytes())?))
}

fn external_data(proto: &TensorProto, external: &ExternalData, range: Range) -> Result<Data> {
    let location = location(proto)?;
    let missing = |text: String| Error::new(Kind::MissingData, format!("tensor '{}' is {text}", name(proto)));
    match external.take(location, range) {
        None => Err(missing(format!("in the file '{location}', which was not given"))),
        Some(Err(length)) => Err(missing(format!(
            "{} bytes from {} of the file '{location}', which has only {length}",
            range.bytes, range.offset
        ))),
        Some(Ok(data)) => Ok(data),
    }
}

/// Element type, shape and number of elements.
fn form(proto: &TensorProto) -> Result<(DType, Vec<usize>, usize)> {
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
    Ok((dtype, shape, count))
}
