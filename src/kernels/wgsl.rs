//! Assembles a shader's WGSL: the bindings of one call as a header, then the body with its snippets.

use super::KernelCall;
use super::call::TAKEN_IN;
use crate::error::{Error, Kind, Result};
use std::fmt::Write as _;

/// The WGSL of a call, ready to compile.
///
/// `read_only[i]` says whether slot `i` is bound in a read-only buffer (a weight); all others are `read_write`, since
/// buffers of an arena are written in the same pass. `same_as[i]` is the first slot bound to the very same bytes
/// (`i` itself mostly): WebGPU forbids binding a writable range twice, so such slots share one variable.
pub fn assemble(call: &KernelCall, read_only: &[bool], same_as: &[usize]) -> Result<String> {
    let shader = call.shader;
    let mut body = shader.source.to_owned();
    for (key, text) in &call.snippets {
        body = body.replace(&format!("${{{key}}}"), text);
    }
    if let Some(at) = body.find("${") {
        let key: String = body[at..].chars().take(32).collect();
        return Err(Error::new(Kind::Internal, format!("shader '{}' is not given {key}", shader.name)));
    }
    let mut header = String::from("@group(0) @binding(0) var<uniform> params: Params;\n");
    for (i, (slot, binding)) in shader.slots.iter().chain(&TAKEN_IN).zip(&call.bindings).enumerate() {
        let (name, element) = (slot.name, binding.element.wgsl());
        // Writing to a String cannot fail.
        let _ = writeln!(header, "alias {name}_t = {element};");
        let first = same_as[i];
        if first == i {
            let access = if read_only[i] { "read" } else { "read_write" };
            let number = binding_number(same_as, i);
            let _ = writeln!(header, "@group(0) @binding({number}) var<storage, {access}> {name}: array<{name}_t>;");
        } else {
            if call.bindings[first].element != binding.element || slot.writes {
                return Err(Error::new(
                    Kind::Internal,
                    format!("shader '{}' binds one tensor in two ways", shader.name),
                ));
            }
            body = replace_word(
                &body,
                name,
                if let Some(slot) = shader.slots.get(first) {
                    slot.name
                } else {
                    TAKEN_IN[first - shader.slots.len()].name
                },
            );
        }
    }
    Ok(header + &body)
}

/// The binding number of slot `i`: its place among slots with a variable of their own, after the uniform.
pub fn binding_number(same_as: &[usize], i: usize) -> usize {
    let first = same_as[i];
    1 + (0..first).filter(|&j| same_as[j] == j).count()
}

/// Replaces the identifier `from` where it stands as a whole word.
pub(super) fn replace_word(text: &str, from: &str, to: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let before = rest[..at].chars().next_back().or_else(|| out.chars().next_back());
        let after = rest[at + from.len()..].chars().next();
        out.push_str(&rest[..at]);
        let whole = !before.is_some_and(is_word) && !after.is_some_and(is_word);
        out.push_str(if whole { to } else { from });
        rest = &rest[at + from.len()..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_replaced() {
        assert_eq!(replace_word("b[i] + ab + b_t + bb * b", "b", "a"), "a[i] + ab + b_t + bb * a");
    }

    #[test]
    fn slots_of_one_tensor_share_a_binding() {
        assert_eq!(binding_number(&[0, 0, 2], 0), 1);
        assert_eq!(binding_number(&[0, 0, 2], 1), 1);
        assert_eq!(binding_number(&[0, 0, 2], 2), 2);
    }
}
