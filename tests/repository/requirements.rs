//! Every MUST of RFC 6455 and RFC 7692 has a test that proves it, or an exception that says why not.
//!
//! `requirements.txt` lists the requirements; a test names those it proves in the doc comment above it:
//!
//! ```text
//! /// 6455-5.5.1-03, 6455-8.1-01: what is proved.
//! #[test]
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::source::files;

pub const REQUIREMENTS: &str = include_str!("../requirements.txt");

#[test]
fn every_must_is_proved() {
    let faults = faults(REQUIREMENTS, include_str!("../requirements_exceptions.txt"), &proved());
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The ids that the tests name.
pub fn proved() -> BTreeSet<String> {
    // Here are ids that prove nothing.
    let others = files("tests").into_iter().filter(|(path, _)| path != "repository/requirements.rs");
    others.flat_map(|(_, source)| ids(&source)).collect()
}

/// The ids in the doc comments of the test functions in `source`.
fn ids(source: &str) -> BTreeSet<String> {
    let mut proved = BTreeSet::new();
    // Since the last line that was neither doc comment nor attribute.
    let (mut docs, mut is_test) = (Vec::new(), false);
    let mut in_attribute = false;
    for line in source.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc);
        } else if line.starts_with("#[") || in_attribute {
            is_test |= ["#[test]", "#[tokio::test"].iter().any(|test| line.starts_with(test));
            in_attribute = !line.ends_with(']');
        } else {
            if is_test && is_function(line) {
                proved.extend(docs.iter().flat_map(|doc| ids_in(doc)));
            }
            docs.clear();
            is_test = false;
        }
    }
    proved
}

fn is_function(line: &str) -> bool {
    line.starts_with("fn ") || line.starts_with("async fn ")
}

/// The words of `text` that look like ids: `6455-` or `7692-`, a section, `-`, a number.
pub fn ids_in(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.');
    words
        .filter(|word| ["6455-", "7692-"].iter().any(|rfc| word.starts_with(rfc)))
        .map(|word| word.trim_end_matches('.').to_owned())
}

/// What is wrong: requirements that are open, exceptions without need, ids that do not exist.
fn faults(requirements: &str, exceptions: &str, proved: &BTreeSet<String>) -> Vec<String> {
    let (requirements, exceptions) = (rows(requirements), rows(exceptions));
    let mut faults = Vec::new();
    for (id, fields) in &requirements {
        let [_, level, kind, words] = &fields[..] else { panic!("{id}: id | level | kind | words") };
        if level.starts_with("MUST") && !proved.contains(id) && !exceptions.contains_key(id) {
            faults.push(format!("{id} is open ({kind}): {words}"));
        }
    }
    for (id, fields) in &exceptions {
        let [_, _reason] = &fields[..] else { panic!("{id}: id | reason") };
        if proved.contains(id) {
            faults.push(format!("{id} is an exception, and proved"));
        }
    }
    for id in proved.iter().chain(exceptions.keys()) {
        if !requirements.contains_key(id) {
            faults.push(format!("{id} is not a requirement"));
        }
    }
    faults
}

/// The fields of each line that is not a comment, by the first of them.
#[track_caller]
pub fn rows(text: &str) -> BTreeMap<String, Vec<&str>> {
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields = line.split(" | ").collect::<Vec<_>>();
        assert!(rows.insert(fields[0].to_owned(), fields).is_none(), "twice: {line}");
    }
    rows
}

/// The scanner finds ids above tests, and nowhere else.
#[test]
fn ids_are_found_above_tests_only() {
    let source = "
//! 6455-1-01: not in a file's docs.

/// 6455-1-02, 6455-1.2.3-03: found, both.
/// And in a second line: (6455-1-04), 6455-1-05.
#[test]
fn one() {
    // 6455-2-01: not in a comment.
    /// 6455-2-02: not inside.
    let x = 1;
}

/// 6455-1-06: found, with other attributes.
#[cfg(unix)]
#[tokio::test(start_paused = true)]
#[expect(
    clippy::panic,
    reason = \"6455-2-03: not here\"
)]
async fn two() {}

    /// 6455-1-07: found in a module.
    #[test]
    fn three() {}

/// 6455-2-04: not above a helper.
fn helper() {}

/// 6455-2-05: not with an empty line between.

#[test]
fn four() {}

/// 6455-2-06: not above another item.
#[test]
const FIVE: u8 = 5;

/// 7692-1-08: found, of the other RFC; 8441-2-07, 16455-2-08, 6455: not ids of either.
#[test]
fn six() {}
";
    let found = ids(source).into_iter().collect::<Vec<_>>();
    let expected =
        ["6455-1-02", "6455-1-04", "6455-1-05", "6455-1-06", "6455-1-07", "6455-1.2.3-03", "7692-1-08"];
    assert_eq!(found, expected);
}

/// Each kind of fault is reported, and nothing else.
#[test]
fn faults_are_found() {
    let requirements = "# a comment
6455-1-01 | MUST | state | proved
6455-1-02 | MUST NOT | codec | open
6455-1-03 | MUST* | uri | open too
6455-1-04 | MUST ×2 | hs-c | an exception
6455-1-05 | MUST | hs-c | an exception, and proved
6455-1-06 | SHOULD | hs-s | may be open
6455-1-07 | MAY | hs-s | may be proved
";
    let exceptions = "# a comment
6455-1-04 | because
6455-1-05 | because
6455-1-08 | of nothing
";
    let proved = ["6455-1-01", "6455-1-05", "6455-1-07", "6455-1-09"].map(str::to_owned);
    let expected = [
        "6455-1-02 is open (codec): open",
        "6455-1-03 is open (uri): open too",
        "6455-1-05 is an exception, and proved",
        "6455-1-09 is not a requirement",
        "6455-1-08 is not a requirement",
    ];
    assert_eq!(faults(requirements, exceptions, &proved.into()), expected);
}
