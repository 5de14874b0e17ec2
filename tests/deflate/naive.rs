//! A deliberately simple and strict inflater, read straight off RFC 1951: it copies everything, looks up
//! Huffman codes bit by bit, refuses what no encoder should make, and measures how far back it was sent.

/// One direction of a connection, as section 7.2.2 of RFC 7692 decompresses it.
#[derive(Debug)]
pub struct Naive {
    /// References further back than this are refused.
    window: usize,
    /// All that was inflated so far.
    history: Vec<u8>,
    /// The longest distance seen.
    pub farthest: usize,
    /// A block had BFINAL set.
    pub saw_final: bool,
}

/// What is wrong with a stream.
pub type Fault = &'static str;

impl Naive {
    pub fn new(window_bits: u8) -> Self {
        Self { window: 1 << window_bits, history: Vec::new(), farthest: 0, saw_final: false }
    }

    /// With the largest window, which holds `data`.
    pub fn after(data: &[u8]) -> Self {
        Self { history: data.to_vec(), ..Self::new(15) }
    }

    /// The next message begins with an empty window.
    pub fn forget(&mut self) {
        self.history.clear();
    }

    /// Inflates the payload of one message: "Append 4 octets of 0x00 0x00 0xff 0xff [...]. Decompress the
    /// resulting data using DEFLATE." It must end where a block ends.
    pub fn message(&mut self, payload: &[u8]) -> Result<Vec<u8>, Fault> {
        self.blocks(&[payload, &[0x00, 0x00, 0xff, 0xff]].concat())
    }

    /// Inflates blocks; the last of them must end where `bytes` end.
    pub fn blocks(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let start = self.history.len();
        let mut bits = Bits { bytes, at: 0 };
        while bits.at < bytes.len() * 8 {
            let last = bits.take(1)? == 1;
            match bits.take(2)? {
                0 => self.stored(&mut bits)?,
                1 => self.compressed(&mut bits, &fixed_literals(), &Code::new(&[5; 30])?)?,
                2 => {
                    let (literals, distances) = dynamic(&mut bits)?;
                    self.compressed(&mut bits, &literals, &distances)?;
                }
                _ => return Err("a block of a reserved type"),
            }
            if last {
                self.saw_final = true;
                bits.align()?;
            }
        }
        Ok(self.history[start..].to_vec())
    }

    fn stored(&mut self, bits: &mut Bits<'_>) -> Result<(), Fault> {
        bits.align()?;
        let len = bits.take(16)?;
        if bits.take(16)? != len ^ 0xffff {
            return Err("the length of a stored block and its complement differ");
        }
        for _ in 0..len {
            self.history.push(u8::try_from(bits.take(8)?).unwrap());
        }
        Ok(())
    }

    fn compressed(&mut self, bits: &mut Bits<'_>, literals: &Code, distances: &Code) -> Result<(), Fault> {
        loop {
            let symbol = literals.decode(bits)?;
            match symbol {
                0..=255 => self.history.push(u8::try_from(symbol).unwrap()),
                256 => return Ok(()),
                257..=285 => {
                    let (base, extra) = LENGTHS[symbol - 257];
                    let len = base + bits.take(extra)?;
                    let (base, extra) =
                        *DISTANCES.get(distances.decode(bits)?).ok_or("a reserved distance")?;
                    self.copy(len, base + bits.take(extra)?)?;
                }
                _ => return Err("a reserved length"),
            }
        }
    }

    fn copy(&mut self, len: usize, distance: usize) -> Result<(), Fault> {
        self.farthest = self.farthest.max(distance);
        if distance > self.window {
            return Err("a distance beyond the window");
        }
        let from = self.history.len().checked_sub(distance).ok_or("a distance beyond the beginning")?;
        for i in from..from + len {
            self.history.push(self.history[i]);
        }
        Ok(())
    }
}

/// "Data elements are packed into bytes in order of increasing bit number [...], starting with the
/// least-significant bit of the byte." (section 3.1.1)
struct Bits<'b> {
    bytes: &'b [u8],
    /// In bits.
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Result<usize, Fault> {
        let mut value = 0;
        for i in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or("it ends inside a block")?;
            value |= usize::from(byte >> (self.at % 8) & 1) << i;
            self.at += 1;
        }
        Ok(value)
    }

    /// Skips to the next byte: what is skipped must be zero.
    fn align(&mut self) -> Result<(), Fault> {
        let padding = (8 - self.at % 8) % 8;
        if self.take(padding)? == 0 { Ok(()) } else { Err("padding that is not zero") }
    }
}

