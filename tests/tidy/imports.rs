//! Owns: reading the imports of a file, and finding circles among files.
//! Never: deciding which imports are allowed.
//!
//! Imports are `use` lines as rustfmt writes them; `tidy.rs` forbids any other path into another file.

use std::collections::{BTreeMap, BTreeSet};

/// The sources by their paths from the root of the tree.
pub type Tree = BTreeMap<String, String>;

/// A path of a `use` line, from the root of the crate, and the number of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub path: Vec<String>,
    pub line: usize,
    is_public: bool,
}

/// Returns the module that a file holds: `store`, `jobs` for `src/store/jobs.rs`.
pub fn module_of(file: &str) -> Vec<String> {
    let inside = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
    let mut parts: Vec<String> = inside.split('/').map(str::to_owned).collect();
    parts.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
    parts
}

/// Returns the imports of a file from its own crate. A name of another crate becomes a path below the file.
pub fn imports(file: &str, source: &str) -> Vec<Import> {
    let mut module = module_of(file);
    let depth = module.len();
    let mut found = Vec::new();
    let mut lines = source.lines().zip(1..);
    while let Some((text, line)) = lines.next() {
        // An inline module ends at a brace in the first column.
        match text.strip_suffix(" {").and_then(|head| head.trim_start_matches("pub ").strip_prefix("mod ")) {
            Some(name) => module.push(name.to_owned()),
            None if text == "}" => module.truncate(depth),
            None => {}
        }
        let text = text.trim_start();
        let Some(at) = text.find("use ").filter(|at| *at == 0 || text.starts_with("pub")) else { continue };
        let mut tree = text[at + 4..].to_owned();
        while !tree.contains(';') {
            tree.push_str(lines.next().expect("a `use` ends").0.trim_start());
        }
        for name in unfold(tree.split(';').next().unwrap_or_default()) {
            found.push(Import { path: absolute(&name, &module), line, is_public: at > 0 });
        }
    }
    found
}

/// Splits `a::{b, c::{d, e as f}}` into `a::b`, `a::c::d` and `a::c::e`.
fn unfold(tree: &str) -> Vec<String> {
    let Some((head, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or(tree).trim().to_owned()];
    };
    let inside = &rest[..rest.rfind('}').unwrap_or(rest.len())];
    let mut depth = 0;
    let parts = inside.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let parts = parts.filter(|part| !part.trim().is_empty());
    parts.flat_map(unfold).map(|part| format!("{head}{part}")).collect()
}

fn absolute(name: &str, module: &[String]) -> Vec<String> {
    let mut path = module.to_vec();
    for part in name.split("::") {
        match part {
            "crate" => path.clear(),
            "super" => drop(path.pop()),
            "self" => {}
            part => path.push(part.to_owned()),
        }
    }
    path
}

/// Each file of `src/`, with the files that it imports.
pub struct Graph(pub BTreeMap<String, BTreeSet<String>>);

impl Graph {
    /// A file that gets something from the modules around it is a part of them, and does not count.
    pub fn of(tree: &Tree) -> Self {
        let files: BTreeMap<Vec<String>, &String> =
            tree.keys().filter(|file| file.starts_with("src/")).map(|file| (module_of(file), file)).collect();
        let all = files.values().map(|file| (file.as_str(), imports(file, &tree[*file])));
        let all: Vec<(&str, Vec<Import>)> = all.collect();
        // `pub use` in a module stands for the file that has the name.
        let public = all.iter().flat_map(|(file, imports)| imports.iter().map(move |import| (file, import)));
        let public = public.filter(|(_, import)| import.is_public);
        let stands_for: BTreeMap<Vec<String>, &Vec<String>> = public
            .filter_map(|(file, import)| {
                Some(([module_of(file), vec![import.path.last()?.clone()]].concat(), &import.path))
            })
            .collect();
        let home = |path: &Vec<String>| {
            let path = (0..4).fold(path, |path, _| stands_for.get(path).copied().unwrap_or(path));
            (1..=path.len()).rev().find_map(|length| files.get(&path[..length])).map(ToString::to_string)
        };
        let edges = all.iter().map(|(file, imports)| {
            let own = module_of(file);
            let of_code = imports.iter().filter(|import| !import.is_public);
            let homes = of_code.filter_map(|import| home(&import.path));
            ((*file).to_owned(), homes.filter(|home| !own.starts_with(&module_of(home))).collect())
        });
        Self(edges.collect())
    }

    /// Returns each set of files of which every one leads to every other.
    pub fn circles(&self) -> BTreeSet<Vec<&str>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            self.0.keys().map(|file| (file.as_str(), self.reached(file))).collect();
        let circle = |file: &str| {
            let leads_back = |other: &&str| reached[other].contains(file);
            reached[file].iter().copied().filter(leads_back).collect::<Vec<_>>()
        };
        self.0.keys().map(|file| circle(file)).filter(|circle| !circle.is_empty()).collect()
    }

    fn reached<'a>(&'a self, start: &'a str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut open = vec![start];
        while let Some(file) = open.pop() {
            let next = self.0.get(file).into_iter().flatten().map(String::as_str);
            open.extend(next.filter(|next| found.insert(*next)));
        }
        found
    }
}
