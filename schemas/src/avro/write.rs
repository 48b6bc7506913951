//! Writing and the [`Field`] implementations of the primitive types.

use uuid::Uuid;

use super::{Field, Malformed, Reader};

fn zigzag(value: i64, out: &mut Vec<u8>) {
    let mut rest = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn length(len: usize, out: &mut Vec<u8>) {
    zigzag(i64::try_from(len).expect("a slice is never longer than i64::MAX"), out);
}

impl Field<'_> for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        zigzag(*self, out);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        from.long()
    }
}

impl Field<'_> for i32 {
    fn write(&self, out: &mut Vec<u8>) {
        zigzag(i64::from(*self), out);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        i32::try_from(from.long()?).map_err(|_| Malformed::new("an int of 32 bits"))
    }
}

impl Field<'_> for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match from.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Malformed::new("a boolean of 0 or 1")),
        }
    }
}

impl Field<'_> for f64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(f64::from_le_bytes(from.take(8)?.try_into().expect("eight bytes were taken")))
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn write(&self, out: &mut Vec<u8>) {
        length(self.len(), out);
        out.extend_from_slice(self);
    }
    fn read(from: &mut Reader<'a>) -> Result<Self, Malformed> {
        from.sized()
    }
}

impl<'a> Field<'a> for &'a str {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_bytes().write(out);
    }
    fn read(from: &mut Reader<'a>) -> Result<Self, Malformed> {
        std::str::from_utf8(from.sized()?).map_err(|_| Malformed::new("a string in UTF-8"))
    }
}

impl Field<'_> for Uuid {
    fn write(&self, out: &mut Vec<u8>) {
        let mut text = Uuid::encode_buffer();
        self.hyphenated().encode_lower(&mut text).as_bytes().write(out);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Uuid::try_parse_ascii(from.sized()?).map_err(|_| Malformed::new("a UUID as text"))
    }
}

/// A union of null and `T`, in this order.
impl<'a, T: Field<'a>> Field<'a> for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(2);
                value.write(out);
            }
        }
    }
    fn read(from: &mut Reader<'a>) -> Result<Self, Malformed> {
        match from.long()? {
            0 => Ok(None),
            1 => T::read(from).map(Some),
            _ => Err(Malformed::new("a union branch of 0 or 1")),
        }
    }
}

impl<'a, T: Field<'a>> Field<'a> for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        if !self.is_empty() {
            length(self.len(), out);
            self.iter().for_each(|item| item.write(out));
        }
        out.push(0);
    }
    fn read(from: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut items = Vec::new();
        while let Some(count) = from.block()? {
            items.reserve(count.min(from.left()));
            for _ in 0..count {
                items.push(T::read(from)?);
            }
        }
        Ok(items)
    }
}

/// A map entry; `Vec<(&str, T)>` is a map with the order kept.
impl<'a, T: Field<'a>> Field<'a> for (&'a str, T) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }
    fn read(from: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok((Field::read(from)?, Field::read(from)?))
    }
}
