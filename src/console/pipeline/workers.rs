//! Which apps work on documents: those without a schedule whose command names the queue or the actor.

use crate::model::App;

/// What the command of an app says of the queues and actors that it works on: its words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::console) struct WorksOn {
    words: Vec<Box<str>>,
}

impl WorksOn {
    /// That of an app; `None` where it has a schedule, since what runs at times is no worker, or the default command.
    pub(in crate::console) fn of(app: &App) -> Option<Self> {
        let command = app.program.command.as_ref().filter(|_| !app.schedule.is_timed())?;
        Some(Self { words: command.iter().flat_map(|part| words(part)).map(Into::into).collect() })
    }

    /// Whether it works on this queue or actor.
    pub(in crate::console) fn serves(&self, queue: Option<&str>, actor: &str) -> bool {
        self.words.iter().any(|word| word.as_ref() == actor || Some(word.as_ref()) == queue)
    }
}

/// The words of an argument, as they stand between blanks, commas, colons, slashes and equals signs (`--queues=ocr,ner`),
/// each also taken apart at its dots (`workers.ocr`).
fn words(part: &str) -> impl Iterator<Item = &str> {
    let whole = part.split([' ', ',', ':', '=', '/']).filter(|word| !word.is_empty());
    whole.flat_map(|word| std::iter::once(word).chain(word.split('.').filter(move |piece| *piece != word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_command_are_found() {
        let found: Vec<_> = words("--queues=docs.ocr,ner").collect();
        assert_eq!(found, ["--queues", "docs.ocr", "docs", "ocr", "ner"]);
    }

    #[test]
    fn a_worker_has_no_schedule() {
        let mut app = App::new("docs/ocr/worker".parse().unwrap());
        assert_eq!(WorksOn::of(&app), None, "the default command names no queue");
        app.program.command =
            Some(vec!["dramatiq".to_owned(), "workers".to_owned(), "-Q".to_owned(), "docs".to_owned()]);
        let works_on = WorksOn::of(&app).unwrap();
        assert!(works_on.serves(Some("docs"), "ocr") && works_on.serves(None, "workers"));
        assert!(!works_on.serves(Some("doc"), "ocr") && !works_on.serves(None, "ocr"));
        app.schedule.interval = Some(crate::model::Minutes::new(5.0).unwrap());
        assert_eq!(WorksOn::of(&app), None);
    }
}
