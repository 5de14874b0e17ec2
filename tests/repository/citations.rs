//! What `src` quotes from an RFC is followed by its source:
//!
//! ```text
//! // "A client MUST close a connection if it detects a masked frame." (6455-5.1-05)
//! // "A client MUST be able to parse one or more 1xx responses [..]" (RFC 9110 section 15.2)
//! ```
//!
//! The source is the id of the requirement, or the ids of several; where there is none, the RFC and the section. An id
//! is one of `requirements.txt`, and a test names it: rule, code and test are tied together. What RFC 6455 and RFC 7692
//! say an endpoint MUST do has an id.

use std::collections::BTreeSet;

use crate::requirements::{REQUIREMENTS, ids_in, proved, rows};
use crate::source::{Kind, files, pieces};

#[test]
fn every_quotation_has_its_source() {
    let (requirements, proved) = (rows(REQUIREMENTS).into_keys().collect(), proved());
    let mut shown = Vec::new();
    for (path, source) in files("src") {
        for (line, fault) in faults(&source, &requirements, &proved) {
            shown.push(format!("src/{path}:{line}: {fault}"));
        }
    }
    assert!(shown.is_empty(), "\n{}\n", shown.join("\n"));
}

/// What is wrong in the comments of a file, and in which lines.
fn faults(source: &str, requirements: &BTreeSet<String>, proved: &BTreeSet<String>) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    for words in comments(source) {
        for (line, word) in &words {
            for id in ids_in(word) {
                if !requirements.contains(&id) {
                    faults.push((*line, format!("{id} is not a requirement")));
                } else if !proved.contains(&id) {
                    faults.push((*line, format!("no test names {id}")));
                }
            }
        }
        for (line, quotation, after) in quotations(&words) {
            let is_short = quotation.split(' ').count() < SENTENCE;
            match after {
                None => faults.push((line, format!("a quotation is not closed, or not opened: {quotation}"))),
                Some(after) if !is_short && !is_source(&after, &quotation) => {
                    faults.push((line, format!("a quotation is not followed by its source: {quotation}")));
                }
                Some(_) if quotation.replace("[..]", "").contains("..") => {
                    faults.push((line, format!("a quotation leaves out more than [..] says: {quotation}")));
                }
                Some(_) => {}
            }
        }
    }
    faults
}

/// The words of each comment, and their lines. Examples are left out; of code in a line, a backtick is left.
fn comments(source: &str) -> Vec<Vec<(usize, String)>> {
    let mut comments: Vec<Vec<(usize, String)>> = Vec::new();
    let (mut last, mut is_example, mut is_code) = ((0, ""), false, false);
    for piece in pieces(source) {
        if piece.kind == Kind::Quoted && piece.text.starts_with("\"```") {
            // An attribute that makes a line of documentation, where features choose how an example begins.
            (last, is_example) = ((piece.line, "//!"), true);
        }
        if piece.kind != Kind::Comment {
            continue;
        }
        let text = piece.text.trim_start_matches(['/', '!']);
        let marker = &piece.text[..piece.text.len() - text.len()];
        if last != (piece.line - 1, marker) {
            comments.push(Vec::new());
            (is_example, is_code) = (false, false);
        }
        last = (piece.line, marker);
        if text.trim_start().starts_with("```") {
            is_example = !is_example;
        } else if !is_example {
            let mut plain = String::new();
            for c in text.chars() {
                is_code ^= c == '`';
                if !is_code {
                    plain.push(c);
                }
            }
            let words = plain.split_whitespace().map(|word| (piece.line, word.to_owned()));
            comments.last_mut().unwrap().extend(words);
        }
    }
    comments
}

