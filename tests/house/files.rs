//! Which file of a crate uses which, as its `use` lines and paths say: names are followed through re-exports to the file
//! that defines them. What stands in the arguments of a macro, or is called as a method, is not seen.
//! Knows Rust's modules; must never know a rule of the house.

use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};
use syn::{Item, UseTree, Visibility};

/// A module by its names from the crate's root.
type Module = Vec<String>;

/// What a file uses, by file.
pub type Uses = BTreeMap<String, BTreeSet<String>>;

/// A name that a module takes from elsewhere.
struct Import {
    path: Vec<String>,
    public: bool,
}

#[derive(Default)]
struct Names {
    file: String,
    /// By the name that it has here; of globs only the paths.
    imports: BTreeMap<String, Import>,
    globs: Vec<Import>,
    paths: Vec<Vec<String>>,
}

/// The uses between `files`, which are one crate: path from its root folder, and text.
pub fn uses(files: &[(String, String)]) -> Uses {
    let mut modules: BTreeMap<Module, Names> = BTreeMap::new();
    for (file, text) in files {
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut reader = Reader { at: module(file), file: file.clone(), modules: &mut modules };
        reader.enter();
        reader.visit_file(&parsed);
    }
    let mut uses = Uses::new();
    for (at, names) in &modules {
        let imports = names.imports.values().chain(&names.globs).filter(|import| !import.public).map(|i| &i.path);
        let all = imports.chain(&names.paths);
        let found = all.filter_map(|path| defined(&modules, at, path, 0)).filter(|file| *file != names.file);
        uses.entry(names.file.clone()).or_default().extend(found);
    }
    uses
}

/// The module that a file is.
fn module(file: &str) -> Module {
    let mut names: Module = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if names.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        names.pop();
    }
    names
}

/// The file that defines what `path` means in module `at`; `None` for what is not of this crate.
fn defined(modules: &BTreeMap<Module, Names>, at: &Module, path: &[String], depth: usize) -> Option<String> {
    let (mut here, mut rest) = (at.clone(), path);
    match path.first()?.as_str() {
        "crate" => (here, rest) = (vec![], &path[1..]),
        "self" => rest = &path[1..],
        _ => {}
    }
    while rest.first().is_some_and(|name| name == "super") {
        here.pop()?;
        rest = &rest[1..];
    }
    let absolute = rest.len() < path.len();
    for (i, name) in rest.iter().enumerate() {
        let child: Module = here.iter().cloned().chain([name.clone()]).collect();
        if modules.contains_key(&child) {
            here = child;
            continue;
        }
        let names = modules.get(&here)?;
        if let Some(import) = names.imports.get(name).filter(|_| depth < 8) {
            let whole: Vec<String> = import.path.iter().chain(&rest[i + 1..]).cloned().collect();
            return if whole == path { None } else { defined(modules, &here, &whole, depth + 1) };
        }
        // A bare name that nobody brought here is of another crate, or of this file.
        return (absolute || i > 0).then(|| names.file.clone());
    }
    modules.get(&here).map(|names| names.file.clone())
}

struct Reader<'a> {
    at: Module,
    file: String,
    modules: &'a mut BTreeMap<Module, Names>,
}

impl Reader<'_> {
    fn enter(&mut self) {
        self.modules.entry(self.at.clone()).or_default().file.clone_from(&self.file);
    }

    fn names(&mut self) -> &mut Names {
        self.modules.entry(self.at.clone()).or_default()
    }

    fn take(&mut self, tree: &UseTree, mut path: Vec<String>, public: bool) {
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.take(&part.tree, path, public);
            }
            UseTree::Group(group) => group.items.iter().for_each(|item| self.take(item, path.clone(), public)),
            UseTree::Glob(_) => self.names().globs.push(Import { path, public }),
            UseTree::Name(_) | UseTree::Rename(_) => {
                let (from, to) = match tree {
                    UseTree::Rename(renamed) => (renamed.ident.to_string(), renamed.rename.to_string()),
                    UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
                    _ => return,
                };
                if from != "self" {
                    path.push(from);
                }
                let name = if to == "self" { path.last().cloned().unwrap_or_default() } else { to };
                self.names().imports.insert(name, Import { path, public });
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Use(line) => self.take(&line.tree, vec![], !matches!(line.vis, Visibility::Inherited)),
            Item::Mod(inline) if inline.content.is_some() => {
                self.at.push(inline.ident.to_string());
                self.enter();
                visit::visit_item(self, item);
                self.at.pop();
            }
            _ => visit::visit_item(self, item),
        }
    }

    /// Who may see a name says nothing of who uses it.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.names().paths.push(names);
        }
        visit::visit_path(self, path);
    }
}

/// A circle of uses, each file using the next and the last the first; `None` where there is none.
pub fn circle(uses: &Uses) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    uses.keys().find_map(|start| from(start, uses, &mut vec![], &mut done))
}

fn from(file: &str, uses: &Uses, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
    if let Some(at) = way.iter().position(|before| before == file) {
        return Some(way[at..].to_vec());
    }
    if done.contains(file) {
        return None;
    }
    way.push(file.to_owned());
    let found = uses.get(file).into_iter().flatten().find_map(|next| from(next, uses, way, done));
    way.pop();
    done.insert(file.to_owned());
    found
}
