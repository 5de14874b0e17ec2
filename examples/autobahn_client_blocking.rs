//! Runs every case of the Autobahn testsuite's fuzzing server against the blocking client.

mod common;

use std::process::ExitCode;

use sansocket::Error;

const USAGE: &str = "\
Drives the Autobahn testsuite's fuzzing server: echoes in every case, then asks for the reports.

usage: autobahn_client_blocking URL [options]
  --agent NAME   the name in the reports (default sansocket-blocking)";

fn main() -> ExitCode {
    let (url, agent) = common::autobahn_arguments(USAGE, "sansocket-blocking");
    match run(&url, &agent) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(url: &str, agent: &str) -> Result<(), Error> {
    let mut ws = sansocket::blocking::connect(format!("{url}/getCaseCount"))?;
    let count = ws.recv()?;
    let count = count.as_ref().and_then(|count| count.as_text()?.parse().ok()).unwrap_or(0);
    while ws.recv()?.is_some() {}
    for case in 1..=count {
        // What a case does to the connection is in the suite's report.
        let _ = echo(&format!("{url}/runCase?case={case}&agent={agent}"));
    }
    let mut ws = sansocket::blocking::connect(format!("{url}/updateReports?agent={agent}"))?;
    while ws.recv()?.is_some() {}
    println!("ran {count} cases");
    Ok(())
}

fn echo(url: &str) -> Result<(), Error> {
    let mut ws = sansocket::blocking::connect(url)?;
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}
