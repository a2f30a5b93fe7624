//! Tables of cron as Debian's cron and cronie read them: each line becomes an app with those times.

mod command;
mod fields;

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono_tz::Tz;

use self::fields::Times;
use super::{At, Draft, Host, Report, Source};

/// The parent where neither a file nor a user names one.
const PARENT: &str = "crontab";

/// What cron sets for each job, unless the table does.
const PATH: &str = "/usr/bin:/bin";
const SHELL: &str = "/bin/sh";

/// Reads a table; `is_system`: with a user before each command.
pub(super) fn read(source: &Source<'_>, is_system: bool, host: &dyn Host, report: &mut Report) -> Vec<Draft> {
    let table = At::new(source.name, 1);
    let zone = host.time_zone();
    let user = host.user();
    // The table of a user is named after them.
    let of_user = source.path.filter(|path| path.starts_with("/var/spool/cron") && !is_system);
    let owner = of_user.and_then(|path| path.file_name()).and_then(|name| name.to_str()).map(str::to_owned);
    let parent = source.path.and_then(|path| path.file_name()).and_then(|name| name.to_str());
    let parent = parent.or((!is_system).then_some(user.as_str())).unwrap_or(PARENT).to_owned();
    let mut reader = Reader {
        host,
        is_system,
        owner: owner.unwrap_or_else(|| user.clone()),
        user,
        parent,
        zone: zone.unwrap_or(Tz::UTC),
        variables: BTreeMap::new(),
        delay: None,
        drafts: Vec::new(),
    };
    for (number, line) in (1..).zip(source.text.lines()) {
        let at = At::new(source.name, number);
        reader.line(line.trim_start_matches([' ', '\t']), &at, report);
        if report.is_too_much(&at, reader.drafts.len()) {
            break;
        }
    }
    if zone.is_none() && !reader.drafts.is_empty() {
        report.lost(
            &table,
            "time zone",
            "that of this host is not known: the times are read in UTC; dcm app set --time-zone",
        );
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        let last = At::new(source.name, source.text.lines().count());
        report.carried(&last, "last line", "it has no line feed: cron would refuse or ignore it");
    }
    let how = if is_system {
        "the table was read with a user before each command, as /etc/crontab has it"
    } else {
        "the table was read without users, as crontab -l prints it; --system reads one with a user before each command"
    };
    report.carried(&table, "form", how);
    reader.drafts
}

struct Reader<'a> {
    host: &'a dyn Host,
    is_system: bool,
    /// Who imports.
    user: String,
    /// Whose table it is, where none stands in its lines.
    owner: String,
    parent: String,
    zone: Tz,
    /// Those of the lines above.
    variables: BTreeMap<String, String>,
    /// `RANDOM_DELAY` of cronie, in minutes.
    delay: Option<u32>,
    drafts: Vec<Draft>,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, at: &At, report: &mut Report) {
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        if let Some((name, value)) = variable(line) {
            return self.variable(name, value, at, report);
        }
        // In cronie it keeps a job out of the log of cron.
        let line = line
            .strip_prefix('-')
            .filter(|rest| rest.starts_with(|c: char| c == '*' || c.is_ascii_digit()))
            .unwrap_or(line);
        let Some((times, rest)) = Times::of_line(line, at, report) else { return };
        let (user, command) = match self.is_system.then(|| rest.split_once([' ', '\t'])) {
            None => (None, rest),
            Some(Some((user, command))) => (Some(user), command.trim_start_matches([' ', '\t'])),
            Some(None) => {
                return report.fault(at, "expected a user and a command after the times; a table without users is read without --system");
            }
        };
        if command.is_empty() {
            return report.fault(at, "expected a command after the times");
        }
        if let Some(draft) = self.draft(&times, user, command, at, report) {
            self.drafts.push(draft);
        }
    }

    fn variable(&mut self, name: &str, value: String, at: &At, report: &mut Report) {
        match name {
            "MAILTO" | "MAILFROM" if !value.is_empty() => {
                report.lost(at, name, "output is kept in the log (dcm logs PATH), and failures are alerts (dcm notify), not mails");
            }
            "MAILTO" | "MAILFROM" => {}
            "RANDOM_DELAY" => match value.parse() {
                Ok(minutes) => {
                    let why = "each app is put off by a share of it that stays the same (jitter), as cronie chooses it at its start";
                    report.carried(at, name, why);
                    self.delay = Some(minutes);
                }
                Err(_) => report.fault(at, format!("RANDOM_DELAY is no number of minutes, but {value:?}")),
            },
            "CRON_TZ" => match value.parse() {
                Ok(zone) => {
                    report.carried(at, name, "the times below are read in this zone, as cronie does; Debian's cron reads them in that of the host");
                    self.zone = zone;
                }
                Err(_) => report.fault(at, format!("CRON_TZ: unknown time zone {value:?}")),
            },
            "START_HOURS_RANGE" => report.lost(at, name, "it is for anacron; the times of the lines count"),
            _ => {
                if value.contains('$') {
                    report.carried(at, name, "cron fills in no $, so it stays in the value as it is");
                }
                self.variables.insert(name.to_owned(), value);
            }
        }
    }

    fn draft(
        &self,
        times: &Times<'_>,
        user: Option<&str>,
        command: &str,
        at: &At,
        report: &mut Report,
    ) -> Option<Draft> {
        let mut draft = Draft::new(&self.parent, "", at);
        let owner = user.unwrap_or(&self.owner);
        // FreeBSD and some cronies take a group or a class behind the user.
        if owner.contains([':', '/']) {
            report.fault(at, format!("{owner:?} is no name of a user"));
            return None;
        }
        let home = self.host.home_of(owner);
        let defaults = [("SHELL", Some(SHELL)), ("PATH", Some(PATH)), ("HOME", home.as_deref())];
        for (name, value) in defaults {
            if let Some(value) = value {
                draft.set(name, value);
            }
        }
        for (name, value) in &self.variables {
            draft.set(name, value);
        }
        // A table cannot change who its jobs run as.
        draft.set("LOGNAME", owner);
        let home = draft.app.program.env.get("HOME").cloned();
        match home {
            Some(home) => draft.put(report, at, "cwd", home),
            None => report.lost(
                at,
                "HOME",
                format!("the home directory of {owner} is not known: cwd is that of the manager"),
            ),
        }
        if owner != self.user {
            draft.carry(report, (at, "user"), "run_user", owner.to_owned());
        }
        draft.name = command::put(command, &mut draft, at, report);
        self.times(times, &mut draft, at, report);
        Some(draft)
    }

    fn times(&self, times: &Times<'_>, draft: &mut Draft, at: &At, report: &mut Report) {
        let mut delay = self.delay.unwrap_or(0);
        match times {
            Times::Reboot => {
                let why = "dcm has no such time: it runs on command (dcm start); what is to run without end gets --always";
                report.lost(at, "@reboot", why);
                return;
            }
            Times::Fields { text, spread } => {
                if *spread > 0 {
                    let why = "cronie chooses a minute once; here the app is put off by a share of them that stays the same (jitter)";
                    report.carried(at, "~", why);
                    delay += spread;
                }
                draft.put(report, at, "cron", Cow::as_ref(text));
            }
        }
        draft.put(report, at, "time_zone", self.zone.name());
        // What passes while cron is down is not run.
        draft.put(report, at, "catch_up", "none");
        if delay > 0 {
            draft.carry(report, (at, "RANDOM_DELAY"), "jitter", f64::from(delay) * 60.0);
        }
    }
}

