//! The public surface of the npm package, as its declarations state it: names, members and signatures without a word about them are
//! kept in a file, so that a change of what pages rely on is seen. Knows the declarations' form; must never know what is behind them.

use std::path::{Path, PathBuf};

/// How the kept surface is made anew.
const RENEW: &str = "cargo test --test house renew_the_public_surface -- --ignored";

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn declarations() -> String {
    std::fs::read_to_string(at("pkg/index.d.ts")).unwrap()
}

/// `text` without comments, trailing blanks and empty lines; what looks like a comment in quotes is none.
fn bare(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else {
            let taken = match first {
                '\'' | '"' | '`' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
                _ => first.len_utf8(),
            };
            out.push_str(&rest[..taken]);
            taken
        };
        rest = &rest[skipped..];
    }
    let lines = out.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

/// What anyone may name and has no comment of its own: exported items, and methods of classes but constructors that nobody may call.
fn unexplained(text: &str) -> Vec<String> {
    let (mut before, mut class, mut found) = ("", false, vec![]);
    for line in text.lines() {
        let exported = line.starts_with("export ");
        if exported || line.starts_with('}') {
            class = line.starts_with("export class ");
        }
        let member = line.strip_prefix("  ").filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
        let method = class && member.is_some_and(|rest| rest.contains('(') && !rest.starts_with("private "));
        if (exported || method) && !before.trim_end().ends_with("*/") {
            found.push(line.trim().to_owned());
        }
        before = line;
    }
    found
}

#[test]
fn the_public_surface_is_the_one_that_is_kept() {
    let kept = std::fs::read_to_string(at("tests/house/surface.txt")).unwrap_or_default();
    let now = bare(&declarations());
    let only = |of: &str, other: &str| {
        let theirs: Vec<&str> = other.lines().collect();
        of.lines().filter(|line| !theirs.contains(line)).map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let (gone, new) = (only(&kept, &now), only(&now, &kept));
    assert!(kept == now, "pkg/index.d.ts is another surface.\ngone:\n{gone}\nnew:\n{new}\nIf that is meant: {RENEW}");
}

#[test]
#[ignore = "writes the surface that is kept"]
fn renew_the_public_surface() {
    std::fs::write(at("tests/house/surface.txt"), bare(&declarations())).unwrap();
}

#[test]
fn everything_public_is_explained() {
    let found = unexplained(&declarations());
    assert!(found.is_empty(), "in pkg/index.d.ts these have no comment:\n{}", found.join("\n"));
}

#[test]
fn what_is_no_comment_stays() {
    let text = "/** Says /* what. */\nexport type A = '/*' | \"//\"; // one\n\n  b: 1; /* two\n */\n";
    assert_eq!(bare(text), "export type A = '/*' | \"//\";\n  b: 1;\n");
    let class = "/** A. */\nexport class A {\n  private constructor();\n  a: 1;\n  b(): 1;\n}\nexport type B = 1;\n";
    assert_eq!(unexplained(class), ["b(): 1;", "export type B = 1;"]);
}