/// A Huffman code (section 3.2.2): how many code words there are of each length, and their symbols in order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Result<Self, Fault> {
        let (mut counts, mut symbols, mut words) = ([0; 16], Vec::new(), 0);
        for (length, count) in counts.iter_mut().enumerate().skip(1) {
            symbols.extend((0..lengths.len()).filter(|symbol| lengths[*symbol] == length));
            *count = lengths.iter().filter(|other| **other == length).count();
            words = 2 * words + *count;
            if words > 1 << length {
                return Err("too many code words");
            }
        }
        Ok(Self { counts, symbols })
    }

    fn decode(&self, bits: &mut Bits<'_>) -> Result<usize, Fault> {
        // The word so far; the first word of its length; the place of that one's symbol.
        let (mut word, mut first, mut place) = (0, 0, 0);
        for count in &self.counts[1..] {
            word = 2 * word + bits.take(1)?;
            first *= 2;
            if word < first + count {
                return Ok(self.symbols[place + word - first]);
            }
            first += count;
            place += count;
        }
        Err("not a code word")
    }
}

/// Section 3.2.6.
fn fixed_literals() -> Code {
    let lengths = [(0..144, 8), (144..256, 9), (256..280, 7), (280..288, 8)];
    let lengths = lengths.into_iter().flat_map(|(symbols, length)| symbols.map(move |_| length));
    Code::new(&lengths.collect::<Vec<_>>()).unwrap()
}

/// Section 3.2.7.
fn dynamic(bits: &mut Bits<'_>) -> Result<(Code, Code), Fault> {
    let literals = bits.take(5)? + 257;
    let distances = bits.take(5)? + 1;
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let mut lengths = [0; 19];
    for symbol in &order[..bits.take(4)? + 4] {
        lengths[*symbol] = bits.take(3)?;
    }
    let code = Code::new(&lengths)?;
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.decode(bits)? {
            16 => (*lengths.last().ok_or("nothing to repeat")?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    if lengths.len() > literals + distances || lengths[256] == 0 {
        return Err("bad code lengths");
    }
    Ok((Code::new(&lengths[..literals])?, Code::new(&lengths[literals..])?))
}

/// Section 3.2.5: the least length, or distance, and the number of extra bits.
#[rustfmt::skip]
const LENGTHS: [(usize, usize); 29] = [
    (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (11, 1), (13, 1), (15, 1), (17, 1),
    (19, 2), (23, 2), (27, 2), (31, 2), (35, 3), (43, 3), (51, 3), (59, 3), (67, 4), (83, 4), (99, 4),
    (115, 4), (131, 5), (163, 5), (195, 5), (227, 5), (258, 0),
];
#[rustfmt::skip]
const DISTANCES: [(usize, usize); 30] = [
    (1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (7, 1), (9, 2), (13, 2), (17, 3), (25, 3), (33, 4), (49, 4),
    (65, 5), (97, 5), (129, 6), (193, 6), (257, 7), (385, 7), (513, 8), (769, 8), (1025, 9), (1537, 9),
    (2049, 10), (3073, 10), (4097, 11), (6145, 11), (8193, 12), (12289, 12), (16385, 13), (24577, 13),
];

/// The twin is right about the examples of RFC 7692, and refuses what it is to refuse.
#[test]
fn the_naive_inflater_is_right() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let mut naive = Naive::new(15);
    assert_eq!(naive.message(hello).unwrap(), b"Hello");
    assert_eq!(naive.message(b"\xf2\x00\x11\x00\x00").unwrap(), b"Hello");
    assert_eq!(naive.farthest, 5);
    assert_eq!(naive.message(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00").unwrap(), b"Hello");
    assert_eq!(naive.message(b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00").unwrap(), b"Hello");
    assert_eq!(naive.message(b"\x00").unwrap(), b"");
    assert_eq!(Naive::new(15).message(b"\xf2\x00\x11\x00\x00"), Err("a distance beyond the beginning"));
    assert_eq!(Naive::new(15).message(&hello[..3]), Err("it ends inside a block"));
    assert_eq!(Naive::new(15).message(b"\x06"), Err("a block of a reserved type"));
    // A dynamic block, and distances on either side of the limit.
    let data = [&common_text()[..], &[b'-'; 2], &common_text()[..]].concat();
    let compressed = super::endpoint::Foreign::new(9).finish(&data);
    let mut naive = Naive::new(15);
    assert_eq!(naive.blocks(&compressed).unwrap(), data);
    assert!((2000..2010).contains(&naive.farthest), "{}", naive.farthest);
    assert_eq!(Naive::new(10).blocks(&compressed), Err("a distance beyond the window"));
}

/// 2,000 letters that do not repeat.
fn common_text() -> Vec<u8> {
    super::common::pseudo_random(1, 2000).iter().map(|byte| b'a' + byte % 16).collect()
}
