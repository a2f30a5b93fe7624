#!/bin/bash
# Builds dcm for Windows and lets it live through a day under wine: see tests/windows/toolchain.sh for
# what that takes. On demand, as it needs some minutes and the packages of Debian.
#
# usage: tests/windows.sh        the target directory is target/windows, CARGO may name a wrapper
set -u
cd "$(dirname "$0")/.." || exit 1
here=$PWD
tools=${DCM_WINDOWS_TOOLCHAIN:-$HOME/.cache/dcm-windows}
target=${DCM_WINDOWS_TARGET:-$here/target/windows}
cargo=${CARGO:-cargo}
triple=x86_64-pc-windows-gnu
failures=0

pass() { echo "pass  $1"; }
fail() { echo "FAIL  $1"; failures=$((failures + 1)); }
# Says whether the command that follows the title succeeds.
check() { local title=$1; shift; if "$@"; then pass "$title"; else fail "$title"; fi; }
# Tries a command until it succeeds, for so many seconds at most.
within() {
    local deadline=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.2
    done
}

bash tests/windows/toolchain.sh "$tools" || { fail "the toolchain"; exit 1; }
. "$tools/env.sh"
unset RUST_BACKTRACE
options=(-Zbuild-std=std,panic_unwind,test --target $triple --target-dir "$target")
$cargo build "${options[@]}" --bin dcm || { fail "dcm builds for Windows"; exit 1; }
pass "dcm builds for Windows"

# Left out: tests whose data are paths of Unix, and one that needs a folder to be gone while a file of
# it is open, which Windows allows since 10 and this wine does not. One needs a pseudo terminal, which
# wine does not have: what it does there is done on a real one below. Another measures time, which wine spends
# as it likes.
check "unit tests" $cargo test "${options[@]}" --lib -q -- \
    --skip cli::app::definitions::tests::a_whole_definition \
    --skip cli::demo::tests::the_definitions_are_sound \
    --skip console::program::tests::a_panic_gives \
    --skip console::view::tests::only_rows_that_are_seen \
    --skip config::tests::flags_come_before \
    --skip config::tests::passwords_are_never_shown \
    --skip config::tests::the_interpreter_is_that \
    --skip process::log_writer::tests::a_log_that_was_deleted
tests=$(ls -t "$target/$triple"/debug/deps/dcm-*.exe | head -1)
panicking="DCM_TEST_ON_A_TERMINAL=yes '$tools/wine.sh' '$tests' --exact \
    console::program::tests::a_panic_gives_the_terminal_back_and_is_kept"
panic() { timeout 60 script -qec "$panicking" /dev/null </dev/null >/dev/null; }
check "a console that panics gives its terminal back" panic

