//! The ways in which a head can arrive.

use std::fmt::Debug;

/// Receives a head in every way it can arrive, which must make no difference: whole, byte by byte, in two parts cut
/// anywhere, and with bytes `behind` it. Returns what came of it, and how many bytes had to be there for that.
#[track_caller]
pub fn in_every_way<H, T, E>(
    head: &[u8],
    behind: &[&[u8]],
    handshake: impl Fn() -> H,
    receive: impl Fn(&mut H, &[u8]) -> Result<Option<T>, E>,
) -> (Result<T, E>, usize)
where
    T: Debug + PartialEq,
    E: Debug + PartialEq,
{
    let receive = |handshake: &mut H, input: &[u8]| receive(handshake, input).transpose();
    let whole = receive(&mut handshake(), head).expect("it is complete");

    let mut byte_by_byte = handshake();
    let first = (0..=head.len()).find_map(|len| Some((len, receive(&mut byte_by_byte, &head[..len])?)));
    let (len, outcome) = first.expect("it is complete");
    assert_eq!(outcome, whole);
    assert!(outcome.is_err() || len == head.len());

    for cut in 0..head.len() {
        let mut in_two = handshake();
        match receive(&mut in_two, &head[..cut]) {
            None => {
                assert!(cut < len, "{cut}");
                assert_eq!(receive(&mut in_two, head).as_ref(), Some(&whole), "{cut}");
            }
            Some(outcome) => assert!(outcome.is_err() && outcome == whole && cut >= len, "{cut}"),
        }
    }

    for trailing in behind {
        let with_trailing = [head, trailing].concat();
        assert_eq!(receive(&mut handshake(), &with_trailing).as_ref(), Some(&whole), "{trailing:?}");
    }
    (whole, len)
}
