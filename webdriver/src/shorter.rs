//! Short names for what a page's wasm asks its JavaScript for: wasm-bindgen's end in a hash, which no compression makes smaller, and stand in
//! both. Knows names; must never know what they stand for.

use anyhow::{Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use wasm_encoder::{EntityType, ImportSection, Module, RawSection};
use wasmparser::{Parser, Payload};

/// Hexadecimal digits of a hash.
const HASH: usize = 16;

/// Renames in `NAME_bg.wasm` and the `NAME.js` beside it.
pub fn names(out: &Path, name: &str) -> Result<()> {
    let (wasm, script) = (out.join(format!("{name}_bg.wasm")), out.join(format!("{name}.js")));
    let (bytes, text) = (std::fs::read(&wasm)?, std::fs::read_to_string(&script)?);
    let long = imported(&bytes)?;
    let short = short(&long);
    std::fs::write(&script, said(&text, &short)?)?;
    Ok(std::fs::write(&wasm, asked(&bytes, &short)?)?)
}

/// What the functions that a file imports are called.
fn imported(wasm: &[u8]) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ImportSection(imports) = payload? {
            for import in imports.into_imports() {
                names.insert(import?.name.to_owned());
            }
        }
    }
    Ok(names)
}

/// For each name that ends in a hash one without, and with a number, as several may be the same then.
fn short(names: &BTreeSet<String>) -> BTreeMap<&str, String> {
    let (mut taken, mut all) = (BTreeMap::<&str, usize>::new(), BTreeMap::new());
    for name in names {
        let Some((stem, hash)) = name.rsplit_once('_') else { continue };
        if hash.len() != HASH || !hash.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            continue;
        }
        let stem = stem.trim_start_matches('_');
        let stem = stem.split_once('_').map_or(stem, |(_, stem)| stem);
        let count = taken.entry(stem).or_default();
        *count += 1;
        all.insert(name.as_str(), format!("{stem}${count}"));
    }
    all
}

/// A script in which the members of these names have their short ones.
fn said(script: &str, short: &BTreeMap<&str, String>) -> Result<String> {
    let mut said = script.to_owned();
    for (long, short) in short {
        if script.matches(long).count() != 1 {
            bail!("'{long}' does not stand once in the script");
        }
        said = said.replace(long, short);
    }
    Ok(said)
}

/// A file that imports by the short names.
fn asked(wasm: &[u8], short: &BTreeMap<&str, String>) -> Result<Vec<u8>> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if let Payload::ImportSection(imports) = &payload {
            let mut section = ImportSection::new();
            for import in imports.clone().into_imports() {
                let import = import?;
                let name = short.get(import.name).map_or(import.name, String::as_str);
                section.import(import.module, name, EntityType::try_from(import.ty)?);
            }
            module.section(&section);
        } else if let Some((id, range)) = payload.as_section() {
            module.section(&RawSection { id, data: &wasm[range] });
        }
    }
    Ok(module.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_nobody_else_s() {
        let names =
            ["__wbg_set_0123456789abcdef", "__wbg_set_fedcba9876543210", "__wbg_set_view_0123456789abcdef", "plain"];
        let names: BTreeSet<String> = names.map(str::to_owned).into();
        let short = short(&names);
        assert_eq!(short.values().collect::<Vec<_>>(), ["set$1", "set$2", "set_view$1"]);
        assert!(!short.contains_key("plain"));
        let script = "{ __wbg_set_fedcba9876543210: 1, __wbg_set_0123456789abcdef: 2, __wbg_set_view_0123456789abcdef: 3, plain: 4 }";
        assert_eq!(said(script, &short).unwrap(), "{ set$2: 1, set$1: 2, set_view$1: 3, plain: 4 }");
        assert!(said("{}", &short).is_err(), "the script asks for other names");
    }

    #[test]
    fn a_file_asks_by_the_short_names_and_is_the_same_else() {
        let mut imports = ImportSection::new();
        imports.import("./x.js", "__wbg_set_0123456789abcdef", EntityType::Function(0));
        let mut types = wasm_encoder::TypeSection::new();
        types.ty().function([], []);
        let mut module = Module::new();
        module.section(&types).section(&imports);
        let wasm = module.finish();
        let names = imported(&wasm).unwrap();
        let asked = asked(&wasm, &short(&names)).unwrap();
        assert_eq!(imported(&asked).unwrap(), BTreeSet::from(["set$1".to_owned()]));
        assert_eq!(asked.len(), wasm.len() - "__wbg_".len() - HASH - 1 + "$1".len());
    }
}
