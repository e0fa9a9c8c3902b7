//! Requests of one session as one call of more rows, where that is measured to take less: when, and how their tensors are put
//! together and taken apart. Knows requests and times; must never know what a lane makes of them.

use super::desk::Desk;
use super::homes::{Form, Ready, Stack};
use super::options::Outputs;
use super::queue::Item;
use super::session::Session;
use crate::graph::{HostTensor, candidates, specialise, stacked, stacks, unstacked};
use crate::kernels::Registry;
use crate::lane::host::spawn;
use crate::lane::{Input, Output};
use crate::onnx::content_hash;
use crate::predict::Goal;
use std::rc::Rc;

/// Requests that are one call at most.
const MOST: usize = 16;
/// Requests that take longer alone, in milliseconds, have little to gain.
const LONG_MS: f64 = 50.0;
/// Nor may a program for several hold more than so many bytes while it runs.
const MOST_BYTES: u64 = 128 << 20;
/// What one item of an execution stands for.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) item: Item,
    /// The program of each of its requests.
    base: Rc<Ready>,
    /// Places of its requests among all.
    places: Vec<usize>,
    stack: Option<Rc<Stack>>,
}

/// The inputs of `items` as those of one call; nothing where they differ in what all rows share.
fn together(stack: &Stack, items: &[&Item]) -> Option<Vec<Input>> {
    let input = |i: usize| {
        let tensors = items.iter().map(|item| match &item.work.inputs[i] {
            Input::Host(tensor) => Some(&**tensor),
            Input::Resident(_) => None,
        });
        let tensors: Vec<&HostTensor> = tensors.collect::<Option<_>>()?;
        match stack.inputs[i] {
            Some(axis) => Some(Input::Host(Rc::new(stacked(&tensors, axis)?))),
            None => tensors.iter().all(|other| *other == tensors[0]).then(|| items[0].work.inputs[i].clone()),
        }
    };
    (0..stack.inputs.len()).map(input).collect()
}

impl Member {
    fn alone(items: &[Item], place: usize) -> Member {
        let (item, base) = (items[place].clone(), Rc::clone(&items[place].ready));
        Member { item, base, places: vec![place], stack: None }
    }

    /// Each of `items` by itself.
    pub(super) fn each(items: &[Item]) -> Vec<Member> {
        (0..items.len()).map(|place| Member::alone(items, place)).collect()
    }

    /// Puts the outputs of each of its requests at their places in `all`; false where that cannot be.
    pub(super) fn apart(&self, outputs: Outputs, all: &mut [Outputs]) -> bool {
        let Some(stack) = &self.stack else {
            all[self.places[0]] = outputs;
            return true;
        };
        for ((name, output), axis) in outputs.into_iter().zip(&stack.outputs) {
            let Output::Host(whole) = output else { return false };
            for (part, &place) in self.places.iter().enumerate() {
                let own = match axis {
                    Some(axis) => unstacked(&whole, *axis, stack.times, part),
                    None => Some(whole.clone()),
                };
                let Some(own) = own else { return false };
                all[place].push((name.clone(), Output::Host(own)));
            }
        }
        true
    }
}

impl Desk {
    /// `items` with those as one that are worth it; what may be worth it and is not ready is made so beside the calls.
    pub(super) fn stacked(self: &Rc<Self>, items: &[Item]) -> Vec<Member> {
        let mut left: Vec<usize> = (0..items.len()).collect();
        let mut members = vec![];
        while let Some(&first) = left.first() {
            let like = |&i: &usize| Rc::ptr_eq(&items[i].ready, &items[first].ready);
            let group: Vec<usize> = left.iter().copied().filter(like).take(MOST).collect();
            let stack = if group.len() > 1 { self.stack_for(&items[first], group.len()) } else { None };
            let whole = stack.and_then(|stack| {
                let places = group[..stack.times].to_vec();
                let inputs = together(&stack, &places.iter().map(|&i| &items[i]).collect::<Vec<_>>())?;
                let item = Item::new(Rc::clone(&items[first].session), Rc::clone(&stack.ready), inputs);
                Some(Member { item, base: Rc::clone(&items[first].ready), places, stack: Some(stack) })
            });
            let member = whole.unwrap_or_else(|| Member::alone(items, first));
            left.retain(|i| !member.places.contains(i));
            members.push(member);
        }
        members
    }

    fn stack_for(self: &Rc<Self>, item: &Item, count: usize) -> Option<Rc<Stack>> {
        if self.goal == Goal::Memory {
            return None;
        }
        let mut stacks = item.ready.stacks.borrow_mut();
        let most = 1 << count.ilog2();
        if stacks.begins(most, LONG_MS) {
            let (desk, session, ready) = (Rc::clone(self), Rc::clone(&item.session), Rc::clone(&item.ready));
            let shapes = item.work.inputs.iter().map(|input| input.shape().to_vec()).collect();
            spawn(Box::pin(async move {
                let stack = desk.made_stack(&session, &ready, shapes, most).await;
                ready.stacks.borrow_mut().made(most, stack.map(Rc::new));
            }));
        }
        stacks.best(count)
    }

    async fn made_stack(
        self: &Rc<Self>,
        session: &Rc<Session>,
        of: &Rc<Ready>,
        shapes: Vec<Vec<usize>>,
        times: usize,
    ) -> Option<Stack> {
        let home = session.home_at(self.lane.opening())?;
        let form = Form::of(shapes);
        // What stays on the lane, or decides what is computed, is each request's own.
        home.ready_for(&form).filter(|ready| Rc::ptr_eq(ready, of))?;
        let (form, inputs, outputs) = {
            let graph = session.graph.borrow();
            let special = |shapes: &[Vec<usize>]| specialise(&graph, &Registry, content_hash, shapes).ok();
            let base = special(&form.shapes)?;
            candidates(&graph).into_iter().find_map(|axes| {
                let mut shapes = form.shapes.clone();
                for (shape, axis) in shapes.iter_mut().zip(&axes) {
                    if let Some(axis) = axis {
                        *shape.get_mut(*axis)? *= times;
                    }
                }
                let outputs = stacks(&graph, &Registry, (&base, &special(&shapes)?), &axes, times)?;
                Some((Form::of(shapes), axes, outputs))
            })?
        };
        let ready = self.prepare(session, &home, form, None).await.ok()?;
        (ready.compiled.footprint.arena <= MOST_BYTES).then_some(Stack { times, inputs, outputs, ready })
    }

    /// Learns what an execution of `members` took, where nothing else was at work and they are alike.
    pub(super) fn stacking_took(members: &[Member], ms: f64) {
        let Some(first) = members.first() else { return };
        let times = |member: &Member| member.places.len();
        if members.iter().all(|member| Rc::ptr_eq(&member.base, &first.base) && times(member) == times(first)) {
            let requests: usize = members.iter().map(times).sum();
            first.base.stacks.borrow_mut().took(times(first), ms / requests as f64);
        }
    }
}
