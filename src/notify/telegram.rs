//! Telegram: a bot sends a message to a chat.

use std::time::Duration;

use chrono_tz::Tz;
use serde_json::{Value, json};

use super::http::{Http, RETRY_AFTER_MAX};
use super::render::{Rendered, render};
use super::secret::without;
use super::{Notice, Secret, Sink, Undelivered};
use crate::model::HttpUrl;

/// Longest text, in UTF-16 units after the markup is read; Telegram refuses what is longer.
const TEXT_MAX: usize = 4096;

/// The most characters of the detail at first; less, where the rest of the message is long.
const DETAIL_MAX: usize = 2000;

pub(super) struct Telegram {
    pub(super) http: std::sync::Arc<Http>,
    pub(super) api: HttpUrl,
    pub(super) token: Secret,
    pub(super) chat_id: String,
    pub(super) zone: Option<Tz>,
}

impl Sink for Telegram {
    fn deliver(&self, _id: &str, body: &str) -> Result<(), Undelivered> {
        let notice = Notice::read(body)?;
        let url = self.api.below(&format!("/bot{}/sendMessage", self.token.reveal()));
        let chat_id =
            self.chat_id.parse::<i64>().map_or_else(|_| json!(self.chat_id), |number| json!(number));
        let message = json!({
            "chat_id": chat_id,
            "text": text(&notice, self.zone),
            "parse_mode": "HTML",
            "link_preview_options": { "is_disabled": true },
        });
        let headers = [("Content-Type", "application/json")];
        let answer = self.http.post(&url, &headers, message.to_string().as_bytes())?;
        let said: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        if answer.is_success() && said["ok"] == Value::Bool(true) {
            return Ok(());
        }
        let mut refused = match said["description"].as_str() {
            Some(description) => answer.refused_with(&without(description, [self.token.reveal()])),
            None => answer.refused(),
        };
        if let Some(seconds) = said["parameters"]["retry_after"].as_u64() {
            refused.retry_after = Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
        }
        if let Some(chat) = said["parameters"]["migrate_to_chat_id"].as_i64() {
            refused.why = format!("{}; the group has a new number: set chat_id = {chat}", refused.why);
        }
        Err(refused)
    }
}

/// The message in Telegram's HTML.
fn text(notice: &Notice, zone: Option<Tz>) -> String {
    let plain = |rendered: &Rendered| rendered.lines().join("\n").encode_utf16().count();
    let mut rendered = render(notice, zone, DETAIL_MAX);
    let excess = plain(&rendered).saturating_sub(TEXT_MAX);
    if excess > 0 {
        // The note that says how much is left out takes room as well, and a character may be two units.
        rendered = render(notice, zone, DETAIL_MAX.saturating_sub(2 * excess + 100));
    }
    while plain(&rendered) > TEXT_MAX && rendered.facts.pop().is_some() {}
    html(&rendered)
}

fn html(rendered: &Rendered) -> String {
    let title = format!("<b>{}</b>\n\n", escape(&rendered.title));
    let detail = match rendered.detail.as_slice() {
        [] => String::new(),
        lines => format!("\n\n{}\n<pre>{}</pre>", escape(&rendered.heading), escape(&lines.join("\n"))),
    };
    let look = rendered.look.as_ref().map(|look| format!("\n\n<code>{}</code>", escape(look)));
    title + &escape(&rendered.facts.join("\n")) + &detail + &look.unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::notice::tests::notice;
    use super::*;

    #[test]
    fn markup_in_a_message_is_text() {
        let text = text(&notice("a <b>& *c*", Some("<script>\nx")), Some(Tz::UTC));
        assert!(
            text.starts_with("<b>[zg-01] CRITICAL: croatia/fina/companies: a &lt;b&gt;&amp; *c*</b>\n"),
            "{text}"
        );
        assert!(text.contains("<pre>&lt;script&gt;\nx</pre>"), "{text}");
    }

    #[test]
    fn the_longest_message_is_one_that_telegram_takes() {
        let long = "😀<&>".repeat(100_000);
        let mut worst = notice(&long, Some(&long));
        worst.alert.as_mut().unwrap().cause.clone_from(&long);
        worst.alert.as_mut().unwrap().acknowledged_by = Some(long.clone());
        worst.others = vec![worst.alert.clone().unwrap(); 20];
        worst.apps = vec![long.clone(); 30];
        (worst.note, worst.look) = (Some(long.clone()), Some(long));
        let html = text(&worst, Some(Tz::UTC));
        let plain = ["<b>", "</b>", "<pre>", "</pre>", "<code>", "</code>"]
            .iter()
            .fold(html, |text, tag| text.replace(tag, ""));
        let plain = plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let length = plain.encode_utf16().count();
        assert!((2000..=TEXT_MAX).contains(&length), "{length}");
    }
}
