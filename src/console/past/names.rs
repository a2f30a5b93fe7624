//! Names for several things at once, and lengths of time as people write them.

use chrono::TimeDelta;

use crate::model::AppPath;

/// As apps are called together: by name, by what they share, else by number.
pub(in crate::console) fn together<'a>(paths: impl IntoIterator<Item = &'a AppPath>) -> String {
    let mut paths = paths.into_iter();
    let Some(first) = paths.next() else { return "-".to_owned() };
    let (mut count, mut group, mut parent, mut app) = (1, true, true, true);
    for path in paths {
        count += 1;
        app &= path == first;
        group &= path.group == first.group;
        parent &= group && path.parent == first.parent;
    }
    match (app, parent, group) {
        (true, ..) => first.to_string(),
        (_, true, _) => format!("{}/{}/* ({count} apps)", first.group, first.parent),
        (_, _, true) => format!("{}/* ({count} apps)", first.group),
        (false, false, false) => format!("{count} apps"),
    }
}

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
    fn apps_are_called_by_what_they_share() {
        for (paths, name) in [
            (vec![], "-"),
            (vec!["a/b/c"], "a/b/c"),
            (vec!["a/b/c", "a/b/c"], "a/b/c"),
            (vec!["a/b/c", "a/b/d"], "a/b/* (2 apps)"),
            (vec!["a/b/c", "a/x/b", "a/b/d"], "a/* (3 apps)"),
            (vec!["a/b/c", "b/b/c"], "2 apps"),
        ] {
            let paths: Vec<AppPath> = paths.iter().map(|path| path.parse().unwrap()).collect();
            assert_eq!(together(&paths), name);
        }
    }

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
