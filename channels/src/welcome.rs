//! What a client is told that has joined.

use std::sync::Arc;

use sansocket::Message;

use crate::connection::Dialect;
use crate::history::Catchup;
use crate::reserved::Since;
use crate::seat::Seat;
use crate::wire::text;

/// What a client is told that has joined: ready but for what is known only when it becomes a member.
pub(crate) struct Welcome {
    /// `None`: it wants no answer.
    reply: Option<text::Reply>,
    dialect: Dialect,
    since: Option<Since>,
}

impl Welcome {
    /// The response is an object in JSON.
    pub(crate) fn new(seat: &Arc<Seat>, response: &str, since: Option<Since>) -> Self {
        let dialect = seat.connection.dialect;
        let members =
            response.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        let conn = match dialect {
            Dialect::Stock => String::new(),
            Dialect::Extended => {
                let comma = if members.trim().is_empty() { "" } else { "," };
                format!("\"$conn\":\"{}\"{comma}", seat.connection.id)
            }
        };
        let reply = seat.join_reference().map(|reference| {
            text::Reply::begin(seat.join_ref.as_deref(), &reference, &seat.topic, &[&conn, members])
        });
        Self { reply, dialect, since: since.filter(|_| dialect == Dialect::Extended) }
    }

    /// Where the client left off, as it says.
    pub(crate) fn since(&self) -> Option<&Since> {
        self.since.as_ref()
    }

    /// Whether the client gets all that it has missed, if it is sent so many frames. `None`: it does not come back.
    pub(crate) fn recovers(&self, catchup: Option<&Catchup>, sent: usize) -> Option<bool> {
        let is_recovered = catchup.is_some_and(|catchup| catchup.recovers(sent));
        self.since.as_ref().map(|_| is_recovered)
    }

    /// How many bytes the reply has, at most.
    pub(crate) fn max_len(&self) -> usize {
        self.reply.as_ref().map_or(0, text::Reply::max_len)
    }

    /// The reply, with what there is to be told of the topic's history, of which so many frames follow.
    pub(crate) fn reply(self, catchup: Option<&Catchup>, sent: usize) -> Option<Message> {
        let mut told = String::new();
        if self.dialect == Dialect::Extended {
            if let Some(catchup) = catchup {
                let (epoch, offset) = (&catchup.epoch, catchup.from(sent));
                told = format!(",\"$pos\":{{\"e\":\"{epoch}\",\"o\":{offset}}}");
            }
            if let Some(is_recovered) = self.recovers(catchup, sent) {
                told.push_str(if is_recovered { ",\"$recovered\":true" } else { ",\"$recovered\":false" });
            }
        }
        Some(self.reply?.end(&told))
    }
}
