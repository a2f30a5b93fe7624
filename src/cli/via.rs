//! `--via rabbitmq`: commands are published to the managers, and the verdicts come back as messages.

use std::collections::BTreeMap;
use std::time::Duration;

use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::args::IssueArgs;
use super::error::{Error, Kind};
use super::output;
use super::presence::Managers;
use super::session::Session;
use crate::broker::{
    self, BODY_MAX, Broker, BrokerError, COMMANDS, Message, Published, TO_ALL, declare_exchange,
};
use crate::model::{AppRow, CmdName, Reason, format_timestamp, owner_of};
use crate::process::{clock, user_name};
use crate::store::OperatorStore;

/// A verdict, as a manager answers.
#[derive(Debug, Clone, Deserialize)]
struct Answer {
    verdict: String,
    reason: Option<String>,
    cmd_exec: Option<String>,
}

/// A command that was sent.
struct Sent {
    id: String,
    path: String,
    answer: Option<Answer>,
}

/// Publishes a command for each app, and waits for the verdicts if that is asked for. There is no other way: where the
/// broker cannot be reached, nothing is sent.
pub(super) async fn issue(
    session: &Session,
    store: &dyn OperatorStore,
    name: CmdName,
    apps: &[AppRow],
    args: &IssueArgs,
    arguments: Option<&str>,
) -> Result<(), Error> {
    let Some(settings) = session.settings.rabbitmq.clone()? else {
        let why = "nothing was sent: no broker is set up";
        return Err(Error::new(Kind::RefusedForNow, why).hint("name one by rabbitmq.url or DC_RABBITMQ_URL"));
    };
    let arguments = arguments.map(object).transpose()?;
    let keys = keys(session, store, apps).await?;
    let broker = Broker::start(settings, &user_name());
    broker.until_open().await.map_err(|error| unsent(&error))?;
    let channel = broker.channel().await.map_err(|error| unsent(&error))?;
    declare_exchange(&channel).await.map_err(|error| unsent(&error))?;
    let mut answers = match args.wait {
        Some(_) => Some(answers(&channel).await.map_err(|error| unsent(&error))?),
        None => None,
    };
    let reply_to = answers.as_ref().map(|(queue, _)| queue.as_str());
    let mut sent = Vec::with_capacity(apps.len());
    let mut messages = Vec::with_capacity(apps.len());
    for (app, key) in apps.iter().zip(keys) {
        let message = message(name, app, (&key, reply_to), arguments.as_ref());
        if message.body.len() > BODY_MAX {
            return Err(Error::usage(format!(
                "the arguments are too long: a message has at most {BODY_MAX} bytes"
            )));
        }
        sent.push(Sent { id: message.id.clone(), path: app.app.path.to_string(), answer: None });
        messages.push(message);
    }
    publish(&broker, messages).await?;
    if let (Some(wait), Some((_, consumer))) = (args.wait, &mut answers) {
        collect(consumer, &mut sent, wait).await;
    }
    show(session, name, &sent);
    if args.wait.is_some() { judge(name, &sent) } else { Ok(()) }
}

/// As a command takes them from a message.
fn object(arguments: &str) -> Result<Value, Error> {
    let value: Option<Value> = serde_json::from_str(arguments).ok();
    value
        .filter(Value::is_object)
        .ok_or_else(|| Error::usage("--args must be a JSON object where a command goes by RabbitMQ"))
}

/// The routing key for each app: its manager, or all of them where it has none.
async fn keys(session: &Session, store: &dyn OperatorStore, apps: &[AppRow]) -> Result<Vec<String>, Error> {
    let managers = Managers::read(session, store).await?;
    let rows: Vec<_> = managers.rows.iter().map(|(row, _)| row).collect();
    let is_shared = store.capabilities().is_shared;
    let key = |app: &AppRow| {
        let owner = owner_of(app.state.manager.as_deref(), rows.iter().copied(), (is_shared, managers.now));
        owner.unwrap_or(TO_ALL).to_owned()
    };
    Ok(apps.iter().map(key).collect())
}

/// A queue for answers that ends with the connection.
async fn answers(channel: &Channel) -> Result<(String, Consumer), BrokerError> {
    let options =
        QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(broker::name("")?, options, FieldTable::default());
    let queue = broker::answer(declared).await?.name().to_string();
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let consumed =
        channel.basic_consume(broker::name(&queue)?, broker::name("")?, options, FieldTable::default());
    Ok((queue, broker::answer(consumed).await?))
}

