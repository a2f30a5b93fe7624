use std::collections::BTreeMap;
use std::path::Path;

use super::*;

/// What `[notify]` of a file says, and the warnings.
fn check(text: &str, variables: &[(&str, &str)]) -> (Result<Notify, ConfigError>, Vec<String>) {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let mut warnings = Vec::new();
    let table = DeTable::parse(text).unwrap();
    let source = Source {
        path: Path::new("/etc/dcm/dcm.toml"),
        text,
        get: &|name| variables.get(name).map(|value| (*value).to_owned()),
    };
    let notify = table.get_ref().iter().find(|(key, _)| key.get_ref() == "notify").unwrap().1;
    let mut faults = Vec::new();
    let warn = &mut |warning| warnings.push(warning);
    let read = read(&source, notify.get_ref().as_table().unwrap(), warn, &mut faults);
    (faults.into_iter().next().map_or(Ok(read), Err), warnings)
}

fn settings(text: &str, variables: &[(&str, &str)]) -> NotifySettings {
    let (read, warnings) = check(text, variables);
    assert_eq!(warnings, Vec::<String>::new());
    read.unwrap().settings.unwrap()
}

#[test]
fn a_channel_of_each_kind() {
    let found = settings(
        "[notify]\ntime_zone = 'Europe/Zagreb'\nping_url = 'https://hc-ping.com/x'\n\
         [notify.tg]\nkind = 'telegram'\ntoken = '12:ab'\nchat_id = -100\ngroups = ['croatia', '*/fina']\n\
         severity = 'critical'\nquiet = '22:00-06:00'\nquiet_critical = true\nmax_per_hour = 6\n\
         [notify.t]\nkind = 'teams'\nurl = 'https://x.webhook.office.com/a?sig=1'\n\
         [notify.w]\nkind = 'teams'\nurl = 'https://a.logic.azure.com/b'\n\
         [notify.s]\nkind = 'slack'\nurl = 'https://hooks.slack.com/services/A'\napi = 'http://127.0.0.1:8080'\n\
         [notify.m]\nkind = 'email'\nserver = 'mail.example.com'\nfrom = 'DCM <d@example.com>'\nto = ['o@example.com']\n\
         [notify.h]\nkind = 'webhook'\nurl = 'http://localhost:1/x'\nsecret = 'k'\n",
        &[],
    );
    let listed: Vec<_> =
        found.channels.iter().map(|c| format!("{} {} {}", c.name, c.kind.word(), c.target())).collect();
    assert_eq!(
        listed,
        [
            "h webhook localhost:1",
            "m email o@example.com by mail.example.com:587",
            "s slack 127.0.0.1:8080",
            "t teams x.webhook.office.com",
            "tg telegram api.telegram.org, chat -100",
            "w teams a.logic.azure.com",
        ]
    );
    let form = |name: &str| {
        let Some(ChannelKind::Teams { form, .. }) = found.channel(name).map(|channel| &channel.kind) else {
            panic!("another kind")
        };
        *form
    };
    assert_eq!((form("t"), form("w")), (TeamsForm::Connector, TeamsForm::Workflow));
    let telegram = found.channel("tg").unwrap();
    assert_eq!(
        (telegram.severity, telegram.max_per_hour, telegram.quiet_critical),
        (Severity::Critical, Some(6), true)
    );
    assert_eq!(telegram.quiet.unwrap().to_string(), "22:00-06:00");
    assert_eq!(telegram.groups.len(), 2);
    assert_eq!(found.time_zone, Some(chrono_tz::Tz::Europe__Zagreb));
    let shown = format!("{found:?}");
    for secret in ["12:ab", "sig=1", "services", "hc-ping.com/x", "\"k\""] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}

