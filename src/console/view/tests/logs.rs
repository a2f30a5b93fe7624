use std::time::Duration;

use super::*;
use crate::console::request::{LogNews, LogQuery, Ticket};
use crate::model::{KeptLog, Now, RunId};
use crate::process::{LogRecord, Stream};

fn record(second: i64, stream: Stream, text: &str) -> (u16, LogRecord) {
    let time = Some(noon() - TimeDelta::minutes(1) + TimeDelta::seconds(second));
    (0, LogRecord { time, stream, is_complete: true, text: text.as_bytes().to_vec() })
}

fn run(number: u128) -> RunId {
    RunId::from_random_bits(number << 96)
}

/// Opens the log of the fatal app.
fn open(model: &mut Model) -> Ticket {
    type_keys(model, "n");
    match press(model, KeyCode::Char('l')) {
        Some(Cmd::Work(work)) => match &work[..] {
            [Request::OpenLog(LogQuery { ticket, apps, run: None })] => {
                assert_eq!(apps[0].to_string(), "croatia/fina/companies");
                *ticket
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn a_day() -> Vec<(u16, LogRecord)> {
    use Stream::{Dcm, Err, Out};
    vec![
        record(0, Out, "INFO page 871/1000 ok 10 rows"),
        record(1, Out, r#"{"event": "page", "level": "info", "number": 872, "rows": 10}"#),
        record(2, Err, "WARNING proxy 10.8.0.14 slow 4.1s, rotate"),
        record(3, Err, "ERROR page 873 HTTP 429 Too Many Requests retry 1/5 in 2s"),
        record(3, Err, "Traceback (most recent call last):"),
        record(3, Err, "  File \"main.py\", line 12, in fetch"),
        record(3, Err, "    raise ProxyBanned(proxy)"),
        record(3, Err, "ProxyBanned: HTTP 429 by 10.8.0.14"),
        record(9, Dcm, "21400 bytes in 214 lines are missing here: log_limit was reached"),
        record(10, Out, "DEBUG tick"),
        record(
            11,
            Out,
            "page 880/1000 ok \x1b]0;title\x07 10 rows, and a line that goes on and on beyond the screen",
        ),
        record(12, Err, "unstructured words on standard error"),
    ]
}

fn opened(size: (u16, u16)) -> Model {
    let mut model = model(size, fleet());
    let ticket = open(&mut model);
    let news = LogNews {
        ticket,
        is_start: true,
        records: a_day(),
        begun: vec![(0, run(2), Some(noon()))],
        runs: vec![run(2), run(1)],
        ..LogNews::default()
    };
    update(&mut model, Msg::Log(news));
    model
}

#[test]
fn at_every_size_in_all_signs_and_colours() {
    let searched = |size| {
        let mut model = opened(size);
        type_keys(&mut model, "/429");
        press(&mut model, KeyCode::Enter);
        model
    };
    for (name, picture) in pictures("logs", searched) {
        insta::assert_snapshot!(name, picture);
    }
}

#[test]
fn wrapped_opened_and_without_times() {
    let mut model = opened((60, 24));
    type_keys(&mut model, "wott");
    insta::assert_snapshot!("logs_wrapped", screen(&model, unicode()));
}

#[test]
fn it_follows_is_held_and_follows_again() {
    let mut model = opened((80, 24));
    let ticket = Ticket(3);
    let news = |from: i64, to: i64| {
        let records =
            (from..to).map(|number| record(number, Stream::Out, &format!("line {number} \x1b[31mred")));
        Msg::Log(LogNews { ticket, records: records.collect(), ..LogNews::default() })
    };
    update(&mut model, news(0, 100));
    let shown = screen(&model, unicode());
    assert!(shown.contains("following") && shown.contains("line 99 red"), "{shown}");
    press(&mut model, KeyCode::PageUp);
    update(&mut model, news(100, 138));
    let shown = screen(&model, unicode());
    assert!(shown.contains("held, 38 new lines below") && !shown.contains("line 137"), "{shown}");
    press(&mut model, KeyCode::Char('F'));
    assert!(screen(&model, unicode()).contains("line 137"));
    type_keys(&mut model, " ");
    update(&mut model, news(200, 300));
    assert!(!screen(&model, unicode()).contains("line 299"));
    type_keys(&mut model, " ");
    assert!(screen(&model, unicode()).contains("line 299"));
    assert_eq!(press(&mut model, KeyCode::Esc), Some(Cmd::Work(vec![Request::CloseLog])));
    assert!(screen(&model, unicode()).contains("[1 Fleet]"));
    assert_eq!(super::under_cursor(&model), "croatia/fina/companies", "the row is the same");
}

#[test]
fn searching_does_not_lose_the_way_back() {
    let mut model = opened((80, 24));
    type_keys(&mut model, "/429");
    assert!(screen(&model, unicode()).contains("/429"));
    press(&mut model, KeyCode::Enter);
    assert!(screen(&model, unicode()).contains("2 of 2 hits"));
    type_keys(&mut model, "n");
    assert!(screen(&model, unicode()).contains("1 of 2 hits"));
    type_keys(&mut model, "&");
    let shown = screen(&model, unicode());
    assert!(shown.contains("hits only") && !shown.contains("tick"), "{shown}");
    assert_eq!(press(&mut model, KeyCode::Esc), None, "first the search is over");
    assert!(screen(&model, unicode()).contains("tick"));
    type_keys(&mut model, "n");
    assert!(screen(&model, unicode()).contains("nothing is looked for"));
    type_keys(&mut model, "vvv");
    let shown = screen(&model, unicode());
    assert!(shown.contains("level>=E") && !shown.contains("872") && shown.contains("HTTP 429"), "{shown}");
}

#[test]
fn runs_are_gone_through_and_old_news_are_dropped() {
    let mut model = opened((80, 24));
    let Some(Cmd::Work(work)) = press(&mut model, KeyCode::Char(',')) else { panic!() };
    let [Request::OpenLog(query)] = &work[..] else { panic!("{work:?}") };
    assert_eq!(query.run, Some(run(1)));
    let late = LogNews {
        ticket: Ticket(3),
        records: vec![record(99, Stream::Out, "of before")],
        ..LogNews::default()
    };
    update(&mut model, Msg::Log(late));
    assert!(!screen(&model, unicode()).contains("of before"));
    let news = LogNews {
        ticket: query.ticket,
        is_start: true,
        begun: vec![(0, run(1), None)],
        ..LogNews::default()
    };
    update(&mut model, Msg::Log(news));
    let shown = screen(&model, unicode());
    assert!(shown.contains("00000001, no other") && shown.contains("no output yet"), "{shown}");
    assert_eq!(press(&mut model, KeyCode::Char(',')), None, "there is none before");
    let Some(Cmd::Work(work)) = press(&mut model, KeyCode::Char('.')) else { panic!() };
    let [Request::OpenLog(query)] = &work[..] else { panic!("{work:?}") };
    assert_eq!(query.run, None, "the newest goes on into those that follow");
}

#[test]
fn what_grows_too_fast_and_what_is_elsewhere_is_said() {
    let mut model = opened((80, 24));
    let jumped = vec![(0, Some(noon()))];
    let begun = vec![(0, run(3), Some(noon()))];
    let records = vec![record(90, Stream::Out, "newest")];
    let news = LogNews { ticket: Ticket(3), jumped, begun, records, ..LogNews::default() };
    update(&mut model, Msg::Log(news));
    let shown = screen(&model, unicode());
    assert!(
        shown.contains("gap: it grows faster than it can be read") && shown.contains("run 00000003 begins"),
        "{shown}"
    );
    let fault = Some("permission denied".to_owned());
    update(&mut model, Msg::Log(LogNews { ticket: Ticket(3), fault, ..LogNews::default() }));
    assert!(screen(&model, unicode()).contains("permission denied"));
    let mut far = row("a/b/c");
    far.state.manager = Some("zg-02".to_owned());
    far.state.last_run = Some(noon() - TimeDelta::minutes(4));
    let mut model = super::model((80, 24), vec![far]);
    type_keys(&mut model, "Gl");
    update(&mut model, Msg::Log(LogNews { ticket: Ticket(3), is_start: true, ..LogNews::default() }));
    let shown = screen(&model, unicode());
    assert!(
        shown.contains("no log of it is on this host; it last ran under manager zg-02, 4m ago"),
        "{shown}"
    );
}

#[test]
fn logs_of_a_parent_are_merged() {
    let mut model = model((80, 24), fleet());
    type_keys(&mut model, "n");
    press(&mut model, KeyCode::Left);
    press(&mut model, KeyCode::Left);
    let Some(Cmd::Work(work)) = press(&mut model, KeyCode::Char('l')) else { panic!() };
    let [Request::OpenLog(query)] = &work[..] else { panic!("{work:?}") };
    assert!(query.apps.len() > 2, "{query:?}");
    let mut records = vec![record(1, Stream::Out, "one"), record(2, Stream::Out, "two")];
    records[1].0 = 1;
    update(
        &mut model,
        Msg::Log(LogNews { ticket: query.ticket, is_start: true, records, ..LogNews::default() }),
    );
    insta::assert_snapshot!("logs_merged", screen(&model, unicode()));
    assert_eq!(press(&mut model, KeyCode::Char(',')), None);
}

#[test]
fn the_end_of_a_log_on_another_host_comes_by_the_database() {
    use crate::console::request::{Answer, Question};
    let mut far = row("a/b/c");
    far.state.manager = Some("zg-02".to_owned());
    far.state.last_run = Some(noon() - TimeDelta::minutes(4));
    let mut model = super::model((100, 24), vec![far]);
    type_keys(&mut model, "Gl");
    let ticket = Ticket(3);
    update(&mut model, Msg::Log(LogNews { ticket, is_start: true, ..LogNews::default() }));
    let kept = |text: &str| KeptLog {
        run: run(7),
        app: AppId::of(&"a/b/c".parse().unwrap()),
        manager: "zg-02".to_owned(),
        bytes: text.as_bytes().to_vec(),
        written: noon(),
    };
    let mut ask = |answer: Option<KeptLog>| {
        let now = Now { mono: model.world.now.mono + Duration::from_secs(3), wall: model.world.now.wall };
        let Some(Cmd::Work(work)) = update(&mut model, Msg::Tick(now)) else { panic!("it is asked for") };
        let [Request::Ask(ticket, Question::KeptLog { is_wish, .. })] = work[..] else { panic!("{work:?}") };
        update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::KeptLog(answer)) });
        (is_wish, screen(&model, unicode()))
    };
    let (is_wish, shown) = ask(None);
    assert!(
        is_wish && shown.contains("on this host, nor in the database; it last ran under manager zg-02"),
        "{shown}"
    );
    let one = "2026-11-23T14:02:11.000Z o F line one\n";
    let two = "2026-11-23T14:02:12.000Z e F ERROR two\n";
    let (_, shown) = ask(Some(kept(one)));
    assert!(shown.contains("line one") && shown.contains("its end, from zg-02"), "{shown}");
    let (_, shown) = ask(Some(kept(&format!("{one}{two}"))));
    assert_eq!((shown.matches("line one").count(), shown.matches("E two").count()), (1, 1), "{shown}");
}
