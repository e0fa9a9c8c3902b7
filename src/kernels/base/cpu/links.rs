//! Elementwise operators that follow each other, as values of which each names those that it is computed of; and what becomes of
//! them where several are one loop. Knows terms; must never know registers.

use super::access::Access;
use super::line::{Arithmetic, Gate, Line, Number};
use super::loops::{Loop, Loops, Parameters};

/// What an elementwise operator computes.
#[derive(Clone, Debug)]
pub enum Term {
    /// Of one operand.
    Unary {
        /// The loop.
        by: Loop,
        /// Its parameters.
        parameters: Parameters,
        /// Floating-point operations for each element.
        flops: f64,
        /// The line that it is, if it is one.
        line: Option<Line>,
        /// The gate that it makes, if it does.
        gate: Option<Gate>,
    },
    /// Of two.
    Binary {
        /// The loops.
        by: Loops,
        /// Floating-point operations for each element.
        flops: f64,
        /// What it computes where that can be a line.
        arithmetic: Option<Arithmetic>,
    },
}

/// A value of a chain, before registers are given out.
#[derive(Clone, Debug)]
pub enum Link {
    /// What the chain begins with; the first of all.
    Begun,
    /// An operand; its only element where that is known.
    Load(Access, Option<f32>),
    /// A term of earlier values.
    Term(Term, Vec<usize>),
    /// A line of an earlier value, with the floating-point operations for each element.
    Line(Line, usize, f64),
    /// Part of a line that follows.
    Gone,
}

/// The line that a link is, and of which value.
fn line(links: &[Link], at: usize) -> Option<(Line, usize, f64)> {
    let number = |i: usize| match &links[i] {
        Link::Load(access, value) => Number::of(access, *value),
        _ => None,
    };
    match &links[at] {
        Link::Term(Term::Unary { line: Some(line), flops, .. }, of) => Some((line.clone(), *of.first()?, *flops)),
        Link::Term(Term::Binary { arithmetic: Some(arithmetic), flops, .. }, of) => {
            let &[a, b] = of.as_slice() else { return None };
            match (number(a), number(b)) {
                (_, Some(number)) => Some((arithmetic.line(number, true)?, a, *flops)),
                (Some(number), None) => Some((arithmetic.line(number, false)?, b, *flops)),
                (None, None) => None,
            }
        }
        _ => None,
    }
}

/// `links` with as few as compute the same: lines and gates.
pub fn joined(links: &[Link]) -> Vec<Link> {
    gates(lines(links))
}

/// `links` with lines for what is one, each together with what it alone reads.
fn lines(links: &[Link]) -> Vec<Link> {
    let mut readers = vec![0; links.len()];
    for link in links {
        if let Link::Term(_, of) = link {
            of.iter().for_each(|&i| readers[i] += 1);
        }
    }
    let mut all = links.to_vec();
    for at in 0..links.len() {
        let Some((mut own, mut x, mut flops)) = line(links, at) else { continue };
        if let Link::Line(first, before, more) = &all[x]
            && readers[x] == 1
            && let Some(both) = own.after(first)
        {
            let gone = x;
            (own, x, flops) = (both, *before, flops + more);
            all[gone] = Link::Gone;
        }
        all[at] = Link::Line(own, x, flops);
    }
    all
}

/// How many links read each.
fn readers(links: &[Link]) -> Vec<usize> {
    let mut readers = vec![0; links.len()];
    for link in links {
        match link {
            Link::Term(_, of) => of.iter().for_each(|&i| readers[i] += 1),
            Link::Line(_, x, _) => readers[*x] += 1,
            _ => {}
        }
    }
    readers
}

/// `links` with one loop for what multiplies a value by a function of itself.
fn gates(mut links: Vec<Link>) -> Vec<Link> {
    for at in 0..links.len() {
        let Link::Term(Term::Binary { arithmetic: Some(Arithmetic::Mul), flops, .. }, of) = &links[at] else {
            continue;
        };
        let &[a, b] = of.as_slice() else { continue };
        let (mut flops, readers) = (*flops, readers(&links));
        let Some((x, found)) =
            [(a, b), (b, a)].into_iter().find_map(|(x, g)| Some((x, gated(&links, &readers, x, g)?)))
        else {
            continue;
        };
        let Found { by, mut parameters, gone, flops: more } = found;
        flops += more;
        let mut place = at;
        gone.into_iter().for_each(|gone| links[gone] = Link::Gone);
        // A product by a number that follows.
        let next = (at + 1..links.len()).find(|&next| matches!(&links[next], Link::Line(_, of, _) if *of == at));
        if let Some(next) = next.filter(|_| readers[at] == 1)
            && let Link::Line(line, _, more) = &links[next]
            && let Some((factor, 0.0)) = line.known()
        {
            (parameters[2], parameters[3], flops) = (parameters[2] * factor, parameters[3] * factor, flops + more);
            links[at] = Link::Gone;
            place = next;
        }
        links[place] = Link::Term(Term::Unary { by, parameters, flops, line: None, gate: None }, vec![x]);
    }
    links
}

