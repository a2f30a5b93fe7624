//! A thread that owns a few connections to the server. Every call is one transaction with a
//! deadline: nothing else is expected of a connection, so that a pooler may stand in between.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

use super::errors::{is_lost, is_to_be_repeated, translate};
use super::hints;
use super::schema;
use super::targets::Targets;
use crate::store::StoreError;

/// Connections that work at once; one more listens for hints.
const CONNECTIONS_MAX: usize = 3;

/// How long a call may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// The server ends a session that does nothing within a transaction for so long: its program is frozen or cut off, and
/// holds rows that others wait for.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// How long a call may take that reads or creates everything.
pub(super) const DEADLINE_LONG: Duration = Duration::from_secs(60);

/// So often a transaction is repeated that was ended in favour of another one.
const TRIES_MAX: u32 = 5;

/// Pauses between tries to connect to a server that is away: 100 ms, 200 ms ... up to this.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What a job on a connection may end with.
pub(super) enum Fault {
    Sql(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    pub(super) fn translate(self) -> StoreError {
        match self {
            Self::Sql(error) => translate(&error),
            Self::Store(error) => error,
        }
    }
}

/// A statement that leaves nothing behind on its connection.
pub(super) fn statement(sql: &'static str) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(sql).persistent(false)
}

/// The same, put together of constants.
pub(super) fn composed(sql: String) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(AssertSqlSafe(sql)).persistent(false)
}

/// What a call needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    begin: Begin,
    pub(super) deadline: Duration,
    /// It has a connection to itself and waits for no other call.
    is_reserved: bool,
    /// How long a statement waits for a row or table that another transaction holds; else most of the deadline.
    lock_wait: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
enum Begin {
    Read,
    Write,
    Migration,
    /// Looks at the tables before anything is known of them.
    Look,
}

impl Plan {
    pub(super) const READ: Self = Self::of(Begin::Read, DEADLINE);
    pub(super) const READ_ALL: Self = Self::of(Begin::Read, DEADLINE_LONG);
    pub(super) const WRITE: Self = Self::of(Begin::Write, DEADLINE);
    pub(super) const WRITE_MANY: Self = Self::of(Begin::Write, DEADLINE_LONG);
    pub(super) const LOOK: Self = Self::of(Begin::Look, DEADLINE);
    pub(super) const MIGRATE: Self = Self::of(Begin::Migration, DEADLINE_LONG);
    /// What a manager writes about many apps: it waits for none of them.
    pub(super) const COMMIT: Self =
        Self { lock_wait: Some(Duration::from_millis(300)), ..Self::of(Begin::Write, DEADLINE) };
    /// For what must not wait for anything: the renewal of a lease.
    pub(super) const URGENT: Self = Self { is_reserved: true, ..Self::of(Begin::Write, DEADLINE) };

    /// The caller gets an error when a row is held for this time.
    pub(super) const fn waiting(self, lock_wait: Duration) -> Self {
        Self { lock_wait: Some(lock_wait), ..self }
    }

    const fn of(begin: Begin, deadline: Duration) -> Self {
        Self { begin, deadline, is_reserved: false, lock_wait: None }
    }

    pub(super) const fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The beginning of the transaction, in one message.
    fn sql(self) -> String {
        let begin = match self.begin {
            Begin::Read | Begin::Look => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Begin::Write | Begin::Migration => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        };
        let limit = self.deadline.min(DEADLINE_LONG);
        let lock_wait = self.lock_wait.unwrap_or(limit * 4 / 5);
        format!(
            "{begin}; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}; \
             SET LOCAL idle_in_transaction_session_timeout = {}",
            limit.as_millis(),
            lock_wait.as_millis(),
            IDLE_MAX.as_millis(),
        )
    }

    /// What an error means to who made the call: only some calls have a use for knowing that a row is held.
    fn told(self, error: StoreError) -> StoreError {
        if let StoreError::Locked(why) = error {
            return if self.lock_wait.is_none() {
                StoreError::Unavailable(why)
            } else {
                StoreError::Locked(why)
            };
        }
        error
    }
}

