//! Several graphs as one, in which what they have in common stands once: equal constants, and equal nodes that read the same.
//! Knows structure and content hashes; must never know which operators exist or why graphs are joined.

use super::{Constant, ContentHash, DType, Dim, Graph, Node, Value, ValueId};
use std::collections::BTreeMap;

/// A graph with the shapes of one call, to be joined with others.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// The shape of each of its inputs.
    pub shapes: &'a [Vec<usize>],
    /// For each of its inputs the number of the joined graph's: parts with one number are fed the same.
    pub inputs: &'a [usize],
}

/// Several graphs as one.
#[derive(Clone, Debug)]
pub struct Joined {
    /// It, with the inputs' shapes fixed and every output once.
    pub graph: Graph,
    /// The shape of each input.
    pub shapes: Vec<Vec<usize>>,
    /// For each part, where each of its outputs is among those of the graph.
    pub outputs: Vec<Vec<usize>>,
    /// Nodes of parts that an earlier part had already.
    pub shared: usize,
}

/// A constant's content and type.
type Content = (ContentHash, DType, Vec<usize>);

/// What is joined so far.
#[derive(Debug, Default)]
struct Joining {
    graph: Graph,
    constants: BTreeMap<Content, ValueId>,
    /// Inputs by their number.
    inputs: BTreeMap<usize, (ValueId, Vec<usize>)>,
    shared: usize,
}

