//! Newtypes for every identity, so that one is never taken for another.

use std::fmt;
use std::str::FromStr;

use sha3::{Digest, Sha3_256};

use super::AppPath;

/// The key of an app: SHA3-256 of `GROUP|PARENT|APP`, written as 64 lower-case hex characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId([u8; 32]);

impl AppId {
    /// The key of the app that has this path.
    #[must_use]
    pub fn of(path: &AppPath) -> Self {
        path.key().unwrap_or_else(|| {
            Self::of_names([path.group.as_str(), path.parent.as_str(), path.name.as_str()].map(str::as_bytes))
        })
    }

    /// The key that belongs to group, parent and name, whether or not they are valid.
    #[must_use]
    pub fn of_names([group, parent, name]: [&[u8]; 3]) -> Self {
        let mut hasher = Sha3_256::new();
        hasher.update(group);
        hasher.update(b"|");
        hasher.update(parent);
        hasher.update(b"|");
        hasher.update(name);
        Self(hasher.finalize().into())
    }

    /// The first eight bytes as a number: a stable, evenly spread value for jitter.
    #[must_use]
    pub fn spread(&self) -> u64 {
        let mut bytes = [0_u8; 8];
        bytes.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(bytes)
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

fn hex_digit(value: u8) -> u8 {
    b"0123456789abcdef"[usize::from(value)]
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for AppId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let wrong = || ParseIdError { what: "app hash", expected: "64 lower-case hex characters" };
        let mut bytes = [0_u8; 32];
        if text.len() != 64 || !text.bytes().all(is_lower_hex) {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// An app as a row of the ledger or an alert names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AppRef {
    /// By its key.
    Known(AppId),
    /// By its path, where its key was not filled in yet, or by any other text that another program wrote.
    Text(Box<str>),
}

impl AppRef {
    /// The key, if the text names an app.
    #[must_use]
    pub fn id(&self) -> Option<AppId> {
        match self {
            Self::Known(id) => Some(*id),
            Self::Text(_) => self.path().map(|path| AppId::of(&path)),
        }
    }

    /// The path, where the row has that instead of the key.
    #[must_use]
    pub fn path(&self) -> Option<AppPath> {
        match self {
            Self::Known(_) => None,
            Self::Text(text) => text.parse().ok(),
        }
    }
}

impl From<AppId> for AppRef {
    fn from(id: AppId) -> Self {
        Self::Known(id)
    }
}

impl From<&str> for AppRef {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Text(text.into()), Self::Known)
    }
}

impl fmt::Display for AppRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(id) => id.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One execution of an app: a version-4 UUID, written as 32 lower-case hex characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(u128);

impl RunId {
    /// Makes a well-formed id of 128 bits that the caller took from a source of its own.
    ///
    /// The manager reads no random source, so the bits are an argument.
    #[must_use]
    pub fn from_random_bits(bits: u128) -> Self {
        Self(
            uuid::Builder::from_u128(bits)
                .with_version(uuid::Version::Random)
                .with_variant(uuid::Variant::RFC4122)
                .into_uuid()
                .as_u128(),
        )
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 96)
    }
}

impl FromStr for RunId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let wrong = || ParseIdError { what: "run id", expected: "32 lower-case hex characters" };
        if text.len() != 32 || !text.bytes().all(is_lower_hex) {
            return Err(wrong());
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| wrong())
    }
}

/// A row of the commands ledger. Later commands have greater numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandId(pub i64);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A row of the alerts table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AlertId(pub i64);

/// A row of the deliveries table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeliveryId(pub i64);

/// A point in the history of the apps table; it grows with every change of any row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Revision(pub i64);

/// The text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: expected {expected}")]
pub struct ParseIdError {
    what: &'static str,
    expected: &'static str,
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_id_is_the_sha3_of_its_names() {
        // Reference: python3 -c "hashlib.sha3_256(b'croatia|fina|companies').hexdigest()"
        let path: AppPath = "croatia/fina/companies".parse().unwrap();
        let id = AppId::of(&path);
        assert_eq!(id.to_string(), "b8afa297ca6672915ea21ea998033700922a363e999f4c12d8edaf0e4fe75410");
        assert_eq!(id.to_string().parse::<AppId>().unwrap(), id);
    }

    #[test]
    fn a_run_id_is_a_version_4_uuid_in_hex() {
        for bits in [0, u128::MAX, 0x1234_5678_9abc_def0_1234_5678_9abc_def0] {
            let text = RunId::from_random_bits(bits).to_string();
            assert_eq!(text.len(), 32);
            assert_eq!(&text[12..13], "4");
            assert!(matches!(&text[16..17], "8" | "9" | "a" | "b"));
            assert_eq!(text.parse::<RunId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn upper_case_and_wrong_lengths_are_not_ids() {
        for text in ["", "ab", &"A".repeat(64), &"g".repeat(64), &"a".repeat(63)] {
            assert!(text.parse::<AppId>().is_err(), "{text}");
        }
        for text in ["", &"A".repeat(32), &"a".repeat(31), "+1111111111111111111111111111111"] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_app_that_a_row_names_is_found_by_key_and_by_path_and_shown_as_it_stands() {
        let id = AppId::of(&"a/b/c".parse().unwrap());
        for (text, expected) in
            [(id.to_string(), Some(id)), ("a/b/c".to_owned(), Some(id)), ("?".to_owned(), None)]
        {
            let named = AppRef::from(text.as_str());
            assert_eq!((named.id(), named.to_string()), (expected, text));
        }
    }
}
