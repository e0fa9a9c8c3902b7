//! Requests of one session as one call of more rows: how it is made, and how tensors are put together and taken apart. Knows
//! requests and their tensors; must never know when that is worth it, nor what a lane makes of it.

use super::desk::Desk;
use super::homes::Form;
use super::options::Outputs;
use super::queue::Item;
use super::ready::{Ready, Stack};
use super::session::Session;
use crate::graph::{HostTensor, candidates, specialise_with, stacked, stacks, unstacked};
use crate::kernels::Registry;
use crate::lane::{Input, Output};
use crate::onnx::content_hash;
use std::rc::Rc;

/// A program for several requests may hold at most so many bytes while it runs.
pub(super) const MOST_BYTES: u64 = 128 << 20;

impl Stack {
    /// The call of `items`; nothing where they differ in what all rows share.
    pub(super) fn call(&self, items: &[&Item]) -> Option<Item> {
        let input = |i: usize| {
            let tensors = items.iter().map(|item| match &item.work.inputs[i] {
                Input::Host(tensor) => Some(&**tensor),
                Input::Resident(_) => None,
            });
            let tensors: Vec<&HostTensor> = tensors.collect::<Option<_>>()?;
            match self.inputs[i] {
                Some(axis) => Some(Input::Host(Rc::new(stacked(&tensors, axis)?))),
                None => tensors.iter().all(|other| *other == tensors[0]).then(|| items[0].work.inputs[i].clone()),
            }
        };
        let inputs = (0..self.inputs.len()).map(input).collect::<Option<_>>()?;
        Some(Item::new(Rc::clone(&items[0].session), Rc::clone(&self.ready), inputs))
    }

    /// The outputs of each of its requests, from its own.
    pub(super) fn apart(&self, outputs: Outputs) -> Option<Vec<Outputs>> {
        let mut all: Vec<Outputs> = vec![vec![]; self.times];
        for ((name, output), axis) in outputs.into_iter().zip(&self.outputs) {
            let Output::Host(whole) = output else { return None };
            for (part, own) in all.iter_mut().enumerate() {
                let rows = match axis {
                    Some(axis) => unstacked(&whole, *axis, self.times, part)?,
                    None => whole.clone(),
                };
                own.push((name.clone(), Output::Host(rows)));
            }
        }
        Some(all)
    }
}

impl Desk {
    /// A program for `times` requests of the session's program `of`; nothing where there can be none.
    pub(super) async fn made_stack(
        self: &Rc<Self>,
        session: &Rc<Session>,
        of: &Rc<Ready>,
        times: usize,
    ) -> Option<Stack> {
        let home = session.home_at(self.lane.opening())?;
        // What stays on the lane is each request's own.
        let form = home.form_of(of)?;
        let (form, inputs, outputs) = {
            let graph = session.graph.borrow();
            let special =
                |shapes: &[Vec<usize>]| specialise_with(&graph, &Registry, content_hash, shapes, &form.values).ok();
            let base = special(&form.shapes)?;
            candidates(&graph).into_iter().find_map(|axes| {
                let mut shapes = form.shapes.clone();
                for (i, (shape, axis)) in shapes.iter_mut().zip(&axes).enumerate() {
                    if let Some(axis) = axis {
                        // What decides what is computed all rows share.
                        form.values.get(i).is_none_or(Option::is_none).then_some(())?;
                        *shape.get_mut(*axis)? *= times;
                    }
                }
                let outputs = stacks(&graph, &Registry, (&base, &special(&shapes)?), &axes, times)?;
                Some((Form { shapes, ..form.clone() }, axes, outputs))
            })?
        };
        let ready = self.prepare(session, &home, form, None).await.ok()?;
        (ready.compiled.footprint.arena <= MOST_BYTES).then_some(Stack { times, inputs, outputs, ready })
    }
}
