//! The variables that an app has on top of those of the manager.

use std::collections::BTreeMap;
use std::path::Path;

use super::env_file;
use super::record::Spec;
use crate::model::StartFailure;

/// Puts them together: what the user's entry in the system says, then the files of variables, then those of the app and
/// the run. The later ones count.
///
/// # Errors
/// [`StartFailure`] when a file cannot be read.
pub(super) fn of(
    spec: &Spec,
    of_user: impl IntoIterator<Item = env_file::Variable>,
) -> Result<BTreeMap<String, String>, StartFailure> {
    let mut variables = spec.defaults.clone();
    variables.extend(of_user);
    variables.extend(env_file::read_all(&spec.env_files, Path::new(&spec.cwd))?);
    variables.extend(spec.env.clone());
    Ok(variables)
}
