//! Joint calls of several sessions: the graphs of a set as one, made ready on their lane, and how tensors are put together and taken
//! apart. Knows sessions, graphs and homes; must never know when a joint is worth it.

use super::desk::{Counted, Desk};
use super::joints::{Fed, Held, Joint};
use super::options::Outputs;
use super::queue::Item;
use super::ready::Ready;
use super::session::Session;
use super::spread::Placed;
use super::stacking::MOST_BYTES;
use crate::graph::{DType, Graph, HostTensor, Part, joined, specialise_with};
use crate::kernels::Registry;
use crate::lane::{Input, Order, Output, Progress};
use crate::onnx::content_hash;
use crate::predict::Strategy;
use crate::program::{ProgramCost, Residency};
use std::cell::Ref;
use std::rc::Rc;

/// Where sessions have a little in common, a joint is worth it that is forecast to take at most so much of what they take apart.
const WORTH: f64 = 0.97;

/// One request of a set, without its inputs' elements.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) session: Rc<Session>,
    pub(super) ready: Rc<Ready>,
    pub(super) shapes: Vec<Vec<usize>>,
}

impl Asked {
    pub(super) fn of(item: &Item) -> Asked {
        let shapes = item.work.inputs.iter().map(|input| input.shape().to_vec()).collect();
        Asked { session: Rc::clone(&item.session), ready: Rc::clone(&item.ready), shapes }
    }

    /// A request of which no inputs are known.
    pub(super) fn placed(placed: &Placed, ready: &Rc<Ready>) -> Asked {
        let shapes = placed.form.shapes.clone();
        Asked { session: Rc::clone(&placed.session), ready: Rc::clone(ready), shapes }
    }
}

/// What requests are fed of which no inputs are known: the same where inputs of different sessions agree in name, type and shape.
pub(super) fn expected(set: &[Asked]) -> Fed {
    type Like = (u64, String, Option<DType>, Vec<usize>);
    let mut seen: Vec<Like> = vec![];
    let mut all = vec![];
    for asked in set {
        let graph = asked.session.graph.borrow();
        let mut own = vec![];
        for (&id, shape) in graph.inputs.iter().zip(&asked.shapes) {
            let value = graph.value(id);
            let like = (asked.session.id, value.name.clone(), value.dtype, shape.clone());
            let same =
                |other: &Like| other.0 != like.0 && (&other.1, &other.2, &other.3) == (&like.1, &like.2, &like.3);
            let number = seen.iter().position(same).unwrap_or(seen.len());
            if number == seen.len() {
                seen.push(like);
            }
            own.push(number);
        }
        all.push(own);
    }
    all
}

/// Which inputs of `items` are the same as one of an earlier item; nothing where one is on a lane.
pub(super) fn fed(items: &[&Item]) -> Option<Fed> {
    let mut seen: Vec<(usize, &Rc<HostTensor>)> = vec![];
    let mut all = vec![];
    for (i, item) in items.iter().enumerate() {
        let mut own = vec![];
        for input in &item.work.inputs {
            let Input::Host(tensor) = input else { return None };
            let same = |(of, other): &(usize, &Rc<HostTensor>)| {
                *of != i && (Rc::ptr_eq(other, tensor) || (other.shape() == tensor.shape() && *other == tensor))
            };
            let number = seen.iter().position(same).unwrap_or(seen.len());
            if number == seen.len() {
                seen.push((i, tensor));
            }
            own.push(number);
        }
        all.push(own);
    }
    Some(all)
}

impl Joint {
    /// The call of `items`, which are those of its set.
    pub(super) fn call(&self, items: &[&Item]) -> Item {
        let inputs = self.inputs.iter().map(|&(item, input)| items[item].work.inputs[input].clone()).collect();
        Item::new(Rc::clone(&items[0].session), Rc::clone(&self.ready), inputs)
    }

