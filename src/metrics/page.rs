//! What is answered.

use std::sync::{Arc, Mutex, PoisonError};

use super::fleet::FleetNumbers;
use super::numbers::Metrics;
use super::request::{Method, Request, Status};
use super::text;
use crate::process::{clock, own_process};

/// The content type of the exposition format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

const PLAIN: &str = "text/plain; charset=utf-8";

/// An answer.
#[derive(Debug)]
pub(super) struct Page {
    status: Status,
    content: &'static str,
    text: String,
    /// What comes after the text; shared by all who ask at the same time.
    rest: Arc<str>,
    is_head: bool,
}

impl Page {
    fn new(status: Status, text: String) -> Self {
        Self { status, content: PLAIN, text, rest: Arc::from(""), is_head: false }
    }

    /// One that says nothing but the status.
    pub(super) fn of_status(status: Status) -> Self {
        Self::new(status, format!("{}\n", status.line()))
    }

    /// The head of the answer.
    pub(super) fn head(&self) -> String {
        let (status, content) = (self.status.line(), self.content);
        let length = self.text.len() + self.rest.len();
        let allow = if self.status == Status::MethodNotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content}\r\nContent-Length: {length}\r\n{allow}\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
    }

    /// The parts of its body.
    pub(super) fn body(&self) -> impl Iterator<Item = &[u8]> {
        let parts = [self.text.as_bytes(), self.rest.as_bytes()];
        parts.into_iter().filter(|_| !self.is_head)
    }
}

/// Answers by the numbers of a manager.
pub(super) struct Pages {
    metrics: Arc<Metrics>,
    /// The series of single apps, which are many, as they were written last, and from which numbers.
    of_apps: Mutex<Option<(Arc<FleetNumbers>, Arc<str>)>>,
}

impl Pages {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, of_apps: Mutex::new(None) }
    }

    pub(super) fn answer(&self, request: Request) -> Page {
        let answer: fn(&Self) -> Page = match request.path.as_str() {
            "/metrics" => Self::metrics,
            "/healthz" => Self::healthz,
            "/readyz" => Self::readyz,
            _ => {
                let text = "there are /metrics, /healthz and /readyz\n".to_owned();
                return Page { is_head: request.method == Method::Head, ..Page::new(Status::NotFound, text) };
            }
        };
        match request.method {
            Method::Get => answer(self),
            Method::Head => Page { is_head: true, ..answer(self) },
            Method::Other => Page::of_status(Status::MethodNotAllowed),
        }
    }

    fn metrics(&self) -> Page {
        let fleet = self.metrics.fleet();
        let text = text::render(&self.metrics, fleet.as_deref(), &own_process());
        let rest = fleet.map_or_else(|| Arc::from(""), |fleet| self.of_apps(fleet));
        Page { content: EXPOSITION, rest, ..Page::new(Status::Ok, text) }
    }

    fn of_apps(&self, fleet: Arc<FleetNumbers>) -> Arc<str> {
        if fleet.own.is_empty() {
            return Arc::from("");
        }
        let mut kept = self.of_apps.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((of, text)) if Arc::ptr_eq(of, &fleet) => Arc::clone(text),
            _ => {
                let text: Arc<str> = text::render_apps(&fleet.own).into();
                *kept = Some((fleet, Arc::clone(&text)));
                text
            }
        }
    }

    fn healthz(&self) -> Page {
        match self.metrics.health.live(clock::boot_time()) {
            Ok(since) => {
                let text = format!("ok: the manager's loop turned {:.1} s ago\n", since.as_secs_f64());
                Page::new(Status::Ok, text)
            }
            Err(ailment) => Page::new(Status::Unavailable, format!("not ok: {ailment}\n")),
        }
    }

    fn readyz(&self) -> Page {
        let name = &self.metrics.manager;
        match self.metrics.health.ready(clock::boot_time()) {
            Ok(()) => {
                let is_draining = self.metrics.fleet().is_some_and(|fleet| fleet.is_draining);
                let draining = if is_draining { "; it drains and starts nothing new" } else { "" };
                Page::new(Status::Ok, format!("ready: manager {name} serves its apps{draining}\n"))
            }
            Err(ailment) => Page::new(Status::Unavailable, format!("not ready: {ailment}\n")),
        }
    }
}
