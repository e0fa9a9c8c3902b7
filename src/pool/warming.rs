//! A session's first runs on another lane, by inputs of nothing, so that no call meets what a browser has not compiled in full
//! yet. Knows times; must never know results.

use super::desk::Desk;
use super::executing;
use super::homes::Form;
use super::options::RunOptions;
use super::queue::{Item, Part};
use super::ready::Ready;
use super::session::Session;
use crate::graph::HostTensor;
use crate::lane::Input;
use crate::predict::Strategy;
use std::rc::Rc;

/// So many runs at most, and no further one after so many milliseconds of them.
const MOST: usize = 6;
const MOST_MS: f64 = 1000.0;
/// It is warm where a run takes more than so much of what the one before it took.
const WARM: f64 = 0.8;

/// Runs `session` at `desk` until it takes as long as before. What fails here fails again when it is called.
pub(super) async fn warm(session: &Rc<Session>, desk: &Rc<Desk>, ready: &Rc<Ready>, form: &Form) {
    let Some(inputs) = nothing(session, form) else { return };
    let options = RunOptions::by(Strategy::Sequential);
    let (mut before, mut all) = (f64::INFINITY, 0.0);
    for _ in 0..MOST {
        let item = Item::new(Rc::clone(session), Rc::clone(ready), inputs.clone());
        // Calls run beside it: it says nothing of what one takes alone.
        let part = Part { share: 1, beside: true };
        let Ok(run) = executing::run(desk, vec![item], options, part).await else { return };
        let ms = run.outcome.total_ms;
        all += ms;
        if ms > WARM * before || all > MOST_MS || session.home().is_none() {
            return;
        }
        before = ms;
    }
}

/// Inputs of `form` without a value in them, but those that decide what is computed.
fn nothing(session: &Session, form: &Form) -> Option<Vec<Input>> {
    let graph = session.graph.borrow();
    let zeros = |(i, shape): (usize, &Vec<usize>)| {
        let given = form.values.get(i).cloned().flatten();
        let tensor = match given {
            Some(given) => (*given).clone(),
            None => {
                let zeros = vec![0.0; shape.iter().product()];
                HostTensor::from_f64(graph.value(*graph.inputs.get(i)?).dtype?, shape.clone(), &zeros).ok()?
            }
        };
        Some(Input::Host(Rc::new(tensor)))
    };
    form.shapes.iter().enumerate().map(zeros).collect()
}
