//! Sessions made ready on their lane for the forms of their calls. Knows when a program is there already; must never know
//! what a lane makes of one.

use super::desk::{Counted, Desk};
use super::homes::{Form, Home, KEPT, Preparation};
use super::options::{LoadProgress, Phase};
use super::ready::Ready;
use super::session::Session;
use crate::error::{Kind, Result};
use crate::graph::specialise_with;
use crate::kernels::Registry;
use crate::lane::host::{LocalFuture, now_ms};
use crate::lane::{Order, Progress};
use crate::onnx::content_hash;
use crate::program::Residency;
use futures_util::FutureExt as _;
use std::collections::BTreeMap;
use std::rc::Rc;

impl Desk {
    /// Makes a session ready for the shapes that its caller expects, or for the smallest where none are said.
    pub(super) async fn prepare_at_load(
        self: &Rc<Self>,
        session: &Rc<Session>,
        home: &Rc<Home>,
        free: &BTreeMap<String, usize>,
        progress: &LoadProgress<'_>,
    ) -> Result<()> {
        let (shapes, all_said) = session.shapes_for(free);
        // What it computes is said by the first call's inputs.
        if !session.graph.borrow().deciding.is_empty() {
            return Ok(());
        }
        match self.prepare(session, home, Form::of(shapes), Some(progress)).await {
            // A size of 1 was a guess: what it cannot do, a call with real shapes may.
            Err(e) if !all_said && e.kind() == Kind::InvalidInput => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The session's program for `form` at its home here: at once where it was met before, else compiled now.
    pub(super) async fn prepare(
        self: &Rc<Self>,
        session: &Rc<Session>,
        home: &Rc<Home>,
        form: Form,
        progress: Option<&LoadProgress<'_>>,
    ) -> Result<Rc<Ready>> {
        if let Some(progress) = progress {
            return self.compile(session, home, &form, Some(progress)).await.inspect(|ready| {
                let done: LocalFuture<_> = Box::pin(std::future::ready(Ok(Rc::clone(ready))));
                let done = done.shared();
                // What nobody asked yet does not know that it is done.
                drop(done.clone().now_or_never());
                home.programs.borrow_mut().push((form, done));
            });
        }
        let result = self.begun(session, home, &form).await;
        if result.is_err() {
            let failed = |program: &Preparation| matches!(program.peek(), Some(Err(_)));
            home.programs.borrow_mut().retain(|(key, program)| *key != form || !failed(program));
        }
        result
    }

    /// The same on its way; it goes on only while somebody waits for it.
    pub(super) fn begun(self: &Rc<Self>, session: &Rc<Session>, home: &Rc<Home>, form: &Form) -> Preparation {
        let mut programs = home.programs.borrow_mut();
        let entry = match programs.iter().position(|(key, _)| key == form) {
            Some(at) => programs.remove(at),
            None => {
                let (desk, of, at, key) = (Rc::clone(self), Rc::clone(session), Rc::clone(home), form.clone());
                let compile: LocalFuture<_> = Box::pin(async move { desk.compile(&of, &at, &key, None).await });
                if programs.len() >= KEPT {
                    drop(programs.remove(0));
                }
                (form.clone(), compile.shared())
            }
        };
        programs.push(entry.clone());
        entry.1
    }

    async fn compile(
        &self,
        session: &Session,
        home: &Home,
        form: &Form,
        progress: Option<&LoadProgress<'_>>,
    ) -> Result<Rc<Ready>> {
        self.preparations.set(self.preparations.get() + 1);
        // It may be dropped at any wait.
        let _under_way = Counted::new(&self.activity.preparing);
        self.compile_now(session, home, form, progress).await.map_err(|e| e.in_model(&session.name))
    }

    async fn compile_now(
        &self,
        session: &Session,
        home: &Home,
        form: &Form,
        progress: Option<&LoadProgress<'_>>,
    ) -> Result<Rc<Ready>> {
        let (brought, began) = (!home.furnished.get(), now_ms());
        let refilled_ms = if brought && session.refill().await? { now_ms() - began } else { 0.0 };
        let report = |phase, done, total| {
            if let Some(progress) = progress {
                progress(phase, done, total);
            }
        };
        let progress = Progress {
            upload: &|done, total| report(Phase::Upload, done, total),
            compile: &|done, total| report(Phase::Compile, done as u64, total as u64),
        };
        let compiling = {
            let graph = session.graph.borrow();
            let special = specialise_with(&graph, &Registry, content_hash, &form.shapes, &form.values)?;
            let residency =
                Residency { halves: session.halves, short: self.budget.is_some(), ..form.residency.clone() };
            let order = Order { graph: &graph, special: &special, residency: &residency, tuning: home.tuning };
            self.lane.prepare(home.holder, order, &progress)
        };
        let mut compiled = match compiling.await {
            Ok(compiled) => compiled,
            Err(error) => return Err(self.lane.cause(error).await),
        };
        let brought_ms = brought.then_some(refilled_ms + compiled.brought_ms);
        session.builds.took(self.lane.opening(), brought_ms, compiled.built_ms);
        self.builds.took(compiled.cost.dispatches.len(), compiled.built_ms);
        home.furnished.set(true);
        session.forget(&compiled);
        compiled.cost.model.clone_from(&session.name);
        Ok(Rc::new(Ready::new(compiled)))
    }
}
