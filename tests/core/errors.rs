//! What errors say, and what lies below them.

use std::collections::BTreeSet;

use sansocket::utf8::InvalidUtf8;
use sansocket::{CloseCode, CloseFrame, ProtocolError, SendError};

const PROTOCOL_ERRORS: [ProtocolError; 18] = [
    ProtocolError::ContinuationWithoutMessage,
    ProtocolError::ControlFrameTooLong,
    ProtocolError::FragmentedControlFrame,
    ProtocolError::FrameTooBig,
    ProtocolError::InvalidCloseCode(CloseCode::new(1005)),
    ProtocolError::InvalidCloseReason(CloseCode::new(1001)),
    ProtocolError::InvalidCompressedData,
    ProtocolError::InvalidUtf8,
    ProtocolError::LengthTooLarge,
    ProtocolError::MaskedFrameFromServer,
    ProtocolError::MessageInProgress,
    ProtocolError::MessageTooBig,
    ProtocolError::NonMinimalLength,
    ProtocolError::ReservedBitSet,
    ProtocolError::ReservedOpcode(11),
    ProtocolError::TooManyFragments,
    ProtocolError::TruncatedCloseCode,
    ProtocolError::UnmaskedFrameFromClient,
];

const SEND_ERRORS: [SendError; 6] = [
    SendError::Closing,
    SendError::CloseReasonTooLong,
    SendError::ControlPayloadTooLong,
    SendError::InvalidCloseCode(CloseCode::new(1006)),
    SendError::InvalidUtf8,
    SendError::MessageInProgress,
];

/// Each error is one line that can stand in a sentence, without an error below it, and unlike any other.
#[track_caller]
fn are_sentences<E: std::error::Error>(errors: impl IntoIterator<Item = E>) {
    let mut seen = BTreeSet::new();
    for error in errors {
        let text = error.to_string();
        assert!(text.len() > 10 && !text.contains('\n') && !text.ends_with('.'), "{text:?}");
        assert!(text.starts_with(|first: char| !first.is_uppercase()), "{text:?}");
        assert!(error.source().is_none(), "{error:?}");
        assert!(seen.insert(text), "{error:?} says what another error says");
    }
}

#[test]
fn errors_are_sentences() {
    are_sentences(PROTOCOL_ERRORS);
    are_sentences(SEND_ERRORS);
    are_sentences([InvalidUtf8]);
    assert_eq!(ProtocolError::from(InvalidUtf8), ProtocolError::InvalidUtf8);
}

/// What was wrong is named where the name of the error does not say it.
#[test]
fn values_are_named() {
    for (error, value) in [
        (ProtocolError::InvalidCloseCode(CloseCode::new(1005)), "1005"),
        (ProtocolError::InvalidCloseReason(CloseCode::new(1001)), "1001"),
        (ProtocolError::ReservedOpcode(11), "0xb"),
    ] {
        assert!(error.to_string().contains(value), "{error}");
    }
    assert!(SendError::InvalidCloseCode(CloseCode::new(1006)).to_string().contains("1006"));
}

/// Clients do not forget to mask; who does is named, and the peer is told the rule only.
#[test]
fn unmasked_frames_hint_at_a_proxy() {
    let error = ProtocolError::UnmaskedFrameFromClient;
    assert!(error.to_string().contains("a proxy that closes its connections"), "{error}");
    assert_eq!(error.reason(), "a frame from the client is not masked");
}

/// The reason of an error fits into a Close frame, and is what the error says.
#[test]
fn reasons_fit() {
    for error in PROTOCOL_ERRORS {
        assert!(error.reason().len() <= CloseFrame::MAX_REASON, "{}", error.reason());
        assert!(error.to_string().contains(error.reason()));
    }
}

#[cfg(feature = "std")]
#[test]
fn timeouts_are_sentences() {
    use sansocket::TimedOut;
    are_sentences([
        TimedOut::ClosingHandshake,
        TimedOut::OpeningHandshake,
        TimedOut::Keepalive,
        TimedOut::Write,
    ]);
}

#[cfg(feature = "handshake")]
#[test]
fn handshake_errors_are_sentences() {
    use sansocket::handshake::{BuildError, HeadError, InvalidList, RequestError, ResponseError};
    are_sentences([InvalidList]);
    are_sentences([
        ResponseError::UnofferedExtension("a".into()),
        ResponseError::RepeatedExtension("a".into()),
        ResponseError::UnofferedSubprotocol("a".into()),
        ResponseError::InvalidDeflateResponse,
        ResponseError::DeflateWindowTooLarge,
        ResponseError::MissingUpgrade,
        HeadError::Incomplete.into(),
    ]);
    are_sentences([RequestError::MissingUpgrade, HeadError::Incomplete.into()]);
    are_sentences([HeadError::Incomplete, HeadError::HeadTooLarge]);
    are_sentences([
        BuildError::InvalidStatus(99),
        BuildError::AcceptingStatus(204),
        BuildError::InvalidHeaderName("b c".into()),
        BuildError::InvalidMethod("PUT".into()),
    ]);
}

