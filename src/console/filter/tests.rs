//! Filters, by what they find.
