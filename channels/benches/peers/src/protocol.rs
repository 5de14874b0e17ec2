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
}

/// What is done after the opening handshake, one after the other.
#[derive(Clone, Copy)]
pub enum Step {
    Say(&'static str),
    /// Waits for a message.
    Hear,
}

use Step::{Hear, Say};

pub const CHANNELS: Protocol = Protocol {
    path: "/socket/websocket?vsn=2.0.0",
    subscribe: &[Say(r#"["1","1","news","phx_join",{}]"#), Hear],
    control_path: "/socket/websocket?vsn=2.0.0",
    control: &[Say(r#"["1","1","control","phx_join",{}]"#), Hear],
    go: (r#"["1",null,"control","go",{"n":"#, "}]"),
    around: (r#"[null,null,"news","tick",""#, r#""]"#),
};

pub const SOCKETIOXIDE: Protocol = Protocol {
    path: "/socket.io/?EIO=4&transport=websocket",
    // It pings at once.
    subscribe: &[Hear, Hear, Say("3"), Say("40"), Hear],
    control_path: "/socket.io/?EIO=4&transport=websocket",
    control: &[Hear, Hear, Say("3"), Say("40/control,"), Hear],
    go: (r#"42/control,["go","#, "]"),
    around: (r#"42["tick",""#, r#""]"#),
};

/// Of a server that knows no topics: who connects is sent what is broadcast, as it is.
pub const BARE: Protocol = Protocol {
    path: "/news",
    subscribe: &[],
    control_path: "/control",
    control: &[],
    go: ("", ""),
    around: ("", ""),
};

impl Protocol {
    /// A message as it is delivered.
    pub fn delivered(&self) -> Vec<u8> {
        let (before, behind) = self.around;
        let filling = filling(before.len() + behind.len());
        let mut frame = vec![0x81, u8::try_from(SIZE).expect("a short frame")];
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
