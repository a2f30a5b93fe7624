//! A notice in words, before each channel escapes them in its own way. Whatever an app or a stranger wrote in it is shown
//! without control characters, and cut with a note of how much is left out.

use chrono::{DateTime, Local, TimeZone};
use chrono_tz::Tz;

use super::{Notice, NoticeAlert};
use crate::model::{AlertSubject, NoticeEvent, Printable, Severity, Timestamp, format_duration};

/// Longest title, in characters: a line on a telephone's lock screen shows less.
const TITLE_MAX: usize = 200;

/// Longest other line, in characters.
const LINE_MAX: usize = 500;

/// The most characters of all names of apps.
const APPS_CHARS_MAX: usize = 700;

/// The most further causes that are shown one by one, and how long each line is.
const OTHERS_MAX: usize = 8;
const OTHER_CHARS_MAX: usize = 120;

/// All lines but the detail take at most this many characters.
#[cfg(test)]
const FACTS_CHARS_MAX: usize = 4 * LINE_MAX + APPS_CHARS_MAX + OTHERS_MAX * OTHER_CHARS_MAX;

/// A notice in lines of plain text. None of them holds a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rendered {
    /// What is up, in one line.
    pub(super) title: String,
    /// How bad it is; `None`: it is over, or a test.
    pub(super) severity: Option<Severity>,
    /// What else is known.
    pub(super) facts: Vec<String>,
    /// What stands before the detail: of several apps, whose lines these are.
    pub(super) heading: String,
    /// The last lines that the app wrote.
    pub(super) detail: Vec<String>,
    /// The command that shows more.
    pub(super) look: Option<String>,
}

impl Rendered {
    /// All lines, one below the other.
    pub(super) fn lines(&self) -> Vec<&str> {
        let title = [self.title.as_str(), ""].into_iter();
        let facts = self.facts.iter().map(String::as_str);
        let heading = ["", self.heading.as_str()].into_iter().filter(|_| !self.detail.is_empty());
        let detail = heading.chain(self.detail.iter().map(String::as_str));
        let look = self.look.iter().flat_map(|look| ["", look.as_str()]);
        title.chain(facts).chain(detail).chain(look).collect()
    }
}

/// Puts a notice into words, with at most this much of its detail, in characters.
pub(super) fn render(notice: &Notice, zone: Option<Tz>, detail_max: usize) -> Rendered {
    let alert = notice.alert.as_ref();
    let is_over = notice.event == NoticeEvent::Recovered;
    let severity = alert.and_then(|alert| alert.severity.known()).filter(|_| !is_over);
    let mut facts = Vec::new();
    if let Some(alert) = alert {
        facts.extend(about(alert, one_of_several(notice), is_over, zone));
        if notice.apps.len() > 1 || notice.apps_more > 0 {
            facts.push(apps(notice));
        }
    }
    let others = notice
        .others
        .iter()
        .take(OTHERS_MAX)
        .map(|other| cut(&format!("also {}", headline(other)), OTHER_CHARS_MAX));
    facts.extend(others);
    if notice.others.len() > OTHERS_MAX {
        facts.push(format!("and {} further causes", notice.others.len() - OTHERS_MAX));
    }
    facts.extend(notice.note.as_deref().map(|note| cut(note, LINE_MAX)));
    let detail = alert.filter(|_| !is_over).and_then(|alert| alert.detail.as_deref());
    Rendered {
        title: cut(&title(notice), TITLE_MAX),
        severity,
        facts,
        heading: match one_of_several(notice) {
            Some(app) => format!("Last lines of stderr of {}:", cut(app, TITLE_MAX)),
            None => "Last lines of stderr:".to_owned(),
        },
        detail: detail.map(|detail| last_lines(detail, detail_max)).unwrap_or_default(),
        look: notice.look.as_deref().map(|look| cut(look, LINE_MAX)),
    }
}

fn title(notice: &Notice) -> String {
    let fleet = &notice.fleet;
    let Some(alert) = &notice.alert else { return format!("[{fleet}] this is a test of notifications") };
    let apps = notice.apps.len() as u64 + notice.apps_more;
    let what = match (apps, notice.apps.first()) {
        // Messages differ from app to app, and the cause is what they have in common.
        (2.., _) => format!("{apps} apps: {}", alert.cause),
        (_, Some(app)) => format!("{app}: {}", alert.message),
        (_, None) => format!("{}: {}", AlertSubject::FLEET, alert.message),
    };
    let severity = alert.severity.word().to_uppercase();
    match notice.event {
        NoticeEvent::Opened | NoticeEvent::Test => format!("[{fleet}] {severity}: {what}"),
        NoticeEvent::Repeated => format!("[{fleet}] still {severity}: {what}"),
        NoticeEvent::Recovered => format!("[{fleet}] recovered: {what}"),
    }
}

