//! `ecosystem.json` of pm2 7: its apps become apps that run always, or by `cron_restart`.

mod keys;
mod object;

use std::path::Path;

use self::keys::{Key, key, size, words};
use self::object::{Item, Node};
use super::draft::whole;
use super::{At, Draft, Host, Report, Source};
use crate::model::Value;

/// The most instances of one app.
const INSTANCES_MAX: f64 = 1000.0;

/// Time between INT and KILL, in milliseconds, unless the file says otherwise.
const KILL_TIMEOUT: f64 = 1600.0;

/// Programs for scripts by their endings.
const INTERPRETERS: [(&str, &str); 10] = [
    ("sh", "bash"),
    ("py", "python3"),
    ("rb", "ruby"),
    ("php", "php"),
    ("pl", "perl"),
    ("js", "node"),
    ("cjs", "node"),
    ("mjs", "node"),
    ("ts", "bun"),
    ("tsx", "bun"),
];

/// Reads the apps of a file.
pub(super) fn read(source: &Source<'_>, host: &dyn Host, report: &mut Report) -> Vec<Draft> {
    if let Some(what) = source.path.and_then(to_be_run) {
        report.fault(&At::new(source.name, 1), what);
        return Vec::new();
    }
    let file = match object::read(source.text) {
        Ok(file) => file,
        Err(error) => {
            report.fault(&At::new(source.name, error.line), error.to_string());
            return Vec::new();
        }
    };
    let apps = match (&file.node, file.get("apps").or_else(|| file.get("pm2"))) {
        (Node::List(apps), _) => apps.as_slice(),
        (_, Some(Item { node: Node::List(apps), .. })) => apps.as_slice(),
        (_, Some(app)) => std::slice::from_ref(app),
        (_, None) => std::slice::from_ref(&file),
    };
    if let Some(deploy) = file.get("deploy") {
        report.lost(&At::new(source.name, deploy.line), "deploy", "dcm deploys nothing");
    }
    let mut found = Vec::new();
    for item in apps {
        found.extend(drafts(item, source, host, report));
        if report.is_too_much(&At::new(source.name, item.line), found.len()) {
            break;
        }
    }
    found
}

/// Why a file has to be made JSON first, and by which command.
fn to_be_run(path: &Path) -> Option<String> {
    let file = super::words::quoted(&path.to_string_lossy());
    let json = super::words::quoted(&path.with_extension("json").to_string_lossy());
    let command = match path.extension()?.to_str()? {
        "js" | "cjs" => {
            format!("node -e 'console.log(JSON.stringify(require(process.argv[1])))' {file} > {json}")
        }
        "mjs" => {
            format!(
                "node -e 'import(process.argv[1]).then(file => console.log(JSON.stringify(file.default)))' {file} > {json}"
            )
        }
        "yaml" | "yml" => format!(
            "python3 -c 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)' < {file} > {json}"
        ),
        _ => return None,
    };
    Some(format!("dcm reads JSON; make it so and import that: {command}"))
}

/// One app of the file.
struct Entry<'a> {
    item: &'a Item,
    file: &'a str,
}

impl<'a> Entry<'a> {
    /// The value of a key by any of its names.
    fn get(&self, name: &str) -> Option<(&'a Item, At)> {
        let Node::Table(entries) = &self.item.node else { return None };
        let (_, item) =
            entries.iter().rev().find(|(other, item)| key(other).name == name && item.node != Node::Null)?;
        Some((item, At::new(self.file, item.line)))
    }

    fn text(&self, name: &str, report: &mut Report) -> Option<(String, At)> {
        let (item, at) = self.get(name)?;
        let text = item.text();
        if text.is_none() {
            report.fault(&at, format!("{name} is no text, but {}", item.node));
        }
        Some((text?, at))
    }

    fn number(&self, name: &str, report: &mut Report) -> Option<(f64, At)> {
        let (item, at) = self.get(name)?;
        let number = item.number().filter(|number| number.is_finite());
        if number.is_none() {
            report.fault(&at, format!("{name} is no number, but {}", item.node));
        }
        Some((number?, at))
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        self.get(name).map_or(default, |(item, _)| item.is_true())
    }
}

