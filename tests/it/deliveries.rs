//! Deliveries in each database: they are written with the event that causes them, taken for one try at a time, and kept
//! until they are over.

use chrono::TimeDelta;
use dcm::model::{
    Alert, AlertCause, AlertEnd, AlertKind, AlertRow, App, AppId, Change, Closing, Delivered, Delivery,
    DeliveryId, Ending, Exit, GATHER, ManagerRow, NoticeEvent, PING_CHANNEL, Pruning, Retention, Route,
    RunId, Severity, StopCause, Timestamp,
};
use dcm::store::{
    AlertQuery, Backlog, Deliveries as _, Existing, OpenMode, PostgresStore, Registration, Store,
};

use crate::postgres::{Schema, block_on};
use crate::store_contract::{commit, contract, noon, register};

contract! {
    a_delivery_is_written_with_the_alert_that_causes_it
    an_alert_goes_where_its_app_and_severity_are_wanted
    what_is_open_is_counted
    an_alert_goes_where_its_tags_and_its_owner_are_wanted_and_says_who_that_is
    a_try_is_taken_once_and_what_became_of_it_is_kept
    a_message_is_repeated_while_its_alert_is_open
    what_has_left_is_counted_by_channel_and_cause
    deliveries_that_are_over_are_pruned
    the_end_of_a_run_is_a_ping_where_its_app_has_an_address
}

fn manager(name: &str) -> ManagerRow {
    ManagerRow {
        name: name.to_owned(),
        host: "host".to_owned(),
        home: Some(format!("home-of-{name}")),
        boot: Some("1".to_owned()),
        pid: 7,
        ..ManagerRow::default()
    }
}

fn route(channel: &str) -> Route {
    Route { channel: channel.to_owned(), groups: Vec::new(), severity: Severity::Warning }
}

fn alert(app: AppId, kind: AlertKind, at: Timestamp) -> Alert {
    Alert {
        app,
        kind,
        run: None,
        message: "it failed".to_owned(),
        cause: AlertCause::of_text("exit 3"),
        count: 3,
        detail: None,
        at,
    }
}

fn opened(app: AppId) -> Change {
    Change::AlertOpened(alert(app, AlertKind::UnexpectedBehavior, noon()))
}

fn closed(app: AppId, after: TimeDelta) -> Change {
    Change::AlertsClosed { app, kinds: AlertKind::ALL, at: noon() + after, end: AlertEnd::Recovered }
}

async fn begin_with(store: &dyn Store, routes: Vec<Route>) -> AppId {
    store.take_seat(manager("m")).await.unwrap();
    store.set_routes(routes);
    register(store, "a/b/c").await
}

/// All that waits, by channel, as event and due time.
async fn waiting(store: &dyn Store, channel: &str) -> Vec<Delivery> {
    store.due_deliveries(channel.to_owned(), noon() + TimeDelta::days(100)).await.unwrap()
}

fn ids(deliveries: &[Delivery]) -> Vec<DeliveryId> {
    deliveries.iter().map(|delivery| delivery.id).collect()
}

fn events(deliveries: &[Delivery]) -> Vec<NoticeEvent> {
    deliveries.iter().map(|delivery| delivery.event.as_ref().unwrap().known().unwrap()).collect()
}

async fn alert_row(store: &dyn Store) -> AlertRow {
    store.alerts(AlertQuery { limit: 10, ..AlertQuery::default() }).await.unwrap().remove(0)
}

fn sent(repeats: Vec<(DeliveryId, Timestamp)>) -> Delivered {
    Delivered::Sent { body: Some("{}".to_owned()), repeats }
}

async fn a_delivery_is_written_with_the_alert_that_causes_it(store: &dyn Store) {
    let app = begin_with(store, vec![route("chat"), route("mail")]).await;
    for _ in 0..2 {
        commit(store, vec![opened(app)]).await;
    }
    let of_chat = waiting(store, "chat").await;
    assert_eq!(events(&of_chat), [NoticeEvent::Opened], "a commit that is repeated writes nothing again");
    assert_eq!((of_chat[0].created, of_chat[0].due, of_chat[0].tries), (noon(), noon() + GATHER, 0));
    let (alert, path) = of_chat[0].alert.clone().unwrap();
    assert_eq!((alert.id, path.as_str()), (alert_row(store).await.id, "a/b/c"));
    let body: serde_json::Value = serde_json::from_str(&of_chat[0].body).unwrap();
    assert_eq!((&body["event"], &body["alert"]["path"]), (&"opened".into(), &"a/b/c".into()));
    assert_eq!(waiting(store, "mail").await.len(), 1);
    assert_eq!(waiting(store, "other").await, []);
    assert_eq!(store.waiting_channels().await.unwrap(), ["chat", "mail"]);
    assert_eq!(store.due_deliveries("chat".to_owned(), noon()).await.unwrap(), [], "it is not due");
    assert_eq!(store.next_delivery("chat".to_owned()).await.unwrap(), Some(noon() + GATHER));
    assert_eq!(store.next_delivery("other".to_owned()).await.unwrap(), None);
    for _ in 0..2 {
        commit(store, vec![closed(app, TimeDelta::minutes(5))]).await;
    }
    assert_eq!(events(&waiting(store, "chat").await), [NoticeEvent::Opened, NoticeEvent::Recovered]);
}

