//! WGSL from its files without what only its readers need: comments, indentation and empty lines are left out when the crate
//! is compiled, so that no page downloads them. Knows WGSL's comments; must never know what a shader computes.

/// The WGSL of the files named, one after the other, lean.
macro_rules! lean {
    ($($file:literal),+) => {{
        const WHOLE: &str = concat!($(include_str!($file)),+);
        const LENGTH: usize = $crate::kernels::base::lean::without::<0>(WHOLE).1;
        const LEAN: [u8; LENGTH] = $crate::kernels::base::lean::without(WHOLE).0;
        const TEXT: &str = $crate::kernels::base::lean::text(&LEAN);
        TEXT
    }};
}
pub(in crate::kernels) use lean;

/// The first `N` bytes of `whole` made lean, and how many it has.
pub(in crate::kernels) const fn without<const N: usize>(whole: &str) -> ([u8; N], usize) {
    let from = whole.as_bytes();
    let (mut to, mut length, mut at) = ([0; N], 0, 0);
    while at < from.len() {
        let mut first = at;
        while first < from.len() && from[first] == b' ' {
            first += 1;
        }
        // The last byte that is code, one further.
        let (mut i, mut code) = (first, first);
        while i < from.len() && from[i] != b'\n' && !(from[i] == b'/' && i + 1 < from.len() && from[i + 1] == b'/') {
            i += 1;
            if from[i - 1] != b' ' {
                code = i;
            }
        }
        while i < from.len() && from[i] != b'\n' {
            i += 1;
        }
        let mut next = first;
        while next < code {
            if length < N {
                to[length] = from[next];
            }
            length += 1;
            next += 1;
        }
        if code > first {
            if length < N {
                to[length] = b'\n';
            }
            length += 1;
        }
        at = i + 1;
    }
    (to, length)
}

/// `bytes` as text: what is left of UTF-8 after whole lines and comments went is UTF-8.
pub(in crate::kernels) const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // Nobody meets it: it is evaluated when the crate is compiled.
        Err(_) => unreachable!(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_indentation_and_empty_lines_go() {
        let whole = "// Für × alle.\nfn f() {\n\n    let a = b / c;   // why\n        ${load}\n    // no\n}\n\nend";
        let (bytes, length) = without::<100>(whole);
        assert_eq!(std::str::from_utf8(&bytes[..length]), Ok("fn f() {\nlet a = b / c;\n${load}\n}\nend\n"));
    }
}
