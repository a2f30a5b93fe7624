//! Limits of memory and CPU in the cgroup of a run, where its controllers can be had.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::process::record::HeldLimits;

/// The controllers that the limits need.
const CONTROLLERS: [&str; 2] = ["memory", "cpu"];

/// The period of `cpu.max`, in microseconds; that of the kernel.
const PERIOD: u64 = 100_000;

/// The cgroup in which those of runs can have limits: the one above, where it was delegated, has controllers to hand down,
/// and holds no processes itself. It is made to hand them down.
pub(super) fn place(own: &Path, is_delegated: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let above = own.parent().filter(|above| is_delegated(above))?;
    hand_down(above);
    CONTROLLERS.iter().any(|name| has(above, "cgroup.subtree_control", name)).then(|| above.to_owned())
}

/// What cannot be limited below a cgroup.
pub(super) fn missing(place: &Path) -> Option<&'static str> {
    let handed_down = |name| has(place, "cgroup.subtree_control", name);
    match CONTROLLERS.map(handed_down) {
        [true, true] => None,
        [false, _] => Some("there is no memory controller for the cgroups of runs"),
        [true, false] => Some("there is no cpu controller for the cgroups of runs"),
    }
}

/// Lets the cgroups below have the controllers, as far as there are any.
pub(super) fn hand_down(cgroup: &Path) {
    for name in CONTROLLERS {
        if has(cgroup, "cgroup.controllers", name) && !has(cgroup, "cgroup.subtree_control", name) {
            // One that holds processes cannot.
            let _ = write(&cgroup.join("cgroup.subtree_control"), &format!("+{name}"));
        }
    }
}

fn has(cgroup: &Path, file: &str, controller: &str) -> bool {
    let controllers = fs::read_to_string(cgroup.join(file)).unwrap_or_default();
    controllers.split_ascii_whitespace().any(|name| name == controller)
}

/// Sets the limits of a run; gives back those that the kernel holds from now on.
pub(in crate::process::unix) fn limit(cgroup: &Path, wanted: HeldLimits) -> HeldLimits {
    let memory = |mebibytes: &u32| {
        let bytes = u64::from(*mebibytes) << 20;
        write(&cgroup.join("memory.max"), &bytes.to_string()).is_ok()
    };
    let cpu = |percent: &u32| {
        let quota = u64::from(*percent) * PERIOD / 100;
        write(&cgroup.join("cpu.max"), &format!("{quota} {PERIOD}")).is_ok()
    };
    HeldLimits { memory: wanted.memory.filter(memory), cpu: wanted.cpu.filter(cpu) }
}

/// Lets the kernel kill all processes of a run where it kills one, but the shim, which has to write down how the run ended.
/// A shim that cannot be spared so is not put at risk. To be called once the app was started, which is not spared.
pub(in crate::process::unix) fn kill_together(cgroup: &Path, is_shim_inside: bool) {
    let is_safe = !is_shim_inside || write(Path::new("/proc/self/oom_score_adj"), "-1000").is_ok();
    if is_safe {
        let _ = write(&cgroup.join("memory.oom.group"), "1");
    }
}

/// Writes into a file that is there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cgroup as the kernel shows it, with these controllers.
    fn cgroup(path: &Path, controllers: &str) {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("cgroup.controllers"), controllers).unwrap();
        fs::write(path.join("cgroup.subtree_control"), "").unwrap();
    }

    fn read(path: &Path, file: &str) -> String {
        fs::read_to_string(path.join(file)).unwrap()
    }

    #[test]
    fn only_a_delegated_cgroup_above_the_own_one_is_touched() {
        let root = tempfile::tempdir().unwrap();
        let unit = root.path().join("dcm.service");
        let own = unit.join("manager");
        cgroup(&unit, "cpu io memory pids\n");
        cgroup(&own, "");
        assert_eq!(place(&own, |_| false), None);
        assert_eq!(read(&unit, "cgroup.subtree_control"), "", "it is not ours");
        // The kernel would show what was written without its sign.
        fs::write(unit.join("cgroup.subtree_control"), "cpu memory\n").unwrap();
        assert_eq!(place(&own, |path| path == unit).as_deref(), Some(&*unit));
        assert_eq!(missing(&unit), None);
        fs::write(unit.join("cgroup.subtree_control"), "memory\n").unwrap();
        assert_eq!(missing(&unit), Some("there is no cpu controller for the cgroups of runs"));
    }

    #[test]
    fn a_cgroup_without_controllers_has_no_place_for_limits() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("manager");
        cgroup(root.path(), "hugetlb\n");
        cgroup(&own, "");
        assert_eq!(place(&own, |_| true), None);
        assert_eq!(read(root.path(), "cgroup.subtree_control"), "");
    }

    #[test]
    fn limits_are_written_in_the_units_of_the_kernel() {
        let root = tempfile::tempdir().unwrap();
        for file in ["memory.max", "cpu.max", "memory.oom.group"] {
            fs::write(root.path().join(file), "").unwrap();
        }
        let wanted = HeldLimits { memory: Some(512), cpu: Some(150) };
        assert_eq!(limit(root.path(), wanted), wanted);
        assert_eq!(read(root.path(), "memory.max"), "536870912");
        assert_eq!(read(root.path(), "cpu.max"), "150000 100000");
        kill_together(root.path(), false);
        assert_eq!(read(root.path(), "memory.oom.group"), "1");
    }

    #[test]
    fn what_cannot_be_set_is_not_held() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cpu.max"), "").unwrap();
        let held = limit(root.path(), HeldLimits { memory: Some(512), cpu: Some(20) });
        assert_eq!(held, HeldLimits { memory: None, cpu: Some(20) });
        assert_eq!(limit(root.path(), HeldLimits::default()), HeldLimits::default());
        assert!(!root.path().join("memory.max").exists(), "no file is made");
    }
}
