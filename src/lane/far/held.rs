//! What the processor holds for this lane, by number: programs and tensors that it forgets when their last holder goes. Knows
//! numbers and bytes; must never know a message's way.

use crate::error::{Error, Kind, Result};
use crate::graph::{ContentHash, HostTensor, TensorType};
use crate::lane::host::Task;
use crate::lane::workers::{About, Far, Told};
use crate::memory::WeightBook;
use crate::processor::wire::{Answer, Fed, Prepared, Request, Run, read, written};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

/// The processor and the books that are kept of it.
#[derive(Debug)]
pub struct Held {
    pub far: Box<dyn Far>,
    next: Cell<u64>,
    /// Weights in whatever form.
    pub weights: RefCell<WeightBook>,
    /// Weights that need not be brought again.
    pub sources: RefCell<WeightBook>,
    /// Holders that let go of everything.
    pub gone: RefCell<BTreeSet<u64>>,
    /// Bytes of the tensors that stay.
    pub tensors: Cell<u64>,
    /// Programs that are there, or on their way.
    programs: Cell<usize>,
    /// What programs compute in: the first of all threads, and one for each that runs a program by itself.
    arenas: RefCell<Vec<Room>>,
    most: Cell<u64>,
    /// The number of the last execution that was asked for.
    executions: Cell<u32>,
}

impl Held {
    pub fn new(far: Box<dyn Far>) -> Held {
        Held {
            far,
            next: Cell::new(1),
            weights: RefCell::default(),
            sources: RefCell::default(),
            gone: RefCell::default(),
            tensors: Cell::default(),
            programs: Cell::default(),
            arenas: RefCell::default(),
            most: Cell::default(),
            executions: Cell::default(),
        }
    }

    /// A number that nothing has.
    fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    /// Asks, and waits for an answer that is no failure.
    pub fn ask(&self, request: &Request, parts: &[&HostTensor]) -> Task<'static, Result<(Answer, Told)>> {
        let asked = written(request).map(|head| self.far.ask(head, parts, about(request)));
        Box::pin(async move {
            let told = asked?.await?;
            match read(&told.head)? {
                Answer::Failed(error) => Err(error),
                answer => Ok((answer, told)),
            }
        })
    }

    /// Asks for an execution, one at a time.
    pub fn execute(
        &self,
        runs: Vec<Run>,
        threads: usize,
        side_by_side: bool,
        parts: &[&HostTensor],
    ) -> Task<'static, Result<(Answer, Told)>> {
        let number = self.executions.get().wrapping_add(1).max(1);
        self.executions.set(number);
        self.ask(&Request::Execute { number, runs, threads, side_by_side }, parts)
    }

    /// Has the last execution end, if it has not.
    pub fn stop(&self) {
        self.far.stop(self.executions.get());
    }

    /// Asks for what has no answer that matters.
    pub fn tell(&self, request: &Request) {
        drop(self.ask(request, &[]));
    }

    /// Bytes held now.
    pub fn bytes(&self) -> u64 {
        self.weights.borrow().bytes() + self.tensors.get() + self.arena_bytes()
    }

    /// Bytes that programs compute in.
    pub fn arena_bytes(&self) -> u64 {
        self.arenas.borrow().iter().map(Room::bytes).sum()
    }

    /// Bytes of the first arenas, so many, once each has that room, too.
    pub fn arena_bytes_with(&self, room: Room, arenas: usize) -> u64 {
        let now = self.arenas.borrow();
        (0..arenas).map(|i| now.get(i).copied().unwrap_or_default().and(room).bytes()).sum()
    }

    /// Notes that the first arenas, so many, have that room now.
    pub fn computes_in(&self, room: Room, arenas: usize) {
        let mut now = self.arenas.borrow_mut();
        let most = now.len().max(arenas);
        now.resize_with(most, Room::default);
        now[..arenas].iter_mut().for_each(|own| *own = own.and(room));
        drop(now);
        self.noted();
    }

    /// Notes that there are no arenas.
    pub fn forget_arenas(&self) {
        self.arenas.take();
    }

    /// Most bytes that were held at one time.
    pub fn most(&self) -> u64 {
        self.most.get()
    }

    /// Notes that more may be held now than ever.
    pub fn noted(&self) {
        self.most.set(self.most.get().max(self.bytes()));
    }

    /// Books what `holder` holds of a program.
    pub fn hold(&self, holder: u64, prepared: &Prepared) {
        // It may have let go while the program was made ready; the processor heard of it after the order.
        if self.gone.borrow().contains(&holder) {
            return;
        }
        for &(hash, bytes) in &prepared.held {
            self.weights.borrow_mut().hold(holder, hash, bytes);
        }
        for &hash in &prepared.known {
            self.sources.borrow_mut().hold(holder, hash, 0);
        }
        self.noted();
    }

    /// Lets go of what only `holder` held.
    pub fn release(&self, holder: u64) {
        self.gone.borrow_mut().insert(holder);
        self.weights.borrow_mut().release(holder);
        self.sources.borrow_mut().release(holder);
        self.tell(&Request::Release(holder));
        self.freed();
    }

    /// Lets the processor rest where it holds nothing any more.
    fn freed(&self) {
        if self.programs.get() == 0 && self.tensors.get() == 0 && self.weights.borrow().bytes() == 0 {
            self.forget_arenas();
            self.far.rest();
        }
    }

    /// Whether a weight is there.
    pub fn knows(&self, hash: &ContentHash) -> bool {
        self.sources.borrow().contains(hash)
    }
}

