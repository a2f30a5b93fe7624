//! The files that `^s` writes, in the directory that the console was started in.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use ratatui::buffer::Buffer;

use super::{ansi, plain, svg};
use crate::console::terminal::Colours;
use crate::model::Timestamp;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Format {
    Svg,
    Text,
    Ansi,
    Csv,
    Json,
}

impl Format {
    pub(in crate::console) const ALL: [Self; 5] = [Self::Svg, Self::Text, Self::Ansi, Self::Csv, Self::Json];

    /// As a menu calls it.
    pub(in crate::console) const fn what(self) -> &'static str {
        match self {
            Self::Svg => "picture of the screen",
            Self::Text => "text of the screen",
            Self::Ansi => "text with its colours",
            Self::Csv => "rows of this screen as a table",
            Self::Json => "rows of this screen as data",
        }
    }

    /// Whether it holds rows, and no picture.
    pub(in crate::console) const fn is_data(self) -> bool {
        match self {
            Self::Csv | Self::Json => true,
            Self::Svg | Self::Text | Self::Ansi => false,
        }
    }

    pub(in crate::console) const fn ending(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Text => "txt",
            Self::Ansi => "ansi",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// So many files of one second have a name.
const SAME_SECOND_MAX: u32 = 100;

/// The screen as a picture; `None` for the formats of rows.
pub(in crate::console) fn picture(format: Format, screen: &Buffer, database: &str) -> Option<String> {
    match format {
        Format::Svg => Some(svg(screen, &format!("dcm {database}"))),
        Format::Text => Some(plain(screen)),
        Format::Ansi => Some(ansi(screen, Colours::True)),
        Format::Csv | Format::Json => None,
    }
}

/// Writes a file that was not there before; gives back its name.
pub(in crate::console) fn write(format: Format, content: &str, now: Timestamp) -> io::Result<PathBuf> {
    let time = now.with_timezone(&chrono::Local).format("%Y%m%d-%H%M%S");
    let ending = format.ending();
    let mut number = 0;
    loop {
        let again = if number == 0 { String::new() } else { format!("-{number}") };
        let path = PathBuf::from(format!("dcm-{time}{again}.{ending}"));
        match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => return file.write_all(content.as_bytes()).map(|()| path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < SAME_SECOND_MAX => {
                number += 1;
            }
            Err(error) => return Err(error),
        }
    }
}
