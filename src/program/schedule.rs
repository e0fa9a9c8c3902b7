//! The order in which a set of programs is executed, as commands in plain data: what a lane replays, what can be
//! printed, tested and simulated.

use crate::memory::{SlotPlan, assign_slots};
use serde::{Deserialize, Serialize};

/// How a set of requests is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// One after another in one arena, no wait between them.
    Sequential,
    /// Dispatches of all interleaved, each model in an arena of its own.
    Parallel,
    /// On several lanes at once, on each one after another.
    Split,
    /// As fewer calls: requests of one session as rows of one, and what several sessions have in common computed once.
    Batched,
}

impl Strategy {
    /// Every strategy, in the order in which they are reported.
    pub const ALL: [Strategy; 4] = [Strategy::Sequential, Strategy::Parallel, Strategy::Split, Strategy::Batched];
    /// Those by which one lane runs requests as they are.
    pub const OF_LANE: [Strategy; 2] = [Strategy::Sequential, Strategy::Parallel];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::Sequential => "sequential",
            Strategy::Parallel => "parallel",
            Strategy::Split => "split",
            Strategy::Batched => "batched",
        }
    }
}

/// One step of an execution; `program` counts the requests of the execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Copies the request's inputs from staging into its arena.
    Upload {
        /// Request.
        program: usize,
    },
    /// Dispatches of one request that follow each other.
    Dispatches {
        /// Request.
        program: usize,
        /// Index of the first among its dispatches.
        from: usize,
        /// Index after the last.
        to: usize,
    },
    /// Copies the request's outputs from its arena into the one readback buffer.
    Download {
        /// Request.
        program: usize,
    },
    /// Hands everything so far to the queue.
    Submit,
}

/// What a schedule sees of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// How many dispatches it has.
    pub dispatches: usize,
    /// Size of its arena in bytes.
    pub arena_bytes: u64,
}

/// Commands and arena slots of one execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The strategy that it follows.
    pub strategy: Strategy,
    /// Arenas.
    pub slots: SlotPlan,
    /// Commands in order; the last is a [`Command::Submit`].
    pub commands: Vec<Command>,
}

impl Schedule {
    /// How many times the queue is given work.
    pub fn submits(&self) -> usize {
        self.commands.iter().filter(|c| **c == Command::Submit).count()
    }
}

/// Orders `programs` by `strategy`. `dispatch_ms[p][i]` is what each dispatch is expected to take: a submit is made
/// before the work since the last would pass `submit_ms`, so that the page keeps its turns on the GPU.
pub fn schedule(programs: &[Extent], strategy: Strategy, dispatch_ms: &[Vec<f64>], submit_ms: f64) -> Schedule {
    let share = strategy != Strategy::Parallel;
    let arenas: Vec<u64> = programs.iter().map(|p| p.arena_bytes).collect();
    let mut out = Recorder { commands: Vec::new(), since_submit: 0.0, submit_ms, dispatch_ms };
    match strategy {
        Strategy::Sequential | Strategy::Split | Strategy::Batched => {
            for (program, p) in programs.iter().enumerate() {
                out.commands.push(Command::Upload { program });
                for index in 0..p.dispatches {
                    out.dispatch(program, index);
                }
                out.commands.push(Command::Download { program });
                // Each model's end is a submit of its own, so that its share of the time can be measured.
                out.submit();
            }
        }
        Strategy::Parallel => {
            for program in 0..programs.len() {
                out.commands.push(Command::Upload { program });
            }
            for (program, index) in interleaved(programs) {
                out.dispatch(program, index);
            }
            for program in 0..programs.len() {
                out.commands.push(Command::Download { program });
            }
            out.submit();
        }
    }
    Schedule { strategy, slots: assign_slots(&arenas, share), commands: out.commands }
}

struct Recorder<'a> {
    commands: Vec<Command>,
    since_submit: f64,
    submit_ms: f64,
    dispatch_ms: &'a [Vec<f64>],
}

impl Recorder<'_> {
    fn dispatch(&mut self, program: usize, index: usize) {
        let ms = self.dispatch_ms.get(program).and_then(|d| d.get(index)).copied().unwrap_or(0.0);
        if self.since_submit > 0.0 && self.since_submit + ms > self.submit_ms {
            self.submit();
        }
        self.since_submit += ms;
        match self.commands.last_mut() {
            Some(Command::Dispatches { program: last, to, .. }) if *last == program && *to == index => *to += 1,
            _ => self.commands.push(Command::Dispatches { program, from: index, to: index + 1 }),
        }
    }

    fn submit(&mut self) {
        if self.commands.last().is_some_and(|c| *c != Command::Submit) {
            self.commands.push(Command::Submit);
        }
        self.since_submit = 0.0;
    }
}

/// Dispatches of all programs, each program in its own order, spread evenly over the whole.
fn interleaved(programs: &[Extent]) -> Vec<(usize, usize)> {
    let mut all: Vec<(f64, usize, usize)> = Vec::new();
    for (p, program) in programs.iter().enumerate() {
        let n = program.dispatches;
        all.extend((0..n).map(|i| ((i as f64 + 0.5) / n as f64, p, i)));
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    all.into_iter().map(|(_, p, i)| (p, i)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(dispatches: usize, arena_bytes: u64) -> Extent {
        Extent { dispatches, arena_bytes }
    }

    #[test]
    fn sequential_shares_one_arena_and_submits_at_each_models_end() {
        let (a, b) = (program(2, 512), program(1, 1024));
        let s = schedule(&[a, b], Strategy::Sequential, &[vec![1.0; 2], vec![1.0]], 8.0);
        use Command::*;
        assert_eq!(
            s.commands,
            [
                Upload { program: 0 },
                Dispatches { program: 0, from: 0, to: 2 },
                Download { program: 0 },
                Submit,
                Upload { program: 1 },
                Dispatches { program: 1, from: 0, to: 1 },
                Download { program: 1 },
                Submit,
            ]
        );
        assert_eq!((s.slots.slot_of, s.slots.bytes), (vec![0, 0], vec![1024]));
    }

    #[test]
    fn parallel_keeps_each_models_order_and_spreads_the_short_one() {
        let (a, b) = (program(4, 512), program(1, 1024));
        let s = schedule(&[a, b], Strategy::Parallel, &[], 8.0);
        let order: Vec<_> = s
            .commands
            .iter()
            .filter_map(|c| match *c {
                Command::Dispatches { program, from, to } => Some((program, from..to)),
                _ => None,
            })
            .collect();
        assert_eq!(order, [(0, 0..2), (1, 0..1), (0, 2..4)]);
        assert_eq!(s.slots.slot_of, [1, 0]);
        assert_eq!(s.submits(), 1);
    }

    #[test]
    fn long_work_is_split_into_submits_of_the_given_length() {
        let a = program(5, 512);
        let s = schedule(&[a], Strategy::Sequential, &[vec![3.0, 3.0, 3.0, 20.0, 1.0]], 8.0);
        assert_eq!(s.submits(), 4, "3+3 | 3 | 20 | 1");
    }
}
