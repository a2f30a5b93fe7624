use super::*;
use crate::console::request::{Answer, DocumentSums, Question, Ticket};
use crate::console::screen::{Screen, Tab};
use crate::model::{
    App, AppRow, AppState, DocumentPath, DocumentRoute, DocumentWay, EventId, FileEvent, FlowSlot,
    PipelineLook, PipelineTask, RootState, RouteId, RunStatus, Stage, StageCount, StageLink, Target, TaskId,
    TaskStatus, WatchRoot,
};
use crate::store::{StoreError, TASKS_MAX, TaskQuery};

fn stage(name: Option<&str>, (waiting, working, done): (u64, u64, u64), (failed, dead): (u64, u64)) -> Stage {
    let count = StageCount {
        waiting,
        working,
        failed,
        dead,
        retries: failed / 3,
        oldest: (waiting > 0).then(|| noon() - TimeDelta::seconds(i64::try_from(waiting / 4).unwrap() + 4)),
        ..StageCount::of(name.map(str::to_owned))
    };
    // It grew over the day.
    let grows = waiting / 1200;
    let slot =
        |at: u64| FlowSlot { came: done / 48 + at * grows, done: (done / 60 + at * 9).min(done), dead: 0 };
    Stage {
        count,
        queue: name.map(|name| format!("docs.{name}")),
        window: FlowSlot { came: done / 288 + waiting / 10, done: done / 288, dead: 0 },
        day: (0..48).map(slot).collect(),
    }
}

fn link(from: Option<&str>, to: &str) -> StageLink {
    StageLink { from: from.map(str::to_owned), to: to.to_owned(), queue: Some(format!("docs.{to}")) }
}

fn root(name: &str, path: &str) -> WatchRoot {
    WatchRoot {
        name: name.to_owned(),
        path: path.to_owned(),
        pattern: "*.pdf".to_owned(),
        recursive: false,
        app_group: "croatia".to_owned(),
        topic: "invoices.pdf".to_owned(),
        stable_seconds: 2.0,
        enabled: true,
        manager: None,
        state: RootState { scanned: Some(noon() - TimeDelta::seconds(6)), files: Some(1204), fault: None },
    }
}

fn look() -> PipelineLook {
    let faulty = WatchRoot {
        state: RootState { fault: Some("/mnt/scans: permission denied".to_owned()), ..RootState::default() },
        ..root("scans", "/mnt/scans")
    };
    let disabled =
        WatchRoot { enabled: false, recursive: true, ..root("old", "/data/archive/2019/incoming") };
    PipelineLook {
        read: noon() - TimeDelta::seconds(1),
        since: None,
        stages: vec![
            stage(None, (3, 0, 0), (0, 0)),
            stage(Some("collect"), (1204, 310, 81_000), (212, 0)),
            stage(Some("load"), (0, 12, 69_000), (3, 0)),
            stage(Some("ner"), (310, 64, 68_000), (41, 0)),
            stage(Some("pdf-ocr"), (48_112, 96, 69_000), (1907, 12)),
        ],
        links: vec![
            link(None, "collect"),
            link(Some("collect"), "pdf-ocr"),
            link(Some("ner"), "load"),
            link(Some("pdf-ocr"), "ner"),
        ],
        roots: vec![root("inbox", "/data/inbox"), disabled, faulty],
        routes: vec![DocumentRoute {
            id: RouteId(1),
            pattern: "invoices.#".to_owned(),
            target: Target { queue: "docs.collect".to_owned(), actor: "collect".to_owned() },
            priority: 0,
        }],
    }
}

fn worker(path: &str, queue: &str) -> AppRow {
    let mut app = App::new(path.parse().unwrap());
    app.program.command =
        Some(vec!["dramatiq".to_owned(), "workers".to_owned(), "-Q".to_owned(), queue.to_owned()]);
    let mut row = AppRow { revision: Revision(1), ..AppRow::new(app, 1) };
    row.state = AppState {
        status: RunStatus::Running,
        last_run: Some(noon() - TimeDelta::minutes(72)),
        ..AppState::default()
    };
    row
}

fn asked(cmd: Option<Cmd>) -> (Ticket, Question) {
    let Some(Cmd::Work(mut work)) = cmd else { panic!("{cmd:?}") };
    let Some(Request::Ask(ticket, question)) = work.pop() else { panic!("{work:?}") };
    (ticket, question)
}

