//! The table of limits in the crate's documentation says what the code does.
#![cfg(all(feature = "deflate", any(feature = "blocking", feature = "tokio")))]

use std::collections::BTreeSet;

use sansocket::reconnect::Policy;
use sansocket::{Client, Deflate, Server};

/// The rows that name a limit: the type, the limit's name, its default.
fn documented() -> Vec<(&'static str, &'static str, &'static str)> {
    let (_, section) = include_str!("../../src/lib.rs").split_once("//! # Limits and timeouts\n").unwrap();
    section
        .lines()
        .take_while(|line| !line.starts_with("//! # "))
        .filter_map(|line| line.strip_prefix("//! | [`")?.split_once("`] | "))
        .filter_map(|(limit, rest)| {
            let ((owner, name), (default, _)) = (limit.split_once("::")?, rest.split_once(" | ")?);
            Some((owner, name, default))
        })
        .collect()
}

/// All that has limits, as `Debug` shows it: a field in each line.
fn code() -> String {
    let client = Client::new("ws://example.com/").unwrap();
    format!("{:#?}\n{client:#?}\n{:#?}\n{:#?}", Server::default(), Deflate::default(), Policy::default())
}

/// A default from the table as `Debug` shows it, without white space.
fn shown(default: &str) -> String {
    let number = |text: &str| text.replace(',', "").parse::<u64>().unwrap();
    match default.split_once(' ') {
        None if default == "off" => "None".into(),
        None => number(default).to_string(),
        Some((value, "MiB")) => (number(value) << 20).to_string(),
        Some((value, "KiB")) => (number(value) << 10).to_string(),
        Some((value, "bytes a second")) => number(value).to_string(),
        Some((value, "s")) => format!("{value}s"),
        // Several durations.
        Some(_) => format!("Some(({},),)", default.replace(' ', "")),
    }
}

#[test]
fn defaults_are_documented() {
    let rows = documented();
    assert!(rows.len() >= 17, "{rows:?}");
    let code = code().split_whitespace().collect::<String>();
    for (owner, name, default) in rows {
        let shown = format!("{name}:{},", shown(default));
        assert!(code.contains(&shown), "{owner}::{name} is not {default}, shown as {shown}");
    }
}

/// No limit or timeout is missing from the table.
#[test]
fn limits_are_documented() {
    let documented: BTreeSet<_> = documented().into_iter().map(|(_, name, _)| name).collect();
    let server = format!("{:#?}", Server::default());
    let mut found = 0;
    for line in server.lines() {
        // What is made of parts is looked at part by part.
        if let Some((name, value)) = line.trim().split_once(": ")
            && !value.ends_with('{')
            && !NO_LIMITS.contains(&name)
        {
            assert!(documented.contains(name), "{name} is not in the table of limits");
            found += 1;
        }
    }
    assert!(found >= 14, "{server}");
}

/// What else a server has: how it answers, whom it tells, what it counts.
const NO_LIMITS: [&str; 11] = [
    "subprotocols",
    "origins",
    "proxies",
    "pages",
    "when_full",
    "listener",
    "opening",
    "open",
    "total",
    "kept",
    "tls",
];
