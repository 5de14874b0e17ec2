//! Runs every case of the Autobahn testsuite's fuzzing server against the blocking client.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use programs::AutobahnOptions;
use sansocket::Client;

const USAGE: &str = "\
Drives the Autobahn testsuite's fuzzing server: echoes in every case, then asks for the reports.

usage: autobahn_client_blocking URL [options]
  --agent NAME   the name in the reports (default sansocket-blocking)
  --deflate      offer permessage-deflate (with the feature `deflate`)";

fn main() -> ExitCode {
    let options = AutobahnOptions::parse(USAGE, "sansocket-blocking");
    programs::exit_code(run(&options))
}

fn run(options: &AutobahnOptions) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut ws = sansocket::blocking::connect(options.case_count()?)?;
    let count = ws.recv()?;
    let count: Option<usize> = count.as_ref().and_then(|count| count.as_text()?.parse().ok());
    let count = count.ok_or("the server did not tell how many cases it has")?;
    while ws.recv()?.is_some() {}
    for case in 1..=count {
        // What a case does to the connection is in the suite's report.
        let _ = echo(options.case(case)?);
    }
    let mut ws = sansocket::blocking::connect(options.update_reports()?)?;
    while ws.recv()?.is_some() {}
    writeln!(io::stdout(), "ran {count} cases")?;
    Ok(())
}

fn echo(client: Client) -> Result<(), sansocket::Error> {
    let mut ws = sansocket::blocking::connect(client)?;
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}
