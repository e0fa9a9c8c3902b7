//! What a page's side and a processor's say to each other: plain messages, and beside each the elements that it speaks of,
//! which are moved as they are. Knows both sides' words; must never know how they travel.

use crate::error::{Error, Kind, Result};
use crate::graph::{ContentHash, DType, Graph, HostTensor, Node, Source, Specialised, Value};
use crate::kernels::Class;
use crate::program::cpu::named;
use crate::program::{DispatchCost, Placed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Constants up to so many bytes are part of an [`Order`]; larger ones are brought before it.
pub const INLINE_BYTES: usize = 1 << 10;

/// What is asked of a processor. It answers in the order of the requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Says what it is. The answer is [`Answer::Here`].
    Greet,
    /// Brings the elements of a weight, the only part, for an order that follows. The answer is [`Answer::Done`].
    Weight {
        /// The number of the program that is to be made ready.
        program: u64,
        /// Its name among weights.
        hash: ContentHash,
        /// Its dimensions.
        shape: Vec<usize>,
    },
    /// Makes a program ready. The answer is [`Answer::Prepared`].
    Prepare {
        /// The number that it is known by from now on.
        program: u64,
        /// Who holds its weights.
        holder: u64,
        /// What to compute.
        order: Order,
    },
    /// Runs programs; the parts are their inputs from the host. The answer is [`Answer::Executed`], its
    /// parts the outputs that do not stay. Once nobody waits for that any more it may be stopped from outside: then the answer is
    /// [`Answer::Failed`] with `Aborted`.
    Execute {
        /// The number by which it can be stopped, none that another had; not 0.
        number: u32,
        /// The programs.
        runs: Vec<Run>,
        /// Threads that take part at most.
        threads: usize,
        /// Whether each run is for one thread, several at once, rather than one after another on all threads.
        side_by_side: bool,
    },
    /// Runs a program as often as said and times each of its steps. The answer is [`Answer::Profiled`].
    Profile {
        /// What to run; its outputs go nowhere.
        run: Run,
        /// How often.
        repeats: usize,
    },
    /// Keeps a tensor, the only part. The answer is [`Answer::Done`].
    Keep {
        /// The number that it is known by from now on.
        tensor: u64,
        /// Its dimensions.
        shape: Vec<usize>,
    },
    /// Reads a tensor that was kept. The answer is [`Answer::Done`] with one part.
    Read(u64),
    /// Forgets programs and tensors by their numbers. The answer is [`Answer::Done`].
    Forget {
        /// Programs.
        programs: Vec<u64>,
        /// Tensors.
        tensors: Vec<u64>,
    },
    /// Lets go of the weights that only this holder held. The answer is [`Answer::Done`].
    Release(u64),
    /// Frees the arena, which the next execution makes anew. The answer is [`Answer::Done`].
    Trim,
    /// Measures its ceilings. The answer is [`Answer::Ceilings`].
    Measure,
    /// Measures what share of its ceilings, as [`Answer::Ceilings`] told them, a class of routines reaches. The answer is
    /// [`Answer::Reached`].
    Utilisation(Class),
}

/// A graph for one set of shapes, without what nobody computes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Operator-set version by domain.
    pub opset: BTreeMap<String, i64>,
    /// The live nodes: [`Specialised::nodes`] count these.
    pub nodes: Vec<Node>,
    /// What to compute.
    pub special: Specialised,
}

/// One program with its inputs, in the model's order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The number of the program.
    pub program: u64,
    /// Each input.
    pub inputs: Vec<Fed>,
    /// For each output the number that it is kept by; nothing where it is sent back.
    pub kept: Vec<Option<u64>>,
}

/// One input of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Fed {
    /// The next part, of this shape.
    Part(Vec<usize>),
    /// A tensor that was kept.
    Kept(u64),
}

