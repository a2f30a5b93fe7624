//! `dcm man`: pages of the manual, made from the grammar of the command line.

use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::args::Cli;
use super::error::Error;
use super::output;

/// Writes a page for each command into a folder, or prints that of dcm itself.
pub(super) fn man(folder: Option<&Path>) -> Result<(), Error> {
    let command = Cli::command().disable_help_subcommand(true);
    let Some(folder) = folder else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        output::document(&String::from_utf8_lossy(&page));
        return Ok(());
    };
    let failed = |error: std::io::Error| Error::failed(format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(command, folder).map_err(failed)?;
    output::message(format_args!(
        "the pages are in {}; man -l {}",
        folder.display(),
        folder.join("dcm.1").display()
    ));
    Ok(())
}
