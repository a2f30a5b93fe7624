//! Follows the logs that are open, in a thread of its own: a database that does not answer keeps
//! nobody from reading a file.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use chrono::TimeDelta;

use crate::console::msg::Msg;
use crate::console::request::{LogNews, LogQuery, Ticket};
use crate::model::{AppId, RunId};
use crate::process::{LogRecord, LogTail, StateDir, clock, logs_of};

/// How often open logs are looked at.
const EVERY: Duration = Duration::from_millis(100);

/// So many lines are read at first, of all the apps together.
const LINES_FIRST: usize = 2000;

/// At most so many bytes of one log are read at a time; more come with the next look.
const AT_ONCE_MAX: usize = 1024 * 1024;

/// Who is further behind what is written goes on at its end.
const BEHIND_MAX: TimeDelta = TimeDelta::seconds(2);

/// A log that grows faster than it is read goes on with so many lines from its end.
const LINES_AFTER_JUMP: usize = 500;

/// Serves until the console is gone.
pub(super) fn serve(state: &StateDir, wishes: &Receiver<Option<LogQuery>>, messages: &Sender<Msg>) {
    let mut desk: Option<Desk> = None;
    loop {
        let wish = match &desk {
            Some(_) => wishes.recv_timeout(EVERY),
            None => wishes.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let mut is_start = false;
        match wish {
            Ok(query) => {
                desk = query.map(Desk::new);
                is_start = true;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let Some(desk) = &mut desk else { continue };
        let news = desk.look(state, is_start);
        if news.is_some_and(|news| messages.send(Msg::Log(news)).is_err()) {
            return;
        }
    }
}

/// The logs that are open together.
struct Desk {
    ticket: Ticket,
    /// One run, and no other.
    only: Option<RunId>,
    logs: Vec<Open>,
    lines_first: usize,
}

struct Open {
    app: AppId,
    run: Option<RunId>,
    tail: Option<LogTail>,
    path: PathBuf,
}

impl Desk {
    fn new(query: LogQuery) -> Self {
        let open = |path| Open { app: AppId::of(path), run: None, tail: None, path: PathBuf::new() };
        let logs: Vec<_> = query.apps.iter().map(open).collect();
        let lines_first = LINES_FIRST / logs.len().max(1);
        Self { ticket: query.ticket, only: query.run, logs, lines_first }
    }

    /// What is new in all of them, by time; `None` when nothing is.
    fn look(&mut self, state: &StateDir, is_start: bool) -> Option<LogNews> {
        let mut news = LogNews { ticket: self.ticket, is_start, ..LogNews::default() };
        for (origin, log) in (0..).zip(&mut self.logs) {
            let found = log.look(state, self.only, (origin, self.lines_first), &mut news);
            if let Err(error) = found {
                news.fault = Some(error.to_string());
            }
        }
        news.records.sort_by_key(|(_, record)| record.time);
        let is_news = is_start || news.fault.is_some() || !news.records.is_empty() || !news.runs.is_empty();
        is_news.then_some(news)
    }
}

impl Open {
    fn look(
        &mut self,
        state: &StateDir,
        only: Option<RunId>,
        (origin, lines): (u16, usize),
        news: &mut LogNews,
    ) -> io::Result<()> {
        if only.is_none() || self.run.is_none() {
            let runs = logs_of(state, self.app);
            let wanted = runs.iter().find(|(run, _)| only.is_none_or(|only| only == *run));
            if let Some((run, path)) = wanted
                && self.run != Some(*run)
            {
                self.finish(origin, news)?;
                self.path.clone_from(path);
                // What a new run has written so far is all of it.
                let (tail, records) = LogTail::open(path, lines)?;
                self.tail = Some(tail);
                self.run = Some(*run);
                news.begun.push((origin, *run, records.first().and_then(|record| record.time)));
                news.runs = runs.iter().map(|(run, _)| *run).collect();
                news.records.extend(records.into_iter().map(|record| (origin, record)));
            } else if news.is_start {
                news.runs = runs.iter().map(|(run, _)| *run).collect();
            }
        }
        self.more(origin, news)
    }

    /// The rest of a run that is over.
    fn finish(&mut self, origin: u16, news: &mut LogNews) -> io::Result<()> {
        self.more(origin, news)?;
        self.tail = None;
        Ok(())
    }

    fn more(&mut self, origin: u16, news: &mut LogNews) -> io::Result<()> {
        let Some(tail) = &mut self.tail else { return Ok(()) };
        let mut found: Vec<LogRecord> = Vec::new();
        let mut size = 0;
        loop {
            let records = tail.more()?;
            if records.is_empty() {
                break;
            }
            size += records.iter().map(|record| record.text.len()).sum::<usize>();
            found.extend(records);
            if size > AT_ONCE_MAX {
                let newest = found.iter().rev().find_map(|record| record.time);
                if newest.is_some_and(|newest| clock::wall() - newest > BEHIND_MAX) {
                    // Reading on would show ever older lines.
                    let (end, records) = LogTail::open(&self.path, LINES_AFTER_JUMP)?;
                    *tail = end;
                    let last = found.last().and_then(|record| record.time);
                    found = records.into_iter().filter(|record| record.time > last).collect();
                    news.jumped.push((origin, found.first().and_then(|record| record.time)));
                }
                break;
            }
        }
        news.records.extend(found.into_iter().map(|record| (origin, record)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::model::{AppPath, Timestamp, format_timestamp};

    struct Fixture {
        _folder: tempfile::TempDir,
        state: StateDir,
        app: AppPath,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let state = StateDir::new(folder.path().to_owned());
            Self { state, app: "a/b/c".parse().unwrap(), _folder: folder }
        }

        fn write(&self, begun: &str, run: u128, lines: impl IntoIterator<Item = (Timestamp, String)>) {
            let logs = self.state.logs(AppId::of(&self.app));
            fs::create_dir_all(&logs).unwrap();
            let path = logs.join(format!("{begun}-{}.log", RunId::from_random_bits(run)));
            let mut text = String::new();
            for (time, line) in lines {
                text.push_str(&format_timestamp(time));
                text.push_str(" o F ");
                text.push_str(&line);
                text.push('\n');
            }
            let before = fs::read(&path).unwrap_or_default();
            fs::write(&path, [before, text.into_bytes()].concat()).unwrap();
        }

        fn desk(&self, run: Option<RunId>) -> Desk {
            let query = LogQuery { ticket: Ticket(1), apps: vec![self.app.clone()], run };
            Desk::new(query)
        }
    }

    fn texts(news: &LogNews) -> Vec<String> {
        news.records.iter().map(|(_, record)| String::from_utf8_lossy(&record.text).into_owned()).collect()
    }

    #[test]
    fn a_new_run_goes_on_in_the_same_log() {
        let fixture = Fixture::new();
        let now = clock::wall();
        let line = |text: &str| (now, text.to_owned());
        let mut desk = fixture.desk(None);
        let news = desk.look(&fixture.state, true).unwrap();
        assert!(news.is_start && news.runs.is_empty() && news.records.is_empty());
        fixture.write("1", 1, [line("one")]);
        let news = desk.look(&fixture.state, false).unwrap();
        assert_eq!((texts(&news), news.begun.len()), (vec!["one".to_owned()], 1));
        fixture.write("1", 1, [line("two")]);
        fixture.write("2", 2, [line("three")]);
        let news = desk.look(&fixture.state, false).unwrap();
        assert_eq!(texts(&news), ["two", "three"]);
        assert_eq!(news.runs, [2, 1].map(RunId::from_random_bits));
        assert!(desk.look(&fixture.state, false).is_none());
        let mut old = fixture.desk(Some(RunId::from_random_bits(1)));
        assert_eq!(texts(&old.look(&fixture.state, true).unwrap()), ["one", "two"]);
    }

    #[test]
    fn who_is_far_behind_goes_on_at_the_end() {
        let fixture = Fixture::new();
        let mut desk = fixture.desk(None);
        let old = clock::wall() - TimeDelta::seconds(60);
        fixture.write("1", 1, [(old, "first".to_owned())]);
        desk.look(&fixture.state, true).unwrap();
        let text = "x".repeat(1000);
        fixture.write("1", 1, (1..5000).map(|number| (old + TimeDelta::milliseconds(number), text.clone())));
        let news = desk.look(&fixture.state, false).unwrap();
        assert_eq!((news.jumped.len(), news.records.len()), (1, LINES_AFTER_JUMP));
        assert!(desk.look(&fixture.state, false).is_none(), "nothing is left to be read");
    }

    #[test]
    fn the_thread_ends_with_the_console() {
        let fixture = Fixture::new();
        let (wishes, inbox) = channel();
        let (messages, news) = channel();
        let state = fixture.state.clone();
        let thread = std::thread::spawn(move || serve(&state, &inbox, &messages));
        let query = LogQuery { ticket: Ticket(7), apps: vec![fixture.app.clone()], run: None };
        wishes.send(Some(query)).unwrap();
        let Msg::Log(first) = news.recv().unwrap() else { panic!("nothing else is told") };
        assert_eq!(first.ticket, Ticket(7));
        drop(wishes);
        thread.join().unwrap();
    }
}
