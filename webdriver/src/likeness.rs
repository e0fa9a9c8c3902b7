//! The order of a wasm file's functions: like ones beside each other, as what compresses a download says a repetition in the fewer bits the
//! nearer it is. Knows the bytes of functions; must never know what they do.

use anyhow::Result;
use std::ops::Range;
use wasm_encoder::{Encode, NameMap, NameSection, Section};
use wasmparser::{Parser, Payload, TypeRef};

/// So many bytes in a row are compared: an instruction or two.
const RUN: usize = 4;
/// The least hashes of its runs that stand for a function (Broder 1997): the share that two have in common is that of all their runs.
const HASHES: usize = 256;
/// An odd number of 64 bits without a pattern: 2^64 by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// A function twice as long has so many of these less in common: what is long has more of everything.
const LENGTH: f32 = 0.01 * HASHES as f32;

/// `wasm` with names of its functions that sort by likeness.
pub fn named(wasm: &[u8]) -> Result<Vec<u8>> {
    let (mut imported, mut bodies) = (0, vec![]);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.range()),
            _ => {}
        }
    }
    let mut places = vec![0; bodies.len()];
    chain(wasm, &bodies).into_iter().enumerate().for_each(|(place, function)| places[function] = place);
    let (mut functions, mut names) = (NameMap::new(), NameSection::new());
    (imported..).zip(&places).for_each(|(function, place)| functions.append(function, &format!("{place:08}")));
    names.functions(&functions);
    let mut named = wasm.to_vec();
    named.push(names.id());
    names.encode(&mut named);
    Ok(named)
}

/// The functions from the longest on, each followed by the one of those left that is most like it.
fn chain(wasm: &[u8], bodies: &[Range<usize>]) -> Vec<usize> {
    let signs: Vec<_> = bodies.iter().map(|body| signs(&wasm[body.clone()])).collect();
    let lengths: Vec<f32> = bodies.iter().map(|body| (body.len() as f32).log2()).collect();
    let mut left: Vec<usize> = (0..bodies.len()).collect();
    left.sort_by_key(|&function| std::cmp::Reverse(bodies[function].len()));
    let (mut chain, mut next) = (vec![], 0);
    while !left.is_empty() {
        let last = left.remove(next);
        chain.push(last);
        let like = |other: usize| {
            let common = signs[last].iter().zip(&signs[other]).filter(|(a, b)| a == b).count();
            common as f32 - LENGTH * (lengths[last] - lengths[other]).abs()
        };
        let best = left.iter().enumerate().map(|(at, &other)| (like(other), at)).max_by(|a, b| a.0.total_cmp(&b.0));
        next = best.map_or(0, |(_, at)| at);
    }
    chain
}

/// The least hash of all runs of a function, by each of [`HASHES`] ways to hash: a product's upper half (Dietzfelbinger 1997).
fn signs(body: &[u8]) -> [u32; HASHES] {
    let mut least = [u32::MAX; HASHES];
    for run in body.windows(RUN) {
        let run = run.iter().fold(0, |run: u64, &byte| run << 8 | u64::from(byte)).wrapping_mul(GOLDEN);
        let run = run ^ run >> 32;
        let mut factor = GOLDEN;
        for least in &mut least {
            *least = (*least).min((run.wrapping_mul(factor) >> 32) as u32);
            factor = factor.wrapping_mul(GOLDEN);
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{CodeSection, Function, FunctionSection, Module, TypeSection};

    /// A file of functions that each add up these numbers.
    fn adding(all: &[Vec<i32>]) -> Vec<u8> {
        let (mut types, mut functions, mut code) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
        types.ty().function([], [wasm_encoder::ValType::I32]);
        for numbers in all {
            functions.function(0);
            let mut function = Function::new([]);
            let mut body = function.instructions();
            body.i32_const(0);
            for &number in numbers {
                body.i32_const(number).i32_add();
            }
            body.end();
            code.function(&function);
        }
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&code);
        module.finish()
    }

    fn names(wasm: &[u8]) -> Vec<String> {
        let mut names = vec![];
        for payload in Parser::new(0).parse_all(wasm) {
            let Payload::CustomSection(section) = payload.unwrap() else { continue };
            let wasmparser::KnownCustom::Name(section) = section.as_known() else { continue };
            for part in section {
                let wasmparser::Name::Function(functions) = part.unwrap() else { continue };
                names.extend(functions.into_iter().map(|name| name.unwrap().name.to_owned()));
            }
        }
        names
    }

    #[test]
    fn like_functions_lie_beside_each_other_and_each_has_a_place() {
        // Of two families, one in turns with the other.
        let family =
            |of: i32, member: i32| (0..60).map(|i| of * (i * 37 % 1000) + i32::from(i == 7) * member).collect();
        let all: Vec<Vec<i32>> = (0..10).map(|i| family(1000 + i % 2 * 7777, i)).collect();
        let wasm = adding(&all);
        let named = named(&wasm).unwrap();
        assert_eq!(named[..wasm.len()], wasm, "nothing else is changed");
        let places: Vec<usize> = names(&named).iter().map(|name| name.parse().unwrap()).collect();
        let mut order: Vec<usize> = (0..10).collect();
        order.sort_by_key(|&function| places[function]);
        assert_eq!(
            {
                let mut all = places.clone();
                all.sort_unstable();
                all
            },
            (0..10).collect::<Vec<_>>()
        );
        let changes = order.windows(2).filter(|two| two[0] % 2 != two[1] % 2).count();
        assert_eq!(changes, 1, "{order:?}");
    }

    #[test]
    fn what_is_no_wasm_is_refused() {
        assert!(named(b"no wasm at all").is_err());
    }
}