fn headline(alert: &NoticeAlert) -> String {
    let who = alert.path.as_deref().or(alert.app_id.as_deref()).unwrap_or(AlertSubject::FLEET);
    format!("{}: {who}: {}", alert.severity.word().to_uppercase(), alert.message)
}

/// Where several apps have the same trouble, the one that its alert is about.
fn one_of_several(notice: &Notice) -> Option<&str> {
    let has_several = notice.apps.len() > 1 || notice.apps_more > 0;
    notice.alert.as_ref().filter(|_| has_several)?.path.as_deref()
}

fn about(alert: &NoticeAlert, of: Option<&str>, is_over: bool, zone: Option<Tz>) -> Vec<String> {
    let whose = of.map(|app| format!("{}: ", cut(app, TITLE_MAX))).unwrap_or_default();
    let mut lines = vec![cut(&format!("{whose}{}", alert.message), LINE_MAX)];
    if !alert.cause.is_empty() && !alert.message.contains(&alert.cause) {
        lines.push(cut(&format!("cause: {}", alert.cause), LINE_MAX));
    }
    let opened = time(alert.opened, zone);
    let seen = match alert.count {
        0 | 1 => String::new(),
        count => format!(", seen {count} times, last at {}", time(alert.last_seen, zone)),
    };
    lines.push(match alert.closed.filter(|_| is_over) {
        Some(closed) => {
            let length = format_duration(closed - alert.opened);
            format!("from {opened} to {} ({length}){seen}", time(closed, zone))
        }
        None => format!("since {opened}{seen}"),
    });
    let owned = of.map(|app| format!(" of {}", cut(app, TITLE_MAX))).unwrap_or_default();
    lines.extend(alert.owner.as_ref().map(|owner| cut(&format!("owner{owned}: {owner}"), LINE_MAX)));
    lines.extend(alert.acknowledged_by.as_ref().map(|by| cut(&format!("{by} looks after it"), LINE_MAX)));
    lines
}

