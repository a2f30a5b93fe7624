//! A URL with several servers, of which one takes writes.

use dcm::model::Revision;
use dcm::store::{OpenMode, OperatorStore as _, PostgresStore, StoreError};

use crate::postgres::{Cluster, block_on, command, until};

#[test]
fn the_server_that_takes_writes_is_found_and_followed() {
    let primary = Cluster::new();
    drop(PostgresStore::connect(&primary.url(), OpenMode::Create).unwrap());
    let standby = Cluster::standby_of(&primary);
    let (first, second) = (standby.sockets(), primary.sockets());
    let nobody = first.join("nobody");
    let url = |hosts: &[&std::path::Path], attrs: &str| {
        let hosts: Vec<_> = hosts.iter().map(|path| path.display().to_string()).collect();
        format!("postgres:///postgres?user=dcm&host={}&target_session_attrs={attrs}", hosts.join(","))
    };
    let refused = PostgresStore::connect(&url(&[&first], "read-write"), OpenMode::Existing).unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    assert!(refused.to_string().contains("standby"), "{refused}");
    drop(PostgresStore::connect(&url(&[&first], "any"), OpenMode::Existing).unwrap());

    let hosts = [&*nobody, &*first, &*second];
    let store = PostgresStore::connect(&url(&hosts, "read-write"), OpenMode::Existing).unwrap();
    block_on(async {
        let mut changed = store.changed();
        store.submit(vec![command()]).await.unwrap();
        // The primary dies, and the standby takes its place.
        primary.stop();
        standby.psql("postgres", "SELECT pg_promote()");
        until("the promoted server to take a command", async || store.submit(vec![command()]).await.ok())
            .await;
        store.changes_since(Revision::default()).await.unwrap();
        changed.mark_unchanged();
        standby.psql("postgres", "INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'c')");
        let hint = tokio::time::timeout(crate::fleet::PATIENCE, changed.changed()).await;
        hint.unwrap().unwrap();
        assert_eq!(store.changes_since(Revision::default()).await.unwrap().rows.len(), 1);
    });
}
