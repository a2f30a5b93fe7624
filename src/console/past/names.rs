//! Names for several things at once.

use crate::model::AppPath;

/// As apps are called together: by name, by what they share, else by number.
pub(in crate::console) fn together<'a>(paths: impl IntoIterator<Item = &'a AppPath>) -> String {
    let mut paths = paths.into_iter();
    let Some(first) = paths.next() else { return "-".to_owned() };
    let (mut count, mut group, mut parent, mut app) = (1, true, true, true);
    for path in paths {
        count += 1;
        app &= path == first;
        group &= path.group == first.group;
        parent &= group && path.parent == first.parent;
    }
    match (app, parent, group) {
        (true, ..) => first.to_string(),
        (_, true, _) => format!("{}/{}/* ({count} apps)", first.group, first.parent),
        (_, _, true) => format!("{}/* ({count} apps)", first.group),
        (false, false, false) => format!("{count} apps"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_are_called_by_what_they_share() {
        for (paths, name) in [
            (vec![], "-"),
            (vec!["a/b/c"], "a/b/c"),
            (vec!["a/b/c", "a/b/c"], "a/b/c"),
            (vec!["a/b/c", "a/b/d"], "a/b/* (2 apps)"),
            (vec!["a/b/c", "a/x/b", "a/b/d"], "a/* (3 apps)"),
            (vec!["a/b/c", "b/b/c"], "2 apps"),
        ] {
            let paths: Vec<AppPath> = paths.iter().map(|path| path.parse().unwrap()).collect();
            assert_eq!(together(&paths), name);
        }
    }
}
