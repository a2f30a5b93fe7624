//! Commands that come as messages, in each database: entered once, answered as often as they come.

use chrono::TimeDelta;
use dcm::model::{
    AppId, BrokerState, Change, CmdFlag, CmdName, CommandId, CommandSource, Delivered, Delivery,
    DeliveryKind, ManagerRow, NewCommand, REPLY_CHANNEL, Reason, Received, Request, Timestamp, Verdict,
};
use dcm::store::Store;
use serde_json::{Value, json};

use crate::store_contract::{at, commit, contract, noon, register};

contract! {
    a_message_is_entered_once_and_answered_as_often_as_it_comes
    what_cannot_be_done_has_its_verdict_at_once
    what_is_sent_to_all_is_for_who_has_the_app
    a_manager_says_how_it_stands_with_its_broker
}

const OTHER_ID: &str = "0e984725-c51c-4bf4-9960-e1c80e27aba0";
const ID: &str = "6f9619ff-8b86-d011-b42d-00c04fc964ff";

fn request(app: AppId, asked: &str, id: &str) -> Request {
    Request {
        id: id.to_owned(),
        asked: asked.to_owned(),
        command: NewCommand {
            app,
            name: CmdName::Restart,
            args: Some("{\"a\":1}".to_owned()),
            by: "ana".to_owned(),
            source: CommandSource::Rabbitmq,
            time: noon(),
            expires: None,
            batch: None,
            note: None,
        },
        reply_to: Some("amq.gen-x".to_owned()),
        correlation_id: Some("c1".to_owned()),
        received_by: "zg".to_owned(),
        is_broadcast: false,
    }
}

async fn sit(store: &dyn Store) {
    store.take_seat(ManagerRow { name: "zg".to_owned(), ..ManagerRow::default() }).await.unwrap();
}

async fn entered(store: &dyn Store, request: &Request) -> CommandId {
    match store.enter_request(request.clone()).await.unwrap() {
        Received::New(id) => id,
        other @ (Received::Again(_) | Received::NotHere) => panic!("{other:?}"),
    }
}

/// The answers that are due, which are then over.
async fn answers(store: &dyn Store) -> Vec<Value> {
    let far = Timestamp::MAX_UTC - TimeDelta::days(400_000);
    let until = store.time().await.unwrap().max(far.min(at("2100-01-01T00:00:00Z")));
    let due: Vec<Delivery> = store.due_deliveries(REPLY_CHANNEL.to_owned(), until).await.unwrap();
    let ids: Vec<_> = due.iter().map(|row| row.id).collect();
    let sent = Delivered::Sent { body: None, repeats: Vec::new() };
    store.settle_deliveries(ids, noon(), sent).await.unwrap();
    due.iter()
        .map(|row| {
            assert_eq!(row.kind.known(), Some(DeliveryKind::Reply));
            serde_json::from_str(&row.body).unwrap()
        })
        .collect()
}

async fn a_message_is_entered_once_and_answered_as_often_as_it_comes(store: &dyn Store) {
    sit(store).await;
    let app = register(store, "a/b/c").await;
    let first = request(app, "a/b/c", ID);
    let id = entered(store, &first).await;
    let row = store.commands(vec![id]).await.unwrap().remove(0);
    assert_eq!((row.flag, row.by.as_str(), row.time), (CmdFlag::Pending, "ana", noon()));
    assert_eq!(row.source.known(), Some(CommandSource::Rabbitmq));
    assert_eq!(answers(store).await, Vec::<Value>::new());
    // It comes again before there is a verdict: the answer goes to where it is awaited now.
    let again = Request { reply_to: Some("amq.gen-y".to_owned()), ..first.clone() };
    assert_eq!(store.enter_request(again.clone()).await.unwrap(), Received::Again(id));
    assert_eq!(answers(store).await, Vec::<Value>::new());

    let verdict = Verdict::NotExecuted(Reason::Disabled);
    commit(store, vec![Change::CommandSettled { id, app: Some(app), verdict, at: noon() }]).await;
    let expected = [json!({
        "reply_to": "amq.gen-y",
        "correlation_id": "c1",
        "reply": {
            "id": ID, "app": "a/b/c", "command": "RESTART", "verdict": "NOT_EXECUTED", "reason": "disabled",
            "cmd_exec": "2026-11-23T12:00:00.000Z",
        },
    })];
    assert_eq!(answers(store).await, expected);
    // And after it: the same verdict once more, and no second command.
    for _ in 0..2 {
        assert_eq!(store.enter_request(again.clone()).await.unwrap(), Received::Again(id));
        assert_eq!(answers(store).await, expected);
    }
    // Nobody waits for this one.
    let silent = Request { reply_to: None, id: "00000000-0000-4000-8000-000000000001".to_owned(), ..first };
    let id = entered(store, &silent).await;
    commit(
        store,
        vec![Change::CommandSettled { id, app: Some(app), verdict: Verdict::Executed, at: noon() }],
    )
    .await;
    assert_eq!(answers(store).await, Vec::<Value>::new());
}

