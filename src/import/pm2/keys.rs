//! Keys of pm2: their names, what of them is not carried over, and values with units.

/// A key by the one name that pm2 has for it.
pub(super) struct Key {
    pub(super) name: String,
    /// Why it is not carried over.
    pub(super) lost: Option<&'static str>,
}

/// Other names of keys, in the form with underscores.
const ALIASES: [(&str, &str); 17] = [
    ("cmd", "script"),
    ("command", "script"),
    ("combine_logs", "merge_logs"),
    ("cron", "cron_restart"),
    ("err", "error_file"),
    ("err_file", "error_file"),
    ("err_log", "error_file"),
    ("error", "error_file"),
    ("exec", "script"),
    ("interpreter", "exec_interpreter"),
    ("interpreter_args", "node_args"),
    ("log", "log_file"),
    ("out", "out_file"),
    ("out_log", "out_file"),
    ("output", "out_file"),
    ("pid", "pid_file"),
    ("user", "uid"),
];

/// Keys that are looked at, or that change nothing here.
const KNOWN: [&str; 32] = [
    "args",
    "automation",
    "autorestart",
    "autostart",
    "cron_restart",
    "cwd",
    "env",
    "exec_interpreter",
    "exec_mode",
    "execute_command",
    "force",
    "instance_var",
    "instances",
    "kill_retry_time",
    "kill_timeout",
    "listen_timeout",
    "max_memory_restart",
    "max_restarts",
    "merge_logs",
    "min_uptime",
    "name",
    "namespace",
    "node_args",
    "pid_file",
    "pmx",
    "port",
    "script",
    "time",
    "uid",
    "username",
    "vizion",
    "windows_hide",
];

const OWN_LOG: &str = "dcm keeps the output itself: dcm logs PATH";

/// Keys that are not carried over, and why.
const LOST: [(&str, &str); 20] = [
    ("append_env_to_name", "the name is that of the file"),
    ("disable_logs", "dcm keeps the output; log_keep and log_limit say how much"),
    ("error_file", OWN_LOG),
    (
        "exp_backoff_restart_delay",
        "dcm has a back-off of its own: at once after min_uptime, else 1 s doubling to 5 min",
    ),
    (
        "filter_env",
        "an app has the environment of the manager, but its secrets; --unset-env takes variables away",
    ),
    ("gid", "an app has the groups of its user"),
    ("ignore_watch", "dcm does not start an app again when files change"),
    ("increment_var", "write the variable of each instance into its app"),
    ("log_date_format", "dcm logs prints the time of each line"),
    ("log_file", OWN_LOG),
    ("log_type", OWN_LOG),
    ("out_file", OWN_LOG),
    ("restart_delay", "it is started again at once after min_uptime, else after a back-off of 1 s to 5 min"),
    ("shutdown_with_message", "a run is stopped by a signal"),
    ("stop_exit_codes", "it is started again after every exit code"),
    ("treekill", "dcm always stops the whole process tree"),
    ("wait_ready", "a run counts as started after min_uptime"),
    ("watch", "dcm does not start an app again when files change"),
    ("watch_delay", "dcm does not start an app again when files change"),
    ("watch_options", "dcm does not start an app again when files change"),
];

/// Looks up a key, which may be written `minUptime` as well.
pub(super) fn key(name: &str) -> Key {
    let mut plain = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !name.starts_with("env_") {
            plain.push('_');
            plain.push(c.to_ascii_lowercase());
        } else {
            plain.push(c);
        }
    }
    let name =
        ALIASES.iter().find(|(alias, _)| *alias == plain).map_or(plain, |(_, name)| (*name).to_owned());
    let lost = match LOST.iter().find(|(other, _)| *other == name) {
        Some((_, why)) => Some(*why),
        None if KNOWN.contains(&name.as_str()) => None,
        None if name.starts_with("env_") => {
            Some("it counts for pm2 start --env alone; write into env what is to count")
        }
        None => Some("dcm does not do that, or pm2 knows no such key"),
    };
    Key { name, lost }
}

/// A number with one of these units behind it.
pub(super) fn size(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    number.trim().parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number * factor)
}

/// Takes `args` apart as pm2 does: at blanks, but not between quotes, which are taken off where they are around all of an
/// argument. In `a="b c"` they stay.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = end_of_word(rest);
        let word = &rest[..end];
        let inner = ['"', '\''].iter().find_map(|quote| word.strip_prefix(*quote)?.strip_suffix(*quote));
        let word = inner.unwrap_or(word);
        if !word.trim().is_empty() {
            found.push(word.to_owned());
        }
        rest = rest[end..].trim_start();
    }
    found
}

/// Where the first word ends.
fn end_of_word(text: &str) -> usize {
    let quoted = |at: usize| {
        let quote = text[at..].chars().next().filter(|c| matches!(c, '"' | '\''))?;
        text[at + 1..].find(quote).map(|end| at + end + 2)
    };
    let name = text.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=')).unwrap_or(text.len());
    let is_assigned = name > 0 && text[name..].starts_with('=');
    let end = if is_assigned { quoted(name + 1) } else { quoted(0) };
    end.unwrap_or_else(|| text.find(char::is_whitespace).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_of_pm2() {
        for (text, expected) in [
            ("a  b", &["a", "b"][..]),
            (r#"--name='a b' "c d" 'e'"#, &["--name='a b'", "c d", "e"]),
            (r#"x"y z" "" 'a"#, &["x\"y", "z\"", "'a"]),
            (r#"a="b"c"#, &["a=\"b\"", "c"]),
            ("", &[]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn keys_have_several_names() {
        for (name, known) in
            [("minUptime", "min_uptime"), ("exec", "script"), ("errFile", "error_file"), ("cwd", "cwd")]
        {
            assert_eq!(key(name).name, known);
        }
        assert!(key("env_PROD").lost.is_some() && key("colour").lost.is_some() && key("cwd").lost.is_none());
    }
}