/// An adapter's error says what the error in it says, and more if that alone says too little.
#[cfg(any(feature = "blocking", feature = "tokio"))]
#[test]
fn errors_of_adapters() {
    use std::error::Error as _;

    use sansocket::handshake::{BuildError, RequestError, ResponseError};
    use sansocket::{Error, TimedOut, UriError};

    let io = || std::io::Error::other("no route");
    for (error, below, text) in [
        (Error::from(UriError::Fragment), UriError::Fragment.to_string(), ""),
        (Error::from(RequestError::MissingKey), RequestError::MissingKey.to_string(), ""),
        (Error::from(ResponseError::MissingAccept), ResponseError::MissingAccept.to_string(), ""),
        (Error::from(BuildError::InvalidStatus(99)), BuildError::InvalidStatus(99).to_string(), ""),
        (Error::from(ProtocolError::InvalidUtf8), ProtocolError::InvalidUtf8.to_string(), ""),
        (Error::from(SendError::Closing), SendError::Closing.to_string(), ""),
        (Error::from(TimedOut::Write), TimedOut::Write.to_string(), ""),
        (Error::Connect(io()), io().to_string(), "cannot connect: "),
        (Error::ConnectionLost(io()), io().to_string(), "the connection was lost: "),
    ] {
        assert_eq!(error.to_string(), format!("{text}{below}"));
        // It was said: who prints the chain reads it once.
        assert!(error.source().is_none());
    }
    let wrapped = std::io::Error::other(Error::Connect(std::io::Error::other(Chained)));
    let error = Error::Connect(wrapped);
    assert_eq!(error.to_string(), "cannot connect: cannot connect: chained");
    assert_eq!(error.source().unwrap().to_string(), SendError::Closing.to_string());
}

/// Who prints an error with all that is below it reads nothing twice, whichever error of the crate it is, also inside an
/// `io::Error` or a box. (What halves that do not fit say is in `tests/twins`.)
#[cfg(any(feature = "blocking", feature = "tokio"))]
#[test]
fn chains_say_nothing_twice() {
    use sansocket::handshake::{BuildError, HeadError, InvalidList, RequestError, ResponseError};
    use sansocket::{Error, TimedOut, UriError};

    let below = || std::io::Error::other(Chained);
    let errors: [fn() -> Error; 4] = [
        || UriError::MissingHost.into(),
        || RequestError::from(HeadError::FoldedHeader).into(),
        || ResponseError::from(HeadError::Incomplete).into(),
        || BuildError::InvalidStatus(99).into(),
    ];
    let mut chains: Vec<Box<dyn std::error::Error>> = vec![
        Box::new(InvalidUtf8),
        Box::new(InvalidList),
        Box::new(ProtocolError::InvalidCloseReason(CloseCode::NORMAL)),
        Box::new(SendError::InvalidCloseCode(CloseCode::NO_STATUS_RECEIVED)),
        Box::new(TimedOut::Keepalive),
        Box::new(UriError::UserInfo),
        Box::new(HeadError::FoldedHeader),
        Box::new(RequestError::from(HeadError::FoldedHeader)),
        Box::new(ResponseError::from(HeadError::FoldedHeader)),
        Box::new(BuildError::ReservedHeader("host".into())),
        Box::new(Error::Connect(below())),
        Box::new(Error::ConnectionLost(below())),
        Box::new(Error::Connect(Error::ConnectionLost(below()).into())),
        Box::new(std::io::Error::from(Error::ConnectionLost(below()))),
        Box::new(std::io::Error::from(Error::Protocol(ProtocolError::InvalidUtf8))),
    ];
    for error in errors {
        chains
            .extend([Box::new(error()) as Box<dyn std::error::Error>, std::io::Error::from(error()).into()]);
    }
    for error in chains {
        let chain: Vec<_> =
            std::iter::successors(Some(&*error), |error| error.source()).map(ToString::to_string).collect();
        for (i, text) in chain.iter().enumerate() {
            assert!(chain[..i].iter().all(|above| !above.contains(text)), "{chain:?}");
        }
    }
}

/// An error of an adapter is one of bytes' readers and writers, too: of a kind that fits, and found in it.
#[cfg(any(feature = "blocking", feature = "tokio"))]
#[test]
fn errors_of_byte_streams() {
    use std::io::{self, ErrorKind};

    use sansocket::handshake::{BuildError, RequestError, ResponseError};
    use sansocket::{Error, ProxyError, ProxyUriError, TimedOut, UriError};

    for (error, kind) in [
        (Error::from(UriError::Fragment), ErrorKind::InvalidInput),
        (Error::from(BuildError::InvalidStatus(99)), ErrorKind::InvalidInput),
        (Error::from(RequestError::MissingKey), ErrorKind::InvalidData),
        (Error::from(ResponseError::MissingAccept), ErrorKind::InvalidData),
        (Error::from(ProtocolError::InvalidUtf8), ErrorKind::InvalidData),
        (Error::from(ProxyUriError::InvalidHost), ErrorKind::InvalidInput),
        (Error::from(ProxyError::Response(ResponseError::TooManyInterimResponses)), ErrorKind::InvalidData),
        (Error::from(ProxyError::NotSocks), ErrorKind::InvalidData),
        (Error::from(ProxyError::AuthenticationFailed), ErrorKind::ConnectionRefused),
        (Error::from(SendError::Closing), ErrorKind::BrokenPipe),
        (Error::from(SendError::MessageInProgress), ErrorKind::InvalidInput),
        (Error::from(TimedOut::Write), ErrorKind::TimedOut),
        (Error::Connect(ErrorKind::ConnectionRefused.into()), ErrorKind::ConnectionRefused),
        (Error::ConnectionLost(ErrorKind::ConnectionReset.into()), ErrorKind::ConnectionReset),
    ] {
        let text = error.to_string();
        let error = io::Error::from(error);
        assert_eq!((error.kind(), error.to_string()), (kind, text.clone()));
        assert_eq!(error.downcast::<Error>().unwrap().to_string(), text);
    }
}

/// An error that says what it is, and has a source.
#[cfg(any(feature = "blocking", feature = "tokio"))]
#[derive(Debug)]
struct Chained;

#[cfg(any(feature = "blocking", feature = "tokio"))]
impl std::fmt::Display for Chained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("chained")
    }
}

#[cfg(any(feature = "blocking", feature = "tokio"))]
impl std::error::Error for Chained {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&SendError::Closing)
    }
}
