//! What is sent.

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kind {
    #[default]
    /// Random bytes.
    Binary,
    /// ASCII text.
    Text,
    /// Text with characters of one to four bytes.
    Mixed,
    /// JSON-like text, as a service may send it: it compresses to about a third.
    Json,
}

impl Kind {
    pub fn is_text(self) -> bool {
        self != Self::Binary
    }
}

impl std::str::FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Ok(match name {
            "binary" => Self::Binary,
            "text" => Self::Text,
            "mixed" => Self::Mixed,
            "json" => Self::Json,
            _ => return Err(()),
        })
    }
}

/// xorshift64*: the same payloads in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.draw() >> 33) as usize % bound
    }
}

/// A payload of exactly `size` bytes.
pub fn payload(kind: Kind, size: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed + 1);
    let mut payload = Vec::with_capacity(size + 256);
    while payload.len() < size {
        match kind {
            Kind::Binary => payload.extend(random.draw().to_le_bytes()),
            Kind::Text => payload.push(b' ' + random.below(95) as u8),
            Kind::Mixed => {
                const SCRIPTS: [&str; 5] = [
                    "The quick brown fox ",
                    "Straße, naïve café ",
                    "Съешь ещё этих ",
                    "色は匂へど散りぬるを",
                    "🦀🌍🚀 ",
                ];
                payload.extend(SCRIPTS[random.below(5)].as_bytes());
            }
            Kind::Json => {
                const NAMES: [&str; 6] =
                    ["temperature", "pressure", "humidity", "voltage", "current", "speed"];
                const STATES: [&str; 4] = ["ok", "warning", "error", "unknown"];
                let record = format!(
                    "{{\"id\":{},\"sensor\":\"{}-{}\",\"state\":\"{}\",\"value\":{}.{:02},\"at\":17{:08}}},",
                    random.below(1_000_000),
                    NAMES[random.below(6)],
                    random.below(100),
                    STATES[random.below(4)],
                    random.below(1000),
                    random.below(100),
                    random.below(100_000_000),
                );
                payload.extend(record.as_bytes());
            }
        }
    }
    // Cut between two characters; the rest is filled up.
    let mut end = size;
    while kind == Kind::Mixed && end > 0 && payload.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    payload.truncate(end);
    payload.resize(size, b'.');
    payload
}

/// The messages of a connection, which are sent in turns: few enough to stay in a cache.
pub fn payloads(kind: Kind, size: usize) -> Vec<Vec<u8>> {
    let count = (256 * 1024 / size.max(1)).clamp(2, 64) as u64;
    (0..count).map(|seed| payload(kind, size, seed)).collect()
}

/// A frame as a client sends it: masked.
pub fn client_frame(first: u8, payload: &[u8], key: [u8; 4], out: &mut Vec<u8>) {
    out.push(first);
    frame_len(payload.len(), 0x80, out);
    out.extend(key);
    let start = out.len();
    out.extend(payload);
    for (at, byte) in out[start..].iter_mut().enumerate() {
        *byte ^= key[at % 4];
    }
}

/// A frame as a server sends it.
pub fn server_frame(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    frame_len(payload.len(), 0, out);
    out.extend(payload);
}

fn frame_len(len: usize, mask: u8, out: &mut Vec<u8>) {
    match len {
        0..=125 => out.push(mask | len as u8),
        126..=0xffff => {
            out.push(mask | 126);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
}
