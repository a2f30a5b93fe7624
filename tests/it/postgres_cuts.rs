//! What networks do to connections of the store, by a proxy in between.

use std::time::Duration;

use dcm::model::{AppId, Change, CmdName, CommandSource, NewCommand, Revision, parse_timestamp};
use dcm::store::{OpenMode, OperatorStore as _, PostgresStore, Store as _, StoreError, submit};
use tokio::time::Instant;

use crate::postgres::{Schema, block_on};
use crate::proxy::{Moment, Proxy, Way};

/// An empty database behind a proxy.
pub(crate) fn behind_a_proxy() -> (Schema, Proxy, PostgresStore) {
    let schema = Schema::new();
    let proxy = Proxy::to_database(schema.url());
    let store = PostgresStore::connect(&proxy.url(schema.url()), OpenMode::Create).unwrap();
    (schema, proxy, store)
}

#[test]
fn a_cut_is_noticed_at_once_and_healed_with_the_next_call() {
    let (_schema, proxy, store) = behind_a_proxy();
    block_on(async {
        store.limits().await.unwrap();
        let made = proxy.made();
        // An idle connection that was lost is replaced unnoticed.
        proxy.reset();
        store.limits().await.unwrap();
        assert!(proxy.made() > made);
        proxy.cut();
        let began = Instant::now();
        let error = store.limits().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        proxy.heal();
        crate::postgres::until("the store to reach the server again", async || store.limits().await.ok())
            .await;
    });
}

#[test]
fn no_call_outlasts_its_deadline_on_a_half_open_connection() {
    let (_schema, proxy, store) = behind_a_proxy();
    block_on(async {
        for way in [Some(Way::ToServer), Some(Way::ToClient), None] {
            store.changes_since(Revision::default()).await.unwrap();
            way.map_or_else(|| proxy.stall(), |way| proxy.stall_way(way));
            let began = Instant::now();
            let calls = [store.limits(), store.limits(), store.limits(), store.limits()];
            for result in futures(calls).await {
                let error = result.unwrap_err();
                assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                assert!(error.to_string().contains("answer"), "{error}");
            }
            assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
            proxy.heal();
            crate::postgres::until("the store to reach the server again", async || store.limits().await.ok())
                .await;
        }
    });
}

/// Waits for all of them.
async fn futures<T>(all: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(Box::pin).map(Some).collect();
    let mut done: Vec<_> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in all.iter_mut().zip(&mut done) {
            if let Some(running) = future
                && let std::task::Poll::Ready(value) = running.as_mut().poll(context)
            {
                *result = Some(value);
                *future = None;
            }
        }
        if all.iter().any(Option::is_some) { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[test]
fn a_slow_network_is_only_slow() {
    let (_schema, proxy, store) = behind_a_proxy();
    block_on(async {
        proxy.delay(Duration::from_millis(150));
        let began = Instant::now();
        store.limits().await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    });
}

#[test]
fn a_commit_whose_answer_is_lost_may_be_made_again() {
    let (schema, proxy, store) = behind_a_proxy();
    schema.sql("INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'c')");
    let app = dcm::model::AppId::of(&"a/b/c".parse().unwrap());
    block_on(async {
        for (turn, moment) in [Moment::BeforeCommit, Moment::AfterCommit].into_iter().enumerate() {
            let fault =
                |number: usize| Change::AppFault { row: 1, app, fault: Some(format!("fault {number}")) };
            proxy.trap(moment, "UPDATE apps SET fault");
            let error = store.commit(vec![fault(turn)]).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
            assert_eq!(proxy.sprung(), turn as u64 + 1);
            let count = schema.number(&format!("SELECT count(*) FROM apps WHERE fault = 'fault {turn}'"));
            assert_eq!(count, i64::from(moment == Moment::AfterCommit), "{moment:?}");
            store.commit(vec![fault(turn)]).await.unwrap();
        }
    });
}

#[test]
fn a_command_whose_answer_is_lost_is_entered_once() {
    let (schema, proxy, store) = behind_a_proxy();
    schema.sql("INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'c')");
    let command = NewCommand {
        app: AppId::of(&"a/b/c".parse().unwrap()),
        name: CmdName::Start,
        args: None,
        by: "ana".to_owned(),
        source: CommandSource::Cli,
        time: parse_timestamp("2026-11-23T12:00:00Z").unwrap(),
        expires: None,
        batch: None,
        note: None,
    };
    block_on(async {
        for (turn, moment) in [(1, Moment::BeforeCommit), (2, Moment::AfterCommit)] {
            proxy.trap(moment, "dcm_submit");
            let ids = submit(&store, vec![command.clone()]).await.unwrap();
            assert_eq!(proxy.sprung(), turn);
            assert_eq!(schema.number("SELECT count(*) FROM commands"), i64::try_from(turn).unwrap());
            assert_eq!(schema.number("SELECT max(id) FROM commands"), ids[0].0);
        }
        // A server that does not come back: nothing is claimed.
        proxy.cut();
        let error = submit(&store, vec![command.clone()]).await.unwrap_err();
        assert!(error.to_string().contains("is not known"), "{error}");
    });
}