/// Joins `parts`; nothing where they are of different operator sets, or where inputs of one number differ in type or shape.
pub fn joined(parts: &[Part<'_>]) -> Option<Joined> {
    let mut joining = Joining::default();
    let mut outputs: Vec<ValueId> = vec![];
    let mut places = vec![];
    for part in parts {
        let of = joining.add(part)?;
        let mut own = vec![];
        for id in &part.graph.outputs {
            let id = of[id.0]?;
            let at = outputs.iter().position(|other| *other == id).unwrap_or(outputs.len());
            if at == outputs.len() {
                outputs.push(id);
            }
            own.push(at);
        }
        places.push(own);
    }
    let Joining { mut graph, inputs, shared, .. } = joining;
    // Numbers without a gap: an input's number is its place.
    if inputs.keys().enumerate().any(|(place, &number)| place != number) {
        return None;
    }
    graph.name = parts.iter().map(|part| part.graph.name.as_str()).collect::<Vec<_>>().join(" + ");
    graph.inputs = inputs.values().map(|(id, _)| *id).collect();
    graph.outputs = outputs;
    let shapes = inputs.into_values().map(|(_, shape)| shape).collect();
    Some(Joined { graph, shapes, outputs: places, shared })
}

impl Joining {
    /// Takes in a part: where each of its values is.
    fn add(&mut self, part: &Part<'_>) -> Option<Vec<Option<ValueId>>> {
        let graph = part.graph;
        for (domain, version) in &graph.opset {
            if *self.graph.opset.entry(domain.clone()).or_insert(*version) != *version {
                return None;
            }
        }
        let mut of: Vec<Option<ValueId>> = vec![None; graph.values.len()];
        for ((id, shape), number) in graph.inputs.iter().zip(part.shapes).zip(part.inputs) {
            of[id.0] = Some(self.input(graph.value(*id), shape, *number)?);
        }
        for (value, of) in graph.values.iter().zip(&mut of) {
            if let Some(constant) = &value.constant
                && of.is_none()
            {
                *of = Some(self.constant(value, constant));
            }
        }
        for node in &graph.nodes {
            self.node(graph, node, &mut of)?;
        }
        Some(of)
    }

    fn value(&mut self, value: Value) -> ValueId {
        self.graph.values.push(value);
        ValueId(self.graph.values.len() - 1)
    }

    fn input(&mut self, value: &Value, shape: &[usize], number: usize) -> Option<ValueId> {
        if let Some((id, of)) = self.inputs.get(&number) {
            let alike = of == shape && self.graph.value(*id).dtype == value.dtype;
            return alike.then_some(*id);
        }
        let dims = Some(shape.iter().map(|&size| Dim::Fixed(size)).collect());
        let id = self.value(Value { dims, ..value.clone() });
        self.inputs.insert(number, (id, shape.to_vec()));
        Some(id)
    }

    fn constant(&mut self, value: &Value, constant: &Constant) -> ValueId {
        let content = (constant.hash, constant.dtype, constant.shape.clone());
        if let Some(&id) = self.constants.get(&content) {
            // Another graph may have what the first forgot.
            if let Some(kept) = &mut self.graph.values[id.0].constant
                && kept.tensor.is_none()
            {
                kept.tensor.clone_from(&constant.tensor);
            }
            return id;
        }
        let id = self.value(value.clone());
        self.constants.insert(content, id);
        id
    }

    fn node(&mut self, graph: &Graph, node: &Node, of: &mut [Option<ValueId>]) -> Option<()> {
        // What a node reads is there by then: nodes are sorted.
        let moved = |id: &Option<ValueId>| id.map_or(Some(None), |id| of[id.0].map(Some));
        let inputs: Vec<Option<ValueId>> = node.inputs.iter().map(moved).collect::<Option<_>>()?;
        let guards: Vec<(ValueId, bool)> =
            node.guards.iter().map(|(id, holds)| Some((of[id.0]?, *holds))).collect::<Option<_>>()?;
        let alike = |other: &&Node| {
            other.inputs == inputs
                && other.op_type == node.op_type
                && other.domain == node.domain
                && other.attributes == node.attributes
                && other.guards == guards
                && other.choice == node.choice
                && other.outputs.len() == node.outputs.len()
                && other.outputs.iter().zip(&node.outputs).all(|(a, b)| a.is_some() == b.is_some())
        };
        if let Some(known) = self.graph.nodes.iter().find(alike) {
            for (own, there) in node.outputs.iter().zip(&known.outputs) {
                if let (Some(own), Some(there)) = (own, there) {
                    of[own.0] = Some(*there);
                }
            }
            self.shared += 1;
            return Some(());
        }
        let mut outputs = vec![];
        for id in &node.outputs {
            // A free dimension of one graph is none of another's.
            let made = id.map(|id| self.value(Value { dims: None, ..graph.value(id).clone() }));
            if let (Some(id), Some(made)) = (id, made) {
                of[id.0] = Some(made);
            }
            outputs.push(made);
        }
        let name = format!("{}: {}", graph.name, node.name);
        self.graph.nodes.push(Node { name, inputs, outputs, guards, ..node.clone() });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Attribute, Attributes};

    /// A chain of nodes of one input: each an operator, with the byte of its constant's hash, if it has one.
    fn chain(name: &str, steps: &[(&str, Option<u8>)]) -> Graph {
        let value = |name: &str, hash: Option<u8>| Value {
            name: name.into(),
            dtype: Some(DType::Float32),
            dims: Some(vec![Dim::Free("n".into())]),
            constant: hash.map(|byte| Constant {
                dtype: DType::Float32,
                shape: vec![4],
                hash: ContentHash([byte; 16]),
                tensor: None,
            }),
        };
        let mut graph = Graph { name: name.into(), opset: [(String::new(), 17)].into(), ..Graph::default() };
        graph.values.push(value("in", None));
        let mut last = ValueId(0);
        for (i, (op, hash)) in steps.iter().enumerate() {
            let mut inputs = vec![Some(last)];
            if hash.is_some() {
                graph.values.push(value("w", *hash));
                inputs.push(Some(ValueId(graph.values.len() - 1)));
            }
            graph.values.push(value(&format!("made {i}"), None));
            last = ValueId(graph.values.len() - 1);
            let outputs = vec![Some(last)];
            graph.nodes.push(Node {
                name: format!("{op} {i}"),
                op_type: (*op).into(),
                inputs,
                outputs,
                ..Node::default()
            });
        }
        (graph.inputs, graph.outputs) = (vec![ValueId(0)], vec![last]);
        graph
    }

    fn join(graphs: &[&Graph], inputs: &[usize]) -> Option<Joined> {
        let shapes = vec![vec![4]];
        let parts: Vec<Part> = graphs
            .iter()
            .zip(inputs)
            .map(|(graph, input)| Part { graph, shapes: &shapes, inputs: std::slice::from_ref(input) })
            .collect();
        joined(&parts)
    }

    const HEADS: [[(&str, Option<u8>); 3]; 2] =
        [[("Mul", Some(1)), ("Relu", None), ("Add", Some(2))], [("Mul", Some(1)), ("Relu", None), ("Add", Some(3))]];

    #[test]
    fn what_two_graphs_begin_with_stands_once_where_they_are_fed_the_same() {
        let [a, b] = [chain("a", &HEADS[0]), chain("b", &HEADS[1])];
        let both = join(&[&a, &b], &[0, 0]).unwrap();
        assert_eq!((both.shared, both.graph.nodes.len(), both.graph.inputs.len()), (2, 4, 1));
        assert_eq!(both.outputs, [[0], [1]]);
        assert_eq!(both.graph.name, "a + b");
        assert_eq!(both.graph.nodes[3].name, "b: Add 2");
        assert_eq!(both.graph.nodes[3].inputs[0], both.graph.nodes[2].inputs[0]);
        let apart = join(&[&a, &b], &[0, 1]).unwrap();
        assert_eq!((apart.shared, apart.graph.nodes.len(), apart.graph.inputs.len()), (0, 6, 2));
        let weights = apart.graph.values.iter().filter(|v| v.constant.is_some()).count();
        assert_eq!(weights, 3, "a weight that both have stands once");
    }

    #[test]
    fn one_graph_twice_is_one_with_each_output_once() {
        let a = chain("a", &HEADS[0]);
        let both = join(&[&a, &a], &[0, 0]).unwrap();
        assert_eq!((both.shared, both.graph.outputs.len()), (3, 1));
        assert_eq!(both.outputs, [[0], [0]]);
    }

    #[test]
    fn nodes_that_differ_in_an_attribute_are_two() {
        let (a, mut b) = (chain("a", &HEADS[0]), chain("b", &HEADS[0]));
        b.nodes[1].attributes = Attributes::new([("alpha".to_owned(), Attribute::Float(0.5))]);
        let both = join(&[&a, &b], &[0, 0]).unwrap();
        assert_eq!((both.shared, both.graph.nodes.len()), (1, 5));
    }

    #[test]
    fn what_cannot_be_one_is_refused() {
        let (a, mut b) = (chain("a", &HEADS[0]), chain("b", &HEADS[1]));
        assert!(join(&[&a, &b], &[0, 2]).is_none(), "a number is left out");
        b.opset.insert(String::new(), 18);
        assert!(join(&[&a, &b], &[0, 0]).is_none(), "another operator set");
        b.opset.insert(String::new(), 17);
        b.values[0].dtype = Some(DType::Int32);
        assert!(join(&[&a, &b], &[0, 0]).is_none(), "an input of two types");
    }
}
