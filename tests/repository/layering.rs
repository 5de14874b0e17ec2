//! Which part of `src` may know which: the rules of the layout, held over the source text.
//!
//! A file knows what it names: in a `use`, or by a path that starts with `crate`, `self`, `super` or a module. Comments
//! and strings do not count, nor does it that a module hands on what its own submodules have (`pub use`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::names::{Named, names};
use crate::source::files;
use Rule::{Entries, Lines, Never, NoCircle};

/// The rules: what a failure calls each, and what it asks for.
const RULES: [(&str, Rule); 14] = [
    (
        "a frame knows no direction",
        Never(&["frame/"], &["crate::receiver", "crate::sender", "crate::connection"]),
    ),
    ("a direction, and what it stands on, knows no handshake", Never(DIRECTIONS, &["crate::handshake"])),
    ("the core knows no adapter", Never(CORE, &["crate::endpoint", "crate::blocking", "crate::tokio"])),
    ("the core knows no HTTP but its own", Never(CORE, &["crate::http", "http"])),
    ("the core does no I/O, reads no clock, draws no randomness", Never(CORE, OUTSIDE)),
    ("an endpoint knows no adapter", Never(&["endpoint/"], &["crate::blocking", "crate::tokio"])),
    ("an endpoint knows no transport", Never(&["endpoint/"], &["std::net", "tokio", "tokio_rustls"])),
    ("no adapter knows the other", Never(&["blocking/"], &["crate::tokio", "tokio", "tokio_rustls"])),
    ("no adapter knows the other", Never(&["tokio/"], &["crate::blocking"])),
    (
        "no adapter knows an HTTP library",
        Never(&["endpoint/", "blocking/", "tokio/"], &["crate::http", "http", "hyper", "axum_core"]),
    ),
    ("a name comes from where it is defined, not from the root", Never(&[""], &["crate::Name"])),
    // What is wrong with a frame may be its close code, and what is wrong with a close code is an error.
    ("no circle of files", NoCircle(&[("error.rs", "frame/")])),
    ("at most 450 lines in a file", Lines(450, &[("receiver.rs", "one machine, better seen whole")])),
    ("at most 18 entries in the root", Entries(18)),
];

/// The two directions, and what they stand on.
const DIRECTIONS: &[&str] = &[
    "config.rs",
    "connection/",
    "error.rs",
    "frame/",
    "message/",
    "receiver.rs",
    "role.rs",
    "sender.rs",
    "utf8/",
];

const CORE: &[&str] = &[
    "config.rs",
    "connection/",
    "error.rs",
    "extension/",
    "frame/",
    "handshake/",
    "message/",
    "receiver.rs",
    "role.rs",
    "sender.rs",
    "utf8/",
];

const OUTSIDE: &[&str] = &["std::net", "std::fs", "std::thread", "tokio", "rand", "Instant::now"];

