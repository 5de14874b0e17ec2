//! The examples, run as a user runs them. `cargo test` builds them before it runs this; with `--test` it does not.
#![allow(clippy::unwrap_used, reason = "in helpers, as in tests")]

use std::path::PathBuf;
use std::process::Command;

/// A server and a client in one thread, without an adapter.
#[test]
fn mio() {
    let closed = |role, reason, initiator| {
        format!(
            "{role}: Some(Closed {{ code: CloseCode(1000), reason: {reason:?}, initiator: {initiator}, clean: true }})"
        )
    };
    let [client, server] = [closed("Client", "", "Local"), closed("Server", "bye", "Remote")];
    let output = Command::new(example("mio")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("Text(\"hello\")\n{client}\n{server}\n"));
}

/// Tests are in `target/<profile>/deps`, examples in `target/<profile>/examples`.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "there is no {}; `cargo test` without --test builds the examples", path.display());
    path
}
