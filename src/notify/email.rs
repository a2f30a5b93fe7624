//! E-mail by SMTP.

use std::sync::mpsc::channel;
use std::time::Duration;

use chrono_tz::Tz;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport as _};

use super::render::render;
use super::secret::without;
use super::{Email, Notice, Secret, Sink, SmtpTls, Undelivered};
use crate::model::Printable;

/// How long a server may take to let in, and for each line that it answers.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// How long a delivery may take in all, so that a server that trickles keeps no other message waiting.
const WHOLE_MAX: Duration = Duration::from_secs(30);

/// The most characters of the detail: more is a log, and the command to see it is in the message.
const DETAIL_MAX: usize = 32_000;

pub(super) struct Mail {
    pub(super) settings: Email,
    pub(super) roots: Option<Vec<u8>>,
    pub(super) zone: Option<Tz>,
}

impl Sink for Mail {
    fn deliver(&self, id: &str, body: &str) -> Result<(), Undelivered> {
        let message = self.message(id, &Notice::read(body)?)?;
        let transport = self.transport().map_err(|error| self.failed(&error.to_string()))?;
        let (done, is_done) = channel();
        let sending = std::thread::Builder::new().name("dcm-mail".to_owned()).spawn(move || {
            // Whoever waited may have given up.
            let _ = done.send(transport.send(&message));
        });
        sending.map_err(|error| self.failed(&error.to_string()))?;
        match is_done.recv_timeout(WHOLE_MAX) {
            Ok(sent) => sent.map(drop).map_err(|error| self.failed(&error.to_string())),
            Err(_) => Err(self.failed(&format!("not taken within {} s", WHOLE_MAX.as_secs()))),
        }
    }
}

impl Mail {
    fn transport(&self) -> Result<SmtpTransport, lettre::transport::smtp::Error> {
        let Email { server, host, port, tls, login, .. } = &self.settings;
        let parameters = || {
            let builder = TlsParameters::builder(server.clone());
            match &self.roots {
                Some(pem) => builder.add_root_certificate(Certificate::from_pem(pem)?).build(),
                None => builder.build(),
            }
        };
        let tls = match tls {
            SmtpTls::StartTls => Tls::Required(parameters()?),
            SmtpTls::Tls => Tls::Wrapper(parameters()?),
            SmtpTls::None => Tls::None,
        };
        let mut builder =
            SmtpTransport::builder_dangerous(host).port(*port).tls(tls).timeout(Some(ANSWER_MAX));
        if let Some((user, password)) = login {
            builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        }
        Ok(builder.build())
    }

    fn message(&self, id: &str, notice: &Notice) -> Result<Message, Undelivered> {
        let wrong = |why: String| Undelivered { why, retry_after: None };
        let mailbox = |text: &String| {
            text.parse::<Mailbox>()
                .map_err(|error| wrong(format!("{:?} is no address: {error}", Printable(text).text())))
        };
        let rendered = render(notice, self.zone, DETAIL_MAX);
        // All messages of an episode are one thread.
        let episode = notice.alert.as_ref().map_or(0, |alert| alert.id);
        let thread = format!("<{}@dcm>", only_name(&format!("{}.alert-{episode}", notice.fleet)));
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let mut builder = Message::builder()
            .from(mailbox(&self.settings.from)?)
            // The same for each try of one delivery, so that mail programs show it once.
            .message_id(Some(format!("<{}@dcm>", only_name(&format!("{}.{id}", notice.fleet)))))
            .references(thread)
            .subject(rendered.title.clone())
            // Keeps notices of absence from answering it (RFC 3834).
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.settings.to {
            builder = builder.to(mailbox(to)?);
        }
        let text = rendered.lines().join("\r\n") + "\r\n";
        builder.body(text).map_err(|error| wrong(error.to_string()))
    }

    fn failed(&self, error: &str) -> Undelivered {
        let password = self.settings.login.as_ref().map(|(_, password)| password).map(Secret::reveal);
        let why = without(error, password);
        let Email { host, port, .. } = &self.settings;
        let why: String = format!("{host}:{port}: {}", Printable(&why)).chars().take(500).collect();
        Undelivered { why, retry_after: None }
    }
}

fn only_name(text: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.chars().map(|c| if is_name(c) { c } else { '-' }).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::super::notice::tests::notice;
    use super::*;

    fn mail() -> Mail {
        let settings = Email {
            server: "localhost".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 25,
            tls: SmtpTls::None,
            login: None,
            from: "DCM <dcm@example.com>".to_owned(),
            to: vec!["Ana Č <ana@example.com>".to_owned(), "ops@example.com".to_owned()],
        };
        Mail { settings, roots: None, zone: Some(Tz::UTC) }
    }

    #[test]
    fn no_message_adds_a_header() {
        let hostile = Notice {
            fleet: "zg\r\nBcc: a@b".to_owned(),
            ..notice("x\r\nBcc: evil@example.com\r\n\r\nbody", None)
        };
        let sent = String::from_utf8(mail().message("7\r\nX: y", &hostile).unwrap().formatted()).unwrap();
        let (headers, _) = sent.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> = headers
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split(':').next().unwrap())
            .collect();
        assert!(!names.contains(&"Bcc") && !names.contains(&"X"), "{headers}");
        for name in
            ["From", "To", "Subject", "Message-ID", "Date", "Content-Type", "References", "Auto-Submitted"]
        {
            assert!(names.contains(&name), "{name}: {headers}");
        }
        assert!(headers.contains("<zg--Bcc--a-b.7--X--y@dcm>"), "{headers}");
    }
}
