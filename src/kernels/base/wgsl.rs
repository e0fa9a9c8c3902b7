//! Assembles a shader's WGSL: the bindings of one call as a header, then the body with its snippets.

use super::call::TAKEN_IN;
use super::{Element, KernelCall};
use crate::error::{Error, Kind, Result};
use std::fmt::Write as _;

/// The WGSL of a call, ready to compile.
///
/// `read_only[i]` says whether slot `i` is bound in a read-only buffer (a weight); all others are `read_write`, since
/// buffers of an arena are written in the same pass. `same_as[i]` is the first slot bound to the very same bytes
/// (`i` itself mostly): WebGPU forbids binding a writable range twice, so such slots share one variable. `halves[i]` says
/// whether the floats of a slot lie there as pairs of f16: what the body reads goes through a function then.
pub fn assemble(call: &KernelCall, read_only: &[bool], same_as: &[usize], halves: &[bool]) -> Result<String> {
    let shader = call.shader;
    let mut body = shader.source.to_owned();
    for (key, text) in &call.snippets {
        body = body.replace(&format!("${{{key}}}"), text);
    }
    if let Some(at) = body.find("${") {
        let key: String = body[at..].chars().take(32).collect();
        return Err(Error::new(Kind::Internal, format!("shader '{}' is not given {key}", shader.name)));
    }
    let mut packed = vec![];
    let mut header = String::from("@group(0) @binding(0) var<uniform> params: Params;\n");
    for (i, (slot, binding)) in shader.slots.iter().chain(&TAKEN_IN).zip(&call.bindings).enumerate() {
        let (name, element) = (slot.name, binding.element.wgsl());
        // Writing to a String cannot fail.
        let _ = writeln!(header, "alias {name}_t = {element};");
        let first = same_as[i];
        if first == i {
            let access = if read_only[i] { "read" } else { "read_write" };
            let number = binding_number(same_as, i);
            let var = format!("@group(0) @binding({number}) var<storage, {access}>");
            if halves[i] {
                packed.push(name);
                let _ = header.write_str(&unpacked(&var, name, binding.element)?);
            } else {
                let _ = writeln!(header, "{var} {name}: array<{name}_t>;");
            }
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
    let body = packed.into_iter().fold(body, |body, name| read_by_call(&body, name));
    Ok(header + &body)
}

/// The variable of a slot whose floats lie as pairs of f16, and the function that reads element `i` of it.
fn unpacked(var: &str, name: &str, element: Element) -> Result<String> {
    let (word, value) = match element {
        Element::F32 => ("u32", "unpack2x16float(NAME_halves[i / 2u])[i % 2u]"),
        Element::Vec4F32 => {
            ("vec2<u32>", "vec4<f32>(unpack2x16float(NAME_halves[i].x), unpack2x16float(NAME_halves[i].y))")
        }
        Element::I32 | Element::U32 => return Err(Error::new(Kind::Internal, format!("'{name}' holds no floats"))),
    };
    let value = value.replace("NAME", name);
    Ok(format!(
        "{var} {name}_halves: array<{word}>;\nfn {name}_unpacked(i: u32) -> {name}_t {{\n    return {value};\n}}\n"
    ))
}

/// Every `name[index]` as `name_unpacked(u32(index))`: an index may be of either sign.
fn read_by_call(text: &str, name: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let indexed = format!("{name}[");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&indexed) {
        let before = rest[..at].chars().next_back().or_else(|| out.chars().next_back());
        let (start, mut depth) = (at + indexed.len(), 1);
        let end = rest[start..].find(|c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            depth == 0
        });
        out.push_str(&rest[..at]);
        match end.filter(|_| !before.is_some_and(is_word)) {
            Some(end) => {
                let index = read_by_call(&rest[start..start + end], name);
                let _ = write!(out, "{name}_unpacked(u32({index}))");
                rest = &rest[start + end + 1..];
            }
            None => {
                out.push_str(&indexed);
                rest = &rest[start..];
            }
        }
    }
    out + rest
}

/// The binding number of slot `i`: its place among slots with a variable of their own, after the uniform.
pub fn binding_number(same_as: &[usize], i: usize) -> usize {
    let first = same_as[i];
    1 + (0..first).filter(|&j| same_as[j] == j).count()
}

/// `value` as a WGSL literal; an infinity, which WGSL cannot write, is the greatest float.
pub fn literal(value: f32) -> String {
    let finite = if value.is_nan() { 0.0 } else { value.clamp(f32::MIN, f32::MAX) };
    // As the exact f64: the shortest text that rounds to the greatest f32 lies above it, which a browser refuses.
    let text = format!("{:e}", f64::from(finite));
    format!("f32({text}{})", if text.contains(['.', 'e']) { "" } else { ".0" })
}

/// Replaces the identifier `from` where it stands as a whole word.
pub(in crate::kernels) fn replace_word(text: &str, from: &str, to: &str) -> String {
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
    fn reads_become_calls_wherever_they_stand() {
        let text = "b[i] + ab[i] + f(b[c[b[0u]]], b_t(b[j + k[2]]))";
        assert_eq!(
            read_by_call(text, "b"),
            "b_unpacked(u32(i)) + ab[i] + f(b_unpacked(u32(c[b_unpacked(u32(0u))])), b_t(b_unpacked(u32(j + k[2]))))"
        );
    }

    #[test]
    fn slots_of_one_tensor_share_a_binding() {
        assert_eq!(binding_number(&[0, 0, 2], 0), 1);
        assert_eq!(binding_number(&[0, 0, 2], 1), 1);
        assert_eq!(binding_number(&[0, 0, 2], 2), 2);
    }
}