type Job = Box<dyn FnOnce(Rc<Pool>) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

enum Message {
    Job(Job),
    /// Begin to look for changes.
    Watch(watch::Sender<u64>),
}

/// A handle to the thread; the thread ends when the last handle is gone.
#[derive(Clone)]
pub(super) struct Worker {
    messages: mpsc::UnboundedSender<Message>,
}

impl Worker {
    pub(super) fn new(targets: Targets) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| StoreError::Unavailable(format!("no thread for it: {error}"));
        let (messages, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        std::thread::Builder::new()
            .name("dcm-db".to_owned())
            .spawn(move || {
                let tasks = LocalSet::new();
                let pool = Rc::new(Pool::new(targets));
                if !runtime.block_on(tasks.run_until(serve(&tasks, pool, inbox))) {
                    // To drop the driver's tasks half-way is a panic of its.
                    std::mem::forget(runtime);
                }
            })
            .map_err(failed)?;
        Ok(Self { messages })
    }

    /// Does a job in a transaction of its own and waits for its result. What was begun is done or
    /// undone even if the caller does not wait for it.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        plan: Plan,
        job: impl AsyncFn(&mut PgConnection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        self.send(plan, job, move |outcome| {
            // The caller may have gone; nobody then misses the answer.
            let _ = answer.send(outcome);
        })?;
        result.await.unwrap_or_else(|_| Err(ended()))
    }

    /// The same for a thread that may wait.
    pub(super) fn call_blocking<T: Send + 'static>(
        &self,
        plan: Plan,
        job: impl AsyncFn(&mut PgConnection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = std::sync::mpsc::channel();
        self.send(plan, job, move |outcome| {
            let _ = answer.send(outcome);
        })?;
        result.recv().unwrap_or_else(|_| Err(ended()))
    }

    fn send<T: Send + 'static>(
        &self,
        plan: Plan,
        job: impl AsyncFn(&mut PgConnection) -> Result<T, Fault> + Send + 'static,
        answer: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) -> Result<(), StoreError> {
        let job: Job = Box::new(move |pool| Box::pin(async move { answer(pool.call(plan, &job).await) }));
        self.messages.send(Message::Job(job)).map_err(|_| ended())
    }

    /// Counts up whenever the database may have changed, as long as somebody listens.
    pub(super) fn watch(&self, changed: watch::Sender<u64>) {
        let _ = self.messages.send(Message::Watch(changed));
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("its thread has ended".to_owned())
}

/// `false` when something of the driver is still at work.
async fn serve(tasks: &LocalSet, pool: Rc<Pool>, mut inbox: mpsc::UnboundedReceiver<Message>) -> bool {
    let (alive, watched) = watch::channel(());
    let mut watcher = None;
    while let Some(message) = inbox.recv().await {
        match message {
            Message::Job(job) => drop(tasks.spawn_local(job(Rc::clone(&pool)))),
            Message::Watch(changed) => {
                let looking = hints::watch(Rc::clone(&pool.targets), changed, watched.clone());
                watcher = Some(tasks.spawn_local(looking));
            }
        }
    }
    drop(alive);
    match watcher {
        Some(watcher) => watcher.await.unwrap_or(false),
        None => true,
    }
}

/// Idle connections, and what is known of the server.
struct Pool {
    targets: Rc<Targets>,
    permits: Semaphore,
    idle: RefCell<Vec<PgConnection>>,
    reserved: RefCell<Option<PgConnection>>,
    away: RefCell<Option<Away>>,
}

/// The server could not be reached.
struct Away {
    pause: Duration,
    until: Instant,
    error: StoreError,
}

impl Pool {
    fn new(targets: Targets) -> Self {
        Self {
            targets: Rc::new(targets),
            permits: Semaphore::new(CONNECTIONS_MAX),
            idle: RefCell::default(),
            reserved: RefCell::default(),
            away: RefCell::default(),
        }
    }

