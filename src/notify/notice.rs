//! What is told by a notification. Its JSON is the body of a webhook, and what the column `body` of `deliveries` holds.

use serde::{Deserialize, Serialize};

use crate::model::{AlertKind, AlertRow, AppPath, NoticeEvent, RunId, Severity, Timestamp, Word};

/// The most of an alert's `detail` that a notice takes along, in bytes: more is a log, and the command to see it is in
/// the notice.
pub const DETAIL_MAX: usize = 32 * 1024;

/// A notification before it takes the form of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Why it is sent.
    #[serde(with = "as_word")]
    pub event: NoticeEvent,
    /// The trouble: of several alerts of one cause, the first one.
    pub alert: Option<NoticeAlert>,
    /// The paths of the apps that have it; none if it is the fleet's.
    pub apps: Vec<String>,
    /// The name of the fleet.
    pub fleet: String,
    /// How many apps more have it than are in the list.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub apps_more: u64,
    /// Alerts of other causes in the same summary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<NoticeAlert>,
    /// What is to be known of the notification itself: "held during quiet hours".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The command that shows more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<String>,
}

impl Notice {
    /// The JSON.
    #[must_use]
    pub fn body(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers have a JSON form")
    }

    /// Reads the JSON.
    ///
    /// # Errors
    /// When it is not that of a notice.
    pub fn read(body: &str) -> serde_json::Result<Self> {
        serde_json::from_str(body)
    }
}

/// A row of `alerts`, with the names of its columns and the path of its app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeAlert {
    /// Its number.
    pub id: i64,
    /// The key of its app; none if it is the fleet's.
    pub app_id: Option<String>,
    /// The path of its app, while that is registered.
    pub path: Option<String>,
    /// Of an alert about the fleet: the manager that alone sees the trouble.
    pub manager: Option<String>,
    /// What it is about.
    #[serde(with = "as_word_or_text")]
    pub kind: Word<AlertKind>,
    /// What brought it about: the same text for the same trouble of any app.
    pub cause: String,
    /// How bad it is.
    #[serde(with = "as_word_or_text")]
    pub severity: Word<Severity>,
    /// When it was opened.
    #[serde(with = "as_time")]
    pub opened: Timestamp,
    /// When the trouble was seen last.
    #[serde(with = "as_time")]
    pub last_seen: Timestamp,
    /// How often it was seen.
    pub count: u32,
    /// What happened last, for people.
    pub message: String,
    /// The last lines of the standard error of its run, at most [`DETAIL_MAX`] bytes.
    pub detail: Option<String>,
    /// Who looks after it.
    pub acknowledged_by: Option<String>,
    /// Since when.
    #[serde(with = "as_time_if_any")]
    pub acknowledged: Option<Timestamp>,
    /// Until when it is not to be told.
    #[serde(with = "as_time_if_any")]
    pub muted_until: Option<Timestamp>,
    /// When it was over.
    #[serde(with = "as_time_if_any")]
    pub closed: Option<Timestamp>,
    /// When a notification of it left the program first.
    #[serde(with = "as_time_if_any")]
    pub delivered: Option<Timestamp>,
    /// The run that brought it about.
    #[serde(with = "as_run")]
    pub runtime: Option<RunId>,
    /// Who looks after its app.
    #[serde(default)]
    pub owner: Option<String>,
}

impl NoticeAlert {
    /// That of a row; `path` where its app is registered.
    #[must_use]
    pub fn of(row: &AlertRow, path: Option<&AppPath>) -> Self {
        Self {
            id: row.id.0,
            app_id: row.subject.app().map(ToString::to_string),
            path: path.map(ToString::to_string),
            manager: row.manager.clone(),
            kind: row.kind.clone(),
            cause: row.cause.text().to_owned(),
            severity: row.severity.clone(),
            opened: row.opened,
            last_seen: row.last_seen,
            count: row.count,
            message: row.message.clone(),
            detail: row.detail.as_deref().map(|detail| end_of(detail, DETAIL_MAX)),
            acknowledged_by: row.acknowledged.as_ref().map(|(by, _)| by.clone()),
            acknowledged: row.acknowledged.as_ref().map(|(_, at)| *at),
            muted_until: row.muted_until,
            closed: row.closed,
            delivered: row.delivered,
            runtime: row.run,
            owner: row.owner.clone(),
        }
    }
}

/// The end of a text, from the beginning of a line where it has any, with a line before that says how much is left out.
fn end_of(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let cut = text.len() - max;
    let start = (cut..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(cut);
    let line = text[start..].find('\n').map_or(start, |at| start + at + 1);
    let start = if line < text.len() { line } else { start };
    format!("({start} bytes before this are left out)\n{}", &text[start..])
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

mod as_word {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::model::{Vocabulary, Word};

    pub(super) fn serialize<T: Vocabulary, S: Serializer>(
        word: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(word.word())
    }

    pub(super) fn deserialize<'de, T: Vocabulary, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        Word::from(text.as_str()).known().ok_or_else(|| D::Error::custom("an unknown word"))
    }
}

mod as_word_or_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::model::{Vocabulary, Word};

    pub(super) fn serialize<T: Vocabulary, S: Serializer>(
        word: &Word<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(word.word())
    }

    pub(super) fn deserialize<'de, T: Vocabulary, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Word<T>, D::Error> {
        Ok(Word::from(String::deserialize(deserializer)?.as_str()))
    }
}