work=$(mktemp -d /tmp/dcm-windows-XXXXXX)
mark=${work##*/}
"$RUSTC" --edition 2024 --target $triple -C linker=x86_64-w64-mingw32-gcc \
    -L "$target/$triple/debug/deps" -o "$work/app.exe" tests/windows/app.rs || { fail "the test app builds"; exit 1; }
# By their own path the processes of this test can be told from all others.
cp "$target/$triple/debug/dcm.exe" "$work/"
: >"$work/dcm.toml"
cd "$work" || exit 1
folder="Z:${work//\//\\}"
export DC_STATE_DIR="$folder\\state" DC_CONFIG="$folder\\dcm.toml"
dcm() { timeout 60 "$tools/wine.sh" "$folder\\dcm.exe" "$@" </dev/null; }

processes() { pgrep -f "$mark.*$1"; }
none_of() { ! processes "$1" >/dev/null; }
start_manager() {
    "$tools/wine.sh" "$folder\\dcm.exe" --headless </dev/null >"$work/manager.log" 2>&1 &
    manager=$!
    disown
    within 20 grep -q "the manager is running" "$work/manager.log"
}
kill_manager() { kill -9 "$manager" && within 5 no_manager; }
no_manager() { ! kill -0 "$manager" 2>/dev/null; }
finish() {
    dcm stop-apps --grace 0 >/dev/null 2>&1
    [ -z "$manager" ] || kill -9 "$manager" 2>/dev/null
    "$tools/wine.sh" sc stop DataCollectorManager >/dev/null 2>&1
    "$tools/wine.sh" sc delete DataCollectorManager >/dev/null 2>&1
    DC_STATE_DIR="$folder\\service" dcm stop-apps --grace 0 >/dev/null 2>&1
    cd / && rm -rf "$work"
}
manager=
trap finish EXIT

add() { local app=t/t/$1; shift; dcm app add "$app" --enable --stop-grace 2 --max-failures 0 -- "$folder\\app.exe" "$@" >/dev/null; }
start() { dcm start "t/t/$1" >/dev/null; }
is_running() { dcm status "t/t/$1" | tail -1 | grep -q " RUNNING "; }
newest() { dcm --json history "t/t/$1" | tr '{' '\n' | grep -m1 '"runtime"'; }
# Whether the newest run of an app has ended like this.
ended() { newest "$1" | grep "\"exit_code\":$3," | grep -q "\"outcome\":\"$2\""; }
has_line() { dcm logs "t/t/$1" 2>&1 | grep -q "$2"; }

check "an empty database" dcm db migrate
check "the manager starts" start_manager
second_is_refused() { dcm --headless 2>&1 | grep -q "already"; }
check "a second manager is refused" second_is_refused
# Wine keeps the rules as a mode; the administrators are the group.
check "others cannot enter the run directories" eval '[ "$(stat -c %a state/runs)" = 750 ]'

echo "-- endings"
add three exit 3; start three
check "an exit code is recorded" within 20 ended three failed 3
check "its report is" eval 'newest three | grep -q "\"solved\":4"'
check "its output is" has_line three "pid .* runs"
check "its error output is" has_line three "about to end"
add good exit 0; start good
check "a good end is" within 20 ended good ok 0
add large exit -1073741819; start large
check "an exit code of 32 bits is" within 20 ended large failed 3221225477
dcm app add t/t/batch --enable -- "$folder\\batch.cmd" >/dev/null; start batch
check "a batch file is refused" within 20 eval 'newest batch | grep -q "batch files are not started"'
dcm app add t/t/missing --enable -- no-such-program >/dev/null; start missing
check "a program that is missing is told" within 20 eval 'newest missing | grep -q "no such program in PATH"'
dcm app add t/t/shell --enable -- cmd /c exit 6 >/dev/null; start shell
check "a program is found in PATH" within 20 ended shell failed 6
add reporting report; start reporting
check "dcm report is heard" within 20 eval 'newest reporting | grep -q "\"solved\":7"'
add flood flood 100000; start flood
check "much output is taken" within 60 ended flood ok 0
check "and its last line is there" has_line flood "line 100000 "
for number in $(seq 20); do add "many$number" exit "$((number + 20))"; done
dcm start all >/dev/null 2>&1
all_ended() { local number; for number in $(seq 20); do ended "many$number" failed "$((number + 20))" || return 1; done; }
check "twenty at once end each with its own code" within 90 all_ended

echo "-- stopping"
add stubborn stubborn; start stubborn
within 20 processes "app.exe child" >/dev/null
dcm stop t/t/stubborn >/dev/null
check "an app that ignores the stop is killed" within 20 ended stubborn killed_after_grace 1
check "with its child" none_of "app.exe (stubborn|child)"
add parent parent 4; start parent
check "an app that leaves a child behind has its own end" within 20 ended parent failed 4
check "and the child is killed" within 5 none_of "app.exe (parent|child)"
add polite polite; start polite
within 20 is_running polite
dcm stop t/t/polite >/dev/null
within 20 eval '! is_running polite'
if ended polite stopped 7; then
    pass "an app that heeds Ctrl+Break ends by itself"
else
    echo "note  Ctrl+Break is not tested: this wine does not send it"
fi

echo "-- adoption"
add wait wait "$folder\\go" 9; add ends wait "$folder\\end" 12
start wait; start ends
within 20 is_running wait && within 20 is_running ends
check "the manager is killed" kill_manager
touch "$work/end"
within 20 none_of "app.exe wait .*end"
check "another one starts" start_manager
check "a run that ended meanwhile has its exit code" within 20 ended ends failed 12
check "a run that did not is under way" is_running wait
touch "$work/go"
check "and has its exit code in the end" within 20 ended wait failed 9
rm "$work/go" "$work/end"

start wait
within 20 is_running wait
shim=$(processes "dcm.exe shim --start")
kill -9 "$shim"
check "a shim that was killed is replaced" within 10 processes "dcm.exe shim --adopt"
check "the app has not noticed" is_running wait
touch "$work/go"
check "its exit code is known" within 20 ended wait failed 9
check "its output is there to the last line" has_line wait "the file is there"
rm "$work/go"

start wait; start stubborn
within 20 is_running wait && within 20 processes "app.exe child" >/dev/null
check "the manager and all shims are killed" eval 'kill -9 $(processes "dcm.exe shim") && kill_manager'
check "another one starts" start_manager
check "it adopts both runs" within 10 eval '[ "$(processes "dcm.exe shim --adopt" | wc -l)" = 2 ]'
dcm stop t/t/stubborn >/dev/null
check "an adopted run is stopped with its tree" within 20 ended stubborn killed_after_grace 1
check "nothing of it is left" none_of "app.exe (stubborn|child)"
touch "$work/go"
check "the other has its exit code" within 20 ended wait failed 9
rm "$work/go"

echo "-- without a manager"
start wait; start stubborn
within 20 is_running wait && within 20 processes "app.exe child" >/dev/null
kill_manager
check "stop-apps stops all" eval 'dcm stop-apps --grace 1 >stop-apps.out 2>&1; grep -q "2 runs stopped" stop-apps.out'
check "nothing is left" none_of "app.exe"
check "run-app gives the exit code" eval 'dcm run-app t/t/three >run-app.out 2>&1; [ $? = 3 ]'
check "and the output" grep -q "pid .* runs" run-app.out
check "the manager starts once more" start_manager
check "and enters what it has missed" within 20 ended stubborn killed_after_grace 1
no_run_directories() { [ -z "$(ls state/runs)" ]; }
check "no run directory is left" within 10 no_run_directories
check "no shim is left" within 10 none_of "dcm.exe shim"

echo "-- batch files, allowed"
kill_manager
printf '@echo got %%1\r\n@exit 8\r\n' >batch.cmd
echo 'batch_files = true' >dcm.toml
check "the manager starts with other settings" start_manager
dcm app set t/t/batch -- "$folder\\batch.cmd" "a&b" >/dev/null
dcm enable t/t/batch >/dev/null; start batch
check "a batch file is started" within 20 ended batch failed 8
check "its argument is no command" has_line batch 'got "a&b"'
dcm app set t/t/batch -- "$folder\\batch.cmd" $'a\rb' >/dev/null; start batch
check "an argument that would be one is refused" within 20 eval 'newest batch | grep -q "cannot be passed to a batch file safely"'

echo "-- as a service"
check "the manager by hand is killed" kill_manager
manager=
service="$folder\\service"
dcm_of_service() { DC_STATE_DIR="$service" dcm "$@"; }
sc() { timeout 60 "$tools/wine.sh" sc "$@" </dev/null | tr -d '\r'; }
is_in() { sc query DataCollectorManager | grep -q "STATE .* $1"; }
service_says() { dcm_of_service service status | grep -q "$1"; }
of_service() { dcm_of_service --json history "t/t/$1" | tr '{' '\n' | grep -m1 '"runtime"'; }
check "it is not installed" service_says "installed no"
not_installed() { dcm_of_service service start 2>&1 | grep -q "not installed"; [ "${PIPESTATUS[0]}" = 1 ]; }
check "and cannot be started" not_installed
check "it is printed as a call of sc.exe" eval 'dcm_of_service service print | grep -q "sc.exe create DataCollectorManager binPath= "'
check "it is installed" dcm_of_service service install
check "which can be done twice" eval 'dcm_of_service service install | grep -q "as it was"'
check "it has not run yet" service_says "inactive (stopped)"
check "it starts" dcm_of_service service start
check "it is active" service_says "active (running)"
check "it has a row in the database" service_says "manager .*: live"
dcm_of_service app add t/t/wait --enable -- "$folder\\app.exe" wait "$folder\\go" 9 >/dev/null
check "it starts an app" eval 'dcm_of_service start t/t/wait --wait=20 >/dev/null'
app=$(processes "app.exe wait")
check "it is restarted" dcm_of_service service restart
check "and the app runs on" eval '[ -n "$app" ] && [ "$(processes "app.exe wait")" = "$app" ]'
check "sc.exe sees it run" is_in RUNNING
sc stop DataCollectorManager >/dev/null
check "sc.exe stops it" within 20 is_in STOPPED
check "it has ended in order" service_says "manager .*: stopped"
check "and the app runs on" eval 'processes "app.exe wait" >/dev/null'
touch "$work/go"
within 20 none_of "app.exe wait"
sc start DataCollectorManager >/dev/null
check "sc.exe starts it" within 20 is_in RUNNING
check "it enters how the app ended" within 20 eval 'of_service wait | grep -q "\"exit_code\":9,"'
check "it is stopped" dcm_of_service service stop
check "its log tells of no trouble with its files" eval '! grep -q ERROR service/log/*'
check "it is uninstalled" dcm_of_service service uninstall
check "and is off the list" service_says "installed no"
sc create DataCollectorManager binPath= "$folder\\dcm.exe --headless --state-dir $service --config $folder\\none.toml" >/dev/null
sc start DataCollectorManager >/dev/null
check "one that cannot begin has stopped" within 20 is_in STOPPED
check "its exit code is that of the manager" within 5 eval 'sc query DataCollectorManager | grep -q "SERVICE_EXIT_CODE .* 2 "'
check "and service.log says why" grep -q "none.toml" service/service.log
sc delete DataCollectorManager >/dev/null
sc create DataCollectorManager binPath= "C:\\windows\\system32\\spoolsv.exe" >/dev/null
foreign() { dcm_of_service service uninstall >foreign.out 2>&1; [ $? = 1 ] && grep -q "not written by dcm" foreign.out; }
check "a service of another program is left alone" foreign
check "unless that is meant" dcm_of_service service uninstall --force

[ $failures = 0 ] && echo "all passed" || echo "$failures failed"
exit $((failures > 0))
