//! What a message carries.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use sansocket::{Message, PreparedMessage, Utf8Bytes};
use serde::de::DeserializeOwned;
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::wire::numbered::Draft;
use crate::wire::{binary, text};

/// What a message carries: JSON, kept as it came and parsed once, by you; or bytes.
///
/// Clones share it. Serialised, it is the JSON that it is; bytes are none, and fail.
///
/// ```
/// # use sansocket_channels::Payload;
/// #[derive(serde::Deserialize)]
/// struct Said {
///     text: String,
/// }
///
/// fn said(payload: &Payload) -> Option<String> {
///     payload.parse::<Said>().ok().map(|said| said.text)
/// }
/// ```
#[derive(Clone)]
pub struct Payload(Kind);

#[derive(Clone)]
enum Kind {
    /// A value in JSON is this part of the text.
    Json(Utf8Bytes, Range<usize>),
    Binary(Bytes),
}

impl Payload {
    /// A value as JSON. Fails if it cannot be.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Result<Self, PayloadError> {
        to_json(value).map(Self::text)
    }

    /// Bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Binary(bytes.into()))
    }

    /// The value that the JSON stands for. Fails if it is another one than `T` can be, and for bytes.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        let json = self.json().ok_or(PayloadError(Fault::Binary))?;
        serde_json::from_str(json).map_err(PayloadError::from)
    }

    /// The JSON, as it came; `None` for bytes.
    pub fn json(&self) -> Option<&str> {
        match &self.0 {
            Kind::Json(text, range) => Some(&text[range.clone()]),
            Kind::Binary(_) => None,
        }
    }

    /// The bytes; `None` for JSON.
    pub fn binary(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Json(..) => None,
            Kind::Binary(bytes) => Some(bytes),
        }
    }

    /// The message that carries it to all members.
    pub(crate) fn message(&self, topic: &str, event: &str) -> Message {
        match &self.0 {
            Kind::Json(text, range) => text::frame(None, None, topic, event, &text[range.clone()]).into(),
            Kind::Binary(data) => binary::broadcast(topic, event, data).into(),
        }
    }

    /// The same, but for its number.
    pub(crate) fn draft(&self, topic: &str, event: &str) -> Draft {
        match &self.0 {
            Kind::Json(text, range) => Draft::text(topic, event, &text[range.clone()]),
            Kind::Binary(data) => Draft::binary(topic, event, data),
        }
    }

    /// The same, as part of its [`message`](Self::message): its own bytes need not be kept.
    pub(crate) fn within(&self, message: &PreparedMessage) -> Self {
        let frame = message.shared_payload();
        match &self.0 {
            Kind::Json(_, range) => match Utf8Bytes::try_from(frame) {
                Ok(text) => {
                    // A bracket is behind it.
                    let end = text.len() - 1;
                    Self::slice(text, end - range.len()..end)
                }
                Err(_) => self.clone(),
            },
            Kind::Binary(data) => Self::bytes(frame.slice(frame.len() - data.len()..)),
        }
    }

    /// The same, which shares its memory with nothing else.
    pub(crate) fn copied(&self) -> Self {
        match &self.0 {
            Kind::Json(text, range) => Self::text(text[range.clone()].to_owned()),
            Kind::Binary(data) => Self::bytes(Bytes::copy_from_slice(data)),
        }
    }

    /// JSON that is part of a text.
    pub(crate) fn slice(text: Utf8Bytes, range: Range<usize>) -> Self {
        Self(Kind::Json(text, range))
    }

    /// All of a text that is JSON.
    pub(crate) fn text(text: impl Into<Utf8Bytes>) -> Self {
        let text = text.into();
        let range = 0..text.len();
        Self(Kind::Json(text, range))
    }

    /// How many bytes it is.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Kind::Json(_, range) => range.len(),
            Kind::Binary(bytes) => bytes.len(),
        }
    }
}

impl fmt::Debug for Payload {
    /// Keeps payloads out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.json().is_some() { "json" } else { "binary" };
        f.debug_struct("Payload").field("kind", &kind).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = self.json().ok_or_else(|| S::Error::custom(PayloadError(Fault::Binary)))?;
        serde_json::from_str::<&RawValue>(json).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// A value as JSON.
pub(crate) fn to_json(value: &(impl Serialize + ?Sized)) -> Result<String, PayloadError> {
    serde_json::to_string(value).map_err(PayloadError::from)
}

/// The same, which has to be an object.
pub(crate) fn to_object(value: &impl Serialize) -> Result<String, PayloadError> {
    let json = to_json(value)?;
    if json.starts_with('{') { Ok(json) } else { Err(PayloadError(Fault::NoObject)) }
}

/// The fields of an object.
pub(crate) fn to_fields(value: &impl Serialize) -> Result<Map<String, Value>, PayloadError> {
    match serde_json::to_value(value)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(PayloadError(Fault::NoObject)),
    }
}

/// Why a payload is not what it is taken for, or a value is no payload.
#[derive(Debug)]
pub struct PayloadError(Fault);

#[derive(Debug)]
enum Fault {
    Json(serde_json::Error),
    Binary,
    NoObject,
    Unfit,
}

impl PayloadError {
    /// Of what cannot be a message for another reason than its JSON.
    pub(crate) fn unfit() -> Self {
        Self(Fault::Unfit)
    }
}

impl From<serde_json::Error> for PayloadError {
    fn from(error: serde_json::Error) -> Self {
        Self(Fault::Json(error))
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Fault::Json(error) if error.is_data() => write!(f, "the payload has another form: {error}"),
            Fault::Json(error) => write!(f, "the payload is no JSON: {error}"),
            Fault::Binary => f.write_str("the payload is binary, not JSON"),
            Fault::Unfit => f.write_str("the payload is too large, or the event's name is none"),
            Fault::NoObject => f.write_str("the payload has to be an object in JSON"),
        }
    }
}

impl std::error::Error for PayloadError {}
