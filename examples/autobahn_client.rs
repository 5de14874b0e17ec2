//! Runs every case of the Autobahn testsuite's fuzzing server against the tokio client.

mod common;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

const USAGE: &str = "\
Drives the Autobahn testsuite's fuzzing server: echoes in every case, then asks for the reports.

usage: autobahn_client URL [options]
  --agent NAME   the name in the reports (default sansocket-tokio)";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (url, agent) = common::autobahn_arguments(USAGE, "sansocket-tokio");
    common::exit_code(run(&url, &agent).await)
}

async fn run(url: &str, agent: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut ws = sansocket::tokio::connect(format!("{url}/getCaseCount")).await?;
    let count = ws.recv().await?;
    let count: Option<usize> = count.as_ref().and_then(|count| count.as_text()?.parse().ok());
    let count = count.ok_or("the server did not tell how many cases it has")?;
    while ws.recv().await?.is_some() {}
    for case in 1..=count {
        // What a case does to the connection is in the suite's report.
        let _ = echo(&format!("{url}/runCase?case={case}&agent={agent}")).await;
    }
    let mut ws = sansocket::tokio::connect(format!("{url}/updateReports?agent={agent}")).await?;
    while ws.recv().await?.is_some() {}
    writeln!(io::stdout(), "ran {count} cases")?;
    Ok(())
}

async fn echo(url: &str) -> Result<(), sansocket::Error> {
    let mut ws = sansocket::tokio::connect(url).await?;
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}