fn answer(model: &mut Model, ticket: Ticket, answer: Answer) {
    update(model, Msg::Answer { ticket, answer: Ok(answer) });
}

fn opened_on(size: (u16, u16), look: PipelineLook) -> Model {
    let mut rows = fleet();
    rows.push(worker("docs/ocr/worker-1", "docs.pdf-ocr"));
    rows.push(worker("docs/ocr/worker-2", "docs.pdf-ocr,docs.ner"));
    let mut model = model(size, rows);
    let (ticket, question) = asked(press(&mut model, KeyCode::Char('5')));
    assert_eq!(question, Question::Pipeline(None));
    answer(&mut model, ticket, Answer::Pipeline(Box::new(look)));
    model
}

fn opened(size: (u16, u16)) -> Model {
    let mut model = opened_on(size, look());
    // To the stage at which documents pile up.
    type_keys(&mut model, "jj");
    model
}

fn task(id: i64, stage: &str, status: TaskStatus) -> PipelineTask {
    let is_over = matches!(status, TaskStatus::Done | TaskStatus::Failed | TaskStatus::Dead);
    PipelineTask {
        id: TaskId(id),
        event: EventId(id),
        parent: None,
        document: format!("/data/inbox/2026/11/invoice-{id:05}.pdf"),
        topic: "invoices.pdf".to_owned(),
        stage: Some(stage.to_owned()),
        actor: Some(stage.to_owned()),
        queue: Some(format!("docs.{stage}")),
        message_id: format!("6f1c2d3e-0000-4000-8000-{id:012}"),
        status: Some(status),
        attempts: u64::try_from(id % 4).unwrap(),
        created: noon() - TimeDelta::seconds(300 - id),
        sent: Some(noon() - TimeDelta::seconds(299 - id)),
        started: (status != TaskStatus::Sent).then(|| noon() - TimeDelta::seconds(200 - id)),
        finished: is_over.then(|| noon() - TimeDelta::seconds(100 - id)),
        error: matches!(status, TaskStatus::Failed | TaskStatus::Dead).then(|| {
            "Traceback (most recent call last):\n  File \"/srv/workers/ocr.py\", line 41, in process\n    \
             text = recognise(page)\nValueError: page 3 of 12 has no text layer and the engine gave up after 30 s"
                .to_owned()
        }),
        manager: Some("zg-01".to_owned()),
    }
}

fn some() -> Vec<PipelineTask> {
    vec![
        task(9, "pdf-ocr", TaskStatus::Dead),
        task(8, "pdf-ocr", TaskStatus::Failed),
        task(7, "pdf-ocr", TaskStatus::Running),
        task(6, "pdf-ocr", TaskStatus::Sent),
        task(5, "pdf-ocr", TaskStatus::Done),
    ]
}

fn documents(size: (u16, u16)) -> Model {
    let mut model = opened(size);
    let (ticket, question) = asked(press(&mut model, KeyCode::Enter));
    let expected = TaskQuery { stage: Some("pdf-ocr".to_owned()), limit: 200, ..TaskQuery::default() };
    assert_eq!(question, Question::Documents(expected));
    answer(&mut model, ticket, Answer::Documents(some()));
    model
}

fn way() -> DocumentWay {
    let event = FileEvent {
        id: EventId(9),
        root: "inbox".to_owned(),
        path: DocumentPath::of_bytes(b"/data/inbox/2026/11/invoice-00009.pdf"),
        size: Some(1_204_112),
        sha3: Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned()),
        modified: Some(noon() - TimeDelta::hours(2)),
        seen: noon() - TimeDelta::minutes(5),
        topic: "invoices.pdf".to_owned(),
        app_group: "croatia".to_owned(),
        gone: None,
    };
    let mut tasks = vec![task(4, "collect", TaskStatus::Done), task(9, "pdf-ocr", TaskStatus::Dead)];
    tasks[1].parent = Some(TaskId(4));
    DocumentWay { event, version: 2, versions: 3, tasks }
}

#[test]
fn at_every_size_in_all_signs_and_colours() {
    for (name, picture) in pictures("pipeline", opened) {
        insta::assert_snapshot!(name, picture);
    }
    for (name, picture) in pictures("documents", documents) {
        insta::assert_snapshot!(name, picture);
    }
    let on_way = |size| {
        let mut model = documents(size);
        let (ticket, question) = asked(press(&mut model, KeyCode::Enter));
        assert_eq!(question, Question::DocumentWay(TaskId(9)));
        answer(&mut model, ticket, Answer::DocumentWay(Some(Box::new(way()))));
        model
    };
    for (name, picture) in pictures("document_way", on_way) {
        insta::assert_snapshot!(name, picture);
    }
}