async fn what_cannot_be_done_has_its_verdict_at_once(store: &dyn Store) {
    sit(store).await;
    let app = register(store, "a/b/c").await;
    let unknown: AppId = AppId::of(&"x/y/z".parse().unwrap());
    let entered_at = entered(store, &request(unknown, "x/y/z", ID)).await;
    let row = store.commands(vec![entered_at]).await.unwrap().remove(0);
    assert_eq!((row.flag, row.reason), (CmdFlag::NotExecuted, Some(Reason::NoSuchApp)));
    let answer = answers(store).await.remove(0);
    assert_eq!(answer["reply"]["app"], "x/y/z");
    assert_eq!(answer["reply"]["verdict"], "NOT_EXECUTED");
    assert_eq!(answer["reply"]["reason"], "no such app");
    assert!(answer["reply"]["cmd_exec"].is_string(), "{answer}");

    let mut late = request(app, "a/b/c", "00000000-0000-4000-8000-000000000002");
    late.command.expires = Some(at("2026-11-23T12:00:30Z"));
    let id = entered(store, &late).await;
    let row = store.commands(vec![id]).await.unwrap().remove(0);
    assert_eq!((row.flag, row.reason), (CmdFlag::NotExecuted, Some(Reason::Expired)));
    assert_eq!(answers(store).await.remove(0)["reply"]["reason"], "expired");
    // Again the same.
    assert_eq!(store.enter_request(late).await.unwrap(), Received::Again(id));
    assert_eq!(answers(store).await.remove(0)["reply"]["reason"], "expired");
    let pending = store.pending_commands(Vec::new()).await.unwrap();
    assert_eq!(pending, []);
}

async fn what_is_sent_to_all_is_for_who_has_the_app(store: &dyn Store) {
    sit(store).await;
    let app = register(store, "a/b/c").await;
    let unknown: AppId = AppId::of(&"x/y/z".parse().unwrap());
    let to_all = |request: Request| Request { is_broadcast: true, ..request };
    let nobody = to_all(request(unknown, "x/y/z", ID));
    entered(store, &nobody).await;
    let copy = Request { received_by: "st".to_owned(), ..nobody };
    assert_eq!(store.enter_request(copy).await.unwrap(), Received::NotHere);
    let now = store.time().await.unwrap();
    let at_once = store.due_deliveries(REPLY_CHANNEL.to_owned(), now + TimeDelta::milliseconds(500)).await;
    assert_eq!(at_once.unwrap(), [], "a manager with another database may have it, and answers first");
    assert_eq!(answers(store).await.remove(0)["reply"]["reason"], "no such app");

    let request = |app, asked| Request { id: OTHER_ID.to_owned(), ..request(app, asked, ID) };
    let first = to_all(request(app, "a/b/c"));
    let id = entered(store, &first).await;
    // The copy in the queue of another manager of the same database.
    let copy = Request { received_by: "st".to_owned(), ..first.clone() };
    assert_eq!(store.enter_request(copy.clone()).await.unwrap(), Received::NotHere);
    commit(
        store,
        vec![Change::CommandSettled { id, app: Some(app), verdict: Verdict::Executed, at: noon() }],
    )
    .await;
    assert_eq!(answers(store).await.len(), 1);
    assert_eq!(store.enter_request(copy).await.unwrap(), Received::NotHere);
    assert_eq!(answers(store).await, Vec::<Value>::new());
    // Its own queue brings it again.
    assert_eq!(store.enter_request(first).await.unwrap(), Received::Again(id));
    assert_eq!(answers(store).await.len(), 1);
}

async fn a_manager_says_how_it_stands_with_its_broker(store: &dyn Store) {
    sit(store).await;
    let own = async || store.managers().await.unwrap().remove(0);
    assert_eq!((own().await.broker, own().await.dead_letters), (None, 0));
    let away = BrokerState::Away { since: noon(), why: "connection refused".to_owned() };
    store.note_broker(Some(away.clone())).await.unwrap();
    assert_eq!(own().await.broker_trouble(), Some(away));
    store.note_broker(Some(BrokerState::Connected)).await.unwrap();
    assert_eq!((own().await.broker.as_deref(), own().await.broker_trouble()), (Some("connected"), None));
    store.note_dead_letter().await.unwrap();
    store.note_dead_letter().await.unwrap();
    assert_eq!(own().await.dead_letters, 2);
    store.note_broker(None).await.unwrap();
    assert_eq!(own().await.broker, None);
}
