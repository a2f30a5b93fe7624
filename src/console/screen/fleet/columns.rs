//! The columns of the fleet: which there are, how wide, and which of them a width has room for.

/// A column behind the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::console) enum Column {
    State,
    Flags,
    /// How the run before ended.
    Result,
    Percent,
    Bar,
    Counts,
    Failed,
    Rate,
    Spark,
    Eta,
    Next,
    Last,
    Memory,
    Cpu,
    Pid,
    Manager,
    Schedule,
    Command,
    Since,
    Message,
}

use Column::{
    Bar, Command, Counts, Cpu, Eta, Failed, Flags, Last, Manager, Memory, Message, Next, Percent, Pid, Rate,
    Result, Schedule, Since, Spark, State,
};

/// As long as there is room, in this order.
const PRIORITY: [Column; 20] = [
    State, Flags, Result, Percent, Counts, Eta, Next, Bar, Failed, Rate, Spark, Last, Memory, Cpu, Manager,
    Pid, Schedule, Command, Since, Message,
];

/// On a narrow screen these count; state and flags stand before the name.
const NARROW: [Column; 3] = [Percent, Eta, Next];

/// Below this width a table has no room for counters.
const NARROW_BELOW: u16 = 60;

/// The name keeps at least so many cells, and more on a wide screen.
const NAME_NARROW: u16 = 13;
const NAME_MIN: u16 = 24;
const NAME_WIDE: u16 = 30;
const WIDE_FROM: u16 = 110;

impl Column {
    pub(in crate::console) const ALL: [Self; 20] = [
        State, Flags, Result, Percent, Bar, Counts, Failed, Rate, Spark, Eta, Next, Last, Memory, Cpu, Pid,
        Manager, Schedule, Command, Since, Message,
    ];

    pub(in crate::console) const fn title(self) -> &'static str {
        match self {
            State => "ST",
            Flags => "FLG",
            Result => "RESULT",
            Percent => "%",
            Bar => "PROGRESS",
            Counts => "SOLVED/TASK",
            Failed => "FAIL",
            Rate => "RATE/s",
            Spark => "10 MIN",
            Eta => "ETA",
            Next => "NEXT",
            Last => "LAST",
            Memory => "MEM",
            Cpu => "CPU%",
            Pid => "PID",
            Manager => "MGR",
            Schedule => "SCHEDULE",
            Command => "COMMAND",
            Since => "AGE",
            Message => "MESSAGE",
        }
    }

    pub(in crate::console) const fn width(self) -> u16 {
        match self {
            State => 2,
            Flags => 4,
            Result => 9,
            Percent => 4,
            Bar => 9,
            Counts => 16,
            Failed => 6,
            Rate => 6,
            Spark => 10,
            Eta => 7,
            Next => 6,
            Last => 5,
            Memory => 6,
            Cpu => 6,
            Pid => 7,
            Manager => 8,
            Schedule => 14,
            Command => 16,
            Since => 6,
            Message => 24,
        }
    }

    pub(in crate::console) const fn is_left(self) -> bool {
        matches!(self, State | Flags | Result | Bar | Spark | Manager | Schedule | Command | Message)
    }
}

/// What a person chose to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::console) struct Columns {
    hidden: Vec<Column>,
    /// Before all others.
    wanted: Vec<Column>,
}

impl Columns {
    /// The columns for which a width has room, in the order of the table, and where each begins;
    /// besides, the width of the name.
    pub(in crate::console) fn of(&self, width: u16) -> (u16, Vec<(Column, u16)>) {
        let name_min = match width {
            0..NARROW_BELOW => NAME_NARROW,
            NARROW_BELOW..WIDE_FROM => NAME_MIN,
            WIDE_FROM.. => NAME_WIDE,
        };
        let usual: &[Column] = if width < NARROW_BELOW { &NARROW } else { &PRIORITY };
        let usual = usual.iter().filter(|column| !self.hidden.contains(column));
        let mut chosen: Vec<Column> = Vec::new();
        let mut taken = 0;
        for column in self.wanted.iter().chain(usual) {
            let needs = column.width() + 1;
            if !chosen.contains(column) && taken + needs + name_min <= width {
                chosen.push(*column);
                taken += needs;
            }
        }
        chosen.sort_unstable();
        let name = width - taken;
        let mut at = name + 1;
        let places = chosen.into_iter().map(|column| {
            let here = at;
            at += column.width() + 1;
            (column, here)
        });
        (name, places.collect())
    }

    /// Whether state and flags stand before the name, for want of room.
    pub(in crate::console) const fn is_narrow(width: u16) -> bool {
        width < NARROW_BELOW
    }

    /// Whether it is shown where there is room.
    pub(in crate::console) fn is_on(&self, column: Column) -> bool {
        !self.hidden.contains(&column)
    }

    /// Hides what is shown and shows what is hidden, that with precedence.
    pub(in crate::console) fn toggle(&mut self, column: Column, is_shown: bool) {
        self.hidden.retain(|hidden| *hidden != column);
        self.wanted.retain(|wanted| *wanted != column);
        if is_shown {
            self.hidden.push(column);
        } else {
            self.wanted.push(column);
        }
    }

    /// Only these.
    pub(in crate::console) fn only(columns: Vec<Column>) -> Self {
        let hidden = Column::ALL.into_iter().filter(|column| !columns.contains(column)).collect();
        Self { hidden, wanted: columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(columns: &Columns, width: u16) -> String {
        let (_, columns) = columns.of(width);
        columns.iter().map(|(column, _)| column.title()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn columns_come_by_priority_as_there_is_room() {
        let all = Columns::default();
        assert_eq!(titles(&all, 40), "% ETA NEXT");
        assert_eq!(titles(&all, 80), "ST FLG RESULT % SOLVED/TASK ETA NEXT");
        assert_eq!(titles(&all, 90), "ST FLG RESULT % PROGRESS SOLVED/TASK ETA NEXT");
        assert_eq!(titles(&all, 120), "ST FLG RESULT % PROGRESS SOLVED/TASK FAIL RATE/s 10 MIN ETA NEXT");
        for width in 0..300 {
            let (name, columns) = all.of(width);
            let end = columns.last().map_or(name, |(column, at)| at + column.width());
            assert!(end <= width, "{width}: {end}");
        }
    }

    #[test]
    fn what_is_chosen_comes_before_what_is_usual() {
        let mut columns = Columns::default();
        columns.toggle(Column::Manager, false);
        columns.toggle(Column::Bar, true);
        assert_eq!(titles(&columns, 80), "ST FLG RESULT % SOLVED/TASK NEXT MGR");
        columns.toggle(Column::Bar, false);
        assert!(titles(&columns, 80).contains("PROGRESS"));
        assert_eq!(titles(&Columns::only(vec![Column::Pid]), 200), "PID");
    }
}
