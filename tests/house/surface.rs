//! The public surface of the npm package, as its declarations state it: names, members and signatures without a word about them are
//! kept in a file, so that a change of what pages rely on is seen. Knows the declarations' form; must never know what is behind them.

use std::path::{Path, PathBuf};

/// How the kept surface is made anew.
const RENEW: &str = "cargo test --test house renew_the_public_surface -- --ignored";

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file that `pkg/index.d.ts` passes on, where `line` does that.
fn passed_on(line: &str) -> Option<String> {
    let from = line.strip_prefix("export * from './")?.strip_suffix(".js';")?;
    Some(format!("pkg/{from}.d.ts"))
}

/// The package's declarations, by file: those that its entry passes on, in its order, and its own.
fn declarations() -> Vec<(String, String)> {
    let read = |file: String| (file.clone(), std::fs::read_to_string(at(&file)).expect(&file));
    let (entry, text) = read("pkg/index.d.ts".to_owned());
    let own: String = text.lines().filter(|line| passed_on(line).is_none()).map(|line| format!("{line}\n")).collect();
    text.lines().filter_map(passed_on).map(read).chain([(entry, own)]).collect()
}

/// What all of them declare, wherever it stands.
fn surface() -> String {
    let whole: String = declarations().into_iter().map(|(_, text)| bare(&text)).collect();
    let lines = whole.lines().filter(|line| !line.starts_with("import "));
    lines.map(|line| format!("{line}\n")).collect()
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

/// What anyone may name and has no comment of its own: exported items, and each member of these, at any depth, but constructors that
/// nobody may call. Members of a type in one line are named, in backticks, by the comment above that line.
fn unexplained(text: &str) -> Vec<String> {
    let (mut comment, mut found) = (String::new(), vec![]);
    for line in text.lines() {
        let said = line.trim();
        if said.starts_with("/*") || said.starts_with('*') {
            // What has ended is of another line.
            let before = if said.starts_with("/*") { "" } else { &comment };
            comment = format!("{before}{said}\n");
            continue;
        }
        let indented =
            line.starts_with(' ') && said.starts_with(|c: char| c.is_ascii_alphabetic() || "['\"(".contains(c));
        let member = indented && !said.starts_with("private ");
        if line.starts_with("export ") || member {
            if !(comment.starts_with("/**") && comment.ends_with("*/\n")) {
                found.push(said.to_owned());
            }
            let silent = inline(said).into_iter().filter(|name| !comment.contains(&format!("`{name}`")));
            found.extend(silent.map(|name| format!("`{name}` in {said}")));
        }
        comment.clear();
    }
    found
}

/// Names of members of the types that `line` itself writes out, between braces; what a conditional type asks for is none.
fn inline(line: &str) -> Vec<&str> {
    let inside =
        line.split_once('{').filter(|(before, _)| !before.ends_with(" extends ")).map_or("", |(_, inside)| inside);
    let parts = inside.split(['{', '}', ';', '|', '&', '(', ')', ',']).filter_map(|part| part.split_once(':'));
    let names = parts.map(|(name, _)| name.trim().trim_start_matches("readonly ").trim_end_matches('?'));
    names.filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric())).collect()
}

#[test]
fn the_public_surface_is_the_one_that_is_kept() {
    let kept = std::fs::read_to_string(at("tests/house/surface.txt")).unwrap_or_default();
    let now = surface();
    let only = |of: &str, other: &str| {
        let theirs: Vec<&str> = other.lines().collect();
        of.lines().filter(|line| !theirs.contains(line)).map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let (gone, new) = (only(&kept, &now), only(&now, &kept));
    assert!(kept == now, "the package has another surface.\ngone:\n{gone}\nnew:\n{new}\nIf that is meant: {RENEW}");
}

#[test]
#[ignore = "writes the surface that is kept"]
fn renew_the_public_surface() {
    std::fs::write(at("tests/house/surface.txt"), surface()).unwrap();
}

#[test]
fn everything_public_is_explained() {
    let mut found = vec![];
    for (file, text) in declarations() {
        found.extend(unexplained(&text).into_iter().map(|line| format!("{file}: {line}")));
    }
    assert!(found.is_empty(), "these have no comment:\n{}", found.join("\n"));
}

#[test]
fn every_file_of_declarations_is_passed_on_and_can_be_read_at_once() {
    let known = declarations();
    let folder = std::fs::read_dir(at("pkg/types")).unwrap();
    let files = folder.map(|entry| format!("pkg/types/{}", entry.unwrap().file_name().to_string_lossy()));
    let mut faults: Vec<String> = files
        .filter(|file| !known.iter().any(|(name, _)| name == file))
        .map(|file| format!("pkg/index.d.ts does not pass {file} on"))
        .collect();
    let long = known.iter().filter(|(_, text)| text.lines().count() > crate::LINES);
    faults.extend(long.map(|(file, _)| format!("{file} has more than {} lines: split it", crate::LINES)));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_no_comment_stays() {
    let text = "/** Says /* what. */\nexport type A = '/*' | \"//\"; // one\n\n  b: 1; /* two\n */\n";
    assert_eq!(bare(text), "export type A = '/*' | \"//\";\n  b: 1;\n");
}

#[test]
fn what_has_no_comment_is_found() {
    let class = "/** A. */\nexport class A {\n  private constructor();\n  a: 1;\n  /** B. */\n  b(): 1;\n}\nexport type B = 1;\n";
    assert_eq!(unexplained(class), ["a: 1;", "export type B = 1;"]);
    let deep = "/** C. */\nexport type C = {\n  /** D. */\n  d?: {\n    e: 1;\n    /* F. */\n    f: 1;\n  };\n};\n";
    assert_eq!(unexplained(deep), ["e: 1;", "f: 1;"]);
    let line = "/** `g`. */\nexport type G = { readonly g: 1; h?: { i: 1 } };\n/** J. */\nexport type J =\n  | 'k'\n  | { l: 1 };\n";
    assert_eq!(
        unexplained(line),
        [
            "`h` in export type G = { readonly g: 1; h?: { i: 1 } };",
            "`i` in export type G = { readonly g: 1; h?: { i: 1 } };"
        ]
    );
}
