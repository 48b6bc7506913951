//! Bodies, packed or not, never larger than agreed once they are unpacked.

use std::io::Read as _;

use flate2::read::GzDecoder;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Not packed as it says, or in a way we do not know.
    Encoding,
    TooLarge,
}

/// Unpacks as far as the limit, and not a byte further: a small body may unpack to any size.
pub(super) fn unpack(body: Vec<u8>, encoding: Option<&str>, limit: usize) -> Result<Vec<u8>, Wrong> {
    match encoding.map(str::trim) {
        None | Some("" | "identity") if body.len() <= limit => Ok(body),
        None | Some("" | "identity") => Err(Wrong::TooLarge),
        Some("gzip") => {
            let mut unpacked = Vec::new();
            let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            GzDecoder::new(body.as_slice()).take(most).read_to_end(&mut unpacked).map_err(|_| Wrong::Encoding)?;
            if unpacked.len() > limit { Err(Wrong::TooLarge) } else { Ok(unpacked) }
        }
        Some(_) => Err(Wrong::Encoding),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = packed(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(unpack(bomb, Some("gzip"), 1 << 20), Err(Wrong::TooLarge));
    }

    #[test]
    fn what_fits_is_unpacked_and_what_is_not_packed_as_it_says_is_refused() {
        assert_eq!(unpack(packed(b"{}"), Some("gzip"), 2), Ok(b"{}".to_vec()));
        assert_eq!(unpack(b"{}".to_vec(), None, 2), Ok(b"{}".to_vec()));
        assert_eq!(unpack(b"{}".to_vec(), Some("gzip"), 2), Err(Wrong::Encoding));
        assert_eq!(unpack(b"{}".to_vec(), Some("br"), 2), Err(Wrong::Encoding));
        assert_eq!(unpack(b"{} ".to_vec(), None, 2), Err(Wrong::TooLarge));
        let mut cut = packed(b"{\"records\":[]}");
        cut.truncate(cut.len() - 4);
        assert_eq!(unpack(cut, Some("gzip"), 100), Err(Wrong::Encoding));
    }
}
