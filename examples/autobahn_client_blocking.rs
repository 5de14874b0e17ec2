//! Runs every case of the Autobahn testsuite's fuzzing server against the blocking client.

mod common;

use std::process::ExitCode;

use common::AutobahnOptions;
use sansocket::{Client, Error};

const USAGE: &str = "\
Drives the Autobahn testsuite's fuzzing server: echoes in every case, then asks for the reports.

usage: autobahn_client_blocking URL [options]
  --agent NAME   the name in the reports (default sansocket-blocking)
  --deflate      offer permessage-deflate (with the feature `deflate`)";

fn main() -> ExitCode {
    let options = AutobahnOptions::parse(USAGE, "sansocket-blocking");
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &AutobahnOptions) -> Result<(), Error> {
    let mut ws = sansocket::blocking::connect(options.case_count()?)?;
    let count = ws.recv()?;
    let count = count.as_ref().and_then(|count| count.as_text()?.parse().ok()).unwrap_or(0);
    while ws.recv()?.is_some() {}
    for case in 1..=count {
        // What a case does to the connection is in the suite's report.
        let _ = echo(options.case(case)?);
    }
    let mut ws = sansocket::blocking::connect(options.update_reports()?)?;
    while ws.recv()?.is_some() {}
    println!("ran {count} cases");
    Ok(())
}

fn echo(client: Client) -> Result<(), Error> {
    let mut ws = sansocket::blocking::connect(client)?;
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}
