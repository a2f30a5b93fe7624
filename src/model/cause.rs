//! Causes of alerts: alerts of one cause have one text, whichever app, run and time they are about.

use std::fmt;

use super::signal::signal_name;
use super::{Ending, Exit, Rule, StopCause};

/// Why an alert is open. Two alerts have the same cause if and only if the texts are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertCause(Box<str>);

impl AlertCause {
    /// The longest text of a cause, in characters.
    const LENGTH_MAX: usize = 200;

    /// That of a run: how it ended and, where the app said something last, that without its ids, times, addresses and
    /// counters.
    #[must_use]
    pub fn of_run(ending: &Ending, message: Option<&str>) -> Self {
        let outcome = match ending {
            // Whether a core is dumped depends on the host.
            Ending::Exited(Exit::Signal { signal, .. }) => {
                format!("killed by {}", signal_name(i64::from(*signal)))
            }
            Ending::StartFailed(failure) => normalised(&failure.message),
            Ending::Suspect(suspicion) => return Self::of_rule(suspicion.rule),
            // How much it was differs each time.
            Ending::Stopped { cause: StopCause::Memory(_), .. } => "it took more than max_memory".to_owned(),
            Ending::Exited(Exit::Code(_))
            | Ending::Stopped { .. }
            | Ending::OutOfMemory(_)
            | Ending::NeverStarted
            | Ending::Unknown
            | Ending::HostRebooted => describe(ending),
        };
        let message = message.map(normalised).filter(|message| !message.is_empty());
        Self::cut(&message.map_or(outcome.clone(), |message| format!("{outcome}: {message}")))
    }

    /// That of runs with exit code 0 that break a rule.
    #[must_use]
    pub fn of_rule(rule: Rule) -> Self {
        Self(rule.cause().into())
    }

    /// That of any other trouble, by its message.
    #[must_use]
    pub fn of_text(message: &str) -> Self {
        Self::cut(&normalised(message))
    }

    /// That a manager is lost: its name tells it from others.
    #[must_use]
    pub fn of_manager(name: &str) -> Self {
        Self::cut(&format!("manager {name} is lost"))
    }

    /// That nothing can be sent by a channel: its name tells it from others.
    #[must_use]
    pub fn of_channel(name: &str) -> Self {
        Self::cut(&format!("nothing can be sent by {name}"))
    }

    /// That the broker is away.
    #[must_use]
    pub fn of_broker() -> Self {
        Self::cut("the broker is away")
    }