mod as_time {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::model::{Timestamp, format_timestamp, parse_timestamp};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_timestamp(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        parse_timestamp(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

mod as_time_if_any {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::model::{Timestamp, format_timestamp, parse_timestamp};

    #[expect(clippy::ref_option, reason = "serde hands over references")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(format_timestamp).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| parse_timestamp(&text)).transpose().map_err(D::Error::custom)
    }
}

mod as_run {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::model::RunId;

    #[expect(clippy::ref_option, reason = "serde hands over references")]
    pub(super) fn serialize<S: Serializer>(run: &Option<RunId>, serializer: S) -> Result<S::Ok, S::Error> {
        run.map(|run| run.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RunId>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse()).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{AlertCause, AlertId, AppId, parse_timestamp};

    /// An alert as the database has it.
    pub(in crate::notify) fn row(message: &str, detail: Option<&str>) -> AlertRow {
        let path: AppPath = "croatia/fina/companies".parse().unwrap();
        AlertRow {
            id: AlertId(7),
            subject: AppId::of(&path).into(),
            manager: None,
            kind: AlertKind::UnexpectedBehavior.into(),
            cause: AlertCause::read("exit 3: HTTP 403 for /item/#".to_owned()),
            severity: Severity::Critical.into(),
            opened: parse_timestamp("2026-11-23T14:02:11Z").unwrap(),
            last_seen: parse_timestamp("2026-11-23T15:10:00Z").unwrap(),
            count: 4,
            message: message.to_owned(),
            detail: detail.map(str::to_owned),
            acknowledged: None,
            muted_until: None,
            closed: None,
            delivered: None,
            run: Some(RunId::from_random_bits(7)),
            owner: Some("Ana Horvat".to_owned()),
        }
    }

    /// A notice of it.
    pub(in crate::notify) fn notice(message: &str, detail: Option<&str>) -> Notice {
        let path: AppPath = "croatia/fina/companies".parse().unwrap();
        Notice {
            event: NoticeEvent::Opened,
            alert: Some(NoticeAlert::of(&row(message, detail), Some(&path))),
            apps: vec![path.to_string()],
            fleet: "zg-01".to_owned(),
            apps_more: 0,
            others: Vec::new(),
            note: None,
            look: None,
        }
    }

    #[test]
    fn the_body_is_the_one_of_the_contract_and_comes_back() {
        let plain = notice("3 failures in a row", Some("Traceback\nHTTP 403"));
        let run = plain.alert.as_ref().unwrap().runtime.unwrap().to_string();
        let app = plain.alert.as_ref().unwrap().app_id.clone();
        let body: serde_json::Value = serde_json::from_str(&plain.body()).unwrap();
        assert_eq!(
            body,
            json!({
                "event": "opened",
                "alert": {
                    "id": 7, "app_id": app, "path": "croatia/fina/companies", "manager": null, "kind": "unexpected_behavior",
                    "cause": "exit 3: HTTP 403 for /item/#", "severity": "critical",
                    "opened": "2026-11-23T14:02:11.000Z", "last_seen": "2026-11-23T15:10:00.000Z", "count": 4,
                    "message": "3 failures in a row", "detail": "Traceback\nHTTP 403", "acknowledged_by": null,
                    "acknowledged": null, "muted_until": null, "closed": null, "delivered": null, "runtime": run,
                    "owner": "Ana Horvat",
                },
                "apps": ["croatia/fina/companies"],
                "fleet": "zg-01",
            })
        );
        let alert = plain.alert.clone().unwrap();
        let full = Notice { apps_more: 3, others: vec![alert], note: Some("held".to_owned()), ..plain };
        assert_eq!(Notice::read(&full.body()).unwrap(), full);
        let test = Notice { event: NoticeEvent::Test, alert: None, apps: Vec::new(), ..full };
        assert_eq!(Notice::read(&test.body()).unwrap(), test);
        assert!(Notice::read("{\"event\":\"exploded\"}").is_err());
    }

    #[test]
    fn the_fields_of_an_alert_are_those_of_its_row() {
        let row = row("m", None);
        let path: AppPath = "croatia/fina/companies".parse().unwrap();
        let own = serde_json::to_value(NoticeAlert::of(&row, Some(&path))).unwrap();
        let wire = serde_json::to_value(crate::wire::Alert::of(&row, Some(path.to_string()))).unwrap();
        assert_eq!(own, wire);
    }

    #[test]
    fn a_word_of_a_newer_version_goes_through_as_it_is() {
        let body = notice("m", None).body().replace("unexpected_behavior", "of_version_9");
        assert_eq!(Notice::read(&body).unwrap().body(), body);
    }

    #[test]
    fn of_much_detail_the_end_is_kept_and_the_rest_counted() {
        let detail = "čđ 0123456789\n".repeat(1_000_000);
        let kept = notice("m", Some(&detail)).alert.unwrap().detail.unwrap();
        assert!(kept.len() < DETAIL_MAX + 100 && kept.ends_with("\nčđ 0123456789\n"), "{}", kept.len());
        assert!(kept.starts_with("(15967"), "{}", &kept[..60]);
        let one_line = "č".repeat(100_000);
        let kept = notice("m", Some(&one_line)).alert.unwrap().detail.unwrap();
        assert!(kept.starts_with("(167232 bytes before this are left out)\nčč"), "{}", &kept[..60]);
    }
}
