//! The choice among strategies: the goal's best within the memory budget, with its reason.

use super::Strategy;
use serde::{Deserialize, Serialize};

/// What a plan is chosen for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// The set's results soonest.
    #[default]
    Latency,
    /// Most requests per second.
    Throughput,
    /// Fewest bytes.
    Memory,
}

impl Goal {
    /// The goal of that name.
    pub fn parse(name: &str) -> Option<Goal> {
        [("latency", Goal::Latency), ("throughput", Goal::Throughput), ("memory", Goal::Memory)]
            .into_iter()
            .find_map(|(n, goal)| (n == name).then_some(goal))
    }
}

/// One strategy as it is expected to be.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The strategy.
    pub strategy: Strategy,
    /// Milliseconds until all outputs are there.
    pub total_ms: f64,
    /// Requests per second.
    pub throughput: f64,
    /// GPU bytes that it holds.
    pub bytes: u64,
}

/// A strategy and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The strategy.
    pub strategy: Strategy,
    /// Why, in words and numbers.
    pub reason: String,
}

/// The best of `candidates` for `goal` that hold at most `budget` bytes; none where none does.
pub fn choose(goal: Goal, candidates: &[Candidate], budget: Option<u64>) -> Option<Choice> {
    let fits = |c: &&Candidate| budget.is_none_or(|most| c.bytes <= most);
    let left_out = candidates.iter().filter(|c| !fits(c)).count();
    let order = |a: &&Candidate, b: &&Candidate| match goal {
        Goal::Latency => a.total_ms.total_cmp(&b.total_ms).then(a.bytes.cmp(&b.bytes)),
        Goal::Throughput => b.throughput.total_cmp(&a.throughput).then(a.bytes.cmp(&b.bytes)),
        Goal::Memory => a.bytes.cmp(&b.bytes).then(a.total_ms.total_cmp(&b.total_ms)),
    };
    let mut sorted: Vec<&Candidate> = candidates.iter().filter(fits).collect();
    sorted.sort_by(order);
    let best = *sorted.first()?;
    let tell = |c: &Candidate| match goal {
        Goal::Latency => format!("{} is predicted to take {:.1} ms", c.strategy.as_str(), c.total_ms),
        Goal::Throughput => format!("{} is predicted to give {:.1} requests/s", c.strategy.as_str(), c.throughput),
        Goal::Memory => format!("{} needs {:.1} MB", c.strategy.as_str(), c.bytes as f64 / 1e6),
    };
    let mut reason = tell(best);
    if let Some(second) = sorted.get(1) {
        reason = format!("{reason}, {}", tell(second));
    }
    if left_out > 0 {
        reason = format!("{reason}; {left_out} above the memory budget");
    }
    Some(Choice { strategy: best.strategy, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEQUENTIAL: Candidate =
        Candidate { strategy: Strategy::Sequential, total_ms: 20.0, throughput: 100.0, bytes: 10 };
    const PARALLEL: Candidate =
        Candidate { strategy: Strategy::Parallel, total_ms: 15.0, throughput: 130.0, bytes: 30 };

    #[test]
    fn each_goal_takes_its_own_best() {
        let chosen = |goal| choose(goal, &[SEQUENTIAL, PARALLEL], None).map(|c| c.strategy);
        assert_eq!(chosen(Goal::Latency), Some(Strategy::Parallel));
        assert_eq!(chosen(Goal::Throughput), Some(Strategy::Parallel));
        assert_eq!(chosen(Goal::Memory), Some(Strategy::Sequential));
    }

    #[test]
    fn a_budget_leaves_out_what_is_above_it_and_says_so() {
        let choice = choose(Goal::Latency, &[SEQUENTIAL, PARALLEL], Some(20)).unwrap();
        assert_eq!(choice.strategy, Strategy::Sequential);
        assert!(choice.reason.contains("1 above the memory budget"), "{}", choice.reason);
        assert_eq!(choose(Goal::Latency, &[SEQUENTIAL, PARALLEL], Some(5)), None);
    }
}
