#!/bin/bash
# Limits that the kernel holds, and kills for want of memory, in a kernel of their own: User Mode Linux with cgroup v2 and all
# controllers, on the files of this host. On demand, as root: it needs the packages user-mode-linux and python3, and
# half a minute.
#
# usage: tests/limits.sh [PROGRAM]        the program is target/debug/dcm unless it is named
set -u
cd "$(dirname "$0")/.." || exit 1
program=$(realpath "${1:-target/debug/dcm}")
[ -x "$program" ] || { echo "there is no program $program"; exit 2; }
command -v linux.uml >/dev/null || { echo "there is no linux.uml: install user-mode-linux"; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/init" <<'INIT'
#!/bin/bash
exec >"$WORK/log" 2>&1
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /mnt
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# As systemd makes it for a unit with Delegate=yes and DelegateSubgroup=manager.
unit=/sys/fs/cgroup/dcm.service
echo "+memory +cpu" >/sys/fs/cgroup/cgroup.subtree_control
mkdir -p $unit/manager
python3 -c "import os; os.setxattr('$unit', 'user.delegate', b'1')"
echo $$ >$unit/manager/cgroup.procs
cd /mnt; printf '[limits]\nsample_seconds = 1\n' >dcm.toml
export DC_STATE_DIR=/mnt/state DC_CONFIG=/mnt/dcm.toml
$PROGRAM db migrate
$PROGRAM --headless & manager=$!
takes() { echo "import time; held = b'x' * ($1 << 20); time.sleep(1000)"; }
until $PROGRAM managers --json | grep -q '"pid"'; do sleep 0.2; done
$PROGRAM app add a/b/wrapped --enable --now --max-memory 60 -- sh -c "python3 -c \"$(takes 100)\"; sleep 1000"
$PROGRAM app add a/b/near --enable --now --max-memory 100 -- python3 -c "$(takes 88)"
$PROGRAM app add a/b/burns --enable --now --max-cpu 20 -- sh -c 'while :; do :; done'
$PROGRAM app add a/b/person --enable --now -- sleep 1000
sleep 10
kill -9 "$($PROGRAM app show a/b/person --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["app_pids"])')"
sleep 5
for app in wrapped near burns person; do
    $PROGRAM app show a/b/$app --json >"$WORK/$app.json"
    $PROGRAM history a/b/$app --json >"$WORK/$app.runs.json"
    $PROGRAM why a/b/$app >"$WORK/$app.why"
done
kill $manager; wait $manager
$PROGRAM stop-apps --grace 0
echo done >"$WORK/done"; sync
echo o >/proc/sysrq-trigger; sleep 10
INIT
sed -i "s|\$WORK|$work|g; s|\$PROGRAM|$program|g" "$work/init"; chmod +x "$work/init"
timeout 300 linux.uml mem=1024M root=/dev/root rootfstype=hostfs rootflags=/ rw init="$work/init" \
    con0=null,fd:1 con=null ssl=null >"$work/console" 2>&1 </dev/null
[ -e "$work/done" ] || { cat "$work/log"; tail -20 "$work/console"; echo "FAIL  it did not come to its end"; exit 1; }

python3 - "$work" <<'CHECKS'
import json, sys
work, failures = sys.argv[1], 0

def check(title, is_so, seen):
    global failures
    failures += not is_so
    print("pass " if is_so else "FAIL ", title, "" if is_so else f": {seen}")

def read(name):
    with open(f"{work}/{name}") as file:
        return json.load(file) if name.endswith("json") else file.read()

ends = lambda app: [run for run in read(f"{app}.runs.json") if run["outcome"]]
wrapped = ends("wrapped")
check("the kernel kills all processes of a run, and its row says why",
      wrapped and all(run["signal"] == 9 and run["message"] == "killed by the kernel: out of memory" for run in wrapped), wrapped)
person = ends("person")
check("a kill by a person is none of the kernel", person and all(run["signal"] == 9 and run["message"] is None for run in person), person)
near = read("near.json")
check("what is near its limit is told and runs on", near["run_status"] == 1 and near["fatal_cause"] == "over_limit", near)
check("dcm why says who holds the limit", "max_memory (100 MiB) is held by the kernel" in read("near.why"), read("near.why"))
burns = read("burns.json")
check("the CPU is throttled and nothing is told", 0 < burns["cpu"] < 30 and burns["fatal_flag"] == 0, burns)
sys.exit(failures > 0)
CHECKS
