use super::*;
use crate::console::request::{Answer, LogNews, Question, Ticket};
use crate::model::{AppRow, Planned, Run, RunId, RunStatus, Trigger};
use crate::process::{LogRecord, Stream};

const PATH: &str = "croatia/fina/companies";

pub(super) fn run(number: u128, begin: i64, seconds: Option<i64>, outcome: &str) -> Run {
    let start = noon() - TimeDelta::minutes(begin);
    Run {
        run: RunId::from_random_bits(number << 96),
        app: AppId::of(&PATH.parse().unwrap()),
        start,
        end: seconds.map(|seconds| start + TimeDelta::seconds(seconds)),
        outcome: seconds.map(|_| outcome.into()),
        exit_code: (outcome == "ok").then_some(0),
        signal: None,
        except_cnt: 0,
        progress: Progress { task_size: Some(30_000), solved: 30_000, failed: 120, ..Progress::default() },
        trigger: Trigger::Schedule.into(),
        due: Some(start),
        attempt: 1,
        manager: "zg-01".to_owned(),
        pid: None,
        message: (outcome != "ok").then(|| "python3.13: no such program in PATH".to_owned()),
        leftovers: 0,
        command: None,
        memory_peak: None,
    }
}

fn command() -> CommandRow {
    CommandRow {
        id: CommandId(88_120),
        app: AppId::of(&PATH.parse().unwrap()).into(),
        name: CmdName::Start,
        flag: CmdFlag::NotExecuted,
        by: "ana".to_owned(),
        source: crate::model::CommandSource::Console.into(),
        time: noon() - TimeDelta::seconds(100),
        executed: Some(noon() - TimeDelta::seconds(91)),
        reason: Some("spawn failed".into()),
        batch: None,
        note: None,
    }
}

pub(super) fn answers(model: &mut Model, cmd: Option<Cmd>) -> Option<Ticket> {
    answers_with(model, cmd, &fleet().remove(0))
}

fn answers_with(model: &mut Model, cmd: Option<Cmd>, app: &AppRow) -> Option<Ticket> {
    let Some(Cmd::Work(work)) = cmd else { return None };
    let mut log = None;
    for request in work {
        let (ticket, answer) = match request {
            Request::Ask(ticket, Question::App(_)) => (ticket, Answer::App(Some(Box::new(app.clone())))),
            Request::Ask(ticket, Question::History(_)) => {
                let runs = vec![run(3, 1, Some(0), "failed_to_start"), run(2, 60, Some(1330), "ok")];
                (ticket, Answer::History(runs))
            }
            Request::Ask(ticket, Question::Commands(_)) => (ticket, Answer::Commands(vec![command()])),
            Request::OpenLog(query) => {
                log = Some(query.ticket);
                continue;
            }
            Request::CloseLog => continue,
            other @ (Request::Ask(..) | Request::Submit { .. } | Request::Look | Request::Pace(_)) => {
                panic!("{other:?}")
            }
        };
        update(model, Msg::Answer { ticket, answer: Ok(answer) });
    }
    log
}

/// The last lines of its log.
pub(super) fn log(ticket: Ticket) -> LogNews {
    let line = |text: &str| {
        let text = text.as_bytes().to_vec();
        (0, LogRecord { time: Some(noon()), stream: Stream::Err, is_complete: true, text })
    };
    let records =
        vec![line("INFO run finished solved=30000"), line("ERROR python3.13: No such file or directory")];
    LogNews { ticket, is_start: true, records, ..LogNews::default() }
}

fn opened(size: (u16, u16)) -> Model {
    let mut model = model(size, fleet());
    type_keys(&mut model, "n");
    let cmd = press(&mut model, KeyCode::Char('d'));
    let ticket = answers(&mut model, cmd).unwrap();
    for _ in 0..3 {
        let now = model.world.now;
        let cmd = update(&mut model, Msg::Tick(now));
        answers(&mut model, cmd);
    }
    update(&mut model, Msg::Log(log(ticket)));
    model
}

#[test]
fn at_every_size_in_all_signs_and_colours() {
    for (name, picture) in pictures("detail", opened) {
        insta::assert_snapshot!(name, picture);
    }
}