fn message(
    name: CmdName,
    app: &AppRow,
    (key, reply_to): (&str, Option<&str>),
    arguments: Option<&Value>,
) -> Message {
    let id = uuid::Uuid::new_v4().hyphenated().to_string();
    let body = json!({
        "id": id,
        "app": app.app.path.to_string(),
        "command": name.word(),
        "args": arguments.cloned().unwrap_or_else(|| json!({})),
        "issued_by": user_name(),
        "issued_at": format_timestamp(clock::wall()),
    });
    Message {
        exchange: COMMANDS.to_owned(),
        correlation_id: Some(id.clone()),
        reply_to: reply_to.map(str::to_owned),
        ..Message::to_queue(key, &id, body.to_string().into_bytes())
    }
}

/// Publishes all of them. What is for a manager without a queue goes to all: the app may be another's by now.
async fn publish(broker: &Broker, mut messages: Vec<Message>) -> Result<(), Error> {
    let mut is_last = false;
    loop {
        let published = broker.publish(&messages).await;
        let mut left = Vec::new();
        for (message, published) in messages.into_iter().zip(published) {
            match published {
                Published::Confirmed => {}
                Published::Returned(_) if !is_last && message.key != TO_ALL => {
                    left.push(Message { key: TO_ALL.to_owned(), ..message });
                }
                Published::Returned(why) => {
                    let why = format!("no manager takes commands from the broker: {why}");
                    return Err(
                        Error::new(Kind::RefusedForNow, why).hint("dcm managers shows which are connected")
                    );
                }
                Published::Unknown(why) => {
                    let why = format!("whether the command has arrived is not known: {why}");
                    return Err(Error::new(Kind::RefusedForNow, why)
                        .hint(format!("dcm commands shows it if it has; its message is {}", message.id)));
                }
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        (messages, is_last) = (left, true);
    }
}

/// Takes answers until all are there, the time is over, or the broker has gone.
async fn collect(consumer: &mut Consumer, sent: &mut [Sent], wait: Duration) {
    let deadline = Instant::now() + wait;
    while sent.iter().any(|sent| sent.answer.is_none()) {
        let Ok(next) = timeout_at(deadline, broker::next(consumer)).await else { return };
        let delivery = match next {
            Ok(delivery) => delivery,
            Err(error) => {
                output::message(format_args!("{error}; verdicts are in the ledger: dcm commands"));
                return;
            }
        };
        let id = delivery.properties.correlation_id().as_ref().map(ToString::to_string);
        let meant = sent.iter_mut().find(|sent| Some(&sent.id) == id.as_ref());
        if let (Some(sent), Ok(answer)) = (meant, serde_json::from_slice(&delivery.data)) {
            sent.answer.get_or_insert(answer);
        }
    }
}

fn show(session: &Session, name: CmdName, sent: &[Sent]) {
    if session.json {
        output::json_rows(sent.iter().map(|sent| {
            let answer = sent.answer.as_ref();
            json!({
                "id": sent.id,
                "path": sent.path,
                "command": name.word(),
                "verdict": answer.map_or("PENDING", |answer| answer.verdict.as_str()),
                "reason": answer.and_then(|answer| answer.reason.as_deref()),
                "cmd_exec": answer.and_then(|answer| answer.cmd_exec.as_deref()),
            })
        }));
        return;
    }
    output::lines(sent.iter().map(|sent| {
        let verdict = match &sent.answer {
            None => "published".to_owned(),
            Some(answer) => {
                let word = if is_executed(answer) { "executed" } else { "not executed" };
                answer.reason.as_ref().map_or_else(|| word.to_owned(), |reason| format!("{word}: {reason}"))
            }
        };
        format!("{} {name} {}  {verdict}", sent.id, sent.path)
    }));
}

fn is_executed(answer: &Answer) -> bool {
    answer.verdict == "EXECUTED"
}

/// The exit code of all verdicts together, as for those of the ledger.
fn judge(name: CmdName, sent: &[Sent]) -> Result<(), Error> {
    let mut faults = BTreeMap::new();
    for sent in sent {
        let (rank, kind, why) = match &sent.answer {
            Some(answer) if is_executed(answer) => continue,
            Some(answer) => {
                let reason = answer.reason.clone().unwrap_or_default();
                if Reason::from(reason.as_str()).is_for_now() {
                    (2, Kind::RefusedForNow, reason)
                } else {
                    (0, Kind::Failed, reason)
                }
            }
            None => (1, Kind::TimedOut, "no verdict in time".to_owned()),
        };
        faults.entry(rank).or_insert_with(|| Error::new(kind, format!("{name} {}: {why}", sent.path)));
    }
    faults.into_values().next().map_or(Ok(()), Err)
}

fn unsent(error: &BrokerError) -> Error {
    Error::new(Kind::RefusedForNow, format!("nothing was sent: {error}"))
}