async fn an_alert_goes_where_its_tags_and_its_owner_are_wanted_and_says_who_that_is(store: &dyn Store) {
    let of = |channel: &str, group: &str| Route { groups: vec![group.parse().unwrap()], ..route(channel) };
    let routes = [("tag", "tag:night*"), ("owner", "owner:Ana*"), ("other", "tag:eu"), ("no", "owner:Ivo")];
    let unlabelled = begin_with(store, routes.map(|(channel, group)| of(channel, group)).into()).await;
    let mut app = App::new("a/b/labelled".parse().unwrap());
    app.owner = Some("Ana Horvat".to_owned());
    app.tags = ["nightly", "sales"].map(|tag| tag.parse().unwrap()).into();
    let labelled = app.id;
    let registration = Registration { app, next_run: None, existing: Existing::Refuse };
    store.register(vec![registration]).await.unwrap();
    if let Some(cluster) = store.cluster() {
        cluster.claim().await.unwrap();
    }
    commit(store, vec![opened(unlabelled)]).await;
    commit(store, vec![opened(labelled)]).await;
    for (channel, expected) in [("tag", 1), ("owner", 1), ("other", 0), ("no", 0)] {
        assert_eq!(waiting(store, channel).await.len(), expected, "{channel}");
    }
    let (alert, path) = waiting(store, "tag").await.remove(0).alert.unwrap();
    assert_eq!((path.as_str(), alert.owner.as_deref()), ("a/b/labelled", Some("Ana Horvat")));
    assert_eq!(alert_row(store).await.owner.as_deref(), Some("Ana Horvat"));
}

async fn an_alert_goes_where_its_app_and_severity_are_wanted(store: &dyn Store) {
    let of = |channel: &str, group: &str| Route { groups: vec![group.parse().unwrap()], ..route(channel) };
    let critical = Route { severity: Severity::Critical, ..route("critical") };
    let app = begin_with(store, vec![of("a", "a"), of("x", "x/*"), of("all", "all"), critical]).await;
    commit(store, vec![Change::AlertOpened(alert(app, AlertKind::Stalled, noon()))]).await;
    for (channel, expected) in [("a", 1), ("x", 0), ("all", 1), ("critical", 0)] {
        assert_eq!(waiting(store, channel).await.len(), expected, "{channel}");
    }
    commit(store, vec![opened(app)]).await;
    assert_eq!(waiting(store, "critical").await.len(), 1);
}

async fn what_is_open_is_counted(store: &dyn Store) {
    let app = begin_with(store, vec![route("chat"), route("mail")]).await;
    let (now, later) = (noon() + TimeDelta::minutes(1), noon() + TimeDelta::minutes(60));
    assert_eq!(store.backlog(now).await.unwrap(), Backlog::default());
    commit(store, vec![opened(app), Change::AlertOpened(alert(app, AlertKind::Stalled, noon()))]).await;
    let counts =
        |counts: &[(&str, u64)]| counts.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect();
    let alerts = counts(&[("critical", 1), ("warning", 1)]);
    let backlog = store.backlog(now).await.unwrap();
    assert_eq!(backlog, Backlog { alerts, deliveries: counts(&[("chat", 2), ("mail", 2)]) });
    // What has left is over, and its repetition is not due yet.
    let of_chat = ids(&waiting(store, "chat").await);
    let repeats = of_chat.iter().map(|id| (*id, later)).collect();
    store.settle_deliveries(of_chat, now, sent(repeats)).await.unwrap();
    let of_mail = waiting(store, "mail").await;
    let failed = Delivered::Failed { why: "refused".to_owned(), again: later };
    store.settle_deliveries(vec![of_mail[0].id], now, failed).await.unwrap();
    store
        .settle_deliveries(vec![of_mail[1].id], now, Delivered::GivenUp { why: "refused".to_owned() })
        .await
        .unwrap();
    let backlog = store.backlog(now).await.unwrap();
    assert_eq!(backlog.deliveries, counts(&[("mail", 1)]), "one is tried again");
    assert_eq!(store.backlog(later).await.unwrap().deliveries, counts(&[("chat", 2), ("mail", 1)]));
    commit(store, vec![closed(app, TimeDelta::minutes(5))]).await;
    assert_eq!(store.backlog(now).await.unwrap().alerts, counts(&[]));
}

