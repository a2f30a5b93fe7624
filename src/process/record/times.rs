//! Times on disk, in the one form that all of dcm writes.

pub(super) mod timestamp {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::model::{Timestamp, format_timestamp, parse_timestamp};

    pub(in crate::process::record) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_timestamp(*time))
    }

    pub(in crate::process::record) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        parse_timestamp(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

pub(super) mod optional_timestamp {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::model::{Timestamp, format_timestamp, parse_timestamp};

    #[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
    pub(in crate::process::record) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_str(&format_timestamp(*time)),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::process::record) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| parse_timestamp(&text).map_err(de::Error::custom))
            .transpose()
    }
}