/// The quotations: the line, the text with its marks, and what follows it. A quotation may be inside another. `None`
/// follows where marks do not match.
fn quotations(words: &[(usize, String)]) -> Vec<(usize, String, Option<String>)> {
    let joined =
        |words: &[(usize, String)]| words.iter().map(|(_, word)| &**word).collect::<Vec<_>>().join(" ");
    let (mut quotations, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, (line, word)) in words.iter().enumerate() {
        let text = word.trim_start_matches(['(', '[']);
        let opens = text.len() - text.trim_start_matches('"').len();
        let closes = word.matches('"').count() - opens;
        if depth == 0 {
            start = at;
        }
        depth += opens;
        if closes > depth {
            quotations.push((*line, word.clone(), None));
            depth = 0;
        } else if closes > 0 {
            depth -= closes;
            if depth == 0 {
                let mut quotation = joined(&words[start..]);
                let end = joined(&words[start..=at]).rfind('"').unwrap() + 1;
                let after = quotation.split_off(end);
                quotations.push((words[start].0, quotation, Some(after)));
            }
        }
    }
    if depth > 0 {
        quotations.push((words[start].0, joined(&words[start..]), None));
    }
    quotations
}

/// Whether what follows a quotation begins with its source, in parentheses.
fn is_source(after: &str, quotation: &str) -> bool {
    let Some((source, _)) = after.strip_prefix(" (").and_then(|after| after.split_once(')')) else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.split('.').all(|part| part.parse::<u32>().is_ok());
    match source.strip_prefix("RFC ").and_then(|source| source.split_once(" section ")) {
        Some(("6455" | "7692", _)) if quotation.contains("MUST") => false,
        Some((rfc, section)) => is_number(rfc) && is_number(section),
        None => source.split(", ").all(|id| ids_in(id).eq([id])),
    }
}

/// So many words are taken for a sentence; fewer for a term.
const SENTENCE: usize = 4;

/// Every form of a citation is understood, and each fault is found in its line.
#[test]
fn citations_are_read() {
    let source = r#"//! "A sentence of the RFC." (6455-1-01)
//! One in ours: "it ["may"] be cut [..] and
//! wrapped" (6455-1-01, 7692-1-02), and "another one of them" (RFC 9110 section 15.2).
//! A "short one" needs none; `"nor does" what is "code"`, nor `one
//! that is "wrapped over two" lines`, nor
//! ```
//! // "what is an example of something"
//! ```
#![cfg_attr(feature = "std", doc = "```")]
//! // "what is another example of it"
//! ```

/// "This has no source." "You MUST have the id." (RFC 6455 section 1)
/// "This has one of words" (section 5.1), "this one has a comma", (6455-1-01)
/// "This is cut [...] otherwise" (6455-1-01), "this one is, .. too" (RFC 6455 section 1).
// The next comment (7692-1-02) names (6455-1-03), and (6455-1-04).
let x = "a string is no quotation of ours"; // "But this one is." (RFC 9110)
/// "This does not end.

// Nor does this" begin.
"#;
    let known = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
    let faults =
        faults(source, &known(&["6455-1-01", "7692-1-02", "6455-1-03"]), &known(&["6455-1-01", "7692-1-02"]));
    let shown: Vec<_> = faults.iter().map(|(line, fault)| format!("{line}: {fault}")).collect();
    let expected = [
        "13: a quotation is not followed by its source: \"This has no source.\"",
        "13: a quotation is not followed by its source: \"You MUST have the id.\"",
        "14: a quotation is not followed by its source: \"This has one of words\"",
        "14: a quotation is not followed by its source: \"this one has a comma\"",
        "15: a quotation leaves out more than [..] says: \"This is cut [...] otherwise\"",
        "15: a quotation leaves out more than [..] says: \"this one is, .. too\"",
        "16: no test names 6455-1-03",
        "16: 6455-1-04 is not a requirement",
        "17: a quotation is not followed by its source: \"But this one is.\"",
        "18: a quotation is not closed, or not opened: \"This does not end.",
        "20: a quotation is not closed, or not opened: this\"",
    ];
    assert_eq!(shown, expected);
}