async fn a_try_is_taken_once_and_what_became_of_it_is_kept(store: &dyn Store) {
    let app = begin_with(store, vec![route("chat"), route("mail")]).await;
    commit(store, vec![opened(app)]).await;
    let of_chat = ids(&waiting(store, "chat").await);
    let again = noon() + TimeDelta::minutes(2);
    assert_eq!(store.begin_deliveries(of_chat.clone(), again).await.unwrap(), of_chat);
    let under_way = waiting(store, "chat").await;
    assert_eq!((under_way[0].tries, under_way[0].due), (1, again), "it is due again should nothing be heard");
    let again = noon() + TimeDelta::minutes(1);
    let failed = Delivered::Failed { why: "HTTP 500".to_owned(), again };
    store.settle_deliveries(of_chat.clone(), noon(), failed).await.unwrap();
    assert_eq!(waiting(store, "chat").await[0].due, again);
    assert_eq!(alert_row(store).await.delivered, None);

    store.begin_deliveries(of_chat.clone(), again).await.unwrap();
    let left = noon() + TimeDelta::seconds(90);
    store.settle_deliveries(of_chat.clone(), left, sent(Vec::new())).await.unwrap();
    assert_eq!(waiting(store, "chat").await, []);
    assert_eq!(alert_row(store).await.delivered, Some(left));
    assert_eq!(store.begin_deliveries(of_chat, again).await.unwrap(), [], "it is over");

    let of_mail = ids(&waiting(store, "mail").await);
    let given_up = Delivered::GivenUp { why: "no route to host".to_owned() };
    store.settle_deliveries(of_mail, left + TimeDelta::days(1), given_up).await.unwrap();
    assert_eq!(waiting(store, "mail").await, []);
    assert_eq!(alert_row(store).await.delivered, Some(left), "the first that was delivered");
}

async fn a_message_is_repeated_while_its_alert_is_open(store: &dyn Store) {
    let app = begin_with(store, vec![route("chat")]).await;
    commit(store, vec![opened(app)]).await;
    let first = ids(&waiting(store, "chat").await);
    let due = noon() + TimeDelta::hours(1);
    for _ in 0..2 {
        store.settle_deliveries(first.clone(), noon(), sent(vec![(first[0], due)])).await.unwrap();
    }
    let repeated = waiting(store, "chat").await;
    assert_eq!(events(&repeated), [NoticeEvent::Repeated], "once, though the answer was lost");
    assert_eq!((repeated[0].stage, repeated[0].due, repeated[0].tries), (1, due, 0));
    assert!(repeated[0].body.contains("repeated"), "{}", repeated[0].body);
    commit(store, vec![closed(app, TimeDelta::minutes(5))]).await;
    let recovered = waiting(store, "chat").await;
    assert_eq!(events(&recovered), [NoticeEvent::Recovered], "there is nothing to repeat any more");
    store.settle_deliveries(ids(&recovered), noon(), sent(vec![(recovered[0].id, due)])).await.unwrap();
    assert_eq!(waiting(store, "chat").await, [], "what is over is not repeated");
}

async fn what_has_left_is_counted_by_channel_and_cause(store: &dyn Store) {
    let app = begin_with(store, vec![route("chat"), route("mail")]).await;
    let other = register(store, "a/b/d").await;
    commit(store, vec![opened(app), opened(other)]).await;
    let (chat, mail) = (ids(&waiting(store, "chat").await), ids(&waiting(store, "mail").await));
    let later = noon() + TimeDelta::minutes(1);
    store.settle_deliveries(chat, noon(), sent(Vec::new())).await.unwrap();
    store.settle_deliveries(mail, later, sent(Vec::new())).await.unwrap();
    let left = store.sent_since(noon() - TimeDelta::hours(1)).await.unwrap();
    let left: Vec<_> = left.iter().map(|sent| (&*sent.channel, &*sent.cause, sent.at)).collect();
    assert_eq!(left, [("chat", "exit 3", noon()), ("mail", "exit 3", later)], "two alerts are one message");
    assert_eq!(store.sent_since(noon()).await.unwrap().len(), 1);
}