#[test]
fn at_any_size_without_a_panic() {
    let sizes = (1..=24).flat_map(|height| (1..=140).step_by(7).map(move |width| (width, height)));
    for size in sizes.chain([(1, 1), (500, 200), (0, 0), (u16::MAX, 1)]) {
        let mut model = documents(size);
        screen(&model, unicode());
        press(&mut model, KeyCode::Esc);
        screen(&model, unicode());
    }
}

#[test]
fn where_nothing_is_watched_it_says_how_to_begin() {
    let model = opened_on((80, 24), PipelineLook { read: noon(), ..PipelineLook::default() });
    insta::assert_snapshot!("pipeline_empty", screen(&model, unicode()));
}

#[test]
fn the_keys_go_from_part_to_part() {
    let mut model = opened((80, 24));
    press(&mut model, KeyCode::Tab);
    // What cannot be read comes first.
    press(&mut model, KeyCode::Down);
    let (_, question) = asked(press(&mut model, KeyCode::Enter));
    let expected = TaskQuery { root: Some("inbox".to_owned()), limit: 200, ..TaskQuery::default() };
    assert_eq!(question, Question::Documents(expected));
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Tab);
    press(&mut model, KeyCode::Enter);
    assert_eq!((model.tab(), under_cursor(&model).as_str()), (Tab::Fleet, "docs/ocr/worker-1"));
    press(&mut model, KeyCode::Char('5'));
    press(&mut model, KeyCode::BackTab);
    assert_eq!(press(&mut model, KeyCode::Char('y')), Some(Cmd::Copy("/data/inbox".to_owned())));
}

#[test]
fn the_log_is_that_of_the_workers_of_the_stage() {
    let mut model = opened((120, 40));
    press(&mut model, KeyCode::Char('l'));
    let Screen::Logs(logs) = model.stack.top() else { panic!("{:?}", model.tab()) };
    let apps: Vec<_> = logs.apps().iter().map(ToString::to_string).collect();
    assert_eq!(apps, ["docs/ocr/worker-1", "docs/ocr/worker-2"]);
    press(&mut model, KeyCode::Esc);
    // No app is known to work on the first stage.
    press(&mut model, KeyCode::Up);
    press(&mut model, KeyCode::Char('l'));
    assert!(screen(&model, unicode()).contains("no app without a schedule names its queue"));
}

#[test]
fn what_is_dead_is_sent_again_after_a_question() {
    let mut model = opened((80, 24));
    assert_eq!(press(&mut model, KeyCode::Char('R')), None);
    insta::assert_snapshot!("pipeline_retry", screen(&model, unicode()));
    wait(&mut model, 1);
    type_keys(&mut model, "1");
    assert_eq!(press(&mut model, KeyCode::Enter), None, "1 is not 12");
    type_keys(&mut model, "2");
    let (ticket, question) = asked(press(&mut model, KeyCode::Enter));
    let expected = TaskQuery {
        stage: Some("pdf-ocr".to_owned()),
        statuses: vec![TaskStatus::Dead],
        until: Some(noon() - TimeDelta::seconds(1)),
        limit: TASKS_MAX,
        ..TaskQuery::default()
    };
    assert_eq!(question, Question::RetryDocuments(expected));
    answer(&mut model, ticket, Answer::Retried(11));
    assert!(screen(&model, unicode()).contains("12 dead documents of pdf-ocr: 11 are sent again"));
}

#[test]
fn a_document_is_sent_again_without_a_question_unless_there_is_nothing_to_send() {
    let mut model = documents((80, 24));
    let (ticket, question) = asked(press(&mut model, KeyCode::Char('R')));
    let expected = TaskQuery { ids: vec![TaskId(9)], limit: 1, ..TaskQuery::default() };
    assert_eq!(question, Question::RetryDocuments(expected));
    update(&mut model, Msg::Answer { ticket, answer: Err(StoreError::Denied("read-only".to_owned())) });
    assert!(screen(&model, unicode()).contains("nothing was sent again: read-only"));
    press(&mut model, KeyCode::Char('G'));
    assert_eq!(press(&mut model, KeyCode::Char('R')), None);
    assert!(screen(&model, unicode()).contains("is DONE: there is nothing to send again"));
    model.world.identity.read_only = Some(crate::console::ReadOnly::Flag);
    press(&mut model, KeyCode::Char('g'));
    assert_eq!(press(&mut model, KeyCode::Char('R')), None);
    assert!(screen(&model, unicode()).contains("read-only"));
}

