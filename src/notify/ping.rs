//! Calls that say that something went well, or did not: the form of Healthchecks.

use std::sync::Arc;

use serde::Deserialize;

use super::http::Http;
use super::{Sink, Undelivered};
use crate::model::{HttpUrl, HttpUrlError};

/// Longest body that is sent along, in bytes: Healthchecks keeps 100,000.
const BODY_MAX: usize = 10_000;

/// What a call says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// It went well.
    Good,
    /// It did not: `/fail` is appended to the path.
    Failed,
}

/// Calls addresses of pings. It blocks, for no longer than its time limits.
#[derive(Debug, Clone, Default)]
pub struct Pinger(Arc<Http>);

impl Pinger {
    /// One that shares a client with others.
    pub(super) fn with(http: Arc<Http>) -> Self {
        Self(http)
    }

    /// Calls an address, with a text that people find there.
    ///
    /// # Errors
    /// [`Undelivered`] unless the endpoint took the call.
    pub fn ping(&self, url: &HttpUrl, beat: Beat, text: &str) -> Result<(), Undelivered> {
        let failed = url.below("/fail");
        let url = match beat {
            Beat::Good => url,
            Beat::Failed => &failed,
        };
        let text = text.get(..BODY_MAX).unwrap_or(text);
        let answer = self.0.post(url, &[("Content-Type", "text/plain; charset=utf-8")], text.as_bytes())?;
        if answer.is_success() { Ok(()) } else { Err(answer.refused()) }
    }
}

/// The channel of the pings of apps: each has an address of its own.
pub(super) struct Pings(pub(super) Pinger);

/// What a delivery of this channel says.
#[derive(Deserialize)]
struct Said {
    url: String,
    failed: bool,
    outcome: String,
    run: String,
    text: Option<String>,
}

impl Sink for Pings {
    fn deliver(&self, _id: &str, body: &str) -> Result<(), Undelivered> {
        let Said { url, failed, outcome, run, text } = serde_json::from_str(body)?;
        let beat = if failed { Beat::Failed } else { Beat::Good };
        let text = text.map_or_else(String::new, |text| format!(": {text}"));
        let refused = |error: HttpUrlError| Undelivered { why: error.to_string(), retry_after: None };
        self.0.ping(&url.parse().map_err(refused)?, beat, &format!("run {run}: {outcome}{text}"))
    }
}
