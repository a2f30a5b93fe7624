//! What `ps` shows of the nursery and of each shim: whose run it is. They are forked from one
//! program, so that otherwise all would look alike.

use std::fs;
use std::ops::Range;

use crate::process::record::Spec;

/// An argument that makes room for a title.
pub(super) const ROOM: &str = concat!(
    "............................................................",
    "............................................................",
    "............................................................",
    "............................"
);

/// Names the app and its run.
pub(super) fn of_shim(spec: &Spec) -> String {
    let name = |variable: &str| spec.env.get(variable).map_or("?", String::as_str);
    let [group, parent, app] = ["DC_APP_GROUP", "DC_APP_PARENT", "DC_APP_NAME"].map(name);
    format!("dcm shim {group}/{parent}/{app} {}", spec.run)
}

/// Shows a title from now on; what does not fit is cut off. The arguments of this process cannot be
/// read any more.
pub(super) fn set(title: &str) {
    let Some((start, length)) = arguments() else { return };
    // SAFETY: the kernel says that the arguments of this process are there (`man 5 proc`); the memory is
    // its own, and no one holds a reference to it.
    let room = unsafe { std::slice::from_raw_parts_mut(start as *mut u8, length) };
    room.fill(0);
    let title = title.as_bytes();
    let length = title.len().min(room.len() - 1);
    room[..length].copy_from_slice(&title[..length]);
}

/// Overwrites the passwords of database URLs among the arguments of this process: every user of the host can read
/// them. Whoever needs the arguments has copied them before.
pub(in crate::process) fn hide_passwords() {
    let Some((start, length)) = arguments() else { return };
    // SAFETY: as above.
    let room = unsafe { std::slice::from_raw_parts_mut(start as *mut u8, length) };
    for password in passwords(room) {
        room[password].fill(b'*');
    }
}

/// Where passwords stand in arguments that are divided by NUL.
fn passwords(arguments: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for argument in arguments.split(|byte| *byte == 0) {
        let text = String::from_utf8_lossy(argument);
        // A lossy copy of another length would shift what is found.
        if text.len() == argument.len() && (text.contains("postgres://") || text.contains("postgresql://")) {
            found.extend(passwords_of_url(&text).map(|at| start + at.start..start + at.end));
        }
        start += argument.len() + 1;
    }
    found
}

fn passwords_of_url(text: &str) -> impl Iterator<Item = Range<usize>> {
    let begin = text.find("://").map_or(text.len(), |at| at + 3);
    let (login, parameters) = match text[begin..].split_once('?') {
        Some((login, parameters)) => (login, parameters),
        None => (&text[begin..], ""),
    };
    let of_login = login.rfind('@').and_then(|end| {
        let password = login[..end].find(':')? + 1;
        Some(begin + password..begin + end)
    });
    let of_parameters = parameters.find("password=").map(|at| {
        let value = text.len() - parameters.len() + at + "password=".len();
        value..text[value..].find('&').map_or(text.len(), |length| value + length)
    });
    of_login.into_iter().chain(of_parameters)
}

/// Where the arguments of this process begin, and their length with the last NUL.
fn arguments() -> Option<(usize, usize)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Fields 48 and 49; the third comes first after the name in brackets.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(45);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    (start > 0 && end > start + 1).then(|| (start, end - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passwords_of_databases_are_hidden() {
        let mut arguments = b"dcm\0--database\0postgres://ana:hun/t:er2@h:5432/d\0status\0\
            --database=postgresql://h/d?sslmode=require&password=geheim&x=1\0postgres://h:5/d\0http://a:b@c\0"
            .to_vec();
        for password in passwords(&arguments) {
            arguments[password].fill(b'*');
        }
        assert_eq!(
            String::from_utf8(arguments).unwrap(),
            "dcm\0--database\0postgres://ana:*********@h:5432/d\0status\0\
            --database=postgresql://h/d?sslmode=require&password=******&x=1\0postgres://h:5/d\0http://a:b@c\0"
        );
    }
}