#[test]
fn what_is_wrong_is_named_by_file_line_and_key_and_never_with_the_secret() {
    for (text, expected) in [
        ("[notify.a]\nurl = 'https://x/SECRET'", "1: notify.a: a channel needs kind"),
        (
            "[notify.a]\nkind = 'pigeon'",
            "2: notify.a.kind must be telegram or teams or slack or email or webhook",
        ),
        ("[notify.a]\nkind = 'slack'", "1: notify.a: slack needs url or url_file"),
        ("[notify.a]\nkind = 'telegram'\ntoken = 'SECRET'", "1: notify.a: telegram needs chat_id"),
        (
            "[notify.a]\nkind = 'telegram'\nchat_id = 1\ntoken = 'SECRET/x'",
            "4: notify.a.token is no token of a bot, such as 123456:ABC-def",
        ),
        (
            "[notify.a]\nkind = 'slack'\nurl = 'https://x/SECRET'\ntoken = 'SECRET'",
            "4: notify.a.token is for telegram, and this channel is slack",
        ),
        (
            "[notify.a]\nkind = 'slack'\nurl = 'https://x/SECRET'\nurl_file = 'x'",
            "3: notify.a.url and notify.a.url_file exclude each other",
        ),
        (
            "[notify.a]\nkind = 'slack'\nurl = 'http://x/SECRET'",
            "3: notify.a.url is plain http to another host",
        ),
        ("[notify.a]\nkind = 'slack'\nurl = 'SECRET'", "3: notify.a.url must begin with https://"),
        (
            "[notify.a]\nkind = 'webhook'\nurl = 'https://u:SECRET@h/'",
            "3: notify.a.url must not hold a user name",
        ),
        (
            "[notify.a]\nkind = 'slack'\nurl = 'https://x/'\nseverity = 'bad'",
            "4: notify.a.severity must be warning or",
        ),
        (
            "[notify.a]\nkind = 'slack'\nurl = 'https://x/'\nquiet = '22'",
            "4: notify.a.quiet must be two different times",
        ),
        (
            "[notify.a]\nkind = 'slack'\nurl = 'https://x/'\ngroups = ['a b']",
            "4: notify.a.groups invalid selector",
        ),
        (
            "[notify.a]\nkind = 'slack'\nurl = 'https://x/'\nmax_per_hour = 0",
            "4: notify.a.max_per_hour must be a whole",
        ),
        (
            "[notify.a]\nkind = 'email'\nserver = 'm'\ntls = 'none'",
            "4: notify.a.tls \"none\" is only for a server on this host",
        ),
        ("[notify.a]\nkind = 'email'\nserver = 'm'\npassword = 'SECRET'", "1: notify.a: email needs user"),
        (
            "[notify.a]\nkind = 'email'\nserver = 'm'\nfrom = \"a@b\\r\\nBcc: c@d\"\nto = ['e@f']",
            "4: notify.a.from holds \"a@b\\r\\nBcc: c@d\", which is no address",
        ),
        (
            "[notify.a]\nkind = 'email'\nserver = 'm'\nfrom = 'a@b'\nto = []",
            "5: notify.a.to must name 1 to 50",
        ),
        ("[notify]\ntime_zone = 'Mars/Base'", "2: notify.time_zone: unknown time zone \"Mars/Base\""),
        ("[notify]\nping_url = 'http://x/SECRET'", "2: notify.ping_url is plain http to another host"),
        ("[notify.'a b']\nkind = 'slack'", "1: invalid app path \"a b\""),
    ] {
        let message = check(text, &[]).0.unwrap_err().to_string();
        assert!(message.starts_with(&format!("/etc/dcm/dcm.toml:{expected}")), "{text}: {message}");
        assert!(!message.contains("SECRET"), "{message}");
    }
}

#[test]
fn keys_that_no_channel_has_are_warned_of() {
    let (read, warnings) =
        check("[notify]\ncolour = 1\n[notify.a]\nkind = 'slack'\nurl = 'https://x/'\nsound = 'ping'", &[]);
    assert!(read.is_ok());
    assert_eq!(
        warnings,
        [
            "/etc/dcm/dcm.toml:6: unknown setting notify.a.sound",
            "/etc/dcm/dcm.toml:2: unknown setting notify.colour"
        ]
    );
}

