use sansocket::frame::MaskingKey;

use super::{Choices, mask_naively};

/// Masking is the RFC's loop, at every offset and alignment, and however the payload is cut.
pub fn mask(data: &[u8]) {
    let mut choices = Choices(data);
    let key: [u8; 4] = choices.array();
    // Not so near the end of the numbers that a payload would not fit.
    let start = u64::from_be_bytes(choices.array()) >> 1;
    let cut = choices.number();
    let payload = choices.0;

    let masking_key = MaskingKey::new(key);
    assert_eq!(masking_key.to_bytes(), key);
    for offset in start..start + 4 {
        let mut expected = payload.to_vec();
        mask_naively(key, &mut expected, offset);
        for alignment in 0..8 {
            // With bytes around it, which are not to be touched.
            let mut buffer = [vec![0x5a; alignment], payload.to_vec(), vec![0xa5; 8]].concat();
            masking_key.apply(&mut buffer[alignment..alignment + payload.len()], offset);
            assert_eq!(buffer[..alignment], [0x5a; 8][..alignment]);
            assert_eq!(buffer[alignment..alignment + payload.len()], expected);
            assert_eq!(buffer[alignment + payload.len()..], [0xa5; 8]);
        }
        let mut pieces = payload.to_vec();
        let (front, back) = pieces.split_at_mut(cut % (payload.len() + 1));
        masking_key.apply(back, offset + front.len() as u64);
        masking_key.apply(front, offset);
        assert_eq!(pieces, expected, "cut at {}", cut % (payload.len() + 1));
        masking_key.apply(&mut pieces, offset);
        assert_eq!(pieces, payload, "unmasked");
    }
}
