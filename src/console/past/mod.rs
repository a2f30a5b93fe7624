//! What has been, made ready to be read. All of it pure.

mod names;

pub(super) use names::together;
