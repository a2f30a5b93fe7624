//! What `ps` shows of the nursery and of each shim: whose run it is. They are forked from one
//! program, so that otherwise all would look alike.

use std::fs;

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

/// Where the arguments of this process begin, and their length with the last NUL.
fn arguments() -> Option<(usize, usize)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Fields 48 and 49; the third comes first after the name in brackets.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(45);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    (start > 0 && end > start + 1).then(|| (start, end - start))
}