/// `NAME = VALUE`, each perhaps in quotes. `None` for what is no variable.
fn variable(line: &str) -> Option<(&str, String)> {
    let (name, rest) = match line.chars().next()? {
        quote @ ('"' | '\'') => line[1..].split_once(quote)?,
        _ => line.split_at(line.find([' ', '\t', '='])?),
    };
    let value = rest.trim_start_matches([' ', '\t']).strip_prefix('=')?.trim_matches([' ', '\t']);
    if name.is_empty() || name.contains('=') {
        return None;
    }
    let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Some((name, quoted.unwrap_or(value).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::Tool;
    use super::super::testing::MadeUp;
    use super::*;

    fn told(path: &str, text: &str) -> String {
        let is_system = path.starts_with("/etc");
        MadeUp::with(&[(path, text)]).told(Tool::Cron { is_system }, path)
    }

    #[test]
    fn lines_become_apps_with_their_times() {
        let text = "\
# all of it
0 6 * * 1-5 /srv/collect.py --country hr
MAILTO=ana@example.hr
PATH = \"/opt/bin:/usr/bin\"
RANDOM_DELAY=5
*/10 * * * * cd /srv && ./owners.sh >>/var/log/owners.log 2>&1
@daily python3 -m apps.fina.main
@reboot /srv/daemon
CRON_TZ=UTC
TZ=Asia/Tokyo
-5 4 * * sun mail -s 100\\% ana%Hello%there
10~20 1 * * * collect
";
        insta::assert_snapshot!(told("/var/spool/cron/crontabs/ana", text));
    }

    #[test]
    fn a_table_of_the_system_has_users() {
        let text = "\
SHELL=/bin/bash
HOME=/
17 *\t* * *\troot    cd / && run-parts --report /etc/cron.hourly
25 6 * * *\tana /srv/x
0 0 * * * www-data /srv/y
";
        insta::assert_snapshot!(told("/etc/cron.d/site", text));
    }

    #[test]
    fn a_table_that_cron_refuses_is_refused_with_every_line() {
        let text =
            "60 * * * * x\n* * * *\n0 0 * * *\n@never x\nRANDOM_DELAY=x\nCRON_TZ=Mars\nhello\n1 2 3 4 5 ok\n";
        insta::assert_snapshot!(told("/var/spool/cron/ana", text));
        insta::assert_snapshot!(told("/var/spool/cron/crontabs/bob", "0 0 * * * x\n"));
        insta::assert_snapshot!(told("/etc/crontab", "0 0 * * * x\n0 0 * * * a:b x\n"));
    }

    #[test]
    fn variables_are_told_from_jobs() {
        for (line, found) in [
            ("MAILTO=ana@example.hr", Some(("MAILTO", "ana@example.hr"))),
            ("A = 'x  y'  ", Some(("A", "x  y"))),
            ("\"A B\"=1", Some(("A B", "1"))),
            ("A=", Some(("A", ""))),
            ("A=\"", Some(("A", "\""))),
            ("A=$HOME/x", Some(("A", "$HOME/x"))),
            ("0 5 * * * A=1 x", None),
            ("@daily A=1", None),
            ("=1", None),
            ("\"A", None),
        ] {
            let variable = variable(line);
            assert_eq!(variable.as_ref().map(|(name, value)| (*name, value.as_str())), found, "{line}");
        }
    }
}