async fn deliveries_that_are_over_are_pruned(store: &dyn Store) {
    let app = begin_with(store, vec![route("chat"), route("mail")]).await;
    commit(store, vec![Change::AlertOpened(alert(app, AlertKind::Stalled, noon() - TimeDelta::days(3000)))])
        .await;
    let old = noon() - TimeDelta::days(3000);
    let of_chat = ids(&waiting(store, "chat").await);
    store.settle_deliveries(of_chat, old, sent(Vec::new())).await.unwrap();
    assert_eq!(store.prunable(Retention::default()).await.unwrap().deliveries, 1);
    let pruned = store.prune(Pruning::Deliveries, Retention::default(), String::new()).await.unwrap();
    assert_eq!(pruned.rows, 1);
    assert_eq!(waiting(store, "mail").await.len(), 1, "what waits stays");
}

async fn the_end_of_a_run_is_a_ping_where_its_app_has_an_address(store: &dyn Store) {
    store.take_seat(manager("m")).await.unwrap();
    let mut app = App::new("a/b/c".parse().unwrap());
    app.ping_url = Some("https://hc-ping.com/x".parse().unwrap());
    let id = app.id;
    store.register(vec![Registration { app, next_run: None, existing: Existing::Refuse }]).await.unwrap();
    let silent = register(store, "a/b/silent").await;
    let run = |number| RunId::from_random_bits(number);
    let closed = |app, number, ending| {
        let closing = Closing { ended: noon(), ..Closing::unseen(ending, noon()) };
        Change::RunClosed { run: run(number), app, closing }
    };
    let code = |code| Ending::Exited(Exit::Code(code));
    commit(store, vec![closed(silent, 9, code(0))]).await;
    assert_eq!(waiting(store, PING_CHANNEL).await, []);
    for _ in 0..2 {
        commit(store, vec![closed(id, 1, code(0))]).await;
    }
    let body = |ping: &Delivery| serde_json::from_str::<serde_json::Value>(&ping.body).unwrap();
    let pings = waiting(store, PING_CHANNEL).await;
    assert_eq!(pings.len(), 1, "a run that is closed already says nothing again");
    assert_eq!(
        (&body(&pings[0])["url"], &body(&pings[0])["failed"], &body(&pings[0])["run"]),
        (&"https://hc-ping.com/x".into(), &false.into(), &run(1).to_string().into())
    );
    assert_eq!((pings[0].due, pings[0].event.clone()), (noon(), None));
    // What the run before said is not true any more.
    commit(store, vec![closed(id, 2, code(3))]).await;
    let pings = waiting(store, PING_CHANNEL).await;
    assert_eq!((pings.len(), &body(&pings[0])["failed"]), (1, &true.into()));
    let stopped =
        Ending::Stopped { cause: StopCause::Command(dcm::model::CommandId(1)), exit: None, killed: false };
    commit(store, vec![closed(id, 3, stopped)]).await;
    assert_eq!(waiting(store, PING_CHANNEL).await, pings, "a person's STOP says nothing of the app");
    store.begin_deliveries(ids(&pings), noon()).await.unwrap();
    store.settle_deliveries(ids(&pings), noon(), Delivered::Needless).await.unwrap();
    assert_eq!(waiting(store, PING_CHANNEL).await, []);
}

#[test]
fn another_manager_takes_over_what_a_lost_one_left() {
    let schema = Schema::new();
    block_on(async {
        let connect = |name: &str| {
            let store = PostgresStore::connect(schema.url(), OpenMode::Create).unwrap();
            (store, manager(name))
        };
        let (first, row) = connect("first");
        first.take_seat(row).await.unwrap();
        first.set_routes(vec![route("chat")]);
        let app = register(&first, "a/b/c").await;
        commit(&first, vec![opened(app)]).await;
        let (second, row) = connect("second");
        second.take_seat(row).await.unwrap();
        let mine = ids(&waiting(&first, "chat").await);
        assert_eq!(mine.len(), 1);
        let again = noon() + TimeDelta::minutes(2);
        assert_eq!(waiting(&second, "chat").await, [], "the first one lives");
        assert_eq!(second.begin_deliveries(mine.clone(), again).await.unwrap(), []);

        let past = "UPDATE managers SET lease_until = now() - interval '1 day' WHERE name = 'first'";
        std::thread::scope(|scope| scope.spawn(|| schema.sql(past)).join().unwrap());
        assert_eq!(
            first.begin_deliveries(mine.clone(), again).await.unwrap(),
            [],
            "without a lease nothing is sent"
        );
        assert_eq!(ids(&waiting(&second, "chat").await), mine);
        assert_eq!(second.begin_deliveries(mine.clone(), again).await.unwrap(), mine);
        assert_eq!(waiting(&first, "chat").await, [], "it is the other's by now");
    });
}
