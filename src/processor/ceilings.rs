//! Measures a processor: its ceilings, and the share of them that a class of routines reaches. Knows programs made to measure;
//! must never know a model.

use super::engine::{Arena, execute};
use super::store::Store;
use super::team::Team;
use crate::error::{Error, Kind, Result};
use crate::graph::{
    Attributes, Call, ContentHash, DType, Graph, HostTensor, Node, Operand, Source, SpecialNode, SpecialTensor,
    Specialised, TensorId, TensorType,
};
use crate::kernels::base::cpu::ceiling::{FLOPS_A_TURN, multiply_adds};
use crate::kernels::{Class, Registry};
use crate::program::cpu::build;
use crate::program::{Residency, examples};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

/// Milliseconds on a clock that only goes forward.
pub type Clock = fn() -> f64;

/// What is measured grows until it takes so long, so that the clock is small beside it.
const LONG_ENOUGH_MS: f64 = 3.0;
/// How often each is run; the fastest counts, as it was disturbed least.
const REPEATS: usize = 5;
/// Turns of multiply-adds in one call.
const FMA_TURNS: usize = 1 << 12;
/// Floats that the copy moves: more than the nearest caches hold.
const COPIED: usize = 1 << 20;
/// Nothing is run more often than this between two looks at the clock.
const MOST_TURNS: usize = 1 << 28;

/// A processor's ceilings, of all threads together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ceilings {
    /// Floating-point operations a second in registers; a multiply-add counts two.
    pub flops_per_s: f64,
    /// Bytes a second that a copy reads and writes.
    pub bytes_per_s: f64,
    /// Seconds of a step that computes nothing.
    pub dispatch_s: f64,
}

/// Seconds of one turn of `run`, which is told how many to make.
fn seconds(clock: Clock, mut run: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    let mut timed = |turns: usize| {
        let began = clock();
        run(turns)?;
        Ok::<f64, Error>(clock() - began)
    };
    let mut turns = 1;
    while timed(turns)? < LONG_ENOUGH_MS && turns < MOST_TURNS {
        turns *= 2;
    }
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        best = best.min(timed(turns)?);
    }
    // A clock may stand still for a while: nothing takes no time.
    Ok((best / 1e3 / turns as f64).max(1e-12))
}

/// Measures the ceilings of `team`.
pub fn ceilings(team: &dyn Team, clock: Clock) -> Result<Ceilings> {
    let threads = team.threads();
    let turn = seconds(clock, |turns| {
        team.run(threads, &|_, units| {
            for _ in units {
                // Called often: an engine makes a function fast between two calls of it.
                for _ in 0..turns {
                    black_box(multiply_adds(FMA_TURNS, black_box(0.999)));
                }
            }
            Ok(())
        })
    })?;
    let (from, mut to) = (vec![1.0f32; COPIED], vec![0.0; COPIED]);
    let copied = seconds(clock, |turns| {
        for _ in 0..turns {
            to.copy_from_slice(black_box(&from));
            black_box(&to);
        }
        Ok(())
    })?;
    let nothing = seconds(clock, |turns| {
        (0..turns).try_for_each(|_| {
            team.run(threads, &|_, units| {
                black_box(units);
                Ok(())
            })
        })
    })?;
    Ok(Ceilings {
        flops_per_s: (FMA_TURNS * FLOPS_A_TURN * threads) as f64 / turn,
        bytes_per_s: (COPIED * 4 * 2) as f64 / copied,
        dispatch_s: nothing,
    })
}

/// The share of `ceilings` that a small operator of `class` reaches, in (0, 1].
pub fn utilisation(class: Class, ceilings: &Ceilings, team: &dyn Team, clock: Clock) -> Result<f64> {
    let (op_type, attributes, shapes) = examples::example(class);
    let attributes = Attributes::new(attributes);
    let types: Vec<TensorType> = shapes.iter().map(|s| TensorType::new(DType::Float32, *s)).collect();
    let floats =
        |ty: &TensorType| HostTensor::f32(ty.shape.clone(), (0..ty.len()).map(|i| (i % 7) as f32 * 0.1).collect());
    let call = Call {
        node: "probe",
        attributes: &attributes,
        opset: 17,
        inputs: types.iter().map(|ty| Some(Operand { ty: ty.clone(), value: None })).collect(),
        outputs: 1,
    };
    let unknown = || Error::new(Kind::Internal, format!("no probe for {class:?}"));
    let result = Registry.kernel("", op_type).ok_or_else(unknown)?.infer(&call)?.into_iter().next();
    // What a model computes is the first; the others are weights.
    let mut special =
        Specialised { inputs: vec![TensorId(0)], outputs: vec![TensorId(types.len())], ..Specialised::default() };
    for (i, ty) in types.iter().enumerate() {
        let source = match i {
            0 => Source::Input(0),
            _ => Source::Constant(ContentHash([i as u8; 32]), Some(Arc::new(floats(ty)?))),
        };
        special.tensors.push(SpecialTensor { name: String::new(), ty: ty.clone(), source });
    }
    let ty = result.ok_or_else(unknown)?;
    special.tensors.push(SpecialTensor { name: String::new(), ty, source: Source::Node });
    let inputs = (0..types.len()).map(|i| Some(TensorId(i))).collect();
    special.nodes.push(SpecialNode { node: 0, inputs, outputs: vec![Some(TensorId(types.len()))] });
    let node = Node {
        name: "probe".to_owned(),
        op_type: op_type.to_owned(),
        attributes: attributes.clone(),
        ..Node::default()
    };
    let opset = BTreeMap::from([(String::new(), 17)]);
    let graph = Graph { opset, nodes: vec![node], ..Graph::default() };
    let loaded = Store::default().load(0, build(&graph, &special, &Residency::default())?)?;
    let ideal: f64 = loaded
        .program
        .steps
        .iter()
        .map(|s| (s.cost.flops / ceilings.flops_per_s).max(s.cost.bytes / ceilings.bytes_per_s))
        .sum();
    let (input, mut arena) = (floats(&types[0])?, Arena::default());
    let took = seconds(clock, |turns| {
        (0..turns).try_for_each(|_| execute(&loaded, &mut arena, team, &[&input], &|_| String::new()).map(drop))
    })?;
    Ok((ideal / took).clamp(1e-4, 1.0))
}
