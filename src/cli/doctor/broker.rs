//! The broker: reached, with which rights, and what waits in the queues of this manager.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::timeout;

use super::finding::Finding;
use super::{Context, Reporter};
use crate::broker::{self, Broker, BrokerError, BrokerSettings, DEAD_COMMANDS, queue_of};
use crate::cli::session::{Session, block_on};

/// How long a server may take to take the connection and to answer.
const WITHIN: Duration = Duration::from_secs(9);

/// The code by which a server says that there is no such queue.
const NOT_FOUND: u16 = 404;

pub(super) fn look(_: &Context, session: &Session, report: &Reporter) {
    let settings = match &session.settings.rabbitmq {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            return report.add(Finding::ok("broker", "none is set up: commands come by the database alone"));
        }
        Err(error) => {
            return report.add(Finding::error(
                "broker",
                error.to_string(),
                "nothing comes or leaves by it until that is set right; the database carries every command",
            ));
        }
    };
    let tls = if settings.url.is_tls() { "by TLS" } else { "not encrypted" };
    let place = format!("{}, {tls}", settings.url);
    let asked = block_on(async {
        let answered = timeout(WITHIN, ask(settings.clone(), &session.settings.name)).await;
        Ok(answered
            .unwrap_or_else(|_| Err(BrokerError::Away(format!("no answer within {} s", WITHIN.as_secs())))))
    });
    match asked {
        Ok(Ok(queues)) => {
            report.add(Finding::ok("broker", format!("connected to {place}")));
            for finding in queues {
                report.add(finding);
            }
        }
        Ok(Err(error)) => {
            let why = match &error {
                BrokerError::Away(why) => why.clone(),
                BrokerError::Denied { .. } | BrokerError::Refused(_) => error.to_string(),
            };
            // The words of AMQP for a login and a virtual host that are not accepted.
            let is_refusal = why.contains("ACCESS_REFUSED") || why.contains("NOT_ALLOWED");
            let cure = if is_refusal || !matches!(error, BrokerError::Away(_)) {
                "is the user, the password, the virtual host right, and has it rights there (rabbitmqctl list_permissions)?"
            } else {
                "is it running, is the address right? the database carries every command meanwhile"
            };
            report.add(Finding::error("broker", format!("{place}: {why}"), cure));
        }
        Err(error) => report.add(Finding::unknown("broker", error.to_string())),
    }
}

/// Looks at the queues without declaring them.
async fn ask(settings: BrokerSettings, manager: &str) -> Result<Vec<Finding>, BrokerError> {
    let broker = Broker::start(settings, "doctor");
    broker.until_open().await?;
    let own = queue_of(manager);
    let mut found = vec![match count(&broker, &own).await? {
        Some((_, 0)) => Finding::warning(
            "broker.queue",
            format!("nothing consumes {own}: commands to this manager wait there"),
            "start the manager; if it is running, it may use another broker or name",
        ),
        Some((waiting, consumers)) => {
            Finding::ok("broker.queue", format!("{own}: {consumers} consumer, {waiting} messages wait"))
        }
        None => Finding::warning(
            "broker.queue",
            format!("there is no queue {own}: the manager {manager} has never used this broker"),
            "start it with this broker; it makes its queue itself",
        ),
    }];
    found.push(match count(&broker, DEAD_COMMANDS).await? {
        Some((dead @ 1.., _)) => Finding::warning(
            "broker.dead_letters",
            format!("{dead} messages that were no commands are in {DEAD_COMMANDS}"),
            "look at them (rabbitmqadmin get), fix the program that sends them, and purge the queue",
        ),
        Some((0, _)) | None => Finding::ok("broker.dead_letters", "none"),
    });
    Ok(found)
}

/// How many messages are in a queue, and how many consume it; `None` where there is no such queue.
async fn count(broker: &Broker, queue: &str) -> Result<Option<(u32, u32)>, BrokerError> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    // A refusal closes the channel, so it is one for this alone.
    let channel = broker.channel().await?;
    match broker::answer(channel.queue_declare(broker::name(queue)?, passive, FieldTable::default())).await {
        Ok(found) => Ok(Some((found.message_count(), found.consumer_count()))),
        Err(error) if error.is(NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}
