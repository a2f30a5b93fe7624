//! Names for several things at once, and lengths of time as people write them.

use chrono::TimeDelta;

/// `90s`, `30m`, `2h`, `1d`; a number alone is minutes.
pub(in crate::console) fn parse_span(text: &str) -> Option<TimeDelta> {
    const DAYS_MAX: i64 = 36_500;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: i64 = text[..digits].parse().ok()?;
    let seconds = match &text[digits..] {
        "s" => 1,
        "" | "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    Some(TimeDelta::seconds(number.checked_mul(seconds)?.min(DAYS_MAX * 86_400)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        let read = |text| parse_span(text).map(|span| span.num_seconds());
        let spans =
            ["90s", "30m", "2h", "1d", "5", "1w", "", "h", "1y", "99999999999999999999d", "9999999999999w"];
        let expected = [
            Some(90),
            Some(1800),
            Some(7200),
            Some(86_400),
            Some(300),
            Some(604_800),
            None,
            None,
            None,
            None,
            Some(3_153_600_000),
        ];
        assert_eq!(spans.map(read), expected);
    }
}
