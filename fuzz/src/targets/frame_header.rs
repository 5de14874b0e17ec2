use sansocket::frame::{FrameHeader, MaskingKey, Opcode};

use super::Choices;

/// Parsing and encoding a frame's header are inverse to each other, and parsing looks at no byte beyond
/// those that it reports.
pub fn frame_header(data: &[u8]) {
    parse(data);
    encode(data);
}

fn parse(input: &[u8]) {
    let whole = FrameHeader::parse(input);
    // As bytes arrive: first nothing, then, from one byte on, what there is to say, whatever follows.
    let decided = (0..=input.len()).find(|len| FrameHeader::parse(&input[..*len]) != Ok(None));
    for len in 0..=input.len().min(FrameHeader::MAX_LEN + 1) {
        let expected = if decided.is_some_and(|decided| len >= decided) { whole } else { Ok(None) };
        assert_eq!(FrameHeader::parse(&input[..len]), expected, "{len} bytes of {input:02x?}");
    }
    assert!(decided.is_some() || input.len() < FrameHeader::MAX_LEN, "a header longer than the longest");
    if let Ok(Some((header, len))) = whole {
        assert_eq!(decided, Some(len), "the reported length");
        assert_eq!(*header.encode(), input[..len], "encoding what was parsed");
        assert!(header.payload_len < 1 << 63);
        if header.opcode.is_control() {
            assert!(header.fin && header.payload_len <= 125);
        }
    }
}

fn encode(fields: &[u8]) {
    let mut choices = Choices(fields);
    let first = choices.byte();
    let Ok(opcode) = Opcode::try_from(first & 0xf) else { return };
    let masking_key = (first & 0x10 != 0).then(|| MaskingKey::new(choices.array()));
    // Lengths of every magnitude, those at the limits of the three forms among them.
    let shift = choices.byte() % 64;
    let payload_len = u64::from_be_bytes(choices.array()) >> shift;
    let header =
        FrameHeader { fin: first & 0x80 != 0, rsv1: first & 0x40 != 0, opcode, masking_key, payload_len };
    let encoded = header.encode();
    let extended = match payload_len {
        0..126 => 0,
        126..0x1_0000 => 2,
        _ => 8,
    };
    assert_eq!(encoded.len(), 2 + extended + if masking_key.is_some() { 4 } else { 0 }, "{header:?}");
    let parsed = FrameHeader::parse(&encoded);
    if (opcode.is_control() && (!header.fin || payload_len > 125)) || payload_len >= 1 << 63 {
        assert!(parsed.is_err(), "{header:?}");
    } else {
        assert_eq!(parsed, Ok(Some((header, encoded.len()))));
    }
}