/// One app for each instance.
fn drafts(item: &Item, source: &Source<'_>, host: &dyn Host, report: &mut Report) -> Vec<Draft> {
    let at = At::new(source.name, item.line);
    if !matches!(item.node, Node::Table(_)) {
        report.fault(&at, format!("expected an object with a script, not {}", item.node));
        return Vec::new();
    }
    let entry = Entry { item, file: source.name };
    tell(&entry, report);
    let Some((script, script_at)) = entry.text("script", report) else {
        report.fault(&at, "an app has no script");
        return Vec::new();
    };
    let stem = source.stem().map_or("ecosystem", |stem| stem.strip_suffix(".config").unwrap_or(stem));
    let namespace = entry.text("namespace", report).map(|(name, _)| name).filter(|name| name != "default");
    let name = entry.text("name", report).map(|(name, _)| name);
    let name = name.unwrap_or_else(|| {
        let base = script.rsplit('/').next().unwrap_or(&script);
        base.rsplit_once('.').map_or(base, |(stem, _)| if stem.is_empty() { base } else { stem }).to_owned()
    });
    let mut draft = Draft::new(namespace.as_deref().unwrap_or(stem), &name, &at);
    place(&entry, source, &mut draft, report);
    environment(&entry, &mut draft, report);
    command(&entry, &script, &script_at, &mut draft, host, report);
    restarts(&entry, &mut draft, host, report);
    rules(&entry, &mut draft, host, report);
    instances(&entry, draft, host, report)
}

fn place(entry: &Entry<'_>, source: &Source<'_>, draft: &mut Draft, report: &mut Report) {
    let at = draft.at.clone();
    let cwd = entry.text("cwd", report);
    let folder = match (&cwd, source.folder()) {
        (Some((cwd, _)), Some(folder)) => folder.join(cwd).to_string_lossy().into_owned(),
        (Some((cwd, _)), None) => cwd.clone(),
        (None, Some(folder)) => {
            let why = "pm2 takes the folder in which it is started; here it is that of the file";
            report.carried(&at, "cwd", why);
            folder.to_string_lossy().into_owned()
        }
        (None, None) => {
            return report.lost(
                &at,
                "cwd",
                "pm2 takes the folder in which it is started; standard input has none",
            );
        }
    };
    draft.put(report, cwd.as_ref().map_or(&at, |(_, at)| at), "cwd", folder);
}

fn environment(entry: &Entry<'_>, draft: &mut Draft, report: &mut Report) {
    if let Some((port, _)) = entry.get("port").filter(|_| entry.get("env").is_some()) {
        port.text().into_iter().for_each(|port| draft.set("PORT", &port));
    }
    let Some((env, at)) = entry.get("env") else { return };
    let Node::Table(variables) = &env.node else {
        return report.fault(&at, format!("env is no object, but {}", env.node));
    };
    for (name, value) in variables {
        match (&value.node, value.text()) {
            (_, Some(text)) => draft.set(name, &text),
            (node, None) => {
                let why = format!("{name} is {node}, which is no text");
                report.lost(&At::new(entry.file, value.line), "env", why);
            }
        }
    }
}

fn command(
    entry: &Entry<'_>,
    script: &str,
    at: &At,
    draft: &mut Draft,
    host: &dyn Host,
    report: &mut Report,
) {
    if script.contains(' ') {
        if entry.get("args").is_some() {
            report.carried(at, "script", "it has blanks, so pm2 gives it to bash and leaves args out");
        }
        return draft.run(report, at, vec!["bash".to_owned(), "-c".to_owned(), script.to_owned()]);
    }
    let cwd = draft.app.program.cwd.clone();
    let is_there = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        path.parent().is_some_and(|folder| host.list(folder).iter().any(|other| name == other.as_str()))
    };
    let below =
        cwd.map(|cwd| Path::new(&cwd).join(script)).filter(|path| script.contains('/') || is_there(path));
    let program = below.map_or_else(
        || script.to_owned(),
        |path| path.components().collect::<std::path::PathBuf>().to_string_lossy().into_owned(),
    );
    let ending = Path::new(script).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let by_ending =
        INTERPRETERS.iter().find(|(name, _)| *name == ending).map(|(_, program)| (*program).to_owned());
    let interpreter = match entry.text("exec_interpreter", report) {
        Some((name, at)) if name.starts_with("node@") => {
            report.lost(&at, "interpreter", "dcm chooses no version by nvm: name the program itself");
            Some("node".to_owned())
        }
        Some((name, _)) => Some(name).filter(|name| name != "none"),
        None => {
            if by_ending.as_deref() == Some("python3") {
                report.carried(
                    at,
                    "script",
                    "pm2 runs it by python, or by python3 where there is none; here it is python3",
                );
            }
            by_ending
        }
    };
    if interpreter.as_ref().is_some_and(|name| name.contains("python")) {
        draft.app.program.env.entry("PYTHONUNBUFFERED".to_owned()).or_insert_with(|| "1".to_owned());
    }
    let mut argv = Vec::new();
    if let Some(interpreter) = interpreter {
        argv.push(interpreter);
        argv.extend(list(entry, "node_args", report));
    }
    argv.push(program);
    argv.extend(list(entry, "args", report));
    draft.run(report, at, argv);
}

