//! What the processes of a run use of their host.

/// What all processes of a run use together, as the row of its app shows it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Resident memory, in bytes; `None` when no run is under way, or when it is not known. A page that several
    /// processes share counts for each, but where that would break `max_memory`: there it counts once.
    pub memory: Option<u64>,
    /// Time on the CPU since the sample before, in percent of one core.
    pub cpu: Option<f64>,
    /// The largest sample of the memory in the current or last run, in bytes.
    pub memory_peak: Option<u64>,
}

/// The most that the processes of a run may use together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageLimits {
    /// Resident memory, in MiB.
    pub memory: Option<u32>,
    /// Time on the CPU, in percent of one core.
    pub cpu: Option<u32>,
}

/// The bytes of a MiB.
pub const MIB: u64 = 1 << 20;

/// A size of memory for people: `812 MiB`, `1.5 GiB`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub fn format_memory(bytes: u64) -> String {
    let tenths = |unit: u64| (bytes as f64 / unit as f64 * 10.0).round() / 10.0;
    match bytes {
        0..MIB => format!("{} KiB", bytes >> 10),
        MIB..10_737_418_240 => format!("{} MiB", bytes.saturating_add(MIB / 2) / MIB),
        _ => format!("{:.1} GiB", tenths(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_written_in_a_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 KiB"),
            (76 << 10, "76 KiB"),
            (MIB, "1 MiB"),
            (812 * MIB + 1, "812 MiB"),
            (9_999 * MIB, "9999 MiB"),
            (12 << 30, "12.0 GiB"),
            (u64::MAX, "17179869184.0 GiB"),
        ] {
            assert_eq!(format_memory(bytes), text);
        }
    }
}