/// A gate that was found: its loop, what it takes in, and the operations of that.
struct Found {
    by: Loop,
    parameters: Parameters,
    gone: Vec<usize>,
    flops: f64,
}

/// The gate of `x` that `at` is, if it is one that nothing else reads.
fn gated(links: &[Link], readers: &[usize], x: usize, mut at: usize) -> Option<Found> {
    let (mut gone, mut all, mut outer, mut inner) = (vec![], 0.0, (1.0, 0.0), (1.0, 0.0));
    let alone = |at: usize| readers[at] == 1 && at != x;
    if let Link::Line(line, of, flops) = &links[at]
        && let Some(known) = line.known()
    {
        (outer, all) = (known, all + flops);
        gone.push(alone(at).then_some(at)?);
        at = *of;
    }
    let (gate, mut of) = match &links[at] {
        Link::Term(Term::Unary { gate: Some(gate), flops, .. }, of) => {
            all += flops;
            (gate.clone(), *of.first()?)
        }
        Link::Line(line, of, flops) => {
            all += flops;
            (line.gate()?, *of)
        }
        _ => return None,
    };
    gone.push(alone(at).then_some(at)?);
    if of != x
        && let Link::Line(line, from, flops) = &links[of]
        && let Some(known) = line.known()
    {
        (inner, all) = (known, all + flops);
        gone.push(alone(of).then_some(of)?);
        of = *from;
    }
    let Gate { by, of: (factor, offset), bounds: [low, high] } = gate;
    let parameters = [inner.0 * factor, inner.1 * factor + offset, outer.0, outer.1, low, high];
    (of == x).then_some(Found { by, parameters, gone, flops: all })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::base::cpu::loops::{each, each_within};

    fn unary(gate: Option<Gate>) -> Term {
        let by = Loop { apart: |x, y, _| each(x, y, |x| x), within: |y, _| each_within(y, |x| x) };
        Term::Unary { by, parameters: [0.0; 6], flops: 1.0, line: None, gate }
    }

    fn times() -> Term {
        let by = Loops {
            both: |_, _, _| (),
            left: |_, _, _| (),
            right: |_, _, _| (),
            onto: |_, _| (),
            under: |_, _| (),
            onto_one: |_, _| (),
            under_one: |_, _| (),
        };
        Term::Binary { by, flops: 1.0, arithmetic: Some(Arithmetic::Mul) }
    }

    fn line(of: (f32, f32), [low, high]: [f32; 2], x: usize) -> Link {
        Link::Line(Line::of(of.0, of.1, low, high), x, 1.0)
    }

    const FREE: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

    #[test]
    fn what_multiplies_a_value_by_a_function_of_itself_is_one_loop() {
        let gate = Gate { by: Loop { apart: |_, _, _| (), within: |_, _| () }, of: (1.0, 0.0), bounds: [0.0; 2] };
        // x · (g(3 x) + 1) · 0.5, the function first or last.
        for of in [vec![0, 3], vec![3, 0]] {
            let links = [
                Link::Begun,
                line((3.0, 0.0), FREE, 0),
                Link::Term(unary(Some(gate.clone())), vec![1]),
                line((1.0, 1.0), FREE, 2),
                Link::Term(times(), of),
                line((0.5, 0.0), FREE, 4),
            ];
            let joined = gates(links.to_vec());
            assert!(joined[1..5].iter().all(|link| matches!(link, Link::Gone)), "{joined:?}");
            let Link::Term(Term::Unary { parameters, flops, .. }, of) = &joined[5] else { panic!("{joined:?}") };
            assert_eq!((parameters, *flops, of.as_slice()), (&[3.0, 0.0, 0.5, 0.5, 0.0, 0.0], 5.0, &[0][..]));
        }
        // x · min(max(x + 3, 0), 6), and another that reads the bounded value, too.
        let bounded = [Link::Begun, line((1.0, 3.0), [0.0, 6.0], 0), Link::Term(times(), vec![0, 1])];
        let joined = gates(bounded.to_vec());
        let Link::Term(Term::Unary { parameters, .. }, _) = &joined[2] else { panic!("{joined:?}") };
        assert_eq!(parameters, &[1.0, 3.0, 1.0, 0.0, 0.0, 6.0]);
        let shared = [&bounded[..], &[Link::Term(times(), vec![2, 1])]].concat();
        assert!(!matches!(gates(shared)[1], Link::Gone));
        // What is no function of the same value.
        let other = [Link::Begun, Link::Begun, line((1.0, 3.0), [0.0, 6.0], 0), Link::Term(times(), vec![1, 2])];
        assert!(!gates(other.to_vec()).iter().any(|link| matches!(link, Link::Gone)));
    }
}
