//! A view is a query: filter, order, tree or flat, columns. It has a form in one line, by which it is
//! saved: `is:running sort:eta flat`.

use std::fmt;

use super::columns::{Column, Columns};
use super::sort::{Key, Sort};

/// What is shown, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::console) struct View {
    pub(in crate::console) filter: String,
    pub(in crate::console) sort: Sort,
    pub(in crate::console) is_flat: bool,
    pub(in crate::console) columns: Columns,
}

/// A word of a view that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::console) enum InvalidView {
    #[error("sort:{0} is not known; {words}", words = Key::ALL.map(Key::word).join(" "))]
    Sort(String),
    #[error("cols:{0} is no column")]
    Column(String),
}

impl View {
    /// Reads the form in one line. Words that are not about the order or the form are the filter.
    ///
    /// # Errors
    /// The word that is not understood.
    pub(in crate::console) fn parse(text: &str) -> Result<Self, InvalidView> {
        let mut view = Self::default();
        let mut filter = Vec::new();
        for word in text.split_whitespace() {
            if word == "flat" {
                view.is_flat = true;
            } else if let Some(name) = word.strip_prefix("sort:") {
                let (name, is_reversed) = match name.strip_prefix('-') {
                    Some(name) => (name, true),
                    None => (name, false),
                };
                let key = Key::ALL.into_iter().find(|key| key.word() == name);
                let key = key.ok_or_else(|| InvalidView::Sort(name.to_owned()))?;
                view.sort = Sort { key, is_reversed };
            } else if let Some(names) = word.strip_prefix("cols:") {
                let column = |name: &str| {
                    Column::ALL
                        .into_iter()
                        .find(|column| column.title().replace(' ', "").eq_ignore_ascii_case(name))
                        .ok_or_else(|| InvalidView::Column(name.to_owned()))
                };
                view.columns = Columns::only(names.split(',').map(column).collect::<Result<_, _>>()?);
            } else {
                filter.push(word);
            }
        }
        view.filter = filter.join(" ");
        Ok(view)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = vec![self.filter.clone()];
        if self.sort != Sort::default() {
            let sign = if self.sort.is_reversed { "-" } else { "" };
            words.push(format!("sort:{sign}{}", self.sort.key.word()));
        }
        if self.is_flat {
            words.push("flat".to_owned());
        }
        if self.columns != Columns::default() {
            let shown = Column::ALL.into_iter().filter(|column| self.columns.is_on(*column));
            let names: Vec<_> = shown.map(|column| column.title().replace(' ', "").to_lowercase()).collect();
            words.push(format!("cols:{}", names.join(",")));
        }
        words.retain(|word| !word.is_empty());
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_one_line() {
        let view = View::parse("is:running g:croatia sort:-eta flat cols:st,eta,pid").unwrap();
        assert_eq!(view.filter, "is:running g:croatia");
        assert_eq!(view.sort, Sort { key: Key::Eta, is_reversed: true });
        assert!(view.is_flat && view.columns.is_on(Column::Pid) && !view.columns.is_on(Column::Bar));
        assert_eq!(view.to_string(), "is:running g:croatia sort:-eta flat cols:st,eta,pid");
        assert_eq!(View::parse("").unwrap(), View::default());
        assert!(View::parse("sort:luck").unwrap_err().to_string().contains("severity name"));
        assert!(View::parse("cols:x").is_err());
    }
}