#[test]
fn secrets_come_from_the_environment_which_apps_then_do_not_get() {
    let text = "[notify.a]\nkind = 'telegram'\ntoken = '${TG_ID}:${TG_TOKEN}'\nchat_id = '${CHAT}'";
    let variables = [("TG_ID", "12"), ("TG_TOKEN", "ab"), ("CHAT", "@ops")];
    let (read, _) = check(text, &variables);
    let read = read.unwrap();
    assert_eq!(read.variables.into_iter().collect::<Vec<_>>(), ["CHAT", "TG_ID", "TG_TOKEN"]);
    let settings = read.settings.unwrap();
    let ChannelKind::Telegram { token, chat_id, .. } = &settings.channels[0].kind else {
        panic!("another kind")
    };
    assert_eq!((token.reveal(), chat_id.as_str()), ("12:ab", "@ops"));

    let (read, _) = check(text, &variables[1..]);
    let read = read.unwrap();
    assert_eq!(read.variables.len(), 3);
    let message = read.settings.unwrap_err().to_string();
    assert_eq!(message, "/etc/dcm/dcm.toml:3: notify.a.token: the environment variable TG_ID is not set");

    let odd = settings_of_webhook("a${b c}$${x}${", &[("x", "y")]);
    assert_eq!(odd.reveal(), "a${b c}$y${");
}

fn settings_of_webhook(secret: &str, variables: &[(&str, &str)]) -> crate::notify::Secret {
    let text = format!("[notify.a]\nkind = 'webhook'\nurl = 'https://h/'\nsecret = '{secret}'");
    let kind = settings(&text, variables).channels.remove(0).kind;
    let ChannelKind::Webhook { secret: Some(secret), .. } = kind else { panic!("another kind") };
    secret
}

#[test]
fn secrets_come_from_files_and_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "s3cret\n").unwrap();
    let text =
        |path: &str| format!("[notify.a]\nkind = 'webhook'\nurl = 'https://h/'\nsecret_file = '{path}'");
    let secret = |settings: &NotifySettings| {
        let ChannelKind::Webhook { secret: Some(secret), .. } = &settings.channels[0].kind else {
            panic!("another kind")
        };
        secret.reveal().to_owned()
    };
    assert_eq!(secret(&settings(&text(path.to_str().unwrap()), &[])), "s3cret");
    let credentials = [("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap())];
    assert_eq!(secret(&settings(&text("key"), &credentials)), "s3cret");
    let home = [("HOME", folder.path().to_str().unwrap())];
    assert_eq!(secret(&settings(&text("~/key"), &home)), "s3cret");

    let missing = check(&text("other"), &credentials).0.unwrap().settings.unwrap_err().to_string();
    assert!(
        missing.starts_with("/etc/dcm/dcm.toml:4: notify.a.secret_file: cannot read /etc/dcm/other: "),
        "{missing}"
    );
    let folder_itself = check(&text("."), &credentials).0.unwrap().settings.unwrap_err().to_string();
    assert!(folder_itself.ends_with(": it is no regular file"), "{folder_itself}");
    std::fs::write(&path, "\n").unwrap();
    let empty = check(&text("key"), &credentials).0.unwrap().settings.unwrap_err().to_string();
    assert_eq!(empty, "/etc/dcm/dcm.toml:4: notify.a.secret_file: the file is empty");
}

#[test]
fn what_is_wrong_in_one_channel_counts_more_than_a_secret_that_is_missing_in_another() {
    let text = "[notify.a]\nkind = 'slack'\nurl = '${NONE}'\n[notify.b]\nkind = 'slack'\n";
    assert!(check(text, &[]).0.unwrap_err().to_string().contains("notify.b: slack needs url"));
}