/// Files are paths in `src`; a folder ends with a slash, and is all that is in it.
enum Rule {
    /// These files name none of these paths, nor what is in them. `Name` stands for any name in capitals.
    Never(&'static [&'static str], &'static [&'static str]),
    /// No file knows one that knows it, be it through others, but for what these pairs have with each other.
    NoCircle(&'static [(&'static str, &'static str)]),
    /// No file has more lines, but for these, each with its reason.
    Lines(usize, &'static [(&'static str, &'static str)]),
    /// `src` itself has no more files and folders.
    Entries(usize),
}

#[test]
fn the_layout_is_kept() {
    let tree = Tree::new(files("src"));
    let faults: BTreeSet<_> = RULES.iter().flat_map(|(name, rule)| rule.faults(name, &tree)).collect();
    let shown: Vec<_> =
        faults.iter().map(|fault| format!("src/{}:{}: {}", fault.file, fault.line, fault.what)).collect();
    assert!(shown.is_empty(), "\n{}\n", shown.join("\n"));
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    file: String,
    line: usize,
    /// The rule, and what breaks it.
    what: String,
}

impl Rule {
    fn faults(&self, name: &str, tree: &Tree) -> Vec<Fault> {
        let fault =
            |file: &str, line, what: &str| Fault { file: file.into(), line, what: format!("{name}: {what}") };
        let mut faults = Vec::new();
        match self {
            Never(parts, paths) => {
                for part in *parts {
                    let mut files = tree.files.iter().filter(|file| is_in(&file.path, part)).peekable();
                    if files.peek().is_none() {
                        faults.push(fault(part, 0, "there is no such file"));
                    }
                    for (file, named) in
                        files.flat_map(|file| file.names.iter().map(move |named| (file, named)))
                    {
                        if paths.iter().any(|path| is_below(&named.path, path)) {
                            faults.push(fault(&file.path, named.line, &named.path.join("::")));
                        }
                    }
                }
            }
            NoCircle(but) => {
                let pair =
                    |a: &str, b: &str| but.iter().any(|(left, right)| is_in(a, left) && is_in(b, right));
                let mut arrows = tree.arrows();
                arrows.retain(|(from, to), _| !pair(from, to) && !pair(to, from));
                for ((from, to), line) in &arrows {
                    if let Some(back) = way(&arrows, to, from) {
                        faults.push(fault(from, *line, &format!("{from} -> {}", back.join(" -> "))));
                    }
                }
            }
            Lines(most, but) => {
                for File { path, lines, .. } in &tree.files {
                    match (lines > most, but.iter().any(|(excepted, _)| excepted == path)) {
                        (true, false) => faults.push(fault(path, *lines, "longer")),
                        (false, true) => faults.push(fault(path, *lines, "short, and excepted")),
                        _ => {}
                    }
                }
            }
            Entries(most) => {
                let entries: BTreeSet<_> =
                    tree.files.iter().map(|file| file.path.split('/').next()).collect();
                if entries.len() > *most {
                    faults.push(fault("", 0, &format!("{} entries", entries.len())));
                }
            }
        }
        faults
    }
}

fn is_in(file: &str, part: &str) -> bool {
    file == part || (part.is_empty() || part.ends_with('/')) && file.starts_with(part)
}

/// Whether `path` is what a rule names, or in it.
fn is_below(path: &[String], named: &str) -> bool {
    let named: Vec<_> = named.split("::").collect();
    let is_alike = |(part, named): (&String, &&str)| {
        part == named || *named == "Name" && part.starts_with(|c: char| c.is_ascii_uppercase())
    };
    path.len() >= named.len() && path.iter().zip(&named).all(is_alike)
}

/// The shortest way along the arrows, both ends included.
fn way(arrows: &BTreeMap<(String, String), usize>, from: &str, to: &str) -> Option<Vec<String>> {
    let (mut ways, mut seen) = (VecDeque::from([vec![from.to_owned()]]), BTreeSet::from([from.to_owned()]));
    while let Some(way) = ways.pop_front() {
        let last = &way[way.len() - 1];
        if last == to {
            return Some(way);
        }
        for (_, next) in arrows.keys().filter(|(from, _)| from == last) {
            if seen.insert(next.clone()) {
                ways.push_back([&way[..], std::slice::from_ref(next)].concat());
            }
        }
    }
    None
}

/// All files of the crate.
struct Tree {
    files: Vec<File>,
}

struct File {
    path: String,
    lines: usize,
    /// The parts of its path in the crate; `crate` is the first.
    module: Vec<String>,
    names: Vec<Named>,
}

impl Tree {
    fn new(sources: impl IntoIterator<Item = (String, String)>) -> Self {
        let file = |(path, source): (String, String)| {
            let stem =
                path.strip_suffix("/mod.rs").or(path.strip_suffix(".rs")).filter(|stem| *stem != "lib");
            let parts = ["crate"].into_iter().chain(stem.into_iter().flat_map(|stem| stem.split('/')));
            let module: Vec<_> = parts.map(str::to_owned).collect();
            File { lines: source.lines().count(), names: names(&source, &module), module, path }
        };
        Self { files: sources.into_iter().map(file).collect() }
    }

    fn module(&self, path: &[String]) -> Option<&File> {
        self.files.iter().find(|file| file.module == path)
    }

    /// Which file knows which, and a line that says so.
    fn arrows(&self) -> BTreeMap<(String, String), usize> {
        let mut arrows = BTreeMap::new();
        for file in &self.files {
            for named in &file.names {
                if named.is_public && named.path.starts_with(&file.module) {
                    continue;
                }
                for to in self.defined(&self.through_import(file, named)) {
                    if to.path != file.path {
                        arrows.entry((file.path.clone(), to.path.clone())).or_insert(named.line);
                    }
                }
            }
        }
        arrows
    }

    /// The path from the root, also of one that starts with a module that was imported.
    fn through_import(&self, file: &File, named: &Named) -> Vec<String> {
        let start = file.names.iter().find(|import| import.import.as_ref() == named.path.first());
        match start.filter(|import| self.module(&import.path).is_some()) {
            Some(import) => [&import.path[..], &named.path[1..]].concat(),
            None => named.path.clone(),
        }
    }

    /// The files that define what this path names, not those that hand it on: several, where features choose. None for
    /// a module, since what is named in it has a path of its own.
    fn defined(&self, path: &[String]) -> Vec<&File> {
        let file = |len| Some((self.module(&path[..len])?, &path[len..]));
        let Some((file, [name, rest @ ..])) = (1..=path.len()).rev().find_map(file) else {
            return Vec::new();
        };
        let handed_on = |named: &&Named| named.is_public && named.import.as_ref() == Some(name);
        let mut sources = file.names.iter().filter(handed_on).peekable();
        if sources.peek().is_none() {
            return vec![file];
        }
        sources.flat_map(|named| self.defined(&[&named.path[..], rest].concat())).collect()
    }
}

/// Each kind of fault is reported, with its place; what may be is not.
#[test]
fn faults_are_found() {
    let sources = [
        ("lib.rs", "mod a; mod b; mod deep; mod c; pub use b::B;"),
        ("a.rs", "// Two lines.\nuse crate::deep::Deep; use crate::B;"),
        ("b.rs", "use super::deep; fn f() { deep::low::f() } use crate::c::C;"),
        ("c.rs", "use crate::b::B;"),
        ("deep/mod.rs", "mod low; mod other; pub use low::Deep; pub use other::Deep;"),
        ("deep/low.rs", "use super::super::a::A;"),
        ("deep/other.rs", "fn f() { crate::b::f() }"),
    ];
    let tree = Tree::new(sources.map(|(path, source)| (path.to_owned(), source.to_owned())));
    let found = |rule: Rule| {
        let show = |fault: Fault| format!("{}:{}: {}", fault.file, fault.line, fault.what);
        rule.faults("rule", &tree).into_iter().map(show).collect::<Vec<_>>()
    };
    let named = found(Never(&["deep/", "c.rs", "d.rs"], &["crate::a", "crate::b::B"]));
    assert_eq!(
        named,
        [
            "deep/low.rs:1: rule: crate::a::A",
            "c.rs:1: rule: crate::b::B",
            "d.rs:0: rule: there is no such file"
        ]
    );
    assert_eq!(found(Never(&[""], &["crate::Name"])), ["a.rs:2: rule: crate::B"]);
    let circles = found(NoCircle(&[("b.rs", "c.rs")]));
    assert_eq!(
        circles,
        [
            "a.rs:2: rule: a.rs -> b.rs -> deep/low.rs -> a.rs",
            "a.rs:2: rule: a.rs -> deep/low.rs -> a.rs",
            "a.rs:2: rule: a.rs -> deep/other.rs -> b.rs -> deep/low.rs -> a.rs",
            "b.rs:1: rule: b.rs -> deep/low.rs -> a.rs -> b.rs",
            "deep/low.rs:1: rule: deep/low.rs -> a.rs -> deep/low.rs",
            "deep/other.rs:1: rule: deep/other.rs -> b.rs -> deep/low.rs -> a.rs -> deep/other.rs",
        ]
    );
    let long = found(Lines(1, &[("b.rs", "a reason")]));
    assert_eq!(long, ["a.rs:2: rule: longer", "b.rs:1: rule: short, and excepted"]);
    assert_eq!(found(Entries(4)), [":0: rule: 5 entries"]);
    assert_eq!(found(Entries(5)), [""; 0]);
}
