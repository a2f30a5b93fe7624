//! Microsoft Teams: a workflow that takes Adaptive Cards, or a connector of the older kind.

use std::sync::Arc;

use chrono_tz::Tz;
use serde_json::{Value, json};

use super::http::Http;
use super::render::{Rendered, render};
use super::{Notice, Sink, TeamsForm, Undelivered};
use crate::model::{HttpUrl, Severity};

/// Largest message, in bytes: Teams takes about 28 KB and answers 413 to more.
const MESSAGE_MAX: usize = 27_000;

/// The most characters of the detail at first; less, where the message would be too large.
const DETAIL_MAX: usize = 8000;

/// How a connector begins its answer when it could not post, with the status 200.
const FAILED: &str = "Webhook message delivery failed";

pub(super) struct Teams {
    pub(super) http: Arc<Http>,
    pub(super) url: HttpUrl,
    pub(super) form: TeamsForm,
    pub(super) zone: Option<Tz>,
}

impl Sink for Teams {
    fn deliver(&self, _id: &str, body: &str) -> Result<(), Undelivered> {
        let message = message(&Notice::read(body)?, self.form, self.zone);
        let answer =
            self.http.post(&self.url, &[("Content-Type", "application/json")], message.as_bytes())?;
        let said = answer.text.trim();
        let is_taken = match self.form {
            TeamsForm::Connector => said == "1",
            TeamsForm::Workflow => {
                let has_error =
                    serde_json::from_str::<Value>(said).is_ok_and(|said| said.get("error").is_some());
                !said.starts_with(FAILED) && !has_error
            }
        };
        if answer.is_success() && is_taken { Ok(()) } else { Err(answer.refused()) }
    }
}

fn message(notice: &Notice, form: TeamsForm, zone: Option<Tz>) -> String {
    let mut detail_max = DETAIL_MAX;
    loop {
        let rendered = render(notice, zone, detail_max);
        let message = match form {
            TeamsForm::Workflow => adaptive_card(&rendered),
            TeamsForm::Connector => message_card(&rendered),
        };
        let message = message.to_string();
        if message.len() <= MESSAGE_MAX || detail_max == 0 {
            return message;
        }
        detail_max /= 2;
    }
}

/// Runs of text, not text blocks: Teams reads Markdown in those.
fn adaptive_card(rendered: &Rendered) -> Value {
    let colour = match rendered.severity {
        Some(Severity::Critical) => "Attention",
        Some(Severity::Warning) => "Warning",
        None => "Default",
    };
    let mut body = vec![block(&json!({
        "type": "TextRun", "text": rendered.title, "weight": "Bolder", "size": "Medium", "color": colour,
    }))];
    let line = |text: &str| block(&json!({ "type": "TextRun", "text": text }));
    let code = |text: &String| block(&json!({ "type": "TextRun", "text": text, "fontType": "Monospace" }));
    body.extend(rendered.facts.iter().map(|fact| line(fact)));
    if !rendered.detail.is_empty() {
        body.push(line(&rendered.heading));
        // One block: a block for each line costs ten times its text.
        body.push(code(&rendered.detail.join("\n")));
    }
    body.extend(rendered.look.iter().map(code));
    json!({
        "type": "message",
        "summary": rendered.title,
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": body,
            },
        }],
    })
}

fn block(run: &Value) -> Value {
    json!({ "type": "RichTextBlock", "inlines": [run] })
}

fn message_card(rendered: &Rendered) -> Value {
    let colour = match rendered.severity {
        Some(Severity::Critical) => "C4314B",
        Some(Severity::Warning) => "F8D22A",
        None => "6264A7",
    };
    let lines: Vec<_> = rendered.lines().into_iter().map(escape).collect();
    json!({
        "@type": "MessageCard",
        "@context": "https://schema.org/extensions",
        "summary": rendered.title,
        "themeColor": colour,
        // Without Markdown; what is left of HTML is escaped.
        "sections": [{ "markdown": false, "text": format!("<pre>{}</pre>", lines.join("\n")) }],
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::notice::tests::notice;
    use super::*;

    #[test]
    fn markdown_in_a_message_is_text() {
        let hostile = notice("**bold** [x](https://evil) <at>all</at>", Some("# h\n- [ ] x"));
        let card: Value =
            serde_json::from_str(&message(&hostile, TeamsForm::Workflow, Some(Tz::UTC))).unwrap();
        let body = card["attachments"][0]["content"]["body"].as_array().unwrap();
        assert!(body.iter().all(|block| block["type"] == "RichTextBlock"), "{body:?}");
        assert_eq!(body[1]["inlines"][0]["text"], "**bold** [x](https://evil) <at>all</at>");
        let card: Value =
            serde_json::from_str(&message(&hostile, TeamsForm::Connector, Some(Tz::UTC))).unwrap();
        let section = &card["sections"][0];
        assert_eq!(section["markdown"], false);
        assert!(section["text"].as_str().unwrap().contains("&lt;at&gt;all&lt;/at&gt;"), "{section}");
    }

    #[test]
    fn the_largest_message_is_one_that_teams_takes() {
        for part in ["\"", "漢", "<&>", "a"] {
            let long = part.repeat(1_000_000);
            let mut worst = notice(&long, Some(&long));
            worst.alert.as_mut().unwrap().cause.clone_from(&long);
            worst.others = vec![worst.alert.clone().unwrap(); 20];
            worst.apps = vec![long.clone(); 30];
            (worst.note, worst.look) = (Some(long.clone()), Some(long));
            for form in [TeamsForm::Workflow, TeamsForm::Connector] {
                let length = message(&worst, form, Some(Tz::UTC)).len();
                assert!((4_000..=MESSAGE_MAX).contains(&length), "{part} {length}");
            }
        }
    }
}
