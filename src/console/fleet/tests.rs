//! Sums, conclusions and rates.
