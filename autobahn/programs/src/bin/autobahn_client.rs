//! Runs every case of the Autobahn testsuite's fuzzing server against the tokio client.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use programs::AutobahnOptions;
use sansocket::Client;

const USAGE: &str = "\
Drives the Autobahn testsuite's fuzzing server: echoes in every case, then asks for the reports.

usage: autobahn_client URL [options]
  --agent NAME   the name in the reports (default sansocket-tokio)
  --deflate      offer permessage-deflate (with the feature `deflate`)";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = AutobahnOptions::parse(USAGE, "sansocket-tokio");
    programs::exit_code(run(&options).await)
}

async fn run(options: &AutobahnOptions) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut ws = sansocket::tokio::connect(options.case_count()?).await?;
    let count = ws.recv().await?;
    let count: Option<usize> = count.as_ref().and_then(|count| count.as_text()?.parse().ok());
    let count = count.ok_or("the server did not tell how many cases it has")?;
    while ws.recv().await?.is_some() {}
    for case in 1..=count {
        // What a case does to the connection is in the suite's report.
        let _ = echo(options.case(case)?).await;
    }
    let mut ws = sansocket::tokio::connect(options.update_reports()?).await?;
    while ws.recv().await?.is_some() {}
    writeln!(io::stdout(), "ran {count} cases")?;
    Ok(())
}

async fn echo(client: Client) -> Result<(), sansocket::Error> {
    let mut ws = sansocket::tokio::connect(client).await?;
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}
