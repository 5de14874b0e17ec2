//! Rust source as text: the files, and the pieces that each is made of.

use std::fs;
use std::path::Path;

/// The Rust files below a folder of the repository: paths from that folder, in order, and what is in them.
pub fn files(folder: &str) -> Vec<(String, String)> {
    texts(folder, &["rs"])
}

/// The same of files with these extensions.
pub fn texts(folder: &str, extensions: &[&str]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    read(&root, &root, extensions, &mut files);
    files.sort_unstable();
    files
}

fn read(folder: &Path, root: &Path, extensions: &[&str], files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, root, extensions, files);
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known))
        {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Comment,
    /// A string, a character, or a lifetime.
    Quoted,
    Space,
    /// A word, `::`, or another sign.
    Token,
}

#[derive(Clone, Copy, Debug)]
pub struct Piece<'s> {
    pub kind: Kind,
    pub line: usize,
    pub text: &'s str,
}

/// The pieces that the source consists of.
pub fn pieces(source: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest, mut line) = (Vec::new(), source, 1);
    while let Some(first) = rest.chars().next() {
        let (kind, len) = if rest.starts_with("//") {
            (Kind::Comment, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (Kind::Comment, rest.find("*/").map_or(rest.len(), |end| end + 2))
        } else if let Some(len) = quoted(rest) {
            (Kind::Quoted, len)
        } else if is_word(first) {
            (Kind::Token, rest.find(|c| !is_word(c)).unwrap_or(rest.len()))
        } else if rest.starts_with("::") {
            (Kind::Token, 2)
        } else {
            (if first.is_whitespace() { Kind::Space } else { Kind::Token }, first.len_utf8())
        };
        let text = &rest[..len];
        pieces.push(Piece { kind, line, text });
        line += text.matches('\n').count();
        rest = &rest[len..];
    }
    pieces
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How long the string, character or lifetime is that `rest` starts with, if it does.
fn quoted(rest: &str) -> Option<usize> {
    let body = rest.trim_start_matches(['b', 'c', 'r']);
    let prefix = &rest[..rest.len() - body.len()];
    let hashes = body.len() - body.trim_start_matches('#').len();
    let quote = body[hashes..].chars().next().filter(|c| ['"', '\''].contains(c))?;
    let after = &body[hashes + 1..];
    let len = match quote {
        '"' if prefix.contains('r') => {
            let end = format!("\"{}", "#".repeat(hashes));
            after.find(&end)? + end.len()
        }
        '\'' if !after.starts_with('\\') && after.chars().nth(1) != Some('\'') => {
            after.find(|c| !is_word(c)).unwrap_or(after.len())
        }
        _ if hashes == 0 => {
            let mut is_escaped = false;
            let ends = |c| {
                let ends = c == quote && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                ends
            };
            after.find(ends)? + 1
        }
        _ => return None,
    };
    Some(prefix.len() + hashes + 1 + len)
}
