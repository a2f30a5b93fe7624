//! Rows that were asked for: the newest answer, a cursor, and when to ask again.

use std::time::Duration;

use crate::console::keymap::Move;
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::world::World;
use crate::model::{
    AlertRow, AppId, AppRow, CommandRow, DocumentWay, ManagerRow, PipelineTask, Revision, Run, Skip,
};
use crate::store::StoreError;

/// What is shown is asked for again after this time.
const FRESH: Duration = Duration::from_secs(2);

/// Rows of a kind that the database is asked for.
pub(in crate::console) trait Listed: Clone {
    /// The rows of an answer; `None` if it is one of another kind.
    fn of(answer: &Answer) -> Option<Vec<Self>>;

    /// Whether a later answer means the same by the other row.
    fn is_same(&self, other: &Self) -> bool;
}

/// Declares what rows are those of an answer, and what tells them apart.
macro_rules! listed {
    ($($row:ty: $answer:ident, $key:ident;)+) => {
        $(impl Listed for $row {
            fn of(answer: &Answer) -> Option<Vec<Self>> {
                if let Answer::$answer(rows) = answer { Some(rows.clone()) } else { None }
            }

            fn is_same(&self, other: &Self) -> bool {
                self.$key == other.$key
            }
        })+
    };
}

listed! {
    AlertRow: Alerts, id;
    CommandRow: Commands, id;
    ManagerRow: Managers, name;
    PipelineTask: Documents, id;
    Run: History, run;
}

impl Listed for Skip {
    fn of(answer: &Answer) -> Option<Vec<Self>> {
        if let Answer::Skips(rows) = answer { Some(rows.clone()) } else { None }
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// The one app that was asked for, if it is registered.
impl Listed for AppRow {
    fn of(answer: &Answer) -> Option<Vec<Self>> {
        if let Answer::App(row) = answer {
            Some(row.iter().map(|row| row.as_ref().clone()).collect())
        } else {
            None
        }
    }

    fn is_same(&self, _other: &Self) -> bool {
        true
    }
}

/// The one document that was asked for, if it is on record.
impl Listed for DocumentWay {
    fn of(answer: &Answer) -> Option<Vec<Self>> {
        if let Answer::DocumentWay(way) = answer {
            Some(way.iter().map(|way| way.as_ref().clone()).collect())
        } else {
            None
        }
    }

    fn is_same(&self, _other: &Self) -> bool {
        true
    }
}

/// Rows of one kind, as the database told them last.
#[derive(Debug)]
pub(in crate::console) struct List<T> {
    pub(in crate::console) rows: Vec<T>,
    pub(in crate::console) cursor: usize,
    /// Whether any answer has come yet.
    pub(in crate::console) is_read: bool,
    /// Why the last question was not answered.
    pub(in crate::console) fault: Option<String>,
    ticket: Option<Ticket>,
    asked: Duration,
    /// How the row of the app was that was asked about.
    seen: Option<Revision>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            cursor: 0,
            is_read: false,
            fault: None,
            ticket: None,
            asked: Duration::ZERO,
            seen: None,
        }
    }
}

impl<T> List<T> {
    /// Asks now. The answer to the question before is not waited for any more.
    pub(in crate::console) fn ask(&mut self, world: &mut World, question: Question) -> Request {
        let ticket = world.ticket();
        self.ticket = Some(ticket);
        self.asked = world.now.mono;
        Request::Ask(ticket, question)
    }

    /// Asks now for what belongs to one app.
    pub(in crate::console) fn ask_about(
        &mut self,
        world: &mut World,
        app: AppId,
        question: Question,
    ) -> Request {
        self.seen = world.fleet.by_id(app).map(|row| row.revision);
        self.ask(world, question)
    }

    /// Whether it is time to ask again for what belongs to one app: nothing of it changes without its row.
    pub(in crate::console) fn is_old_about(&self, world: &World, app: AppId) -> bool {
        let row = world.fleet.by_id(app).map(|row| row.revision);
        let may_differ = row.is_none() || row != self.seen || self.fault.is_some();
        may_differ && self.is_old(world)
    }

    /// Whether it is time to ask again.
    pub(in crate::console) fn is_old(&self, world: &World) -> bool {
        self.is_older_than(world, FRESH)
    }

    /// The same with another idea of what is old.
    pub(in crate::console) fn is_older_than(&self, world: &World, age: Duration) -> bool {
        self.ticket.is_none() && world.now.mono >= self.asked + age.max(world.pace)
    }

    /// Whether an answer is waited for.
    pub(in crate::console) fn is_waiting(&self) -> bool {
        self.ticket.is_some()
    }

    /// What is shown has changed: it is asked for again at the next occasion.
    pub(in crate::console) fn expire(&mut self) {
        self.ticket = None;
        self.asked = Duration::ZERO;
        self.seen = None;
    }

    /// Whether this is the answer that is waited for.
    pub(in crate::console) fn awaits(&self, ticket: Ticket) -> bool {
        self.ticket == Some(ticket)
    }

    /// Takes the answer. The cursor stays on the row that `is_same`, if that is still there.
    pub(in crate::console) fn take(
        &mut self,
        answer: Result<Vec<T>, StoreError>,
        is_same: impl Fn(&T, &T) -> bool,
    ) {
        self.ticket = None;
        match answer {
            Ok(rows) => {
                let before = self.rows.get(self.cursor);
                let place = before.and_then(|before| rows.iter().position(|row| is_same(before, row)));
                self.cursor = place.unwrap_or(self.cursor).min(rows.len().saturating_sub(1));
                self.rows = rows;
                self.is_read = true;
                self.fault = None;
            }
            Err(why) => self.fault = Some(why.to_string()),
        }
    }

    /// Takes what came, if it is the answer that is waited for. Gives whether it is.
    pub(in crate::console) fn take_answer(
        &mut self,
        ticket: Ticket,
        answer: &Result<Answer, StoreError>,
    ) -> bool
    where
        T: Listed,
    {
        if !self.awaits(ticket) {
            return false;
        }
        let rows = match answer {
            Ok(answer) => {
                let Some(rows) = T::of(answer) else { return false };
                Ok(rows)
            }
            Err(why) => Err(why.clone()),
        };
        self.take(rows, T::is_same);
        true
    }

    pub(in crate::console) fn go(&mut self, way: Move, page: usize) {
        self.cursor = way.from(self.cursor, page, self.rows.len());
    }

    pub(in crate::console) fn current(&self) -> Option<&T> {
        self.rows.get(self.cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_on_its_row_when_others_come() {
        let mut list = List::default();
        list.take(Ok(vec![10, 20, 30]), |a, b| a == b);
        list.cursor = 1;
        list.take(Ok(vec![1, 5, 10, 20, 30]), |a, b| a == b);
        assert_eq!(list.current(), Some(&20));
        list.take(Ok(vec![1]), |a, b| a == b);
        assert_eq!(list.current(), Some(&1));
        list.take(Err(StoreError::Unavailable("away".to_owned())), |a, b| a == b);
        assert_eq!(
            (list.rows.len(), list.fault.as_deref()),
            (1, Some("the database is not available: away"))
        );
    }
}