/// The names of the apps, as many as there is room for.
fn apps(notice: &Notice) -> String {
    let mut list = format!("{} apps: ", notice.apps.len() as u64 + notice.apps_more);
    let mut named: u64 = 0;
    for app in &notice.apps {
        let app = cut(app, TITLE_MAX);
        if named > 0 && list.chars().count() + app.chars().count() > APPS_CHARS_MAX {
            break;
        }
        let separator = if named > 0 { ", " } else { "" };
        list.push_str(separator);
        list.push_str(&app);
        named += 1;
    }
    match notice.apps.len() as u64 + notice.apps_more - named {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

fn time(time: Timestamp, zone: Option<Tz>) -> String {
    fn of<Z: TimeZone<Offset: std::fmt::Display>>(time: &DateTime<Z>) -> String {
        time.format("%Y-%m-%d %H:%M:%S %Z").to_string()
    }
    match zone {
        Some(zone) => of(&time.with_timezone(&zone)),
        None => of(&time.with_timezone(&Local)),
    }
}

/// A text in one line of at most this many characters. What is longer is cut, and says so.
fn cut(text: &str, max: usize) -> String {
    // A message of 10 MB is not looked through for its end.
    let head: String = text.chars().take(max + 1).collect();
    let shown = Printable(&head).to_string();
    if shown.chars().count() <= max && head.len() == text.len() {
        return shown;
    }
    let kept: String = shown.chars().take(max.saturating_sub(CUT_NOTE.chars().count())).collect();
    kept + CUT_NOTE
}

/// Where a line is cut.
const CUT_NOTE: &str = " … (cut)";

/// The last lines of a text that fit, with a line before them that says how much does not.
fn last_lines(text: &str, max: usize) -> Vec<String> {
    let text = text.trim_end();
    let mut lines = Vec::new();
    let mut room = max;
    let mut left_out = text.len();
    for line in text.rsplit('\n') {
        let shown = Printable(line.trim_end_matches('\r')).to_string();
        let length = shown.chars().count() + 1;
        if length > room {
            if lines.is_empty() && room > 1 {
                // Not even the last line fits: its end does.
                let end: String = shown.chars().skip(length - room).collect();
                left_out = left_out.saturating_sub(end.len());
                lines.push(end);
            }
            break;
        }
        room -= length;
        left_out = left_out.saturating_sub(line.len() + usize::from(!lines.is_empty()));
        lines.push(shown);
    }
    if left_out > 0 {
        lines.push(format!("(… {left_out} bytes before this are left out)"));
    }
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::super::notice::tests::notice;
    use super::*;

    const ZONE: Option<Tz> = Some(Tz::Europe__Zagreb);

    #[test]
    fn a_notice_says_what_where_since_when_and_how_to_look() {
        let message = "3 failures in a row, the last: exit 3: HTTP 403 for /item/8812";
        let look = Some("dcm logs croatia/fina/companies --run 1".to_owned());
        let opened = Notice { look, ..notice(message, Some("Traceback:\n\tget()\nHTTP 403\n")) };
        assert_eq!(
            render(&opened, ZONE, 1000).lines().join("\n"),
            "[zg-01] CRITICAL: croatia/fina/companies: 3 failures in a row, the last: exit 3: HTTP 403 for /item/8812\n\
             \n\
             3 failures in a row, the last: exit 3: HTTP 403 for /item/8812\n\
             cause: exit 3: HTTP 403 for /item/#\n\
             since 2026-11-23 15:02:11 CET, seen 4 times, last at 2026-11-23 16:10:00 CET\n\
             owner: Ana Horvat\n\
             \n\
             Last lines of stderr:\n\
             Traceback:\n\
             \u{20} get()\n\
             HTTP 403\n\
             \n\
             dcm logs croatia/fina/companies --run 1"
        );
        let mut over = Notice { event: NoticeEvent::Recovered, ..opened };
        over.alert.as_mut().unwrap().closed = Some(over.alert.as_ref().unwrap().last_seen);
        let lines = render(&over, ZONE, 1000).lines().join("\n");
        assert!(lines.starts_with("[zg-01] recovered: croatia/fina/companies: "), "{lines}");
        assert!(lines.contains("from 2026-11-23 15:02:11 CET to 2026-11-23 16:10:00 CET (1h07m)"), "{lines}");
        assert!(!lines.contains("stderr"), "{lines}");
    }

    #[test]
    fn forty_apps_are_a_list_that_is_cut() {
        let apps = (0..40).map(|app| format!("croatia/fina/companies-{app:02}")).collect();
        let storm = Notice { apps, apps_more: 960, ..notice("exit 3", None) };
        let rendered = render(&storm, ZONE, 1000);
        assert_eq!(rendered.facts[0], "croatia/fina/companies: exit 3");
        assert_eq!(rendered.heading, "Last lines of stderr of croatia/fina/companies:");
        assert!(rendered.facts.contains(&"owner of croatia/fina/companies: Ana Horvat".to_owned()));
        assert_eq!(rendered.title, "[zg-01] CRITICAL: 1000 apps: exit 3: HTTP 403 for /item/#");
        let list = rendered.facts.iter().find(|line| line.starts_with("1000 apps: ")).unwrap();
        assert!(list.chars().count() < APPS_CHARS_MAX + 50 && list.ends_with(" and 975 more"), "{list}");
    }

    #[test]
    fn whatever_is_in_a_notice_its_lines_are_short_and_hold_no_control_characters() {
        let hostile = "a\r\nBcc: x@y\0\u{1b}[31m\u{202e}<b>*_`[x](y)\\".repeat(250_000);
        let mut worst = notice(&hostile, None);
        let alert = worst.alert.as_mut().unwrap();
        alert.cause.clone_from(&hostile);
        alert.detail = Some(hostile.clone());
        alert.acknowledged_by = Some(hostile.clone());
        worst.others = vec![worst.alert.clone().unwrap(); 9];
        worst.apps = vec![hostile.clone(); 3];
        (worst.note, worst.look, worst.fleet) = (Some(hostile.clone()), Some(hostile.clone()), hostile);
        let rendered = render(&worst, ZONE, 1000);
        assert!(rendered.lines().iter().all(|line| line.chars().all(Printable::is_printable)));
        let length: usize = rendered.facts.iter().map(|line| line.chars().count()).sum();
        assert!(length < FACTS_CHARS_MAX && rendered.title.chars().count() <= TITLE_MAX, "{length}");
        let detail: usize = rendered.detail.iter().map(|line| line.chars().count()).sum();
        assert!((900..1100).contains(&detail), "{detail}");
    }

    #[test]
    fn of_the_detail_the_end_is_shown_with_a_note_of_the_rest() {
        for (text, max, expected) in [
            ("a\nb\nc\n", 100, "a|b|c"),
            ("a\nb\nc\n", 4, "(… 2 bytes before this are left out)|b|c"),
            ("0123456789", 5, "(… 6 bytes before this are left out)|6789"),
            ("", 5, ""),
            ("a\r\nb\r\n", 9, "a|b"),
        ] {
            assert_eq!(last_lines(text, max).join("|"), expected, "{text:?}");
        }
        assert_eq!(cut("0123456789", 10), "0123456789");
        assert_eq!(cut("0123456789a", 10), "01 … (cut)");
    }
}
