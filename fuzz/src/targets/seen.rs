use sansocket::{Event, MessageKind};

/// An [`Event`] that owns its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    Data { kind: MessageKind, first: bool, last: bool, payload: Vec<u8> },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Data(fragment) => Self::Data {
                kind: fragment.kind,
                first: fragment.first,
                last: fragment.last,
                payload: fragment.payload.to_vec(),
            },
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(close) => {
                Self::Close(close.map(|close| (close.code.get(), close.reason.to_owned())))
            }
            _ => panic!("an event of a new kind"),
        }
    }
}

/// Adds what was seen next; a fragment is joined to one just before it. The result is the same however
/// the fragments were cut.
#[track_caller]
pub fn join(events: &mut Vec<Seen>, next: Seen) {
    if let Seen::Data { kind, first: false, last, payload } = &next {
        match events.last_mut() {
            Some(Seen::Data { kind: of, last: ended, payload: before, .. }) => {
                assert!(of == kind && !*ended, "a fragment continues the message in progress");
                before.extend_from_slice(payload);
                *ended = *last;
                return;
            }
            Some(Seen::Ping(_) | Seen::Pong(_)) => {}
            Some(Seen::Close(_)) | None => panic!("a fragment of no message"),
        }
    }
    events.push(next);
}

/// Whether joined events are the start of others, which may end inside a message.
pub fn is_start_of(start: &[Seen], events: &[Seen]) -> bool {
    let Some((end, before)) = start.split_last() else { return true };
    let Some(whole) = events.get(before.len()) else { return false };
    let end_agrees = match (end, whole) {
        (
            Seen::Data { kind, first, last: false, payload },
            Seen::Data { kind: of, first: begins, payload: all, .. },
        ) => kind == of && first == begins && all.starts_with(payload),
        _ => end == whole,
    };
    end_agrees && events.starts_with(before)
}
