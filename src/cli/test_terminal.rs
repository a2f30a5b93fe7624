//! `dcm console --test-terminal`: shows all signs and colours, asks which look right, and remembers
//! the answer.

use std::path::Path;

use super::args::ConsoleArgs;
use super::error::Error;
use super::{look, output};
use crate::config::console::{self, ConsoleFile};
use crate::config::env;
use crate::console::{GlyphSet, Palette, sample};

pub(super) fn test_terminal(args: &ConsoleArgs) -> Result<u8, Error> {
    if !output::is_terminal() || !output::is_interactive() {
        return Err(Error::usage("a terminal is tested on a terminal"));
    }
    let Some(path) = env::console_file() else {
        return Err(Error::usage("there is no home directory to keep the answer in")
            .hint("--glyphs and --theme say the same each time"));
    };
    let colours = look::of(args, &ConsoleFile::default()).abilities.colours;
    output::lines([
        "Each line should have no boxes, question marks or overlaps, and its words should stand clear.",
        "",
    ]);
    for (at, set) in GlyphSet::ALL.into_iter().enumerate() {
        let lines = sample(Palette::Ansi, set, colours);
        output::write_raw(format!("{} {}\n{lines}\n", at + 1, set.name()).as_bytes());
    }
    let glyphs = ask("Which signs look right? 1, 2, 3, or enter for no change: ", &GlyphSet::ALL)?;
    for (at, palette) in Palette::ALL.into_iter().enumerate() {
        let lines = sample(palette, glyphs.unwrap_or_default(), colours);
        output::write_raw(format!("{} {}\n{lines}\n", at + 1, palette.name()).as_bytes());
    }
    let palette = ask("Which colours are told apart best? 1, 2, 3, or enter for no change: ", &Palette::ALL)?;
    let answers = [("glyphs", glyphs.map(GlyphSet::name)), ("theme", palette.map(Palette::name))];
    let answers: Vec<_> =
        answers.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect();
    if answers.is_empty() {
        output::message("nothing is changed");
        return Ok(0);
    }
    remember(&path, &answers)?;
    output::message(format_args!("kept in {}", path.display()));
    Ok(0)
}

fn ask<T: Copy>(question: &str, among: &[T]) -> Result<Option<T>, Error> {
    loop {
        let Some(answer) = output::ask(question) else { return Err(Error::failed("nothing is changed")) };
        match answer.trim() {
            "" => return Ok(None),
            number => match number.parse::<usize>().ok().and_then(|number| among.get(number.wrapping_sub(1)))
            {
                Some(chosen) => return Ok(Some(*chosen)),
                None => output::message(format_args!("{number} is none of them")),
            },
        }
    }
}

fn remember(path: &Path, answers: &[(&str, &str)]) -> Result<(), Error> {
    let before = std::fs::read_to_string(path).unwrap_or_default();
    let text = answers.iter().fold(before, |text, (name, value)| console::with_setting(&text, name, value));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text).map_err(|error| Error::failed(format!("{}: {error}", path.display())))
}
