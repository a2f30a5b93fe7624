//! `watch`: a sentence for each change.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use super::say;
use super::session::{Fault, Session};
use crate::console::filter::Filter;
use crate::console::world::World;
use crate::model::AppId;

/// Without a hint the database is asked so often.
const POLL: Duration = Duration::from_secs(1);

/// Changes that come together are told together.
const TOGETHER: Duration = Duration::from_millis(200);

impl<W: Write> Session<W> {
    /// Goes on until a line comes, or there are no more.
    pub(super) async fn watch(&mut self, text: &str) -> Result<(), Fault> {
        let filter = self.filter(text)?;
        self.read().await?;
        self.world.fleet.judge(self.world.time());
        self.say("changes are told; enter ends it")?;
        let mut changed = self.options.store.changed();
        let mut states = states(&self.world);
        loop {
            tokio::select! {
                _ = self.lines.recv() => return Ok(()),
                Ok(()) = changed.changed() => tokio::time::sleep(TOGETHER).await,
                () = tokio::time::sleep(POLL) => {}
            }
            match self.read().await {
                Ok(()) => {}
                Err(Fault::Said(why)) => {
                    self.say(&why)?;
                    continue;
                }
                Err(fault) => return Err(fault),
            }
            self.world.fleet.judge(self.world.time());
            let after = self::states(&self.world);
            let sentences = self.sentences(&filter, &states, &after);
            if !sentences.is_empty() {
                self.say_all(sentences)?;
            }
            states = after;
        }
    }

    fn sentences(
        &self,
        filter: &Filter,
        before: &BTreeMap<AppId, String>,
        after: &BTreeMap<AppId, String>,
    ) -> Vec<String> {
        let mut path = String::new();
        let mut sentences: Vec<_> = self
            .world
            .fleet
            .rows()
            .filter(|row| before.get(&row.id) != after.get(&row.id))
            .filter(|row| filter.shows(row, &self.world.fleet, self.world.time(), &mut path))
            .map(|row| say::change(row, &self.world))
            .collect();
        let gone = before.keys().filter(|id| !after.contains_key(*id)).count();
        if gone > 0 {
            sentences.push(format!("{gone} apps were removed"));
        }
        sentences
    }
}

/// What each app is doing, in words.
fn states(world: &World) -> BTreeMap<AppId, String> {
    world.fleet.rows().map(|row| (row.id, say::state(row, world))).collect()
}
