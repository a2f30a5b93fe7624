//! Whether the apps of a host end with its manager, and within which time.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigError, env};
use crate::process::is_process_1;
use crate::runtime::StopApps;

/// The default in a container: its engine sends KILL ten seconds after TERM, and the ends are to be on record before.
const WITHIN: Duration = Duration::from_secs(8);

/// What `stop_apps_within` may be, in seconds.
pub(super) const WITHIN_SECONDS: RangeInclusive<f64> = 0.0..=86_400.0;

/// What flags and file say, each where it says anything.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    pub(super) by_flag: Option<bool>,
    pub(super) by_file: Option<bool>,
    pub(super) within_by_file: Option<Duration>,
}

impl Said {
    /// What is in force; `None` where apps run on. `is_first`: whether this is process 1, which takes all others along.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable that is wrong.
    pub(super) fn settings(
        self,
        get: &impl Fn(&str) -> Option<String>,
        is_first: bool,
    ) -> Result<Option<StopApps>, ConfigError> {
        let by_variable = match get(env::STOP_APPS_ON_EXIT).as_deref() {
            None => None,
            Some("true" | "1") => Some(true),
            Some("false" | "0") => Some(false),
            Some(text) => {
                return Err(wrong(env::STOP_APPS_ON_EXIT, format!("{text:?} is neither true nor false")));
            }
        };
        let within_by_variable = get(env::STOP_APPS_WITHIN).map(|text| seconds(&text)).transpose()?;
        if !self.by_flag.or(by_variable).or(self.by_file).unwrap_or(is_first) {
            return Ok(None);
        }
        let within = within_by_variable.or(self.within_by_file).or(is_first.then_some(WITHIN));
        Ok(Some(StopApps { within }))
    }

    /// The same for this process.
    pub(super) fn in_force(
        self,
        get: &impl Fn(&str) -> Option<String>,
    ) -> Result<Option<StopApps>, ConfigError> {
        self.settings(get, is_process_1())
    }
}

fn seconds(text: &str) -> Result<Duration, ConfigError> {
    let number = text.parse::<f64>().ok().filter(|number| WITHIN_SECONDS.contains(number));
    number.map(Duration::from_secs_f64).ok_or_else(|| {
        let why = format!("{text:?} is no number of seconds from 0 to {}", WITHIN_SECONDS.end());
        wrong(env::STOP_APPS_WITHIN, why)
    })
}

fn wrong(origin: &str, why: String) -> ConfigError {
    ConfigError { origin: origin.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_1_stops_its_apps_unless_it_is_told_otherwise() {
        let nothing = Said::default();
        let flag = |is_so| Said { by_flag: Some(is_so), ..nothing };
        let file = |is_so, within| Said { by_file: Some(is_so), within_by_file: within, ..nothing };
        let seconds = Duration::from_secs;
        let (on, off) = (Some("true"), Some("false"));
        for (said, variable, within, is_first, expected) in [
            (nothing, None, None, false, None),
            (nothing, None, None, true, Some(Some(seconds(8)))),
            (flag(true), None, None, false, Some(None)),
            (flag(false), on, None, true, None),
            (nothing, on, None, false, Some(None)),
            (nothing, off, None, true, None),
            (file(true, None), None, None, false, Some(None)),
            (file(false, None), None, None, true, None),
            (file(true, Some(seconds(50))), off, None, false, None),
            (file(true, Some(seconds(50))), None, None, true, Some(Some(seconds(50)))),
            (
                file(true, Some(seconds(50))),
                None,
                Some("25.5"),
                true,
                Some(Some(Duration::from_millis(25_500))),
            ),
            (nothing, None, Some("25"), false, None),
        ] {
            let get = |name: &str| {
                let value = if name == env::STOP_APPS_ON_EXIT { variable } else { within };
                value.map(str::to_owned)
            };
            let found = said.settings(&get, is_first).unwrap().map(|found| found.within);
            assert_eq!(found, expected, "{said:?} {variable:?} {within:?} {is_first}");
        }
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (name, value, expected) in [
            (env::STOP_APPS_ON_EXIT, "yes", "DC_STOP_APPS_ON_EXIT: \"yes\" is neither true nor false"),
            (
                env::STOP_APPS_WITHIN,
                "10s",
                "DC_STOP_APPS_WITHIN: \"10s\" is no number of seconds from 0 to 86400",
            ),
            (
                env::STOP_APPS_WITHIN,
                "-1",
                "DC_STOP_APPS_WITHIN: \"-1\" is no number of seconds from 0 to 86400",
            ),
        ] {
            let get = |asked: &str| (asked == name).then(|| value.to_owned());
            let error = Said::default().settings(&get, true).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