#[test]
fn failed_documents_of_a_stage_and_words_of_a_path_are_looked_for() {
    let mut model = opened((80, 24));
    let (_, question) = asked(press(&mut model, KeyCode::Char('F')));
    let failed = TaskQuery {
        stage: Some("pdf-ocr".to_owned()),
        statuses: vec![TaskStatus::Failed, TaskStatus::Dead],
        limit: 200,
        ..TaskQuery::default()
    };
    assert_eq!(question, Question::Documents(failed));
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Char('/'));
    let (ticket, question) = asked(update(&mut model, Msg::Paste("invoice".to_owned())));
    let words = TaskQuery { path: Some("invoice".to_owned()), limit: 200, ..TaskQuery::default() };
    assert_eq!(question, Question::Documents(words));
    // One question is under way at a time.
    assert_eq!(type_keys(&mut model, "-9"), None);
    answer(&mut model, ticket, Answer::Documents(some()));
    press(&mut model, KeyCode::Enter);
    let cmd = pass(&mut model, Duration::from_secs(1));
    let (_, question) = asked(cmd);
    let words = TaskQuery { path: Some("invoice-9".to_owned()), limit: 200, ..TaskQuery::default() };
    assert_eq!(question, Question::Documents(words));
    press(&mut model, KeyCode::Esc);
    assert!(screen(&model, unicode()).contains("WATCHED"), "one step back");
}

#[test]
fn a_day_is_counted_seldom_and_what_has_happened_since_is_added() {
    let mut model = opened_on((80, 24), look());
    let read = look().read;
    let done = |model: &Model| {
        let Screen::Pipeline(pipeline) = model.stack.top() else { panic!("{:?}", model.tab()) };
        pipeline.overview.stages.rows.iter().map(Stage::done).sum::<u64>()
    };
    let before = done(&model);
    let (ticket, question) = asked(pass(&mut model, Duration::from_secs(3)));
    assert_eq!(question, Question::Pipeline(Some(read)));
    let mut later = PipelineLook { since: Some(read), read: noon() + TimeDelta::seconds(2), ..look() };
    // One stage has rested since.
    later.stages.truncate(4);
    for stage in &mut later.stages {
        stage.day = vec![FlowSlot { came: 0, done: 5, dead: 0 }];
    }
    answer(&mut model, ticket, Answer::Pipeline(Box::new(later)));
    assert_eq!(done(&model), before + 20);
    assert!(screen(&model, unicode()).contains("pdf-ocr"));
    let (ticket, question) = asked(pass(&mut model, Duration::from_secs(60)));
    assert_eq!(question, Question::Pipeline(None));
    answer(&mut model, ticket, Answer::Pipeline(Box::new(look())));
    assert_eq!(done(&model), before);
}

#[test]
fn what_takes_long_to_count_is_counted_seldom_and_nothing_is_asked_elsewhere() {
    let mut model = model((80, 24), fleet());
    let (ticket, _) = asked(press(&mut model, KeyCode::Char('5')));
    pass(&mut model, Duration::from_secs(3));
    answer(&mut model, ticket, Answer::Pipeline(Box::new(look())));
    assert_eq!(pass(&mut model, Duration::from_secs(20)), None, "it took three seconds");
    let (ticket, question) = asked(pass(&mut model, Duration::from_secs(10)));
    assert_eq!(question, Question::Pipeline(Some(look().read)), "a day is not counted for a while");
    answer(
        &mut model,
        ticket,
        Answer::Pipeline(Box::new(PipelineLook { since: Some(look().read), ..look() })),
    );
    press(&mut model, KeyCode::Char('1'));
    assert_eq!(pass(&mut model, Duration::from_secs(40)), None);
}

#[test]
fn the_header_tells_of_documents_that_wait_and_failed() {
    let mut model = model((120, 40), fleet());
    assert!(!screen(&model, unicode()).contains("docs"));
    model.world.documents = Some(DocumentSums { waiting: 48_112, working: 96, failed: 3, dead: 12 });
    let shown = screen(&model, unicode());
    assert!(shown.contains("docs 48,208") && shown.contains("docs failed 15"), "{shown}");
    assert!(shown.contains("5 Pipeline 12"), "{shown}");
}
