//! ModelProto → graph: names become ids, everything that is not understood is refused with the node's name.

use super::ExternalData;
use super::external::Range;
use super::halves::widened;
use super::proto::{AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, ValueInfoProto, attribute_type};
use super::tensor::{self, constant, external_place, is_external};
use crate::error::{Error, Kind, Result};
use crate::graph::{Attribute, Attributes, Constant, DType, Dim, Graph, HostTensor, Node, OperatorSet, Value, ValueId};
use prost::Message;
use prost::bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The external files that a model refers to, each once, as it names them, with the ranges that its tensors take.
pub fn external_files(bytes: impl Into<Bytes>) -> Result<Vec<(String, Vec<Range>)>> {
    let (_, graph) = parse(bytes.into())?;
    let mut files: BTreeMap<String, Vec<Range>> = BTreeMap::new();
    let mut graphs = vec![&graph];
    while let Some(graph) = graphs.pop() {
        let attributes = || graph.node.iter().flat_map(|n| n.attribute.iter());
        let tensors = graph.initializer.iter().chain(attributes().filter_map(|a| a.t.as_ref()));
        for tensor in tensors.filter(|t| is_external(t)) {
            let (file, range) = external_place(tensor)?;
            files.entry(file.to_owned()).or_default().push(range);
        }
        graphs.extend(attributes().filter_map(|a| a.g.as_deref()));
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
    let mut reader = Reader {
        values: vec![],
        scopes: vec![HashMap::new()],
        known: vec![],
        nodes: vec![],
        guards: vec![],
        operators,
        external,
    };
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
    reader.nodes(&proto)?;
    let mut outputs = vec![];
    for info in &proto.output {
        let id = reader.describe(info, false)?;
        if !reader.known[id.0] {
            return Err(invalid(format!("output '{}' is computed by no node", reader.values[id.0].name)));
        }
        outputs.push(id);
    }
    let Reader { values, nodes, .. } = reader;
    let deciding = deciding(&values, &nodes, &inputs, operators);
    widened(Graph { name: name.to_owned(), opset, values, nodes, inputs, outputs, deciding })
}

/// The inputs whose elements the conditions of Ifs are made of.
fn deciding(values: &[Value], nodes: &[Node], inputs: &[ValueId], operators: &dyn OperatorSet) -> Vec<usize> {
    let mut wanted: BTreeSet<ValueId> = nodes.iter().flat_map(|n| n.guards.iter().map(|guard| guard.0)).collect();
    for node in nodes.iter().rev().filter(|node| !node.choice) {
        let reads = operators.find(&node.domain, &node.op_type).is_none_or(|operator| operator.reads_elements());
        if reads && node.outputs.iter().flatten().any(|id| wanted.contains(id)) {
            wanted.extend(node.inputs.iter().flatten());
        }
    }
    let whole = |id: &ValueId| values[id.0].dtype.is_some_and(|dtype| dtype.is_whole() || dtype == DType::Bool);
    (0..inputs.len()).filter(|&i| wanted.contains(&inputs[i]) && whole(&inputs[i])).collect()
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
    /// Values by name: those of the graph, then those of the branches that are being read, the innermost last.
    scopes: Vec<HashMap<String, ValueId>>,
    nodes: Vec<Node>,
    /// The conditions of the branches that are being read.
    guards: Vec<(ValueId, bool)>,
    operators: &'a dyn OperatorSet,
    /// Whether the value is an input, a constant, or computed by a node read so far.
    known: Vec<bool>,
    external: &'a ExternalData,
}

impl Reader<'_> {
    /// The value of a name where it is read.
    fn id(&mut self, name: &str) -> ValueId {
        match self.scopes.iter().rev().find_map(|scope| scope.get(name)) {
            Some(&id) => id,
            None => self.own(name),
        }
    }

    /// The value of a name where it is defined.
    fn own(&mut self, name: &str) -> ValueId {
        let innermost = self.scopes.len() - 1;
        if let Some(&id) = self.scopes[innermost].get(name) {
            return id;
        }
        let id = ValueId(self.values.len());
        self.values.push(Value { name: name.to_owned(), dtype: None, dims: None, constant: None });
        self.known.push(false);
        self.scopes[innermost].insert(name.to_owned(), id);
        id
    }

    /// All nodes of a graph, or of a branch.
    fn nodes(&mut self, proto: &GraphProto) -> Result<()> {
        for (index, node) in proto.node.iter().enumerate() {
            let name = node_name(node, index);
            self.node(node, &name).map_err(|e| e.in_node(&name))?;
        }
        Ok(())
    }

    /// An If: the nodes of both branches, each under its condition, and a choice for each output.
    fn choose(&mut self, proto: &NodeProto, name: &str) -> Result<()> {
        let condition = proto.input.first().ok_or_else(|| invalid("an If without a condition"))?;
        let condition = self.id(condition);
        let mut branches = vec![];
        for (key, holds) in [("then_branch", true), ("else_branch", false)] {
            let branch = proto.attribute.iter().find(|a| a.name.as_deref() == Some(key)).and_then(|a| a.g.as_deref());
            let branch = branch.ok_or_else(|| invalid(format!("an If without a {key}")))?;
            self.scopes.push(HashMap::new());
            self.guards.push((condition, holds));
            for initializer in &branch.initializer {
                let value = constant(tensor::tensor(initializer, self.external)?);
                self.define_constant(tensor::name(initializer), value)?;
            }
            self.nodes(branch)?;
            let mut outputs = vec![];
            for info in &branch.output {
                let of = info.name.as_deref().unwrap_or_default();
                let id = self.id(of);
                if !self.known[id.0] {
                    return Err(invalid(format!("output '{of}' of a branch is computed by no node")));
                }
                outputs.push(id);
            }
            self.guards.pop();
            self.scopes.pop();
            branches.push(outputs);
        }
        for (i, output) in proto.output.iter().enumerate().filter(|(_, output)| !output.is_empty()) {
            let of =
                |branch: &Vec<ValueId>| branch.get(i).copied().ok_or_else(|| invalid("a branch of too few outputs"));
            let inputs = vec![Some(condition), Some(of(&branches[0])?), Some(of(&branches[1])?)];
            let output = self.define(output)?;
            self.nodes.push(Node {
                name: name.to_owned(),
                op_type: "Where".to_owned(),
                domain: String::new(),
                inputs,
                outputs: vec![Some(output)],
                attributes: Attributes::default(),
                guards: self.guards.clone(),
                choice: true,
            });
        }
        Ok(())
    }

    /// Notes what the file says of a value; an input must have a type and a shape that are understood.
    fn describe(&mut self, info: &ValueInfoProto, input: bool) -> Result<ValueId> {
        let name = info.name.as_deref().ok_or_else(|| invalid("a value has no name"))?;
        let id = self.own(name);
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
        let id = self.own(name);
        if std::mem::replace(&mut self.known[id.0], true) {
            return Err(invalid(format!("value '{name}' is defined twice")));
        }
        Ok(id)
    }

    /// The node, or what it stands for: a Constant is no node, an If is those of its branches.
    fn node(&mut self, proto: &NodeProto, name: &str) -> Result<()> {
        let op_type = proto.op_type.clone().ok_or_else(|| invalid("a node without an operator"))?;
        let domain = domain(proto.domain.as_deref()).to_owned();
        if op_type == "Constant" && domain.is_empty() {
            let value = self.constant_node(proto)?;
            let output = proto.output.first().ok_or_else(|| invalid("a Constant without an output"))?;
            return self.define_constant(output, constant(value));
        }
        if op_type == "If" && domain.is_empty() {
            return self.choose(proto, name);
        }
        let operator = self.operators.find(&domain, &op_type).ok_or_else(|| {
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
        let (name, guards) = (name.to_owned(), self.guards.clone());
        self.nodes.push(Node { name, op_type, domain, inputs, outputs, attributes, guards, choice: false });
        Ok(())
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
