//! What is shown of documents on their way: pure.

mod filter;
mod flow;
mod workers;

pub(in crate::console) use filter::DocumentFilter;
pub(crate) use flow::{Bottleneck, Drain, bottleneck, chains, order, speed};
pub(in crate::console) use workers::WorksOn;
