//! Hints that something changed: the server's notifications, and a look at the revision every second
//! underneath, since a notification may be lost.

use std::rc::Rc;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Row as _};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::connection::{DEADLINE, jittered};
use super::targets::Targets;

/// How often the revision is looked at.
const POLL: Duration = Duration::from_secs(1);

/// The longest pause before the next try to listen.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long it may take to close a connection in order.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// How long it is polled where nobody can listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(60);

/// A setting that a session of the server itself begins with. A pooler refuses it or drops it: behind one a
/// LISTEN would be left on a connection that is somebody else's a moment later.
const OWN_SESSION: (&str, &str) = ("dcm.session", "own");

/// Counts up `changed` as long as somebody listens and `alive` has not ended. `false` when something
/// of the driver is still at work, which must not be dropped.
pub(super) async fn watch(
    targets: Rc<Targets>,
    changed: watch::Sender<u64>,
    mut alive: watch::Receiver<()>,
) -> bool {
    let mut is_clean = true;
    let mut pause = Duration::from_millis(200);
    loop {
        let current = targets.current().clone();
        // Where the first cannot be, the second at least polls, and now and then the first is tried again.
        for (options, most) in
            [(current.clone().options([OWN_SESSION]), Duration::MAX), (current, LISTEN_AGAIN)]
        {
            // The driver closes a listener by a task of its own; closing its pool waits for that.
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .acquire_timeout(DEADLINE)
                .connect_lazy_with(options);
            let listener = timeout(DEADLINE, listen(&pool)).await.ok().flatten();
            let has_followed = listener.is_some();
            if let Some(listener) = listener {
                pause = Duration::from_millis(200);
                tokio::select! {
                    _ = timeout(most, follow(listener, &changed)) => {}
                    _ = alive.changed() => {}
                }
            }
            is_clean &= timeout(CLOSING_MAX, pool.close()).await.is_ok();
            if alive.has_changed().is_err() || changed.is_closed() {
                return is_clean;
            }
            if has_followed {
                break;
            }
        }
        // Whatever happened meanwhile went unnoticed.
        changed.send_modify(|count| *count += 1);
        tokio::select! {
            () = sleep(jittered(pause)) => {}
            _ = alive.changed() => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Listens for notifications, or where that cannot be is good for polling.
async fn listen(pool: &PgPool) -> Option<PgListener> {
    let mut listener = PgListener::connect_with(pool).await.ok()?;
    listener.eager_reconnect(false);
    listener.ignore_pool_close_event(true);
    let (name, value) = OWN_SESSION;
    let asked = format!(
        "SELECT ('dcm_' || current_schema())::name::text AS channel, \
         coalesce(current_setting('{name}', true), '') = '{value}' AND NOT pg_is_in_recovery() AS may_listen"
    );
    let row = sqlx::raw_sql(AssertSqlSafe(asked)).fetch_one(&mut listener).await.ok()?;
    let channel: String = row.try_get("channel").ok()?;
    if row.try_get("may_listen").ok()? {
        listener.listen(&channel).await.ok()?;
    }
    Some(listener)
}

/// Goes on until the connection is lost or nobody listens any more.
async fn follow(mut listener: PgListener, changed: &watch::Sender<u64>) {
    let mut revision = None;
    while !changed.is_closed() {
        match timeout(POLL, listener.try_recv()).await {
            Ok(Ok(Some(_))) => {
                // One hint stands for all that came with it.
                while listener.next_buffered().is_some() {}
                changed.send_modify(|count| *count += 1);
            }
            Ok(Ok(None) | Err(_)) => return,
            Err(_) => {
                let Ok(Some(now)) = timeout(DEADLINE, read_revision(&mut listener)).await else { return };
                if revision.replace(now) != Some(now) {
                    changed.send_modify(|count| *count += 1);
                }
            }
        }
    }
}

/// One message, which even a pooler answers by one connection.
async fn read_revision(listener: &mut PgListener) -> Option<i64> {
    let row = sqlx::raw_sql("SELECT value FROM revision").fetch_one(listener).await.ok()?;
    row.try_get("value").ok()
}
