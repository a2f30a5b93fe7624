//! Batches: their pace, when they stop, and what is undone.