    /// Does a job within its deadline.
    async fn call<T>(
        &self,
        plan: Plan,
        job: &impl AsyncFn(&mut PgConnection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let answer = timeout(plan.deadline, async {
            let _permit = if plan.is_reserved {
                None
            } else {
                Some(self.permits.acquire().await.map_err(|_| ended())?)
            };
            let mut tries = 1;
            loop {
                match self.attempt(plan, job).await {
                    Ok(value) => return Ok(value),
                    Err(Fault::Sql(error)) if is_to_be_repeated(&error) && tries < TRIES_MAX => {
                        sleep(jittered(Duration::from_millis(20) * tries)).await;
                        tries += 1;
                    }
                    Err(fault) => return Err(plan.told(fault.translate())),
                }
            }
        });
        answer.await.unwrap_or_else(|_| {
            // The connection of this call is closed by now; the others may be as dead.
            self.idle.borrow_mut().clear();
            let seconds = plan.deadline.as_secs();
            Err(StoreError::Unavailable(format!("the server does not answer within {seconds} s")))
        })
    }

    async fn attempt<T>(
        &self,
        plan: Plan,
        job: &impl AsyncFn(&mut PgConnection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut connection = self.begin(plan).await?;
        match job(&mut connection).await {
            Ok(value) => {
                sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
                self.put_back(connection, plan);
                Ok(value)
            }
            Err(fault) => {
                if sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.is_ok() {
                    self.put_back(connection, plan);
                }
                Err(fault)
            }
        }
    }

    fn put_back(&self, connection: PgConnection, plan: Plan) {
        if plan.is_reserved {
            self.reserved.replace(Some(connection));
        } else {
            self.idle.borrow_mut().push(connection);
        }
    }

    /// A connection with an open transaction. An idle one may have been lost meanwhile; nothing was
    /// asked of it yet, so that another one serves as well.
    async fn begin(&self, plan: Plan) -> Result<PgConnection, Fault> {
        let idle = if plan.is_reserved { self.reserved.take() } else { self.idle.borrow_mut().pop() };
        if let Some(mut connection) = idle {
            match begin(&mut connection, plan).await {
                Ok(()) => return Ok(connection),
                Err(error) if !is_lost(&error) => return Err(error.into()),
                Err(_) => self.idle.borrow_mut().clear(),
            }
        }
        let mut connection = self.connect(plan).await?;
        begin(&mut connection, plan).await?;
        Ok(connection)
    }

    async fn connect(&self, plan: Plan) -> Result<PgConnection, StoreError> {
        if let Some(away) = &*self.away.borrow()
            && Instant::now() < away.until
        {
            return Err(away.error.clone());
        }
        // A server that vanished without a word must not use up the deadline unnoticed.
        let within = DEADLINE.min(plan.deadline);
        let error = match self.targets.connect(within).await {
            Ok(mut connection) => {
                *self.away.borrow_mut() = None;
                if !matches!(plan.begin, Begin::Migration | Begin::Look) {
                    schema::check(&mut connection).await.map_err(Fault::translate)?;
                }
                return Ok(connection);
            }
            Err(error) => error,
        };
        let mut away = self.away.borrow_mut();
        let pause = away.as_ref().map_or(Duration::from_millis(100), |away| (away.pause * 2).min(PAUSE_MAX));
        *away = Some(Away { pause, until: Instant::now() + jittered(pause), error: error.clone() });
        Err(error)
    }
}

async fn begin(connection: &mut PgConnection, plan: Plan) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(plan.sql())).execute(connection).await.map(drop)
}

/// Between a half and the whole of it, so that many programs do not come back at once.
pub(super) fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 1000;
    pause / 2 + pause * u32::try_from(random).unwrap_or(0) / 2000
}

/// A connection for one long transaction.
pub(in crate::store) async fn open_for_copy(url: &str) -> Result<PgConnection, StoreError> {
    let targets = super::url::parse(url)?;
    let mut connection = targets.connect(DEADLINE).await?;
    schema::check(&mut connection).await.map_err(Fault::translate)?;
    Ok(connection)
}
