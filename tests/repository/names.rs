//! What a Rust file names: the paths in its `use` declarations and in its code.

use crate::source::{Kind, Piece, is_word, pieces};

/// A path in the code, of at least two parts.
#[derive(Debug, PartialEq)]
pub struct Named {
    pub line: usize,
    /// From the root of the crate, or of another one; or as it stands there, if it starts with what was imported.
    pub path: Vec<String>,
    /// What it is called here, if this is a `use`.
    pub import: Option<String>,
    /// Whether it is a `pub use`, whoever may see it.
    pub is_public: bool,
}

/// The paths in the code of a module.
pub fn names(source: &str, module: &[String]) -> Vec<Named> {
    let tokens: Vec<_> = pieces(source).into_iter().filter(|piece| piece.kind == Kind::Token).collect();
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let children: Vec<_> = (0..tokens.len()).filter(|at| word(*at) == "mod").map(|at| word(at + 1)).collect();
    let (mut names, mut before, mut at) = (Vec::new(), "", 0);
    while at < tokens.len() {
        let (start, mut found) = (at, Vec::new());
        if word(at) == "use" && word(at + 1) != "<" {
            at += 1;
            read_tree(&tokens, &mut at, &[], &mut found);
        } else if is_path(word(at)) && !KEYWORDS.contains(&word(at)) {
            let mut path = Vec::new();
            while is_path(word(at)) && (at == start || word(at) == "::" || word(at - 1) == "::") {
                push(&mut path, word(at));
                at += 1;
            }
            // `pub(in path)` says who may know, not who is known.
            let is_visibility = before == "in" && word(start - 2) == "(";
            if path.len() > 1 && !is_visibility {
                found.push((tokens[start].line, path, None));
            }
        } else {
            at += 1;
        }
        for (line, path, import) in found {
            let is_public = import.is_some() && ["pub", ")"].contains(&before);
            names.push(Named { line, path: from_root(&path, module, &children), import, is_public });
        }
        before = word(at - 1);
    }
    names
}

/// Reads what follows `use`, from `at`: the line of each path, the path, and the name it brings.
fn read_tree(
    tokens: &[Piece<'_>],
    at: &mut usize,
    start: &[String],
    found: &mut Vec<(usize, Vec<String>, Option<String>)>,
) {
    let (line, mut path) = (tokens[*at].line, start.to_vec());
    let mut name = None;
    while ![",", "}", ";"].contains(&tokens[*at].text) {
        match tokens[*at].text {
            "{" => {
                while tokens[*at].text != "}" {
                    *at += 1;
                    if tokens[*at].text != "}" {
                        read_tree(tokens, at, &path, found);
                    }
                }
                *at += 1;
                return;
            }
            "as" => {
                *at += 1;
                name = Some(tokens[*at].text.to_owned());
            }
            "self" if !path.is_empty() => {}
            part => push(&mut path, part),
        }
        *at += 1;
    }
    let name = name.or(path.last().cloned());
    found.push((line, path, name));
}

/// Adds a part to a path. One that starts with `::` has an empty first part.
fn push(path: &mut Vec<String>, token: &str) {
    match token {
        "::" if path.is_empty() => path.push(String::new()),
        "::" => {}
        part => path.push(part.to_owned()),
    }
}

/// The path from the root of the crate, or of another one, of a path as it stands in a module.
fn from_root(path: &[String], module: &[String], children: &[&str]) -> Vec<String> {
    match &*path[0] {
        "" => path[1..].to_vec(),
        "self" => [module, &path[1..]].concat(),
        "super" => {
            let up = path.iter().take_while(|part| *part == "super").count();
            [&module[..module.len() - up], &path[up..]].concat()
        }
        first if children.contains(&first) => [module, path].concat(),
        _ => path.to_vec(),
    }
}

/// What may stand before a path that starts with `::`, and is no part of it.
const KEYWORDS: [&str; 5] = ["as", "dyn", "impl", "in", "return"];

fn is_path(token: &str) -> bool {
    token == "::" || token.starts_with(is_word)
}

fn shown(source: &str, module: &str) -> Vec<String> {
    let module: Vec<_> = module.split("::").map(str::to_owned).collect();
    let show = |named: &Named| {
        let import = named.import.as_ref().map_or(String::new(), |name| format!(" as {name}"));
        let public = if named.is_public { "pub " } else { "" };
        format!("{} {public}{}{import}", named.line, named.path.join("::"))
    };
    names(source, &module).iter().map(show).collect()
}

/// Every form of `use` is read.
#[test]
fn imports_are_found() {
    let source = "
mod child;
use crate::frame::{self, CloseCode, mask::{MaskingKey as Key, apply}};
pub(crate) use child::Child;
pub use self::child::{
    Other,
    deep::*,
};
use ::http::Request;
use super::super::config::Config; use super::{role::Role};
fn f() { use {core::fmt, crate::utf8}; }
fn g() -> impl Iterator<Item = u8> + use<'_> {}
";
    let expected = [
        "3 crate::frame as frame",
        "3 crate::frame::CloseCode as CloseCode",
        "3 crate::frame::mask::MaskingKey as Key",
        "3 crate::frame::mask::apply as apply",
        "4 pub crate::a::b::child::Child as Child",
        "6 pub crate::a::b::child::Other as Other",
        "7 pub crate::a::b::child::deep::* as *",
        "9 http::Request as Request",
        "10 crate::config::Config as Config",
        "10 crate::a::role::Role as Role",
        "11 core::fmt as fmt",
        "11 crate::utf8 as utf8",
    ];
    assert_eq!(shown(source, "crate::a::b"), expected);
}

/// So are paths in the code, and nothing in comments and quotes.
#[test]
fn paths_are_found() {
    let source = r##"//! crate::no::No
/* use crate::no::No; */
pub(in crate::a) fn f<'a>(x: &'a crate::utf8::Text) -> super::Other { // crate::no::No
    let c = ['\'', '"', b'\\', 'c']; child::g::<super::super::Up>(0..self::MAX);
    "use crate::no::No; \" crate::no::No" + r#"crate::no::No " "# + <T as ::std::fmt::Debug>::X;
    for y in crate::frame::ALL {} x.map(crate::frame::parse).collect::<Vec<_>>()
}
mod child;
"##;
    let expected = [
        "3 crate::utf8::Text",
        "3 crate::a::Other",
        "4 crate::a::b::child::g",
        "4 crate::Up",
        "4 crate::a::b::MAX",
        "5 std::fmt::Debug",
        "5 X",
        "6 crate::frame::ALL",
        "6 crate::frame::parse",
    ];
    assert_eq!(shown(source, "crate::a::b"), expected);
}
