//! A node's attributes, by name, with typed access and ONNX's defaults given by the asker.

use super::HostTensor;
use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One attribute's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Attribute {
    /// INT
    Int(i64),
    /// FLOAT
    Float(f32),
    /// STRING
    String(String),
    /// INTS
    Ints(Vec<i64>),
    /// FLOATS
    Floats(Vec<f32>),
    /// STRINGS
    Strings(Vec<String>),
    /// TENSOR
    Tensor(Arc<HostTensor>),
}

/// All attributes of one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attributes(BTreeMap<String, Attribute>);

impl Attributes {
    /// Attributes from name–value pairs.
    pub fn new(pairs: impl IntoIterator<Item = (String, Attribute)>) -> Self {
        Attributes(pairs.into_iter().collect())
    }

    /// The names present, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The attribute as it stands, if present.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.get(name)
    }

    /// INT `name`, or `default` where absent.
    pub fn int(&self, name: &str, default: i64) -> Result<i64> {
        match self.0.get(name) {
            None => Ok(default),
            Some(Attribute::Int(v)) => Ok(*v),
            Some(_) => Err(mistyped(name, "INT")),
        }
    }

    /// FLOAT `name`, or `default` where absent.
    pub fn float(&self, name: &str, default: f32) -> Result<f32> {
        match self.0.get(name) {
            None => Ok(default),
            Some(Attribute::Float(v)) => Ok(*v),
            Some(_) => Err(mistyped(name, "FLOAT")),
        }
    }

    /// INTS `name`, or `None` where absent.
    pub fn ints(&self, name: &str) -> Result<Option<&[i64]>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Attribute::Ints(v)) => Ok(Some(v)),
            Some(_) => Err(mistyped(name, "INTS")),
        }
    }

    /// STRINGS `name`, or `None` where absent.
    pub fn strings(&self, name: &str) -> Result<Option<&[String]>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Attribute::Strings(v)) => Ok(Some(v)),
            Some(_) => Err(mistyped(name, "STRINGS")),
        }
    }

    /// STRING `name`, or `default` where absent.
    pub fn string<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str> {
        match self.0.get(name) {
            None => Ok(default),
            Some(Attribute::String(v)) => Ok(v),
            Some(_) => Err(mistyped(name, "STRING")),
        }
    }

    /// TENSOR `name`, or `None` where absent.
    pub fn tensor(&self, name: &str) -> Result<Option<&Arc<HostTensor>>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Attribute::Tensor(v)) => Ok(Some(v)),
            Some(_) => Err(mistyped(name, "TENSOR")),
        }
    }
}

fn mistyped(name: &str, expected: &str) -> Error {
    Error::new(Kind::InvalidModel, format!("attribute '{name}' is not of type {expected}"))
}
