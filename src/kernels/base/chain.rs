//! Maps that are one dispatch, as plain data: expressions over operands and over each other.
//! Knows names in expressions; must never know how a dispatch is made of them.

use super::strides::Strided;
use super::wgsl::replace_word;

/// Operands of one dispatch.
pub(super) const OPERANDS: usize = 5;

/// Maps that are one dispatch: those before the last as steps.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Expressions over operands `e0`, `e1` … and over earlier steps `t0`, `t1` …; the last is what is written.
    pub(super) steps: Vec<String>,
    pub(super) functions: Vec<&'static str>,
    pub(super) operands: Vec<Strided>,
    /// How many nodes read each operand here.
    pub(super) reads: Vec<usize>,
    pub(super) flops: f64,
}

/// `text` with names of operands or steps changed all at once.
fn renamed(text: &str, from: &str, to: &[String]) -> String {
    let through = |i: usize| format!("r_{i}");
    let text = (0..to.len()).fold(text.to_owned(), |t, i| replace_word(&t, &format!("{from}{i}"), &through(i)));
    to.iter().enumerate().fold(text, |t, (i, name)| replace_word(&t, &through(i), name))
}

impl Chain {
    /// `self` with operand `k` computed by `before` in the same dispatch; `None` where that takes too many operands.
    pub(super) fn after(&self, k: usize, before: &Chain) -> Option<Chain> {
        let (mut operands, mut reads): (Vec<Strided>, Vec<usize>) = (vec![], vec![]);
        let mut place = |o: &Strided, times: usize| {
            let found = operands.iter().position(|p| p == o);
            let at = found.unwrap_or_else(|| {
                operands.push(o.clone());
                reads.push(0);
                operands.len() - 1
            });
            reads[at] += times;
            format!("e{at}")
        };
        let own: Vec<String> = before.operands.iter().zip(&before.reads).map(|(o, &r)| place(o, r)).collect();
        let result = format!("t{}", before.steps.len() - 1);
        let mine = self.operands.iter().zip(&self.reads).enumerate();
        let mine: Vec<String> = mine.map(|(i, (o, &r))| if i == k { result.clone() } else { place(o, r) }).collect();
        if operands.len() > OPERANDS {
            return None;
        }
        let shifted: Vec<String> = (0..self.steps.len()).map(|i| format!("t{}", before.steps.len() + i)).collect();
        let mut steps: Vec<String> = before.steps.iter().map(|s| renamed(s, "e", &own)).collect();
        // The steps' own names first: an operand becomes a step of `before`.
        steps.extend(self.steps.iter().map(|s| renamed(&renamed(s, "t", &shifted), "e", &mine)));
        let mut functions = before.functions.clone();
        functions.extend(self.functions.iter().filter(|f| !before.functions.contains(f)));
        Some(Chain { steps, functions, operands, reads, flops: before.flops + self.flops })
    }
}