    /// The outputs of each of `programs`, those of its set, from its own.
    pub(super) fn apart(&self, outputs: Outputs, programs: &[Rc<Ready>]) -> Option<Vec<Outputs>> {
        let whole: Vec<Output> = outputs.into_iter().map(|(_, output)| output).collect();
        let own = |(places, program): (&Vec<usize>, &Rc<Ready>)| -> Option<Outputs> {
            let names = program.compiled.outputs.iter().cloned();
            let output = |&place: &usize| match whole.get(place)? {
                Output::Host(tensor) => Some(Output::Host(tensor.clone())),
                Output::Resident(_) => None,
            };
            names.zip(places).map(|(name, place)| Some((name, output(place)?))).collect()
        };
        self.outputs.iter().zip(programs).map(own).collect()
    }
}

impl Desk {
    /// A program for all of `set`, fed so; nothing where there can be none, or where it has nothing in common and `apart` is no reason
    /// for one either.
    pub(super) async fn made_joint(self: &Rc<Self>, set: &[Asked], fed: &Fed, apart: bool) -> Option<Joint> {
        let (inputs, holder) = (takers(fed), self.joints.holder());
        let (mut tunings, mut halves, mut values) = (vec![], vec![], vec![None; inputs.len()]);
        for (asked, own) in set.iter().zip(fed) {
            let home = asked.session.home_at(self.lane.opening())?;
            // What stays on the lane is each request's own.
            let form = home.form_of(&asked.ready)?;
            for (value, &number) in form.values.into_iter().zip(own).filter(|(value, _)| value.is_some()) {
                *values.get_mut(number)? = value;
            }
            tunings.push(home.tuning);
            halves.push((asked.session.halves, asked.session.half_products));
        }
        // Equal inputs are to give equal results, joint or alone.
        let tuning = *tunings.first().filter(|first| tunings.iter().all(|other| other == *first))?;
        let (halves, _) = *halves.first().filter(|first| halves.iter().all(|other| other == *first))?;
        let held = Held { lane: Rc::clone(&self.lane), holder };
        let residency = Residency { halves, short: self.budget.is_some(), ..Residency::default() };
        self.preparations.set(self.preparations.get() + 1);
        let _under_way = Counted::new(&self.activity.preparing);
        let (outputs, compiling) = {
            let graphs: Vec<Ref<'_, Graph>> = set.iter().map(|asked| asked.session.graph.borrow()).collect();
            let part = |i: usize| Part { graph: &graphs[i], shapes: &set[i].shapes, inputs: &fed[i] };
            let whole = joined(&(0..set.len()).map(part).collect::<Vec<_>>())?;
            if whole.shared == 0 && !apart {
                return None;
            }
            let special = specialise_with(&whole.graph, &Registry, content_hash, &whole.shapes, &values).ok()?;
            let order = Order { graph: &whole.graph, special: &special, residency: &residency, tuning };
            (whole.outputs, self.lane.prepare(holder, order, &Progress::SILENT))
        };
        let mut compiled = compiling.await.ok()?;
        compiled.cost.model = name(set);
        let ready = Rc::new(Ready::new(compiled));
        let each: Vec<&Ready> = set.iter().map(|asked| &*asked.ready).collect();
        let costs: Vec<&ProgramCost> = each.iter().map(|ready| &ready.compiled.cost).collect();
        self.predictor.borrow_mut().expect(&ready.compiled.cost.model, &costs);
        let ms = |set: &[&Ready]| self.plan(set, Strategy::Sequential).forecast.total_ms;
        if !apart && ms(&[&ready]) > WORTH * ms(&each) {
            return None;
        }
        (ready.compiled.footprint.arena <= MOST_BYTES).then_some(Joint { ready, inputs, outputs, _held: held })
    }
}

/// The name under which what a joint takes is known.
fn name(set: &[Asked]) -> String {
    set.iter().map(|asked| asked.session.name.as_str()).collect::<Vec<_>>().join(" + ")
}

/// For each number of `fed` a request that has it, and where.
fn takers(fed: &Fed) -> Vec<(usize, usize)> {
    let all = || fed.iter().enumerate().flat_map(|(i, own)| own.iter().enumerate().map(move |(at, &n)| (n, (i, at))));
    let numbers = all().map(|(n, _)| n + 1).max().unwrap_or(0);
    (0..numbers).filter_map(|number| all().find(|(n, _)| *n == number).map(|(_, taker)| taker)).collect()
}
