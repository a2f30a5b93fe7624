//! The screens that are open, one above the other. The fleet is at the bottom and always there.

use super::{Screen, Tab};

/// Deeper than this nobody finds back; the oldest ones are forgotten.
const DEPTH_MAX: usize = 16;

/// The screens above the fleet, and those that were closed.
#[derive(Debug)]
pub(in crate::console) struct Stack {
    fleet: Screen,
    above: Vec<Screen>,
    /// One of each kind, as it was when it was closed.
    closed: Vec<Screen>,
}

impl Default for Stack {
    fn default() -> Self {
        Self { fleet: Screen::Fleet, above: Vec::new(), closed: Vec::new() }
    }
}

impl Stack {
    pub(in crate::console) fn top(&self) -> &Screen {
        self.above.last().unwrap_or(&self.fleet)
    }

    pub(in crate::console) fn top_mut(&mut self) -> &mut Screen {
        self.above.last_mut().unwrap_or(&mut self.fleet)
    }

    pub(in crate::console) fn all_mut(&mut self) -> impl Iterator<Item = &mut Screen> {
        self.above.iter_mut()
    }

    pub(in crate::console) fn push(&mut self, screen: Screen) {
        if self.above.len() == DEPTH_MAX {
            self.above.remove(0);
        }
        self.above.push(screen);
    }

    /// One step back; `false` at the fleet.
    pub(in crate::console) fn pop(&mut self) -> bool {
        match self.above.pop() {
            Some(screen) => {
                self.close(screen);
                true
            }
            None => false,
        }
    }

    /// The screen of this kind right above the fleet, as it was left.
    pub(in crate::console) fn select(&mut self, tab: Tab) {
        while self.pop() {}
        if tab != Tab::Fleet {
            let at = self.closed.iter().position(|screen| screen.tab() == tab);
            let screen = at.map_or_else(|| Screen::new(tab), |at| self.closed.swap_remove(at));
            self.above.push(screen);
        }
    }

    fn close(&mut self, screen: Screen) {
        self.closed.retain(|closed| closed.tab() != screen.tab());
        self.closed.push(screen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_back_lead_to_the_fleet_and_no_further() {
        let mut stack = Stack::default();
        stack.push(Screen::new(Tab::Logs));
        stack.push(Screen::new(Tab::History));
        assert_eq!(stack.top().tab(), Tab::History);
        assert!(stack.pop());
        assert_eq!(stack.top().tab(), Tab::Logs);
        assert!(stack.pop());
        assert!(!stack.pop());
        assert_eq!(stack.top().tab(), Tab::Fleet);
    }

    #[test]
    fn a_screen_that_is_selected_again_is_as_it_was() {
        let mut stack = Stack::default();
        let app: crate::model::AppPath = "a/b/c".parse().unwrap();
        stack.push(Screen::Logs(Box::new(super::super::logs::Logs::new(vec![app]))));
        stack.select(Tab::Managers);
        stack.select(Tab::Logs);
        let Screen::Logs(logs) = stack.top() else { panic!("{:?}", stack.top()) };
        assert_eq!(logs.apps()[0].to_string(), "a/b/c");
        assert!(stack.pop());
        assert_eq!(stack.top().tab(), Tab::Fleet);
    }

    #[test]
    fn the_stack_does_not_grow_for_ever() {
        let mut stack = Stack::default();
        for _ in 0..100 {
            stack.push(Screen::new(Tab::Alerts));
        }
        assert_eq!(stack.all_mut().count(), DEPTH_MAX);
    }
}
