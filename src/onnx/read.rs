//! ModelProto → graph: names become ids, everything that is not understood is refused with the node's name.

use super::ExternalData;
use super::external::Range;
use super::proto::{AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, ValueInfoProto, attribute_type};
use super::tensor::{self, constant, external_place, is_external};
use crate::error::{Error, Kind, Result};
use crate::graph::{Attribute, Attributes, Constant, Dim, Graph, HostTensor, Node, OperatorSet, Value, ValueId};
use prost::Message;
use prost::bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The external files that a model refers to, each once, as it names them, with the ranges that its tensors take.
pub fn external_files(bytes: impl Into<Bytes>) -> Result<Vec<(String, Vec<Range>)>> {
    let (_, graph) = parse(bytes.into())?;
    let attributes = graph.node.iter().flat_map(|n| n.attribute.iter().filter_map(|a| a.t.as_ref()));
    let mut files: BTreeMap<String, Vec<Range>> = BTreeMap::new();
    for tensor in graph.initializer.iter().chain(attributes).filter(|t| is_external(t)) {
        let (file, range) = external_place(tensor)?;
        files.entry(file.to_owned()).or_default().push(range);
    }
    Ok(files.into_iter().collect())
}

/// Reads a model. Errors name `name`, and the node or tensor that is at fault:
/// `InvalidModel`, `Unsupported` (operator, attribute, type), `MissingData` (external files).
pub fn read(
    name: &str,
    bytes: impl Into<Bytes>,
    external: &ExternalData,
    operators: &dyn OperatorSet,
) -> Result<Graph> {
    read_graph(name, bytes.into(), external, operators).map_err(|e| e.in_model(name))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidModel, message)
}

fn parse(bytes: Bytes) -> Result<(ModelProto, GraphProto)> {
    let length = bytes.len();
    let refuse = |why: &str| invalid(format!("{length} bytes that are not a whole ONNX model: {why}"));
    let mut model = ModelProto::decode(bytes).map_err(|e| refuse(&e.to_string()))?;
    let graph = model.graph.take().ok_or_else(|| refuse("there is no graph"))?;
    if model.opset_import.is_empty() {
        return Err(refuse("there is no operator-set version"));
    }
    if graph.output.is_empty() {
        return Err(refuse("the graph has no outputs"));
    }
    Ok((model, graph))
}

fn read_graph(name: &str, bytes: Bytes, external: &ExternalData, operators: &dyn OperatorSet) -> Result<Graph> {
    let (model, proto) = parse(bytes)?;
    let opset: BTreeMap<String, i64> =
        model.opset_import.iter().map(|o| (domain(o.domain.as_deref()).to_owned(), o.version.unwrap_or(1))).collect();
    let mut reader = Reader { values: vec![], by_name: HashMap::new(), known: vec![], external };
    for info in &proto.value_info {
        reader.describe(info, false)?;
    }
    for initializer in &proto.initializer {
        let value = constant(tensor::tensor(initializer, external)?);
        reader.define_constant(tensor::name(initializer), value)?;
    }
    let mut inputs = vec![];
    for info in &proto.input {
        let id = reader.describe(info, true)?;
        // Before IR version 4 initializers stood among the inputs too.
        if reader.values[id.0].constant.is_none() {
            reader.known[id.0] = true;
            inputs.push(id);
        }
    }
    let mut nodes = vec![];
    for (index, node) in proto.node.iter().enumerate() {
        let name = node_name(node, index);
        if let Some(node) = reader.node(node, &name, operators).map_err(|e| e.in_node(&name))? {
            nodes.push(node);
        }
    }
    let mut outputs = vec![];
    for info in &proto.output {
        let id = reader.describe(info, false)?;
        if !reader.known[id.0] {
            return Err(invalid(format!("output '{}' is computed by no node", reader.values[id.0].name)));
        }
        outputs.push(id);
    }
    Ok(Graph { name: name.to_owned(), opset, values: reader.values, nodes, inputs, outputs })
}

fn domain(domain: Option<&str>) -> &str {
    domain.filter(|d| *d != "ai.onnx").unwrap_or("")
}

fn text(bytes: &[u8], key: &str) -> Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|_| invalid(format!("attribute '{key}' is not text")))?;
    Ok(text.to_owned())
}

fn node_name(node: &NodeProto, index: usize) -> String {
    match node.name.as_deref() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => format!("{}#{index}", node.op_type.as_deref().unwrap_or("?")),
    }
}

struct Reader<'a> {
    values: Vec<Value>,
    by_name: HashMap<String, ValueId>,
    /// Whether the value is an input, a constant, or computed by a node read so far.
    known: Vec<bool>,
    external: &'a ExternalData,
}

