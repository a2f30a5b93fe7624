//! A server that is slow, and one that ends transactions in favour of others.

use std::time::Duration;

use dcm::model::{App, CmdName, NewCommand, Revision};
use dcm::store::{Existing, OpenMode, OperatorStore as _, PostgresStore, Registration, StoreError};
use sqlx::{Connection as _, PgConnection};

use crate::postgres::{Schema, block_on, command, until, with};
use crate::proxy::Proxy;

/// A schema with one app, and a store that gives way after waiting for so long.
fn with_an_app() -> (Schema, PostgresStore) {
    let schema = Schema::new();
    let url = with(schema.url(), &format!("application_name={}&options[deadlock_timeout]=3s", schema.name()));
    let store = PostgresStore::connect(&url, OpenMode::Create).unwrap();
    schema.sql("INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'c'), ('a', 'b', 'd')");
    (schema, store)
}

#[test]
fn a_transaction_that_was_ended_in_a_deadlock_is_made_again() {
    let (schema, store) = with_an_app();
    let begun = schema.number("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
    block_on(async {
        let registrations: Vec<_> = store
            .changes_since(Revision::default())
            .await
            .unwrap()
            .rows
            .into_iter()
            .map(|row| Registration {
                app: App { origin: Some("odd".to_owned()), ..row.into_row().app },
                next_run: None,
                existing: Existing::Replace,
            })
            .collect();
        let mut other = PgConnection::connect(schema.url()).await.unwrap();
        let hold =
            "BEGIN; SET LOCAL deadlock_timeout = '60s'; SELECT FROM apps WHERE app_name = 'd' FOR UPDATE";
        sqlx::raw_sql(hold).execute(&mut other).await.unwrap();
        // It has the one row and waits for the other; who has that waits for the first.
        let writing = store.register(registrations);
        let crossing = async {
            let waits = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}' AND wait_event_type = 'Lock'",
                schema.name()
            );
            until("the store to wait", async || (schema.number(&waits) > 0).then_some(())).await;
            sqlx::raw_sql("SELECT FROM apps WHERE app_name = 'c' FOR UPDATE; COMMIT")
                .execute(&mut other)
                .await
                .unwrap();
        };
        let (written, ()) = tokio::join!(writing, crossing);
        written.unwrap();
        other.close().await.unwrap();
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        until("the deadlock to be counted", async || (schema.number(deadlocks) > begun).then_some(())).await;
    });
    assert_eq!(schema.number("SELECT count(*) FROM apps WHERE origin = 'odd'"), 2);
}

#[test]
fn a_serialization_failure_is_tried_again_and_not_for_ever() {
    let (schema, store) = with_an_app();
    // A trigger of somebody else, at first for two times. What a sequence gave is not undone.
    schema.sql(
        "CREATE SEQUENCE tries; CREATE SEQUENCE allowed; SELECT setval('allowed', 2); \
         CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           IF nextval('tries') <= (SELECT last_value FROM allowed) THEN \
             RAISE EXCEPTION 'could not serialize access' USING ERRCODE = 'serialization_failure'; \
           END IF; RETURN NEW; END $$; \
         CREATE TRIGGER other BEFORE INSERT ON commands FOR EACH ROW EXECUTE FUNCTION other()",
    );
    block_on(async {
        assert_eq!(store.submit(vec![command()]).await.unwrap().len(), 1);
        assert_eq!(schema.number("SELECT last_value FROM tries"), 3);
        assert_eq!(schema.number("SELECT count(*) FROM commands"), 1);
        std::thread::scope(|scope| {
            scope.spawn(|| schema.sql("SELECT setval('allowed', 1000)")).join().unwrap();
        });
        let error = store.submit(vec![command()]).await.unwrap_err();
        assert!(matches!(&error, StoreError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("in the way"), "{error}");
    });
    assert_eq!(schema.number("SELECT count(*) FROM commands"), 1);
    // So often, and then it is for the caller to wait.
    assert_eq!(schema.number("SELECT last_value FROM tries"), 8);
}

#[test]
fn what_comes_late_is_whole_or_nothing() {
    let schema = Schema::new();
    let proxy = Proxy::to_database(schema.url());
    let store = PostgresStore::connect(&proxy.url(schema.url()), OpenMode::Create).unwrap();
    let batch = || {
        let of = |name| NewCommand { name, batch: Some("late".to_owned()), ..command() };
        vec![of(CmdName::Start), of(CmdName::Stop)]
    };
    block_on(async {
        // Each answer comes 300 ms late: a call of a few statements is slow, and right.
        proxy.delay(Duration::from_millis(150));
        store.limits().await.unwrap();
        let ids = store.submit(vec![command()]).await.unwrap();
        assert_eq!(store.commands(ids).await.unwrap().len(), 1);
        // With 1.5 s it would take longer than anybody waits.
        proxy.delay(Duration::from_millis(750));
        let error = store.submit(batch()).await.unwrap_err();
        assert!(matches!(&error, StoreError::Unavailable(_)), "{error}");
        proxy.heal();
        // Nobody knows whether it was done. To ask once more does no harm.
        let ids = until("the server to take it", async || store.submit(batch()).await.ok()).await;
        assert_eq!(ids.len(), 2);
    });
    assert_eq!(schema.number("SELECT count(*) FROM commands"), 3);
}
