//! How the console looks: flags come before the environment, that before the file.

use std::str::FromStr;

use super::args::ConsoleArgs;
use crate::config::console::ConsoleFile;
use crate::config::env;
use crate::console::{Abilities, ColourChoice, Colours, GlyphSet, Look, Palette, Questions};

pub(super) fn of(args: &ConsoleArgs, file: &ConsoleFile) -> Look {
    choose(args, file, env::get, env::is_unicode())
}

fn choose(
    args: &ConsoleArgs,
    file: &ConsoleFile,
    get: impl Fn(&str) -> Option<String>,
    is_unicode: bool,
) -> Look {
    let term = get(env::TERM).unwrap_or_default();
    let of_environment = || {
        let of_term = Colours::of(&term, &get(env::COLORTERM).unwrap_or_default());
        if get(env::NO_COLOR).is_some() { Colours::None } else { of_term }
    };
    let of_file = || told::<ColourChoice>(file.color.as_deref()).and_then(|choice| choice.0);
    let colours = args.color.0.or_else(of_file).unwrap_or_else(of_environment);
    let of_locale = match (is_unicode, term.as_str()) {
        // The console of Linux takes UTF-8, but its font has 512 signs.
        (true, "linux") => GlyphSet::Safe,
        (true, _) => GlyphSet::Unicode,
        (false, _) => GlyphSet::Ascii,
    };
    let glyphs = args
        .glyphs
        .or_else(|| told(get(env::GLYPHS).as_deref()))
        .or_else(|| told(file.glyphs.as_deref()))
        .unwrap_or(of_locale);
    let of_colours = if colours == Colours::None { Palette::Mono } else { Palette::Ansi };
    let palette = args.theme.or_else(|| told(file.theme.as_deref())).unwrap_or(of_colours);
    let abilities = Abilities { is_ambiguous_wide: file.ambiguous_wide, ..Abilities::of(&term, colours) };
    // All other signs are wide where those of East Asia are.
    let glyphs = if file.ambiguous_wide { GlyphSet::Ascii } else { glyphs };
    let is_guessed = args.color.0.is_none() && of_file().is_none() && get(env::NO_COLOR).is_none();
    // An old terminal might print what it is asked.
    let has_clock = cfg!(unix) && !matches!(term.as_str(), "" | "dumb");
    let has_probe = has_clock && is_guessed && colours >= Colours::Sixteen;
    Look { palette, glyphs, abilities, questions: Questions { has_probe, has_clock } }
}

/// What is no such thing is left out: a console opens nevertheless.
fn told<T: FromStr>(text: Option<&str>) -> Option<T> {
    text.and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(variables: &[(&str, &str)], args: &ConsoleArgs) -> Look {
        let get = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        choose(args, &ConsoleFile::default(), get, true)
    }

    #[test]
    fn only_a_terminal_that_knows_more_than_it_must_is_asked() {
        let asked = |variables: &[(&str, &str)], color: &str| {
            let args = ConsoleArgs { color: color.parse().unwrap(), ..ConsoleArgs::default() };
            let questions = look(variables, &args).questions;
            (questions.has_probe, questions.has_clock)
        };
        // What Windows has is known.
        let is_asked = cfg!(unix);
        assert_eq!(asked(&[("TERM", "xterm-256color")], "auto"), (is_asked, is_asked));
        assert_eq!(asked(&[("TERM", "xterm-256color")], "16"), (false, is_asked));
        assert_eq!(asked(&[("TERM", "xterm"), ("NO_COLOR", "1")], "auto"), (false, is_asked));
        assert_eq!(asked(&[("TERM", "linux")], "auto"), (false, is_asked));
        assert_eq!(asked(&[("TERM", "vt100")], "auto"), (false, is_asked));
        assert_eq!(asked(&[("TERM", "dumb")], "auto"), (false, false));
        assert_eq!(asked(&[], "auto"), (false, false));
    }

    #[test]
    fn flags_come_before_variables_and_those_before_the_terminal() {
        let plain = ConsoleArgs::default();
        let linux = look(&[("TERM", "linux")], &plain);
        assert_eq!((linux.glyphs, linux.abilities.colours), (GlyphSet::Safe, Colours::Eight));
        let without = [("TERM", "xterm-256color"), ("NO_COLOR", "1"), ("DC_GLYPHS", "ascii")];
        let look_without = look(&without, &plain);
        assert_eq!(look_without.abilities.colours, Colours::None);
        assert_eq!((look_without.palette, look_without.glyphs), (Palette::Mono, GlyphSet::Ascii));
        let args = ConsoleArgs {
            color: "16".parse().unwrap(),
            glyphs: Some(GlyphSet::Unicode),
            theme: Some(Palette::CbRg),
            ..ConsoleArgs::default()
        };
        let asked = look(&without, &args);
        assert_eq!(asked.abilities.colours, Colours::Sixteen);
        assert_eq!((asked.palette, asked.glyphs), (Palette::CbRg, GlyphSet::Unicode));
    }
}