#[test]
fn it_says_who_looks_after_an_app_and_what_its_tags_are() {
    for (owner, tags, text) in [
        (Some("Ana Horvat"), &["nightly", "eu"][..], Some("Ana Horvat   tag:eu tag:nightly")),
        (Some("Ana Horvat"), &[], Some("Ana Horvat")),
        (None, &["eu"], Some("-   tag:eu")),
        (None, &[], None),
    ] {
        let mut rows = fleet();
        let row = rows.iter_mut().find(|row| row.app.path.to_string() == PATH).unwrap();
        row.app.owner = owner.map(str::to_owned);
        row.app.tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let row = row.clone();
        let mut model = model((200, 60), rows);
        type_keys(&mut model, "n");
        // Beside the fleet, and on the screen of the app.
        let pane = screen(&model, unicode());
        let cmd = press(&mut model, KeyCode::Char('d'));
        answers_with(&mut model, cmd, &row);
        for _ in 0..3 {
            let now = model.world.now;
            let cmd = update(&mut model, Msg::Tick(now));
            answers_with(&mut model, cmd, &row);
        }
        let page = screen(&model, unicode());
        for (shown, label) in [(&pane, " owner     "), (&page, " OWNER     ")] {
            let found = shown.lines().find_map(|line| line.split_once(label)).map(|(_, text)| text.trim());
            assert_eq!(found, text, "{shown}");
        }
    }
}

#[test]
fn its_keys_lead_on_and_esc_leads_back() {
    let mut model = opened((80, 24));
    for (key, title) in [('l', "[3 Logs]"), ('H', "[4 History]"), ('A', "[7 Audit]")] {
        press(&mut model, KeyCode::Char(key));
        assert!(screen(&model, unicode()).contains(title), "{title}");
        press(&mut model, KeyCode::Esc);
        assert!(screen(&model, unicode()).contains("croatia / fina / companies"));
    }
    press(&mut model, KeyCode::Char('j'));
    let Some(Cmd::Work(work)) = press(&mut model, KeyCode::Enter) else { panic!() };
    let Some(Request::OpenLog(query)) = work.last() else { panic!("{work:?}") };
    assert_eq!(query.run, Some(RunId::from_random_bits(2 << 96)));
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Esc);
    assert!(screen(&model, unicode()).contains("[1 Fleet]"));
    assert_eq!(under_cursor(&model), PATH);
}

#[test]
fn an_app_that_is_gone_says_so() {
    let mut model = model((80, 24), fleet());
    type_keys(&mut model, "nd");
    assert!(screen(&model, unicode()).contains("reading ..."));
    let now = model.world.now;
    let Some(Cmd::Work(work)) = update(&mut model, Msg::Tick(now)) else { panic!() };
    let [Request::Ask(ticket, Question::App(_))] = work[..] else { panic!("{work:?}") };
    update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::App(None)) });
    assert!(screen(&model, unicode()).contains("not registered any more"));
}

#[test]
fn what_the_console_concludes_is_told_with_what_can_be_done() {
    let mut late = row("austria/tax/liens");
    late.next_run = Some(noon() - TimeDelta::minutes(12));
    let mut model = model((80, 24), vec![late.clone()]);
    type_keys(&mut model, "nd");
    let now = model.world.now;
    let Some(Cmd::Work(work)) = update(&mut model, Msg::Tick(now)) else { panic!() };
    let [Request::Ask(ticket, Question::App(_))] = work[..] else { panic!("{work:?}") };
    update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::App(Some(Box::new(late)))) });
    let shown = screen(&model, unicode());
    assert!(shown.contains("WHY       it was due 12m00s ago (11:48) and has not started"), "{shown}");
    assert!(shown.contains("NEXT      s starts it now"), "{shown}");
}

#[test]
fn a_running_app_shows_a_time_to_come_and_one_that_was_asked_for_its_zone() {
    let shown = |change: &dyn Fn(&mut AppRow)| {
        let mut app = row("austria/tax/liens");
        app.state.status = RunStatus::Running;
        app.next_run = Some(noon() - TimeDelta::minutes(12));
        change(&mut app);
        let mut model = model((120, 40), vec![app.clone()]);
        let fleet = screen(&model, unicode());
        type_keys(&mut model, "jjd");
        let now = model.world.now;
        let Some(Cmd::Work(work)) = update(&mut model, Msg::Tick(now)) else { panic!() };
        let [Request::Ask(ticket, Question::App(_))] = work[..] else { panic!("{work:?}") };
        update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::App(Some(Box::new(app)))) });
        let detail = screen(&model, unicode());
        assert!(!fleet.contains("was due") && !detail.contains("was due"), "{fleet}{detail}");
        detail
    };
    let by_calendar = shown(&|app| app.app.schedule.cron = "*/30 * * * *".parse().ok());
    assert!(by_calendar.contains("next ") && by_calendar.contains(" in 30m"), "{by_calendar}");
    let by_interval = shown(&|app| app.app.schedule.cron = None);
    assert!(!by_interval.contains("next "), "{by_interval}");
    let asked = shown(&|app| {
        app.app.schedule.time_zone = chrono_tz::Tz::Europe__Zagreb;
        app.next_run = Some(noon() + TimeDelta::minutes(12));
        app.planned = Some(Planned::Asked);
    });
    assert!(asked.contains("without a zone it is read in Europe/Zagreb"), "{asked}");
}
