//! What has been, made ready to be read: runs as a line of time, alerts by their cause, commands as
//! they were sent. All of it pure.

mod batch;
mod cause;
mod names;
mod timeline;

pub(super) use crate::model::together;
pub(super) use batch::{Batch, LedgerFilter, batches};
pub(super) use cause::{Cause, Sign, causes};
pub(super) use names::parse_span;
pub(super) use timeline::{Cell, Last, Span, TableRow, Track, Window, at_once, p50, table};
