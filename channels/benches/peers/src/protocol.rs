//! What the clients of each server say, and what they are told.

use crate::{SIZE, filling};

/// What the clients of a server say, and what they are told.
pub struct Protocol {
    /// Where who is to be sent what is broadcast connects to.
    pub path: &'static str,
    pub subscribe: &'static [Step],
    /// Where the one connects to who has the server broadcast.
    pub control_path: &'static str,
    pub control: &'static [Step],
    /// What he says to have it do so as often as is said between the two.
    pub go: (&'static str, &'static str),
    /// What a message that is delivered has before and behind what fills it.
    around: (&'static str, &'static str),
    /// How many bytes less than others such a message has.
    shorter: usize,
    /// How many digits are before its last byte, which each message has others of.
    pub digits: usize,
}

/// What is done after the opening handshake, one after the other.
#[derive(Clone, Copy)]
pub enum Step {
    Say(&'static str),
    /// Waits for a message.
    Hear,
}

use Step::{Hear, Say};

macro_rules! join {
    ($topic:literal) => {
        Say(concat!(r#"["1","1",""#, $topic, r#"","phx_join",{}]"#))
    };
}

pub const CHANNELS: Protocol = Protocol {
    path: "/socket/websocket?vsn=2.0.0",
    subscribe: &[join!("news"), Hear],
    control_path: "/socket/websocket?vsn=2.0.0",
    control: &[join!("control"), Hear],
    go: (r#"["1",null,"control","go",{"n":"#, "}]"),
    around: (r#"[null,null,"news","tick",""#, r#""]"#),
    shorter: 0,
    digits: 0,
};

/// Of a topic with a history, to those who speak as Phoenix does. It has been sent so much before that all numbers of its
/// messages have as many digits.
pub const STOCK: Protocol = Protocol {
    subscribe: &[join!("kept"), Hear],
    control: &[
        join!("kept"),
        Hear,
        Say(r#"["1","2","kept","phx_leave",{}]"#),
        Hear,
        Hear,
        join!("control"),
        Hear,
        Say(r#"["1","2","control","begin",{}]"#),
        Hear,
    ],
    go: (r#"["1",null,"control","go",{"topic":"kept","n":"#, "}]"),
    around: (r#"[null,null,"kept","tick",""#, r#""]"#),
    shorter: ",100000".len(),
    ..CHANNELS
};

/// The same, to those who speak as our client does.
pub const EXTENDED: Protocol = Protocol {
    path: "/socket/websocket?vsn=2.0.0&ext=1",
    around: (r#"[null,null,"kept","tick",""#, r#"",100000]"#),
    shorter: 0,
    digits: "100000".len(),
    ..STOCK
};

/// Of clients that join so many topics more.
pub const FURTHER: (Protocol, usize) = (
    Protocol {
        subscribe: &[
            join!("news"),
            Hear,
            join!("more:1"),
            Hear,
            join!("more:2"),
            Hear,
            join!("more:3"),
            Hear,
            join!("more:4"),
            Hear,
            join!("more:5"),
            Hear,
            join!("more:6"),
            Hear,
            join!("more:7"),
            Hear,
            join!("more:8"),
            Hear,
        ],
        ..CHANNELS
    },
    8,
);

pub const SOCKETIOXIDE: Protocol = Protocol {
    path: "/socket.io/?EIO=4&transport=websocket",
    // It pings at once.
    subscribe: &[Hear, Hear, Say("3"), Say("40"), Hear],
    control_path: "/socket.io/?EIO=4&transport=websocket",
    control: &[Hear, Hear, Say("3"), Say("40/control,"), Hear],
    go: (r#"42/control,["go","#, "]"),
    around: (r#"42["tick",""#, r#""]"#),
    shorter: 0,
    digits: 0,
};

/// Of a server that knows no topics: who connects is sent what is broadcast, as it is.
pub const BARE: Protocol = Protocol {
    path: "/news",
    subscribe: &[],
    control_path: "/control",
    control: &[],
    go: ("", ""),
    around: ("", ""),
    shorter: 0,
    digits: 0,
};

impl Protocol {
    /// A message as it is delivered.
    pub fn delivered(&self) -> Vec<u8> {
        let (before, behind) = self.around;
        let filling = filling(before.len() + behind.len() + self.shorter);
        let mut frame = vec![0x81, u8::try_from(SIZE - self.shorter).expect("a short frame")];
        frame.extend([before, &filling, behind].concat().bytes());
        frame
    }

    /// The frame that has the server broadcast so often.
    pub fn go(&self, times: usize) -> Vec<u8> {
        text(&format!("{}{times}{}", self.go.0, self.go.1))
    }
}

/// A client's frame of text. Its masking key is no secret from a server that is measured.
pub fn text(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).ok().filter(|len| *len <= 125).expect("a short frame");
    let mut frame = vec![first, 0x80 | len];
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
