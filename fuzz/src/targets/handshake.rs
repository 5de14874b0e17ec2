//! What both roles' opening handshakes are checked with: an HTTP head, read naively.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::{every_cut, hash};

/// A head, read line by line without any regard to efficiency. It must be well-formed.
#[derive(Debug)]
pub struct Head {
    pub start_line: String,
    /// Names in lower case, and values without the whitespace around them.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// Reads a head with the empty line at its end.
    #[track_caller]
    pub fn read(head: &[u8]) -> Self {
        let head = unfolded(head);
        let mut lines = split(&head, b"\r\n");
        assert_eq!((lines.pop(), lines.pop()), (Some(&b""[..]), Some(&b""[..])), "the end of the head");
        assert!(lines.iter().flat_map(|line| line.iter()).all(|byte| !matches!(byte, 0..=8 | 10..=31 | 127)));
        let mut lines = lines.into_iter();
        let start_line = String::from_utf8_lossy(lines.next().expect("a start line")).into_owned();
        let headers = lines.map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
            let (name, value) = (&line[..colon], &line[colon + 1..]);
            assert!(is_token(name), "a header name: {}", line.escape_ascii());
            (String::from_utf8_lossy(name).to_ascii_lowercase(), trim(value).to_vec())
        });
        Self { start_line, headers: headers.collect() }
    }

    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|header| header.0 == name).map(|header| &*header.1).collect()
    }

    /// The elements of a comma-separated list over all lines, without the empty ones.
    pub fn list(&self, name: &str) -> Vec<&[u8]> {
        let lines = self.all(name);
        let elements = lines.iter().flat_map(|line| split(line, b",")).map(trim);
        elements.filter(|element| !element.is_empty()).collect()
    }

    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.list(name).iter().any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// RFC 9112 section 5.2: a line that begins with whitespace goes on with the one before it, and spaces stand for all the
/// whitespace between.
fn unfolded(head: &[u8]) -> Vec<u8> {
    let (mut head, is_blank) = (head.to_vec(), |byte: u8| matches!(byte, b' ' | b'\t'));
    while let Some(fold) = head.windows(3).position(|bytes| bytes.starts_with(b"\r\n") && is_blank(bytes[2]))
    {
        let (mut start, mut end) = (fold, fold + 2);
        while is_blank(head[start - 1]) {
            start -= 1;
        }
        while is_blank(head[end]) {
            end += 1;
        }
        head[start..end].fill(b' ');
    }
    head
}

pub fn is_token(text: &[u8]) -> bool {
    let separator = |byte: &u8| b"()<>@,;:\\\"/[]?={} \t".contains(byte);
    !text.is_empty() && text.iter().all(|byte| (33..127).contains(byte) && !separator(byte))
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn split<'a>(mut text: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = text.windows(separator.len()).position(|window| window == separator) {
        parts.push(&text[..at]);
        text = &text[at + separator.len()..];
    }
    parts.push(text);
    parts
}

/// Gives `input` in every way to what `receiver` makes: a function that takes all bytes received so far.
/// Demands the same result of each, and the earliest that there can be; returns it, with the least
/// number of bytes that it took.
#[track_caller]
pub fn received_in_every_way<T, F>(input: &[u8], receiver: impl Fn() -> F) -> Option<(usize, T)>
where
    T: PartialEq + core::fmt::Debug,
    F: FnMut(&[u8]) -> Option<T>,
{
    let receive = |lens: &[usize]| {
        let mut receive = receiver();
        lens.iter().find_map(|len| Some((*len, receive(&input[..*len])?)))
    };
    let byte_by_byte: Vec<_> = (0..=input.len()).collect();
    let first = receive(&byte_by_byte);
    let decided = first.as_ref().map_or(usize::MAX, |first| first.0);
    for cuts in every_cut(input.len(), hash(input)) {
        let result = receive(&cuts);
        assert_eq!(result.as_ref().map(|result| &result.1), first.as_ref().map(|first| &first.1), "{cuts:?}");
        let expected = cuts.iter().find(|len| **len >= decided);
        assert_eq!(result.as_ref().map(|result| &result.0), expected, "neither early nor late: {cuts:?}");
    }
    if let Some((len, _)) = &first {
        assert_eq!(receive(&[*len]), first, "without what follows");
    }
    // Not each time, since it takes long.
    if input.len().is_multiple_of(64) {
        assert_linear(&input[..decided.saturating_sub(1).min(input.len())], receiver);
    }
    first
}

/// Demands that an input which arrives byte by byte is not looked at from its start with every byte.
/// What it repeats is the end of `start`, such as a header line.
#[track_caller]
fn assert_linear<T, F: FnMut(&[u8]) -> Option<T>>(start: &[u8], receiver: impl Fn() -> F) {
    const LEN: usize = 1 << 17;
    // So many calls of some 20 nanoseconds; ten times that with the sanitizer or without optimisation. If
    // each looked at all there is, it would be 8 GiB together.
    const LIMIT: Duration = Duration::from_secs(1);

    let end = &start[start.len().saturating_sub(64)..];
    let filler = if end.is_empty() { b"x" } else { end };
    let input: Vec<u8> = start.iter().chain(filler.iter().cycle()).take(LEN).copied().collect();
    let fastest = (0..5).map(|_| {
        let (began, mut receive) = (worked(), receiver());
        let _ = (1..=LEN).find_map(|len| receive(&input[..len]));
        worked().saturating_sub(began)
    });
    // More than once, since the machine may have other things to do.
    assert!(fastest.into_iter().any(|time| time < LIMIT), "slow: {}", start.escape_ascii());
}

/// How long this thread has worked; where the system does not tell, how long it is since the first call. Time in
/// which the machine did other things says nothing of how much was done.
fn worked() -> Duration {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat");
    let nanos = schedstat.ok().and_then(|times| times.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| FIRST.elapsed(), Duration::from_nanos)
}