/// What a processor answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// It did what was asked.
    Done,
    /// What it is.
    Here {
        /// Threads that compute together.
        threads: usize,
        /// Instructions that it was built for, e.g. `relaxed-simd`.
        features: Vec<String>,
        /// What it calls itself, in words; empty where that is a processor of so many threads.
        device: String,
        /// What it takes; everything where that is left out.
        takes: Option<Takes>,
    },
    /// A program is ready.
    Prepared(Prepared),
    /// When each run began and ended, in milliseconds from the first; and how many times as long each takes by one thread as it is run
    /// best, where both ways were seen of its program, nothing of the rest.
    Executed(Vec<(f64, f64)>, Vec<Option<f64>>),
    /// For each step what it is and its least time in milliseconds.
    Profiled(Vec<(String, f64)>),
    /// Its ceilings.
    Ceilings {
        /// Floating-point operations a second in registers; a multiply-add counts two.
        flops_per_s: f64,
        /// Bytes a second that a copy reads and writes.
        bytes_per_s: f64,
        /// Seconds of a step that computes nothing.
        dispatch_s: f64,
    },
    /// The share of its ceilings, up to [`Class::MOST_SHARE`].
    Reached(f64),
    /// It could not.
    Failed(Error),
}

/// What a processor takes that does not take everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takes {
    /// Operators of ONNX, by name.
    pub operators: Vec<String>,
    /// Element types of inputs, outputs and weights.
    pub types: Vec<DType>,
}

impl Takes {
    /// Why `graph` is not taken; nothing where it may be.
    pub fn refuses(&self, graph: &Graph, by: &str) -> Option<Error> {
        let odd = |node: &&Node| !node.domain.is_empty() || !self.operators.contains(&node.op_type);
        // What shapes alone decide is folded before a lane sees it.
        let folded = ["Shape", "Size", "Range", "ConstantOfShape"];
        if let Some(node) = graph.nodes.iter().filter(|node| !folded.contains(&node.op_type.as_str())).find(odd) {
            let text = format!("operator {} is not for {by}", node.op_type);
            return Some(Error::new(Kind::Unsupported, text).in_node(&node.name));
        }
        let given = |value: &&Value| value.dtype.is_some_and(|dtype| !self.types.contains(&dtype));
        let ports = graph.inputs.iter().chain(&graph.outputs).map(|&id| graph.value(id));
        let value = ports.chain(graph.values.iter().filter(|value| value.constant.is_some())).find(given)?;
        let text = format!("'{}' of type {} is not for {by}", value.name, value.dtype.map_or("", DType::name));
        Some(Error::new(Kind::Unsupported, text))
    }
}

/// A program that is ready.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Prepared {
    /// What each step should cost.
    pub costs: Vec<DispatchCost>,
    /// Bytes of the memory that its tensors lie in while it runs.
    pub arena: u64,
    /// Bytes that its threads need beside that.
    pub scratch: u64,
    /// Most bytes of the arena alive at one time.
    pub live: u64,
    /// What lies where in the arena, when.
    pub layout: Vec<Placed>,
    /// What it holds of weights, in whatever form, with the bytes.
    pub held: Vec<(ContentHash, u64)>,
    /// Weights that need not be brought again while these are held.
    pub known: Vec<ContentHash>,
}

/// Constants of an order that are no part of it, with their elements while the host holds these.
pub type Large = BTreeMap<ContentHash, Option<Arc<HostTensor>>>;

/// A message in bytes.
pub fn written<T: Serialize>(message: &T) -> Result<Vec<u8>> {
    postcard::to_allocvec(message).map_err(|e| Error::new(Kind::Internal, format!("a message cannot be written: {e}")))
}

/// A message of bytes.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|e| Error::new(Kind::Internal, format!("a message cannot be read: {e}")))
}

impl Order {
    /// `special` of `graph` without its large constants, and these: what is not there already is to be brought first.
    pub fn of(graph: &Graph, special: &Specialised) -> (Order, Large) {
        let mut special = special.clone();
        let mut large = Large::new();
        for tensor in &mut special.tensors {
            let Source::Constant(hash, value) = &mut tensor.source else { continue };
            let name = named(*hash, tensor.ty.dtype);
            if tensor.ty.host_bytes() as usize <= INLINE_BYTES && value.is_some() {
                continue;
            }
            large.insert(name, value.take());
        }
        let mut nodes = vec![];
        for node in &mut special.nodes {
            let source = &graph.nodes[node.node];
            node.node = nodes.len();
            nodes.push(Node { inputs: vec![], outputs: vec![], ..source.clone() });
        }
        (Order { opset: graph.opset.clone(), nodes, special }, large)
    }

    /// The graph that the nodes are of, as far as an order tells it.
    pub fn graph(&self) -> Graph {
        Graph { opset: self.opset.clone(), nodes: self.nodes.clone(), ..Graph::default() }
    }
}
