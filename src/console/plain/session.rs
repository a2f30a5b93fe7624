//! The prompt: one command a line.

use std::io::{self, Write};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout_at};

use super::lines::Lines;
use super::{PlainOptions, say};
use crate::console::dialog::confirm::{Confirm, Consent, Wanted};
use crate::console::filter::Filter;
use crate::console::fleet::Row;
use crate::console::pipeline::{DocumentFilter, bottleneck, order};
use crate::console::world::{Identity, Link, World};
use crate::model::{
    AlertRow, AlertSubject, AppId, AppPath, CmdFlag, CmdName, CommandId, CommandSource, NewCommand, Revision,
    Selector,
};
use crate::process::{LogTail, clock, join_lines, logs_of};
use crate::store::{AlertQuery, StoreError, look_at_pipeline, submit};

/// So long is waited for the verdicts of commands.
const VERDICTS: Duration = Duration::from_secs(15);

/// They are looked for at least so often.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Lines of a log that are told.
const LOG_LINES: usize = 20;

/// Documents that are told.
const DOCUMENTS: u32 = 50;

/// Open alerts that are told.
const ALERTS: u32 = 100;

const HELP: &str = "\
list [FILTER]       apps, for example: list is:fatal g:croatia
show PATH           all about one app
start SELECTOR      also stop, restart, enable, disable; SELECTOR is a path, croatia/fina, */fina/* or all
watch [FILTER]      a sentence for each change, until enter is pressed
alerts              what needs somebody
stages              documents: what waits, works and failed in each stage
documents [WORDS]   the newest documents, for example: documents is:dead stage:ocr
log PATH            the last lines of its output
help                this
quit                leave; the end of the input does the same";

pub(super) struct Session<W> {
    pub(super) options: PlainOptions,
    pub(super) lines: UnboundedReceiver<String>,
    output: Lines<W>,
    pub(super) world: World,
    revision: Revision,
}

/// Why a command was not carried out.
pub(super) enum Fault {
    /// Nobody reads any more.
    Output(io::Error),
    /// This is told.
    Said(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Said(format!("the database: {error}"))
    }
}

impl<W: Write> Session<W> {
    pub(super) fn new(options: PlainOptions, lines: UnboundedReceiver<String>, output: W) -> Self {
        let identity = Identity {
            capabilities: options.store.capabilities(),
            database: options.database.clone(),
            user: options.user.clone(),
            is_attached: false,
            read_only: options.read_only,
        };
        let mut world = World::new(identity, (0, 0), clock::now());
        world.caution = options.caution.clone();
        Self { options, lines, output: Lines::new(output), world, revision: Revision::default() }
    }

    pub(super) async fn run(mut self) -> io::Result<()> {
        let greeting = match self.read().await {
            Ok(()) => format!(
                "{} apps on {}; help lists the commands",
                self.world.fleet.total.apps, self.options.database
            ),
            Err(Fault::Said(why)) => why,
            Err(Fault::Output(error)) => return Err(error),
        };
        self.say(&greeting)?;
        loop {
            self.output.prompt("dcm> ")?;
            let Some(line) = self.lines.recv().await else { return self.say("") };
            match self.obey(line.trim()).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(Fault::Said(why)) => self.say(&why)?,
                Err(Fault::Output(error)) => return Err(error),
            }
        }
    }

    /// `false` to leave.
    async fn obey(&mut self, line: &str) -> Result<bool, Fault> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "" => {}
            "quit" | "exit" | "q" => return Ok(false),
            "help" | "?" => self.say_all(HELP.lines())?,
            "list" | "ls" => self.list(rest).await?,
            "show" => self.show(rest).await?,
            "watch" => self.watch(rest).await?,
            "alerts" => self.alerts().await?,
            "stages" => self.stages().await?,
            "documents" | "docs" => self.documents(rest).await?,
            "log" | "logs" => self.log(rest).await?,
            word => match CmdName::ALL.iter().find(|name| name.to_string().eq_ignore_ascii_case(word)) {
                Some(name) => self.issue(*name, rest).await?,
                None => return Err(Fault::Said(format!("{word} is no command; help lists them"))),
            },
        }
        Ok(true)
    }

    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.say_all([text])
    }

    pub(super) fn say_all(
        &mut self,
        lines: impl IntoIterator<Item = impl std::fmt::Display>,
    ) -> io::Result<()> {
        self.output.print(lines)
    }

    /// Takes in what has changed.
    pub(super) async fn read(&mut self) -> Result<(), Fault> {
        let store = &self.options.store;
        let read = store.time().await?;
        self.world.now = clock::now();
        self.world.clock = (read, self.world.now.mono);
        self.world.link = Link::Up { read };
        self.world.fleet.meet(store.managers().await?, read);
        loop {
            let delta = store.changes_since(self.revision).await?;
            self.revision = delta.revision;
            let more = delta.more;
            self.world.fleet.apply(delta, read);
            if !more {
                return Ok(());
            }
        }
    }

    /// What is meant by a filter, or by the one that the console was opened with.
    pub(super) fn filter(&self, text: &str) -> Result<Filter, Fault> {
        let text = if text.is_empty() { self.options.filter.as_str() } else { text };
        let filter = Filter::parse(text);
        match filter.fault() {
            Some(fault) => Err(Fault::Said(fault.to_owned())),
            None => Ok(filter),
        }
    }

    async fn list(&mut self, text: &str) -> Result<(), Fault> {
        let filter = self.filter(text)?;
        self.read().await?;
        self.world.fleet.judge(self.world.time());
        let mut path = String::new();
        let shown = self
            .world
            .fleet
            .rows()
            .filter(|row| filter.shows(row, &self.world.fleet, self.world.time(), &mut path));
        let mut lines: Vec<_> = shown.map(|row| say::line(row, &self.world)).collect();
        lines.push(match lines.len() {
            1 => "1 app".to_owned(),
            count => format!("{count} apps"),
        });
        Ok(self.say_all(lines)?)
    }

    async fn show(&mut self, path: &str) -> Result<(), Fault> {
        self.read().await?;
        let lines = say::all(self.app(path)?, &self.world);
        Ok(self.say_all(lines)?)
    }

    fn app(&self, text: &str) -> Result<&Row, Fault> {
        let path: AppPath = text.parse().map_err(|error| Fault::Said(format!("{error}")))?;
        self.world.fleet.by_id(AppId::of(&path)).ok_or_else(|| Fault::Said(format!("no such app: {path}")))
    }

    async fn alerts(&mut self) -> Result<(), Fault> {
        let query = AlertQuery { open_only: true, limit: ALERTS, ..AlertQuery::default() };
        self.read().await?;
        let alerts = self.options.store.alerts(query).await?;
        let name_of = |alert: &AlertRow| match &alert.subject {
            AlertSubject::Fleet => AlertSubject::FLEET.to_owned(),
            AlertSubject::App(app) => self.world.fleet.name_of(app),
        };
        let now = self.world.time();
        let said = |alert| say::alert(alert, &name_of(alert), now);
        let mut lines: Vec<_> = alerts.iter().map(said).collect();
        if lines.is_empty() {
            lines.push("nothing needs anybody".to_owned());
        }
        Ok(self.say_all(lines)?)
    }

    async fn stages(&mut self) -> Result<(), Fault> {
        let mut look = look_at_pipeline(self.options.store.as_ref(), None).await?;
        order(&mut look.stages, &look.links);
        let slowest = bottleneck(&look.stages).map(|found| found.stage);
        let stages = look.stages.iter().enumerate();
        let mut lines: Vec<_> =
            stages.map(|(at, stage)| say::stage(stage, slowest == Some(at), look.read)).collect();
        if lines.is_empty() {
            lines.push("no document has been seen yet".to_owned());
        }
        Ok(self.say_all(lines)?)
    }

    async fn documents(&mut self, words: &str) -> Result<(), Fault> {
        let filter = DocumentFilter::parse(words);
        if let Some(fault) = filter.fault {
            return Err(Fault::Said(format!(
                "{fault} means nothing; try is:dead stage:ocr, or words of a path"
            )));
        }
        let store = &self.options.store;
        let (now, tasks) = (store.time().await?, store.pipeline_tasks(filter.query(DOCUMENTS)).await?);
        let mut lines: Vec<_> = tasks.iter().map(|task| say::document(task, now)).collect();
        lines.push(match lines.len() {
            1 => "1 document".to_owned(),
            count if count == DOCUMENTS as usize => format!("these are the newest {count}"),
            count => format!("{count} documents"),
        });
        Ok(self.say_all(lines)?)
    }

    async fn log(&mut self, path: &str) -> Result<(), Fault> {
        self.read().await?;
        let app = self.app(path)?.id;
        let Some((_, file)) = logs_of(&self.options.state, app).into_iter().next() else {
            return Err(Fault::Said("it has no log on this host".to_owned()));
        };
        let (_, records) = LogTail::open(&file, LOG_LINES)
            .map_err(|error| Fault::Said(format!("{}: {error}", file.display())))?;
        for line in join_lines(records) {
            let text = String::from_utf8_lossy(line.visible()).into_owned();
            self.say(&text)?;
        }
        Ok(())
    }

    async fn issue(&mut self, name: CmdName, text: &str) -> Result<(), Fault> {
        let selector: Selector = text.parse().map_err(|error| Fault::Said(format!("{error}")))?;
        self.read().await?;
        if let Some(why) = self.world.refusal() {
            return Err(Fault::Said(why));
        }
        let rows = self.world.fleet.rows().filter(|row| selector.matches(&row.path, row.labels()));
        let apps: Vec<_> = rows.map(|row| row.id).collect();
        if apps.is_empty() {
            return Err(Fault::Said(format!("no such app: {text}")));
        }
        let is_group = apps.len() > 1;
        let wanted = Wanted { name, verb: name.word().to_owned(), apps, what: text.to_owned(), is_group };
        let mut confirm = Confirm::new(wanted, &self.world);
        if let Some(why) = confirm.nothing_to_send() {
            return Err(Fault::Said(why));
        }
        if confirm.asks_for != Consent::Nothing {
            self.consent(&mut confirm).await?;
        }
        let (order, time) = (confirm.order(), clock::wall());
        let commands = order.apps.into_iter().map(|app| NewCommand {
            app,
            name,
            args: None,
            by: self.options.user.clone(),
            source: CommandSource::Console,
            time,
            expires: None,
            batch: None,
            note: order.note.clone(),
        });
        let ids = submit(self.options.store.as_ref(), commands.collect()).await?;
        self.verdicts(ids).await
    }

    /// Asks as the weight of it demands.
    async fn consent(&mut self, confirm: &mut Confirm) -> Result<(), Fault> {
        let refused = || Fault::Said("nothing was sent".to_owned());
        let effects = confirm.effects();
        let lines =
            effects.iter().map(|effect| format!("{} {}: {}", effect.count, effect.whose, effect.what));
        let lines: Vec<_> = lines.chain(confirm.others.iter().cloned()).collect();
        self.say_all(lines)?;
        let (count, name, what) = (confirm.sent.len(), confirm.name, &confirm.what);
        let (question, answer) = match confirm.asks_for {
            Consent::Number => {
                (format!("{name} {what}: type {count} to send {count} commands: "), count.to_string())
            }
            Consent::Yes | Consent::Nothing => {
                (format!("{name} {what}: type y to send it: "), "y".to_owned())
            }
        };
        if self.ask(&question).await?.trim() != answer {
            return Err(refused());
        }
        if confirm.needs_reason {
            confirm.reason.paste(&self.ask("the reason, for the audit: ").await?);
        }
        if confirm.lacks_reason() { Err(refused()) } else { Ok(()) }
    }

    async fn ask(&mut self, question: &str) -> Result<String, Fault> {
        self.output.prompt(question)?;
        Ok(self.lines.recv().await.unwrap_or_default())
    }

    async fn verdicts(&mut self, ids: Vec<CommandId>) -> Result<(), Fault> {
        let deadline = Instant::now() + VERDICTS;
        let mut changed = self.options.store.changed();
        loop {
            changed.mark_unchanged();
            let rows = self.options.store.commands(ids.clone()).await?;
            let is_over = rows.iter().all(|row| row.flag != CmdFlag::Pending) || Instant::now() >= deadline;
            if is_over {
                let said = say::verdicts(&rows, |app| self.world.fleet.name_of(app));
                return Ok(self.say_all(said)?);
            }
            // A hint, or time to look without one.
            let _ = timeout_at(deadline.min(Instant::now() + LOOK_EVERY), changed.changed()).await;
        }
    }
}
