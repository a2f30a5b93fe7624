//! How the console looks: flags come before the environment.

use super::args::ConsoleArgs;
use crate::config::env;
use crate::console::{Abilities, Colours, GlyphSet, Look, Palette};

pub(super) fn of(args: &ConsoleArgs) -> Look {
    choose(args, env::get, env::is_unicode())
}

fn choose(args: &ConsoleArgs, get: impl Fn(&str) -> Option<String>, is_unicode: bool) -> Look {
    let term = get(env::TERM).unwrap_or_default();
    let of_environment = || {
        let of_term = Colours::of(&term, &get(env::COLORTERM).unwrap_or_default());
        if get(env::NO_COLOR).is_some() { Colours::None } else { of_term }
    };
    let colours = args.color.0.unwrap_or_else(of_environment);
    let of_locale = if is_unicode { GlyphSet::Unicode } else { GlyphSet::Ascii };
    let glyphs = args
        .glyphs
        .or_else(|| get(env::GLYPHS).and_then(|name| name.parse().ok()))
        // The console of Linux takes UTF-8, but its font has 512 signs.
        .unwrap_or(if is_unicode && term == "linux" { GlyphSet::Safe } else { of_locale });
    let of_colours = if colours == Colours::None { Palette::Mono } else { Palette::Ansi };
    let palette = args.theme.unwrap_or(of_colours);
    Look { palette, glyphs, abilities: Abilities::of(&term, colours) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(variables: &[(&str, &str)], args: &ConsoleArgs) -> Look {
        let get = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        choose(args, get, true)
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