/// Arguments as a list or as a text.
fn list(entry: &Entry<'_>, name: &str, report: &mut Report) -> Vec<String> {
    match entry.get(name) {
        None => Vec::new(),
        Some((Item { node: Node::List(items), .. }, at)) => {
            let texts: Option<Vec<_>> = items.iter().map(Item::text).collect();
            if texts.is_none() {
                report.fault(&at, format!("{name} holds what is no text"));
            }
            texts.unwrap_or_default()
        }
        Some(_) => entry.text(name, report).map(|(text, _)| words(&text)).unwrap_or_default(),
    }
}

fn restarts(entry: &Entry<'_>, draft: &mut Draft, host: &dyn Host, report: &mut Report) {
    draft.is_started = entry.flag("autostart", true);
    let is_always = entry.flag("autorestart", true);
    let cron = entry.text("cron_restart", report).filter(|(text, _)| text != "0" && text != "false");
    match (is_always, cron) {
        (true, cron) => {
            let at = draft.at.clone();
            draft.put(report, &at, "always", true);
            if let Some((_, at)) = cron {
                let why = "what runs always is not started again by a calendar; autorestart: false makes it a job with these times";
                report.lost(&at, "cron_restart", why);
            }
        }
        (false, Some((cron, at))) => {
            draft.put(report, &at, "cron", cron);
            draft.put(report, &at, "catch_up", "none");
            match host.time_zone() {
                Some(zone) => draft.put(report, &at, "time_zone", zone.name()),
                None => {
                    report.lost(
                        &at,
                        "time zone",
                        "that of this host is not known: the times are read in UTC",
                    );
                }
            }
            report.carried(&at, "cron_restart", "pm2 starts it at once as well; dcm at these times alone");
        }
        (false, None) => {
            let at = entry.get("autorestart").map_or_else(|| draft.at.clone(), |(_, at)| at);
            let why =
                "pm2 starts it once, when it is loaded; dcm has no such time: it runs on command (dcm start)";
            report.lost(&at, "autorestart", why);
        }
    }
    if let Some((item, at)) = entry.get("min_uptime") {
        match item
            .number()
            .or_else(|| size(&item.text()?, &[("h", 3_600_000.0), ("m", 60_000.0), ("s", 1000.0)]))
        {
            Some(milliseconds) => {
                draft.carry(report, (&at, "min_uptime"), "min_uptime", milliseconds / 1000.0);
            }
            None => report.fault(&at, format!("min_uptime is no time, but {}", item.node)),
        }
    }
    if let Some((restarts, at)) = entry.number("max_restarts", report) {
        draft.carry(report, (&at, "max_restarts"), "max_failures", rounded(restarts));
        let why = "pm2 gives up then; dcm opens an alert and goes on, at least every 5 minutes: --on-failures give_up makes it give up";
        report.carried(&at, "max_restarts", why);
    }
}

fn rules(entry: &Entry<'_>, draft: &mut Draft, host: &dyn Host, report: &mut Report) {
    let timeout = entry.number("kill_timeout", report);
    let (milliseconds, at) = timeout.unwrap_or_else(|| (KILL_TIMEOUT, draft.at.clone()));
    draft.carry(report, (&at, "kill_timeout"), "stop_grace", milliseconds / 1000.0);
    draft.put(report, &at, "stop_signal", "INT");
    if let Some((item, at)) = entry.get("max_memory_restart") {
        let units = [("G", 1024.0), ("M", 1.0), ("K", 1.0 / 1024.0)];
        let mebibytes =
            item.number().map(|bytes| bytes / 1_048_576.0).or_else(|| size(&item.text()?, &units));
        match mebibytes {
            Some(mebibytes) => {
                draft.carry(report, (&at, "max_memory_restart"), "max_memory", rounded(mebibytes.ceil()));
                let why = "a run that takes more is ended, counts as failed, and is followed by the next one (max_memory)";
                report.carried(&at, "max_memory_restart", why);
            }
            None => report.fault(&at, format!("max_memory_restart is no size, but {}", item.node)),
        }
    }
    if let Some((user, at)) = entry.text("uid", report).filter(|(user, _)| *user != host.user()) {
        draft.carry(report, (&at, "uid"), "run_user", user);
    }
}

/// A number without its fraction; what is out of range is so afterwards, too.
fn rounded(number: f64) -> Value<'static> {
    #[expect(clippy::cast_possible_truncation, reason = "the cast ends at the greatest number")]
    let number = number as i64;
    whole(number)
}

