//! Elements from the bytes in which ONNX keeps them. Knows types; must never know where the bytes come from.

use crate::graph::{DType, Data};

/// Little-endian elements.
pub(super) fn decode(dtype: DType, bytes: &[u8]) -> Data {
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
