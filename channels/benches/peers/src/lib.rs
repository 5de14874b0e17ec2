//! What the programs of this package share: how to start a server and what it takes, what each server's clients say, and
//! the load.

pub mod aims;
pub mod broker;
pub mod clock;
pub mod crowd;
pub mod load;
pub mod member;
pub mod protocol;
pub mod server;
pub mod stats;

/// The value of `--name VALUE` on the command line.
pub fn option<T: std::str::FromStr>(name: &str) -> Option<T> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.next()?;
    let value = arguments.next().unwrap_or_else(|| panic!("{name} needs a value"));
    Some(value.parse().unwrap_or_else(|_| panic!("{name} cannot be {value:?}")))
}

/// Whether `--name` is on the command line.
pub fn flag(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

/// Where a server is to listen.
pub fn addr() -> String {
    option("--addr").expect("--addr HOST:PORT")
}

/// How many bytes a message has that is delivered, whatever is around the payload.
pub const SIZE: usize = 125;

/// What fills a message that has `around` bytes besides.
pub fn filling(around: usize) -> String {
    "x".repeat(SIZE - around)
}
