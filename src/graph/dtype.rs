//! Element types. Knows their names, widths and ONNX codes; must never know a tensor.

use serde::{Deserialize, Serialize};

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
    /// 8-bit unsigned integer.
    Uint8,
    /// 8-bit signed integer.
    Int8,
    /// 16-bit unsigned integer.
    Uint16,
    /// 16-bit signed integer.
    Int16,
    /// 32-bit unsigned integer.
    Uint32,
    /// 64-bit unsigned integer; no GPU has it.
    Uint64,
    /// 16-bit float: at the graph's ends only, computed as float32.
    Float16,
    /// 64-bit float; no GPU has it.
    Float64,
}

impl DType {
    /// All, by their numbers.
    pub const ALL: [DType; 12] = [
        DType::Float32,
        DType::Int64,
        DType::Int32,
        DType::Bool,
        DType::Uint8,
        DType::Int8,
        DType::Uint16,
        DType::Int16,
        DType::Uint32,
        DType::Uint64,
        DType::Float16,
        DType::Float64,
    ];

    /// Name as ONNX and onnxruntime-web write it.
    pub fn name(self) -> &'static str {
        match self {
            DType::Float32 => "float32",
            DType::Int64 => "int64",
            DType::Int32 => "int32",
            DType::Bool => "bool",
            DType::Uint8 => "uint8",
            DType::Int8 => "int8",
            DType::Uint16 => "uint16",
            DType::Int16 => "int16",
            DType::Uint32 => "uint32",
            DType::Uint64 => "uint64",
            DType::Float16 => "float16",
            DType::Float64 => "float64",
        }
    }

    /// The type of a name.
    pub fn of_name(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// Its code in `TensorProto.DataType`.
    pub fn code(self) -> i64 {
        match self {
            DType::Float32 => 1,
            DType::Uint8 => 2,
            DType::Int8 => 3,
            DType::Uint16 => 4,
            DType::Int16 => 5,
            DType::Int32 => 6,
            DType::Int64 => 7,
            DType::Bool => 9,
            DType::Float16 => 10,
            DType::Float64 => 11,
            DType::Uint32 => 12,
            DType::Uint64 => 13,
        }
    }

    /// The type of an ONNX code.
    pub fn of_code(code: i64) -> Option<DType> {
        DType::ALL.into_iter().find(|dtype| dtype.code() == code)
    }

    /// Bytes of one element in an ONNX file or a JS typed array.
    pub fn host_bytes(self) -> usize {
        match self {
            DType::Bool | DType::Uint8 | DType::Int8 => 1,
            DType::Uint16 | DType::Int16 | DType::Float16 => 2,
            DType::Float32 | DType::Int32 | DType::Uint32 => 4,
            DType::Int64 | DType::Uint64 | DType::Float64 => 8,
        }
    }

    /// Its number, beside elements that travel as bytes.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The type of a number.
    pub fn of_number(number: u32) -> Option<DType> {
        DType::ALL.get(number as usize).copied()
    }

    /// Whether its elements are whole numbers (a truth value is none).
    pub fn is_whole(self) -> bool {
        !matches!(self, DType::Float32 | DType::Float16 | DType::Float64 | DType::Bool)
    }

    /// Whether every lane computes with it; what is of another type is carried by some, and cast at the graph's ends.
    pub fn is_plain(self) -> bool {
        matches!(self, DType::Float32 | DType::Int64 | DType::Int32 | DType::Bool)
    }

    /// The element's WGSL storage type, each of 4 bytes; that of a type which no GPU has is never asked for.
    pub fn wgsl(self) -> &'static str {
        match self {
            DType::Float32 | DType::Float16 | DType::Float64 => "f32",
            DType::Int64 | DType::Int32 | DType::Int16 | DType::Int8 => "i32",
            DType::Bool | DType::Uint8 | DType::Uint16 | DType::Uint32 | DType::Uint64 => "u32",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_had_back_from_its_number_its_name_and_its_code() {
        for dtype in DType::ALL {
            assert_eq!(DType::of_number(dtype.number()), Some(dtype));
            assert_eq!(DType::of_name(dtype.name()), Some(dtype));
            assert_eq!(DType::of_code(dtype.code()), Some(dtype));
        }
        assert_eq!((DType::of_number(12), DType::of_code(8), DType::of_name("string")), (None, None, None));
    }
}
