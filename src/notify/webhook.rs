//! A webhook of any other program, which gets the notice as JSON.

use std::fmt::Write as _;
use std::sync::Arc;

use ring::hmac;

use super::http::Http;
use super::{Secret, Sink, Undelivered};
use crate::model::HttpUrl;

pub(super) struct Webhook {
    pub(super) http: Arc<Http>,
    pub(super) url: HttpUrl,
    pub(super) secret: Option<Secret>,
}

impl Sink for Webhook {
    fn deliver(&self, id: &str, body: &str) -> Result<(), Undelivered> {
        let signature = self.secret.as_ref().map(|secret| signature(secret, body));
        let mut headers = vec![("Content-Type", "application/json"), ("X-Dcm-Delivery", id)];
        headers.extend(signature.as_deref().map(|signature| ("X-Dcm-Signature", signature)));
        let answer = self.http.post(&self.url, &headers, body.as_bytes())?;
        if answer.is_success() { Ok(()) } else { Err(answer.refused()) }
    }
}

/// `sha256=` and the HMAC of the body in hex.
fn signature(secret: &Secret, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let mut text = "sha256=".to_owned();
    for byte in hmac::sign(&key, body.as_bytes()).as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        assert_eq!(
            signature(&Secret::new("Jefe"), "what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