    /// One that is on record.
    #[must_use]
    pub fn read(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    fn cut(text: &str) -> Self {
        Self(text.chars().take(Self::LENGTH_MAX).collect())
    }
}

impl fmt::Display for AlertCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a run ended, for people.
#[must_use]
pub fn describe(ending: &Ending) -> String {
    match ending {
        Ending::Exited(exit) => exit.to_string(),
        Ending::Suspect(suspicion) => suspicion.message.clone(),
        Ending::Stopped { cause: StopCause::Timeout, .. } => "it took longer than max_runtime".to_owned(),
        Ending::Stopped { cause: StopCause::Memory(used), .. } => used.clone(),
        Ending::OutOfMemory(evidence) => evidence.text().to_owned(),
        Ending::Stopped { cause, .. } => format!("stopped by {cause}"),
        Ending::StartFailed(failure) => failure.message.clone(),
        Ending::NeverStarted => "it was never begun".to_owned(),
        Ending::Unknown => "the process vanished".to_owned(),
        Ending::HostRebooted => "the host went down".to_owned(),
    }
}

/// The longest number that is taken for a code: HTTP 403, errno 111, MySQL 1045, exit 65535.
const CODE_DIGITS_MAX: usize = 5;

/// Words whose number says what broke.
const CODE_WORDS: [&str; 7] = ["exit", "code", "status", "signal", "errno", "sqlstate", "rc"];

/// A text without what differs from case to case: `#` is in the place of numbers, times, addresses and ids.
fn normalised(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    let mut before = "";
    for word in text.split_whitespace() {
        if !found.is_empty() {
            found.push(' ');
        }
        let is_code =
            is_code_word(before) && is_code(word.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
        if is_code || is_version_of_http(word) {
            found.push_str(word);
        } else {
            push_normalised(word, &mut found);
        }
        before = word;
    }
    found
}

/// Whether the number after this word is a code: `HTTP`, `status`, `[Errno`, `HTTPError:`.
fn is_code_word(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let last = word.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or(word).to_ascii_lowercase();
    CODE_WORDS.contains(&last.as_str())
        || last.ends_with("error")
        || last == "http"
        || is_version_of_http(word)
}

/// `HTTP/1.1`, whose number changes with the server alone.
fn is_version_of_http(word: &str) -> bool {
    word.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("http/"))
}

fn is_code(text: &str) -> bool {
    (1..=CODE_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Adds a word without its ids and numbers; of `status=403` the code stays.
fn push_normalised(word: &str, found: &mut String) {
    let core = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let core = core.trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    if is_ipv6(core) {
        let (start, end) = word.split_once(core).unwrap_or_default();
        found.extend([start, "#", end]);
        return;
    }
    let mut rest = word;
    let mut before = "";
    while let Some(first) = rest.chars().next() {
        if let Some(after) = after_uuid(rest) {
            push_number(found);
            rest = after;
            continue;
        }
        let is_run = first.is_ascii_alphanumeric();
        let length = rest
            .find(|c: char| c.is_ascii_alphanumeric() != is_run)
            .unwrap_or(rest.len())
            .max(first.len_utf8());
        let (piece, after) = rest.split_at(length);
        let is_code = is_code(piece) && is_code_word(before) && found.ends_with(['=', ':']);
        if !is_run || is_code {
            found.push_str(piece);
        } else {
            push_run(piece, found);
            before = piece;
        }
        rest = after;
    }
}

/// Adds letters and digits. A digit at the end of a name belongs to it: `python3`, `utf8`.
fn push_run(run: &str, found: &mut String) {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let is_name = digits == 0 || digits == 1 && run.len() > 1 && run.ends_with(|c: char| c.is_ascii_digit());
    if is_name {
        found.push_str(run);
    } else if is_hexadecimal(run) {
        push_number(found);
    } else {
        let mut was_digit = false;
        for c in run.chars() {
            if !c.is_ascii_digit() {
                found.push(c);
            } else if !was_digit {
                push_number(found);
            }
            was_digit = c.is_ascii_digit();
        }
    }
}

/// Adds `#`; parts of one number, time or address become one: `12.5`, `14:02:11`, `10.0.3.12:80`.
fn push_number(found: &mut String) {
    let parted =
        found.strip_suffix(['.', ',', ':', '-', 'T', '#']).is_some_and(|before| before.ends_with('#'));
    if parted {
        found.pop();
    } else if !found.ends_with('#') {
        found.push('#');
    }
}

/// An address of memory, a hash, the id of a run: at least eight hexadecimal digits.
fn is_hexadecimal(run: &str) -> bool {
    let digits = run.strip_prefix("0x").or_else(|| run.strip_prefix("0X"));
    let is_long = digits.is_some_and(|digits| !digits.is_empty()) || run.len() >= 8;
    is_long && digits.unwrap_or(run).bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What follows the UUID with which a text begins.
fn after_uuid(text: &str) -> Option<&str> {
    const LENGTH: usize = 36;
    let (uuid, after) = text.split_at_checked(LENGTH)?;
    let is_uuid = uuid.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && uuid.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    is_uuid.then_some(after)
}

/// Whether a word looks like an address of IPv6. So does a time of the day, which goes as well.
fn is_ipv6(word: &str) -> bool {
    word.matches(':').count() >= 2
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().all(|byte| byte == b':' || byte == b'.' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Obstacle, StartFailure};

    fn exited(code: i64) -> Ending {
        Ending::Exited(Exit::Code(code))
    }

    fn killed(signal: i32, core: bool) -> Ending {
        Ending::Exited(Exit::Signal { signal, core })
    }

    #[test]
    fn an_exit_code_and_a_signal_are_a_cause_of_their_own() {
        let cause = |ending: &Ending| AlertCause::of_run(ending, None).to_string();
        assert_eq!(cause(&exited(1)), "exit 1");
        assert_eq!(cause(&exited(3)), "exit 3");
        assert_eq!(cause(&exited(3_221_225_477)), "exit 3221225477");
        assert_eq!(cause(&killed(6, true)), "killed by SIGABRT");
        assert_eq!(cause(&killed(6, false)), cause(&killed(6, true)));
        assert_eq!(cause(&killed(42, false)), "killed by signal 42");
        assert_eq!(cause(&Ending::Unknown), "the process vanished");
        let timeout = Ending::Stopped { cause: StopCause::Timeout, exit: None, killed: false };
        assert_eq!(cause(&timeout), "it took longer than max_runtime");
        let message =
            "cannot run /opt/dcm/runs/4f1b9c2e77aa01d3: No such file or directory (os error 2)".to_owned();
        let failed = Ending::StartFailed(StartFailure { obstacle: Obstacle::NotFound, message });
        assert_eq!(cause(&failed), "cannot run /opt/dcm/runs/#: No such file or directory (os error 2)");
    }

    #[test]
    fn what_the_app_said_last_is_part_of_the_cause() {
        let cause = |code, message| AlertCause::of_run(&exited(code), message).to_string();
        assert_eq!(cause(3, Some("HTTP 403 for /item/8812")), "exit 3: HTTP 403 for /item/#");
        assert_eq!(cause(3, Some("HTTP 403 for /item/8812")), cause(3, Some("HTTP 403 for /item/9913")));
        assert_ne!(cause(3, Some("HTTP 403 for /item/8812")), cause(3, Some("HTTP 404 for /item/8812")));
        assert_ne!(cause(3, Some("HTTP 403 for /item/8812")), cause(1, Some("HTTP 403 for /item/8812")));
        assert_eq!(cause(3, Some("  ")), "exit 3");
    }

    #[test]
    fn codes_stay() {
        for same in [
            "HTTP 403 Forbidden",
            "HTTP/1.1 503 Service Unavailable",
            "urllib.error.HTTPError: HTTP Error 404: Not Found",
            "requests.exceptions.HTTPError: 403 Client Error: Forbidden",
            "[Errno 111] Connection refused",
            "status=403, retrying",
            "status code: 502",
            "code:502",
            "exited with code 3",
            "killed by signal 9",
            "ERROR 1045 (HY#): Access denied",
            "no python3 with utf8",
            "cannot connect",
            "",
        ] {
            assert_eq!(normalised(same), same);
        }
    }

    #[test]
    fn what_differs_from_case_to_case_does_not() {
        for (text, without) in [
            ("HTTP 403 after 12.5 s", "HTTP 403 after # s"),
            ("page 4 of 77 after 9s", "page # of # after #s"),
            ("read 1,024/2,048 rows (50%)", "read #/# rows (#%)"),
            ("invoice INV-2026-00017 of item8812", "invoice INV-# of item#"),
            ("at 2026-11-27T13:22:14.123Z", "at #Z"),
            ("at 2026-11-27 13:22:14", "at # #"),
            ("connect to 10.0.3.12:8080 failed", "connect to # failed"),
            ("connect to [fe80::1a2b:3c4d]: refused", "connect to [#]: refused"),
            ("pid 4711: segfault at 0x7f3a9c001230", "pid #: segfault at #"),
            ("run 4f1b9c2e77aa01d3b0c4d5e6f7a8b9c0 lost", "run # lost"),
            ("id=550e8400-e29b-41d4-a716-446655440000", "id=#"),
            ("(550e8400-e29b-41d4-a716-446655440000)", "(#)"),
            ("https://example.com/item/8812?page=3&x=17", "https://example.com/item/#?page=#&x=#"),
            ("code 123456 is no code", "code # is no code"),
            ("two\n lines\tand 3 blanks", "two lines and # blanks"),
            ("žurnal 12 č34", "žurnal # č#"),
        ] {
            assert_eq!(normalised(text), without);
        }
    }

    #[test]
    fn a_cause_is_short() {
        assert_eq!(AlertCause::of_text(&"č".repeat(1000)).text().chars().count(), AlertCause::LENGTH_MAX);
        assert_eq!(AlertCause::read("as it stands 12".to_owned()).text(), "as it stands 12");
    }

    #[test]
    fn a_normalised_text_stays_as_it_is() {
        for text in [
            "HTTP 403 after 12.5 s",
            "at 2026-11-27T13:22:14.123Z",
            "x=0x7f 10.0.0.1 a1b2c3d4e5",
            "1.2.3:4-5",
        ] {
            let once = normalised(text);
            assert_eq!(normalised(&once), once);
        }
    }
}
