//! What a person looked at, kept for the console that they open next: after an SSH drop the same view
//! comes back.

mod file;
mod keeper;

use serde::{Deserialize, Serialize};

pub(super) use keeper::{Keeper, Kept};

use super::model::Model;
use super::screen::{Screen, Tab, logs};
use crate::model::AppPath;

/// Marks that are older were made in another mood.
const MARKS_MAX_AGE_S: i64 = 600;

/// What was looked at. All of it may be missing: the file is older or newer than this program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Seen {
    /// The number of the screen that was shown.
    pub(super) tab: u8,
    /// What was sought there.
    pub(super) sought: String,
    /// The apps whose logs were shown.
    pub(super) logs_of: Vec<String>,
    /// The screen of the fleet.
    pub(super) fleet: SeenFleet,
    /// Saved views: names and what they show.
    pub(super) views: Vec<(String, String)>,
}

/// What was seen of the fleet, all of it by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SeenFleet {
    /// Filter, order, columns, in one line.
    pub(super) view: String,
    pub(super) opened: Vec<String>,
    pub(super) cursor: Option<String>,
    pub(super) marks: Vec<String>,
}

impl Seen {
    pub(super) fn of(model: &Model) -> Self {
        let logs_of = if let Screen::Logs(logs) = model.stack.top() {
            logs.apps().iter().map(ToString::to_string).collect()
        } else {
            Vec::new()
        };
        Self {
            tab: model.tab().number(),
            sought: if model.tab() == Tab::Fleet { String::new() } else { model.page().sought() },
            logs_of,
            fleet: model.table.to_keep(&model.world),
            views: model.world.views.clone(),
        }
    }

    /// Shows it again, as far as it is still there. `age`: since it was seen, in seconds. Gives back
    /// the screen to be opened, if it is not the fleet, and what is sought there.
    pub(super) fn show(mut self, model: &mut Model, age: i64) -> Option<(Screen, String)> {
        if age > MARKS_MAX_AGE_S {
            self.fleet.marks.clear();
        }
        // What the configuration says of a view comes before what was kept of it.
        for (name, text) in self.views {
            if model.world.views.iter().all(|(known, _)| *known != name) {
                model.world.views.push((name, text));
            }
        }
        let marks = model.table.show_again(&model.world, &self.fleet);
        if marks > 0 {
            model.world.say(format!("{marks} marks restored, esc clears"));
        }
        let apps: Vec<AppPath> = self.logs_of.iter().filter_map(|path| path.parse().ok()).collect();
        let tab = Tab::ALL.into_iter().find(|tab| tab.number() == self.tab && *tab != Tab::Fleet)?;
        let screen = if tab == Tab::Logs && !apps.is_empty() {
            Screen::Logs(Box::new(logs::Logs::new(apps)))
        } else {
            Screen::new(tab)
        };
        Some((screen, self.sought))
    }
}
