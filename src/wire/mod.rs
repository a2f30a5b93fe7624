//! The one form in which a row leaves the program, as JSON and as CSV: the command line's `--json`, and what the console
//! copies and exports. The names are those of the columns (CONTRACT, section 3), times are RFC 3339.

mod app;
mod csv;
mod documents;
mod history;
mod manager;

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

pub use app::{App, AppInFull};
pub use csv::csv;
pub use documents::{DocumentRoute, FileEvent, PipelineTask, Stage, WatchRoot};
pub use history::{Alert, Command, Run};
pub use manager::{Manager, ManagerFacts};

use crate::model::{Timestamp, format_timestamp};

/// A row that can be a line of a table.
pub trait Row: Serialize {
    /// The names of its fields, in their order.
    fn columns() -> Vec<&'static str>;
}

/// A struct whose fields are the columns of a [`Row`], so that no name is written twice.
macro_rules! row {
    ($(#[$about:meta])* $visible:vis struct $name:ident<'a> { $($(#[$of_field:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$about])*
        #[derive(serde::Serialize)]
        $visible struct $name<'a> { $($(#[$of_field])* $field: $type,)+ }

        impl $crate::wire::Row for $name<'_> {
            fn columns() -> Vec<&'static str> {
                vec![$(stringify!($field)),+]
            }
        }
    };
}
use row;

/// A value by its text form.
struct Text<T>(T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A time in RFC 3339.
struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_timestamp(self.0))
    }
}

/// A time by itself, or null.
#[must_use]
pub fn time(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::String(format_timestamp(time)))
}
