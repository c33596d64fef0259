//! Types whose form on the wire is the text that people write.

/// Lets serde read a type by its `FromStr` and write it by its `Display`, where the type asks for that by
/// `#[serde(try_from = "String", into = "String")]`.
macro_rules! by_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = <Self as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

pub(crate) use by_text;
