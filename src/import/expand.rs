//! `%(name)s` of supervisord, which is formatting as Python's `%` does it with names.

use std::collections::BTreeMap;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filling {
    /// A text.
    Text(String),
    /// A number, which may also be written with `d`.
    Whole(i64),
}

/// A text that cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    #[error("%({0})s is not known here")]
    Unknown(String),
    #[error("%({name})s is no variable of this environment; set {variable} for the import")]
    Unset { name: String, variable: String },
    #[error("a % that stands for itself is written %%; the forms are %(NAME)s and %(NAME)d")]
    Form,
}

/// The widest field that is filled up.
const WIDTH_MAX: usize = 1000;

/// Fills in a text.
///
/// # Errors
/// When a name is not known, or a `%` begins no form that is known.
pub(super) fn expand(text: &str, fillings: &BTreeMap<String, Filling>) -> Result<String, ExpandError> {
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('%') {
        done.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            done.push('%');
            rest = after;
            continue;
        }
        let named = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        let (name, format) = named.ok_or(ExpandError::Form)?;
        let filling = fillings.get(name).ok_or_else(|| match name.strip_prefix("ENV_") {
            Some(variable) => ExpandError::Unset { name: name.to_owned(), variable: variable.to_owned() },
            None => ExpandError::Unknown(name.to_owned()),
        })?;
        let end = format.find(|c: char| !matches!(c, '-' | '0'..='9')).ok_or(ExpandError::Form)?;
        let field = &format[..end];
        done.push_str(&formatted(filling, field, format.as_bytes()[end])?);
        rest = format.get(end + 1..).ok_or(ExpandError::Form)?;
    }
    done.push_str(rest);
    Ok(done)
}

/// A value in a field such as `02` or `-10`.
fn formatted(filling: &Filling, field: &str, kind: u8) -> Result<String, ExpandError> {
    let (text, is_number) = match (filling, kind) {
        (Filling::Whole(number), b'd' | b'i' | b'u') => (number.to_string(), true),
        (Filling::Whole(number), b's') => (number.to_string(), false),
        (Filling::Text(text), b's') => (text.clone(), false),
        (Filling::Whole(_) | Filling::Text(_), _) => return Err(ExpandError::Form),
    };
    let width = field.trim_start_matches(['-', '0']);
    let flags = &field[..field.len() - width.len()];
    let width = if width.is_empty() { 0 } else { width.parse().map_err(|_| ExpandError::Form)? };
    if width > WIDTH_MAX {
        return Err(ExpandError::Form);
    }
    Ok(match (flags.contains('-'), is_number && flags.contains('0')) {
        (true, _) => format!("{text:<width$}"),
        (false, true) => format!("{text:0>width$}"),
        (false, false) => format!("{text:>width$}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_as_python_does() {
        let fillings = BTreeMap::from([
            ("here".to_owned(), Filling::Text("/etc".to_owned())),
            ("n".to_owned(), Filling::Whole(7)),
            ("ENV_A".to_owned(), Filling::Text("%(n)s".to_owned())),
        ]);
        for (text, expanded) in [
            ("%(here)s/x %% %(n)d", Some("/etc/x % 7")),
            ("%(n)02d|%(n)3d|%(n)-3d|%(n)s|%(n)5s", Some("07|  7|7  |7|    7")),
            ("%(ENV_A)s", Some("%(n)s")),
            ("no more", Some("no more")),
            ("100%", None),
            ("%s", None),
            ("%(here)d", None),
            ("%(here", None),
            ("%(here)", None),
            ("%(here)99999s", None),
            ("%(here)é", None),
            ("%(x)s", None),
        ] {
            assert_eq!(expand(text, &fillings).ok().as_deref(), expanded, "{text}");
        }
        let unset = expand("%(ENV_B)s", &fillings).unwrap_err().to_string();
        assert!(unset.contains("set B for the import"), "{unset}");
    }
}
