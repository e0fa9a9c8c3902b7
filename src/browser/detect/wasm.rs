//! What of WebAssembly the browser takes: tiny modules that it is asked to validate, each of one proposal. Knows bytes; must
//! never know what uses them.

use serde::{Deserialize, Serialize};

/// Which proposals the browser takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wasm {
    /// 128-bit SIMD.
    pub simd: bool,
    /// Relaxed SIMD.
    pub relaxed_simd: bool,
    /// Shared memory and atomics; a page may make one only where it is cross-origin isolated.
    pub threads: bool,
    /// Memories above 4 GiB.
    pub memory64: bool,
}

const HEAD: &[u8] = b"\0asm\x01\0\0\0";
/// One function type, of no parameters and one v128.
const GIVES_V128: &[u8] = &[1, 5, 1, 0x60, 0, 1, 0x7b];
/// One function type, of no parameters and no results.
const GIVES_NOTHING: &[u8] = &[1, 4, 1, 0x60, 0, 0];
/// One function, of the first type.
const ONE_FUNCTION: &[u8] = &[3, 2, 1, 0];
/// `i8x16.splat` of 0.
const SPLAT: &[u8] = &[10, 8, 1, 6, 0, 0x41, 0, 0xfd, 0x0f, 0x0b];
/// `f32x4.relaxed_madd` of three splats.
const RELAXED_MADD: &[u8] =
    &[10, 19, 1, 17, 0, 0x41, 0, 0xfd, 0x0f, 0x41, 0, 0xfd, 0x0f, 0x41, 0, 0xfd, 0x0f, 0xfd, 0x85, 0x02, 0x0b];
/// One shared memory of one page.
const SHARED_MEMORY: &[u8] = &[5, 4, 1, 3, 1, 1];
/// `i32.atomic.load` of address 0, dropped.
const ATOMIC_LOAD: &[u8] = &[10, 11, 1, 9, 0, 0x41, 0, 0xfe, 0x10, 2, 0, 0x1a, 0x0b];
/// One memory of one page with 64-bit addresses.
const MEMORY64: &[u8] = &[5, 3, 1, 4, 1];

fn module(sections: &[&[u8]]) -> Vec<u8> {
    [&[HEAD], sections].concat().concat()
}

impl Wasm {
    /// Asks `validate` of each.
    pub fn by(validate: impl Fn(&[u8]) -> bool) -> Wasm {
        let takes = |sections: &[&[u8]]| validate(&module(sections));
        // One that takes anything tells nothing.
        if !takes(&[]) || takes(&[&[10, 1]]) {
            return Wasm::default();
        }
        Wasm {
            simd: takes(&[GIVES_V128, ONE_FUNCTION, SPLAT]),
            relaxed_simd: takes(&[GIVES_V128, ONE_FUNCTION, RELAXED_MADD]),
            threads: takes(&[GIVES_NOTHING, ONE_FUNCTION, SHARED_MEMORY, ATOMIC_LOAD]),
            memory64: takes(&[MEMORY64]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether every section says its own length, and comes after those of lower numbers.
    fn well_formed(bytes: &[u8]) -> bool {
        let Some(mut rest) = bytes.strip_prefix(HEAD) else { return false };
        let mut last = 0;
        while let [id, length, body @ ..] = rest {
            if *id <= last || body.len() < *length as usize {
                return false;
            }
            (last, rest) = (*id, &body[*length as usize..]);
        }
        rest.is_empty()
    }

    #[test]
    fn the_modules_are_well_formed_and_all_are_asked() {
        let every = Wasm { simd: true, relaxed_simd: true, threads: true, memory64: true };
        assert_eq!(Wasm::by(well_formed), every);
    }

    #[test]
    fn a_browser_that_takes_anything_or_nothing_is_not_believed() {
        assert_eq!(Wasm::by(|_| true), Wasm::default());
        assert_eq!(Wasm::by(|_| false), Wasm::default());
    }

    #[test]
    fn each_is_asked_alone() {
        let no_relaxed = Wasm::by(|bytes| well_formed(bytes) && !bytes.ends_with(RELAXED_MADD));
        assert_eq!(no_relaxed, Wasm { simd: true, relaxed_simd: false, threads: true, memory64: true });
    }
}
