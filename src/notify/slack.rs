//! Slack: an incoming webhook.

use std::sync::Arc;

use chrono_tz::Tz;
use serde_json::json;

use super::http::Http;
use super::render::render;
use super::{Notice, Sink, Undelivered};
use crate::model::HttpUrl;

/// The most characters of the detail. Slack cuts texts at 40,000, and each character may become an entity of five.
const DETAIL_MAX: usize = 3000;

pub(super) struct Slack {
    pub(super) http: Arc<Http>,
    pub(super) url: HttpUrl,
    pub(super) zone: Option<Tz>,
}

impl Sink for Slack {
    fn deliver(&self, _id: &str, body: &str) -> Result<(), Undelivered> {
        let message = message(&Notice::read(body)?, self.zone).to_string();
        let answer =
            self.http.post(&self.url, &[("Content-Type", "application/json")], message.as_bytes())?;
        // Slack says `ok` and nothing else when it took a message.
        if answer.is_success() && answer.text.trim() == "ok" { Ok(()) } else { Err(answer.refused()) }
    }
}

/// Without Slack's own markup: what an app wrote must neither be styled nor call people.
fn message(notice: &Notice, zone: Option<Tz>) -> serde_json::Value {
    let text = render(notice, zone, DETAIL_MAX).lines().join("\n");
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json!({ "text": text, "mrkdwn": false, "unfurl_links": false, "unfurl_media": false })
}

#[cfg(test)]
mod tests {
    use super::super::notice::tests::notice;
    use super::*;

    #[test]
    fn a_message_calls_no_one_and_fits() {
        let text = message(&notice("<!channel> & <@U1>", None), Some(Tz::UTC))["text"].to_string();
        assert!(text.contains("&lt;!channel&gt; &amp; &lt;@U1&gt;") && !text.contains('<'), "{text}");
        let long = "&".repeat(1_000_000);
        let text = message(&notice(&long, Some(&long)), Some(Tz::UTC))["text"].to_string();
        assert!((10_000..40_000).contains(&text.len()), "{}", text.len());
    }
}
