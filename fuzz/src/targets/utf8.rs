use core::str;

use sansocket::utf8::{InvalidUtf8, Utf8Validator};

use super::{every_cut, hash};

/// The validator agrees with `core::str::from_utf8`, however the text is cut, and fails in the piece
/// with the first byte that nothing could put right.
pub fn utf8(text: &[u8]) {
    let bad = first_bad_byte(text);
    let whole = str::from_utf8(text).map(|_| ()).map_err(|_| InvalidUtf8);
    // One for all, since it is ready for another text after the end of one.
    let mut validator = Utf8Validator::default();
    'cuts: for cuts in every_cut(text.len(), hash(text)) {
        let mut start = 0;
        for end in cuts {
            let result = validator.feed(&text[start..end]);
            assert_eq!(result.is_err(), bad.is_some_and(|bad| bad < end), "{start}..{end} of {text:02x?}");
            if result.is_err() {
                assert!(whole.is_err());
                validator = Utf8Validator::default();
                continue 'cuts;
            }
            start = end;
        }
        assert_eq!(validator.finish(), whole, "the end of {text:02x?}");
    }
}

/// The first byte that makes the text up to it one that cannot be continued to valid UTF-8.
fn first_bad_byte(text: &[u8]) -> Option<usize> {
    let valid = str::from_utf8(text).err()?.valid_up_to();
    (valid..text.len())
        .find(|end| str::from_utf8(&text[valid..=*end]).is_err_and(|error| error.error_len().is_some()))
}
