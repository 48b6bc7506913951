//! The Confluent wire format: a zero byte, the schema id as four bytes big-endian, then the Avro body.

use crate::reject::{Reject, code};

pub const HEADER: usize = 5;

/// Splits a framed value into schema id and Avro body.
///
/// # Errors
/// `bad_magic` when the value is shorter than the frame or does not start with a zero byte.
pub fn split(value: &[u8]) -> Result<(u32, &[u8]), Reject> {
    match value {
        [0, a, b, c, d, body @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), body)),
        [0, ..] | [] => {
            Err(Reject::new(code::BAD_MAGIC, format!("value has {} bytes, a framed record has at least {HEADER}", value.len())))
        }
        [first, ..] => {
            Err(Reject::new(code::BAD_MAGIC, format!("first byte is {first:#04x}, expected 0x00 before the schema id")))
        }
    }
}

/// Writes the frame; the body follows.
pub fn frame(schema_id: u32, out: &mut Vec<u8>) {
    out.push(0);
    out.extend_from_slice(&schema_id.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_apart_as_it_was_put_together() {
        let mut value = Vec::new();
        frame(70_000, &mut value);
        value.extend_from_slice(b"body");
        assert_eq!(split(&value), Ok((70_000, b"body".as_slice())));
    }

    #[test]
    fn a_wrong_magic_byte_and_a_short_value_are_told_apart() {
        assert!(split(b"{\"json\":1}").unwrap_err().detail.contains("0x7b"));
        assert!(split(&[0, 1]).unwrap_err().detail.contains("2 bytes"));
    }
}
