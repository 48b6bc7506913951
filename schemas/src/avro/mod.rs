//! A small Avro codec for exactly the records of this crate.
//!
//! `apache-avro` reads any schema but builds a tree of values on the way; our own records have a fixed schema known at build time, so they
//! are written and read field by field, borrowed from the input. `apache-avro` stays the judge: tests hold every record against its `.avsc`,
//! and [`crate::resolve`] uses it to read what other writers wrote.

mod read;
mod write;

pub use read::{Malformed, Reader};

/// Something that stands in a record's field.
pub trait Field<'a>: Sized {
    fn write(&self, out: &mut Vec<u8>);
    /// # Errors
    /// [`Malformed`] when the bytes end early or are no value of this type.
    fn read(from: &mut Reader<'a>) -> Result<Self, Malformed>;
}

/// Declares a record struct whose fields stand in the order of its `.avsc`, with its [`Field`] implementation.
#[macro_export]
macro_rules! avro_record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $type,)* }

        $crate::avro_record!(@field 'a $name $($field)*);
    };
    ($(#[$meta:meta])* pub struct $name:ident<$life:lifetime> { $($(#[$fmeta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name<$life> { $($(#[$fmeta])* pub $field: $type,)* }

        $crate::avro_record!(@field $life $name<$life> $($field)*);
    };
    (@field $life:lifetime $name:ident $(<$of:lifetime>)? $($field:ident)*) => {
        impl<$life> $crate::avro::Field<$life> for $name $(<$of>)? {
            fn write(&self, out: &mut Vec<u8>) {
                $($crate::avro::Field::write(&self.$field, out);)*
            }
            fn read(from: &mut $crate::avro::Reader<$life>) -> Result<Self, $crate::avro::Malformed> {
                Ok(Self { $($field: $crate::avro::Field::read(from).map_err(|e| e.in_field(stringify!($field)))?,)* })
            }
        }
    };
}

/// Declares an enum written as the index of its symbol, in the order of its `.avsc`.
#[macro_export]
macro_rules! avro_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $symbol:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant,)* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The symbol as it stands in the schema and in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $symbol,)* }
            }
            pub fn from_symbol(symbol: &str) -> Option<Self> {
                match symbol { $($symbol => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }

        impl<'a> $crate::avro::Field<'a> for $name {
            fn write(&self, out: &mut Vec<u8>) {
                $crate::avro::Field::write(&(*self as i64), out);
            }
            fn read(from: &mut $crate::avro::Reader<'a>) -> Result<Self, $crate::avro::Malformed> {
                let index = <i64 as $crate::avro::Field>::read(from)?;
                usize::try_from(index).ok().and_then(|i| Self::ALL.get(i)).copied()
                    .ok_or($crate::avro::Malformed::new("an enum index the schema has"))
            }
        }
    };
}