/// One app for each instance, with its number in a variable.
fn instances(entry: &Entry<'_>, draft: Draft, host: &dyn Host, report: &mut Report) -> Vec<Draft> {
    let variable =
        entry.text("instance_var", report).map_or_else(|| "NODE_APP_INSTANCE".to_owned(), |(name, _)| name);
    let wanted = entry
        .get("instances")
        .map(|(item, at)| (item.number(), item.text().is_some_and(|text| text == "max"), at));
    #[expect(clippy::cast_precision_loss, reason = "hosts have few processors")]
    let processors = host.processors() as f64;
    let count = match wanted {
        None => 1.0,
        Some((Some(number), _, _)) if number >= 1.0 => number,
        Some((number, is_max, at)) if is_max || number.is_some() => {
            let count = (processors + number.unwrap_or(0.0)).max(1.0);
            report.carried(
                &at,
                "instances",
                format!("this host has {processors} processors, so there are {count}"),
            );
            count
        }
        Some((_, _, at)) => {
            report.fault(&at, "instances is neither a number nor max");
            return Vec::new();
        }
    };
    if count > INSTANCES_MAX {
        report.fault(&draft.at, format!("more than {INSTANCES_MAX} instances"));
        return Vec::new();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 1000")]
    let count = count as u32;
    let numbered = (0..count).map(|number| {
        let mut draft = draft.clone();
        draft.set(&variable, &number.to_string());
        if count > 1 {
            draft.name = format!("{}-{number}", draft.name);
        }
        draft
    });
    numbered.collect()
}

/// Says which keys are not carried over.
fn tell(entry: &Entry<'_>, report: &mut Report) {
    let Node::Table(entries) = &entry.item.node else { return };
    for (name, item) in entries {
        let Key { name: known, lost } = key(name);
        let at = At::new(entry.file, item.line);
        match lost {
            Some(why) if item.is_true() || known == "treekill" => report.lost(&at, name, why),
            Some(_) | None => {}
        }
    }
    if let Some((mode, at)) = entry.text("exec_mode", report).filter(|(mode, _)| mode.starts_with("cluster"))
    {
        report.lost(&at, "exec_mode", format!("{mode}: instances do not share a port; each opens its own"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tool;
    use super::super::testing::MadeUp;

    fn told(path: &str, text: &str) -> String {
        MadeUp::with(&[(path, text), ("/srv/api.js", "")]).told(Tool::Pm2, path)
    }

    #[test]
    fn apps_of_pm2_run_always_or_at_times() {
        let text = r#"// the ecosystem
{
  apps: [
    {
      name: "api", namespace: 'hr', script: "api.js", args: "--port 80 --name='a b' \"c d\"",
      instances: 2, exec_mode: "cluster", nodeArgs: ["--trace-warnings"],
      env: { PORT: 80, DEBUG: true, NESTED: {} },
      env_production: { PORT: 8080 },
      max_memory_restart: "300M", min_uptime: "5s", max_restarts: 10, kill_timeout: 3000,
      watch: true, log_file: "x.log", error_file: "/dev/null", vizion: false,
    },
    { script: "./collect.py", interpreter: "/venv/bin/python", autorestart: false, cron_restart: "0 6 * * *", uid: "bob" },
    { script: "npm", args: ["run", "x"], cwd: "/opt", cron_restart: "0 0 * * *", treekill: false, autostart: false },
    { script: "sleep 5 && echo x", name: "two words", autorestart: false, colour: "red" },
    { script: "/bin/max", instances: "max", instance_var: "N", restart_delay: 100 }
  ],
  deploy: {}
}
"#;
        insta::assert_snapshot!(told("/srv/ecosystem.config.json", text));
    }

    #[test]
    fn what_is_no_json_or_no_app_is_refused() {
        insta::assert_snapshot!(told("/srv/ecosystem.config.js", "module.exports = {}"));
        insta::assert_snapshot!(told("/srv/it's.yaml", "apps: []"));
        insta::assert_snapshot!(told(
            "/srv/a.json",
            "{\n  \"apps\": [\n    { \"script\": process.env.X }\n  ]\n}\n"
        ));
        let text = "{ apps: [\n{ name: 'x' },\n'text',\n{ script: 'x', instances: 'some',\n env: [] },\n{ script: {} },\n\
                    { script: 'y', min_uptime: 'x', autorestart: false,\n cron_restart: '99 * * * *' } ] }\n";
        insta::assert_snapshot!(told("/srv/a.json", text));
    }
}
