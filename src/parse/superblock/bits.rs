//! Sets of named feature bits.

/// Defines a set of 32 feature bits, each with the name that the filesystem's own tools print.
///
/// Bits without a name are kept: a feature that we do not know is one that an old kernel may not know either.
macro_rules! bit_set {
    ($(#[$doc:meta])* $set:ident, $unnamed:literal, { $($(#[$bit_doc:meta])* $bit:ident = $value:literal, $name:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $set(pub u32);

        impl $set {
            $($(#[$bit_doc])*
            #[doc = concat!("`", $name, "`")]
            pub const $bit: Self = Self($value);)*

            const NAMED: &[(u32, &'static str)] = &[$(($value, $name)),*];

            /// Whether all bits of `other` are set.
            pub fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// The names of the bits that are set, in the order of the bits. One without a name is called as
            /// e2fsprogs does, by its number.
            pub fn names(self) -> Vec<String> {
                (0..32)
                    .filter(|bit| self.0 >> bit & 1 == 1)
                    .map(|bit| match Self::NAMED.iter().find(|(value, _)| *value == 1 << bit) {
                        Some((_, name)) => (*name).to_owned(),
                        None => format!(concat!($unnamed, "{}"), bit),
                    })
                    .collect()
            }
        }
    };
}
pub(in crate::parse) use bit_set;