/// What a request is about.
fn about(request: &Request) -> About {
    let comes_and_goes = |run: &Run| {
        run.kept.iter().all(Option::is_none) && run.inputs.iter().all(|input| matches!(input, Fed::Part(_)))
    };
    match request {
        Request::Weight { program, .. } | Request::Prepare { program, .. } => About::Brings(*program),
        Request::Execute { runs, .. } => match &runs[..] {
            [run] if comes_and_goes(run) => About::Runs(run.program),
            _ => About::Other,
        },
        Request::Forget { programs, .. } => About::Frees(programs.first().copied()),
        Request::Release(_) | Request::Trim => About::Frees(None),
        _ => About::Other,
    }
}

/// What a program computes in, in bytes: its tensors, and what threads need beside these.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    pub arena: u64,
    pub scratch: u64,
}

impl Room {
    fn bytes(&self) -> u64 {
        self.arena + self.scratch
    }

    /// Enough for both.
    pub fn and(self, other: Room) -> Room {
        Room { arena: self.arena.max(other.arena), scratch: self.scratch.max(other.scratch) }
    }
}

/// A program there, forgotten with this.
#[derive(Debug)]
pub struct Program {
    pub number: u64,
    pub prepared: Prepared,
    /// What it gives, and whether that stays there.
    pub outputs: Vec<(TensorType, bool)>,
    held: Rc<Held>,
}

impl Program {
    /// One that is to be made ready, and will give `outputs`.
    pub fn new(held: &Rc<Held>, outputs: Vec<(TensorType, bool)>) -> Program {
        held.programs.set(held.programs.get() + 1);
        Program { number: held.number(), prepared: Prepared::default(), outputs, held: Rc::clone(held) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.held.tell(&Request::Forget { programs: vec![self.number], tensors: vec![] });
        self.held.programs.set(self.held.programs.get() - 1);
        self.held.freed();
    }
}

/// A tensor there, forgotten with this.
#[derive(Debug)]
pub struct Kept {
    pub number: u64,
    bytes: u64,
    held: Rc<Held>,
}

impl Kept {
    /// One of so many bytes that is to be.
    pub fn new(held: &Rc<Held>, bytes: u64) -> Kept {
        held.tensors.set(held.tensors.get() + bytes);
        held.noted();
        Kept { number: held.number(), bytes, held: Rc::clone(held) }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.held.tensors.set(self.held.tensors.get() - self.bytes);
        self.held.tell(&Request::Forget { programs: vec![], tensors: vec![self.number] });
        self.held.freed();
    }
}

/// An answer that was not asked for.
pub fn unexpected() -> Error {
    Error::new(Kind::Internal, "the processor answered something else")
}
