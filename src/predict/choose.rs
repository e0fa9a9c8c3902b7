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

/// The best of `candidates` for `goal` that hold at most `budget` bytes; none where none does. `unsure` is the standard
/// deviation of the logarithm of a ratio of their times: a gain below that is none, and the one that holds less is taken.
pub fn choose(goal: Goal, candidates: &[Candidate], budget: Option<u64>, unsure: f64) -> Option<Choice> {
    let fits = |c: &&Candidate| budget.is_none_or(|most| c.bytes <= most);
    let left_out = candidates.iter().filter(|c| !fits(c)).count();
    let order = |a: &&Candidate, b: &&Candidate| match goal {
        Goal::Latency => a.total_ms.total_cmp(&b.total_ms).then(a.bytes.cmp(&b.bytes)),
        Goal::Throughput => b.throughput.total_cmp(&a.throughput).then(a.bytes.cmp(&b.bytes)),
        Goal::Memory => a.bytes.cmp(&b.bytes).then(a.total_ms.total_cmp(&b.total_ms)),
    };
    let mut sorted: Vec<&Candidate> = candidates.iter().filter(fits).collect();
    sorted.sort_by(order);
    let fastest = *sorted.first()?;
    let alike = |c: &&&Candidate| (c.total_ms / fastest.total_ms).ln() < unsure && c.bytes < fastest.bytes;
    let smaller = sorted.iter().filter(alike).min_by_key(|c| c.bytes).copied().filter(|_| goal != Goal::Memory);
    let best = smaller.unwrap_or(fastest);
    let tell = |c: &Candidate| match goal {
        Goal::Latency => format!("{} is predicted to take {:.1} ms", c.strategy.as_str(), c.total_ms),
        Goal::Throughput => format!("{} is predicted to give {:.1} requests/s", c.strategy.as_str(), c.throughput),
        Goal::Memory => format!("{} needs {:.1} MB", c.strategy.as_str(), c.bytes as f64 / 1e6),
    };
    let mut reason = tell(best);
    if let Some(second) = sorted.iter().find(|c| c.strategy != best.strategy) {
        reason = format!("{reason}, {}", tell(second));
    }
    if smaller.is_some() {
        let (sure, less) = (unsure * 100.0, (fastest.bytes - best.bytes) as f64 / 1e6);
        reason = format!("{reason}; times are known to {sure:.1} % of each other, and {less:.1} MB fewer are held");
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
        let chosen = |goal| choose(goal, &[SEQUENTIAL, PARALLEL], None, 0.1).map(|c| c.strategy);
        assert_eq!(chosen(Goal::Latency), Some(Strategy::Parallel));
        assert_eq!(chosen(Goal::Throughput), Some(Strategy::Parallel));
        assert_eq!(chosen(Goal::Memory), Some(Strategy::Sequential));
    }

    #[test]
    fn a_gain_that_is_not_known_is_not_paid_for_in_bytes() {
        let chosen = |goal, unsure| choose(goal, &[SEQUENTIAL, PARALLEL], None, unsure).unwrap();
        // 15 against 20 ms is a logarithm of 0.29.
        assert_eq!(chosen(Goal::Latency, 0.28).strategy, Strategy::Parallel);
        let choice = chosen(Goal::Latency, 0.3);
        assert_eq!(choice.strategy, Strategy::Sequential);
        assert!(choice.reason.contains("known to 30.0 % of each other"), "{}", choice.reason);
        assert_eq!(chosen(Goal::Throughput, 0.3).strategy, Strategy::Sequential);
    }

    #[test]
    fn a_budget_leaves_out_what_is_above_it_and_says_so() {
        let choice = choose(Goal::Latency, &[SEQUENTIAL, PARALLEL], Some(20), 0.0).unwrap();
        assert_eq!(choice.strategy, Strategy::Sequential);
        assert!(choice.reason.contains("1 above the memory budget"), "{}", choice.reason);
        assert_eq!(choose(Goal::Latency, &[SEQUENTIAL, PARALLEL], Some(5), 0.0), None);
    }
}