impl Reader<'_> {
    fn id(&mut self, name: &str) -> ValueId {
        if let Some(&id) = self.by_name.get(name) {
            return id;
        }
        let id = ValueId(self.values.len());
        self.values.push(Value { name: name.to_owned(), dtype: None, dims: None, constant: None });
        self.known.push(false);
        self.by_name.insert(name.to_owned(), id);
        id
    }

    /// Notes what the file says of a value; an input must have a type and a shape that are understood.
    fn describe(&mut self, info: &ValueInfoProto, input: bool) -> Result<ValueId> {
        let name = info.name.as_deref().ok_or_else(|| invalid("a value has no name"))?;
        let id = self.id(name);
        let ty = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        let what = format!("input '{name}'");
        match ty {
            None if input => return Err(invalid(format!("{what} is not a tensor"))),
            None => {}
            Some(ty) => {
                let dtype = tensor::dtype(ty.elem_type, &what);
                let value = &mut self.values[id.0];
                value.dtype = if input { Some(dtype?) } else { dtype.ok() };
                value.dims = ty.shape.as_ref().map(|shape| {
                    let dim = |d: &Dimension| match d.dim_value.map(usize::try_from) {
                        Some(Ok(size)) => Dim::Fixed(size),
                        // Some exporters write '?' for a dimension without a name: two of them need not agree.
                        _ => Dim::Free(d.dim_param.clone().filter(|name| name != "?").unwrap_or_default()),
                    };
                    shape.dim.iter().map(dim).collect()
                });
                if input && value.dims.is_none() {
                    return Err(Error::new(Kind::Unsupported, format!("{what} has no number of axes")));
                }
            }
        }
        Ok(id)
    }

    fn define_constant(&mut self, name: &str, constant: Constant) -> Result<()> {
        let id = self.define(name)?;
        let value = &mut self.values[id.0];
        value.dtype = Some(constant.dtype);
        value.dims = Some(constant.shape.iter().map(|&d| Dim::Fixed(d)).collect());
        value.constant = Some(constant);
        Ok(())
    }

    fn define(&mut self, name: &str) -> Result<ValueId> {
        let id = self.id(name);
        if std::mem::replace(&mut self.known[id.0], true) {
            return Err(invalid(format!("value '{name}' is defined twice")));
        }
        Ok(id)
    }

    /// The node, or nothing where it only names a constant.
    fn node(&mut self, proto: &NodeProto, name: &str, operators: &dyn OperatorSet) -> Result<Option<Node>> {
        let op_type = proto.op_type.clone().ok_or_else(|| invalid("a node without an operator"))?;
        let domain = domain(proto.domain.as_deref()).to_owned();
        if op_type == "Constant" && domain.is_empty() {
            let value = self.constant_node(proto)?;
            let output = proto.output.first().ok_or_else(|| invalid("a Constant without an output"))?;
            self.define_constant(output, constant(value))?;
            return Ok(None);
        }
        let operator = operators.find(&domain, &op_type).ok_or_else(|| {
            let place = if domain.is_empty() { String::new() } else { format!(" of domain '{domain}'") };
            Error::new(Kind::Unsupported, format!("operator {op_type}{place} is not known"))
        })?;
        let mut attributes = vec![];
        for attribute in &proto.attribute {
            let key = attribute.name.clone().ok_or_else(|| invalid("an attribute without a name"))?;
            if !operator.attributes().contains(&key.as_str()) {
                return Err(Error::new(Kind::Unsupported, format!("attribute '{key}' of {op_type} is not known")));
            }
            let value = self.attribute(attribute, &key)?;
            attributes.push((key, value));
        }
        let mut inputs = vec![];
        for input in &proto.input {
            if input.is_empty() {
                inputs.push(None);
                continue;
            }
            let id = self.id(input);
            if !self.known[id.0] {
                return Err(invalid(format!("input '{input}' is computed by no earlier node")));
            }
            inputs.push(Some(id));
        }
        let mut outputs = vec![];
        for output in &proto.output {
            outputs.push(if output.is_empty() { None } else { Some(self.define(output)?) });
        }
        let attributes = Attributes::new(attributes);
        Ok(Some(Node { name: name.to_owned(), op_type, domain, inputs, outputs, attributes }))
    }

    fn constant_node(&self, proto: &NodeProto) -> Result<HostTensor> {
        let [attribute] = proto.attribute.as_slice() else {
            return Err(invalid("a Constant needs exactly one value"));
        };
        let key = attribute.name.as_deref().unwrap_or("");
        match (key, self.attribute(attribute, key)?) {
            ("value", Attribute::Tensor(t)) => Ok(Arc::unwrap_or_clone(t)),
            ("value_int", Attribute::Int(v)) => HostTensor::i64([], vec![v]),
            ("value_ints", Attribute::Ints(v)) => HostTensor::i64([v.len()], v),
            ("value_float", Attribute::Float(v)) => HostTensor::f32([], vec![v]),
            ("value_floats", Attribute::Floats(v)) => HostTensor::f32([v.len()], v),
            _ => Err(Error::new(Kind::Unsupported, format!("a Constant by '{key}'"))),
        }
    }

    fn attribute(&self, proto: &AttributeProto, key: &str) -> Result<Attribute> {
        let absent = || invalid(format!("attribute '{key}' has no value"));
        Ok(match proto.r#type {
            Some(attribute_type::INT) => Attribute::Int(proto.i.unwrap_or(0)),
            Some(attribute_type::FLOAT) => Attribute::Float(proto.f.unwrap_or(0.0)),
            Some(attribute_type::STRING) => Attribute::String(text(proto.s.as_deref().unwrap_or_default(), key)?),
            Some(attribute_type::INTS) => Attribute::Ints(proto.ints.clone()),
            Some(attribute_type::FLOATS) => Attribute::Floats(proto.floats.clone()),
            Some(attribute_type::STRINGS) => {
                Attribute::Strings(proto.strings.iter().map(|s| text(s, key)).collect::<Result<_>>()?)
            }
            Some(attribute_type::TENSOR) => {
                let proto = proto.t.as_ref().ok_or_else(absent)?;
                Attribute::Tensor(Arc::new(tensor::tensor(proto, self.external)?))
            }
            other => {
                let code = other.unwrap_or(0);
                return Err(Error::new(Kind::Unsupported, format!("attribute '{key}' of ONNX type {code}")));
            }
        })
    }
}
