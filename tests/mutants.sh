#!/bin/bash
# Tests the simulation: plants one fault after the other in a copy of the manager and expects that
# some seed shows it. Prints "caught" or "MISSED" for each; ends with 1 if one was missed.
#
#   tests/mutants.sh [NAME...]     all mutants, or those named
#
# CARGO may be another command than `cargo`; DCM_SEEDS is the number of seeds (3000), DCM_CALENDARS that of
# accounts of a calendar (1000).
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
copy=$root/target/mutants
# A folder of its own: cargo takes packages of the same name in different places for the same.
export CARGO_TARGET_DIR=$copy/target DCM_SEEDS=${DCM_SEEDS:-3000} DCM_CALENDARS=${DCM_CALENDARS:-1000} RUST_BACKTRACE=0
cargo=${CARGO:-cargo}
only=" $* "
missed=0

# mutant NAME FILE SEARCH REPLACEMENT: the text must occur, its first occurrence is replaced.
mutant() {
    local name=$1 file=$2
    [ "$only" = "  " ] || [[ $only == *" $name "* ]] || return 0
    rm -rf "$copy/src"
    cp -r "$root/src" "$copy/src"
    if ! SEARCH=$3 REPLACEMENT=$4 perl -0pi -e 's/\Q$ENV{SEARCH}\E/$ENV{REPLACEMENT}/ or $lost = 1; END { exit $lost }' "$copy/src/$file"; then
        printf '%-44s LOST: the text is not in %s any more\n' "$name" "$file"
        missed=1
        return 0
    fi
    local log=$copy/$name.log
    if ! (cd "$copy" && $cargo test --test simulation --no-run) >"$log" 2>&1; then
        printf '%-44s INVALID: it does not compile, see %s\n' "$name" "$log"
        missed=1
    elif (cd "$copy" && timeout 300 $cargo test --test simulation -- every_seed each_time_of_a_calendar) >"$log" 2>&1; then
        printf '%-44s MISSED\n' "$name"
        missed=1
    else
        printf '%-44s caught: %s\n' "$name" "$(grep -m1 -oE 'seed [0-9]+( breaks "[^"]*")?' "$log")"
    fi
}

mkdir -p "$copy"
for part in Cargo.toml Cargo.lock .cargo benches migrations examples tests README.md; do
    rm -rf "${copy:?}/$part"
    [ ! -e "$root/$part" ] || cp -r "$root/$part" "$copy/$part"
done

mutant never_stalls manager/stall.rs \
    'counting.stalled_since = Some(desk.now.wall);' ''
mutant always_is_never_started manager/plan.rs \
    'Went::Well if schedule.always => return Some(Duration::ZERO),' 'Went::Well if schedule.always => return None,'
mutant always_has_no_back_off manager/judgement.rs 'if has_started { 0 } else' 'if has_started || true { 0 } else'
mutant always_ends_well_at_once manager/always.rs 'Judgement::TooShort' 'Judgement::Good'
mutant always_is_suspect manager/suspicion.rs '|| self.is_always() {' '{'
mutant starts_before_commit manager/event.rs \
    'Self::Start { .. } | Self::Forget { .. } => true' \
    'Self::Start { .. } => false, Self::Forget { .. } => true'
mutant forgets_before_commit manager/event.rs \
    'Self::Start { .. } | Self::Forget { .. } => true' \
    'Self::Forget { .. } => false, Self::Start { .. } => true'
mutant counts_no_failures manager/judgement.rs \
    'Blame::Bad => self.failures = self.failures.saturating_add(1),' 'Blame::Bad => {}'
mutant fatal_is_forgotten manager/judgement.rs \
    'self.fatal = Some(Box::new(Fatal { flag, cause, message, time }));' 'drop(Fatal { flag, cause, message, time });'
mutant raises_no_alert manager/judgement.rs \
    'step.changes.push(Change::AlertOpened(Alert {' 'step.changes.truncate(step.changes.len()); drop(Change::AlertOpened(Alert {'
mutant calendar_stalls_behind_the_clock manager/schedule.rs \
    'const REPEATED_MAX: TimeDelta = TimeDelta::seconds(60);' 'const REPEATED_MAX: TimeDelta = TimeDelta::weeks(5000);'
mutant no_back_off manager/judgement.rs \
    'Judgement::Crashed => (Rest::Crashed, Went::Crashed(back_off)),' \
    'Judgement::Crashed => (Rest::Crashed, Went::Crashed(Duration::ZERO)),'
mutant given_up_goes_on model/app.rs \
    'policy.on_failures == OnFailures::GiveUp && !self.is_passing()' \
    '{ let _ = policy; false }'
mutant continuing_is_given_up model/app.rs \
    'policy.on_failures == OnFailures::GiveUp && !self.is_passing()' \
    '{ let _ = policy; true }'
mutant good_run_is_no_recovery manager/judgement.rs 'self.recover(desk, step);' 'let _ = (&desk, &step);'
mutant each_failure_is_an_alert manager/judgement.rs '&& flag == Some(fatal.flag)' '&& flag == Some(fatal.flag) && false'
mutant crash_counts_as_good manager/judgement.rs \
    'Ending::Exited(Exit::Signal { .. }) | Ending::Unknown => Self::Crashed' \
    'Ending::Exited(Exit::Signal { .. }) | Ending::Unknown => Self::Good'
mutant success_is_always_good manager/suspicion.rs \
    'self.app.policy.broken_rule(did)' 'self.app.policy.broken_rule(did).filter(|_| false)'
mutant each_suspect_run_is_an_alert manager/suspicion.rs 'if before.is_none()' 'if before.is_none() || count > 0'
mutant suspect_runs_are_forgotten manager/suspicion.rs \
    'let count = row.state.suspects;' 'let count = row.state.suspects * 0;'
mutant stop_does_not_stick manager/runs.rs \
    'self.phase = Phase::Resting(Rest::Stopped { by: command.by.clone() });' \
    'self.phase = Phase::Resting(Rest::Ready);'
mutant never_forgets manager/runs.rs \
    'step.effects.push(Effect::Forget { run, app: self.app.id, log_keep: self.app.policy.log_keep });' ''
mutant timeout_does_nothing manager/runs.rs \
    'Phase::Running(_) => self.stop(Purpose::Other, StopCause::Timeout, desk, step),' 'Phase::Running(_) => {}'
mutant refused_start_has_no_verdict manager/runs.rs \
    'if let Some(command) = command {
            settle(&command, Verdict::NotExecuted(reason), desk, step);' \
    'if let Some(command) = command {
            let _ = (command, reason);'
mutant overlap_is_not_recorded manager/plan.rs \
    'self.pass_over(account, until.min(account.now), reason);' 'let _ = (until, reason);'
mutant slot_stands_still manager/plan.rs \
    'self.slot = slots.following;
            self.expect_slot(account.app);' \
    'self.expect_slot(account.app);'
mutant skips_are_counted_again manager/plan.rs \
    'account.skip(first + jitter, slots.last + jitter, slots.count, reason);
        self.slot = slots.following;' \
    'account.skip(first + jitter, slots.last + jitter, slots.count, reason);'
mutant pauses_follow_the_wall_clock manager/plan.rs '*at = shifted(*at);' 'let _ = at;'
mutant pause_is_longer_after_a_restart manager/plan.rs 'at: at.min(after(now, length)), what' 'at, what'
mutant backlog_is_dropped_in_silence manager/plan.rs 'self.drop_backlog(account, reason);' 'self.backlog.clear();'
mutant start_counts_no_times manager/plan.rs \
    'self.count(account);
        self.collect_missed(account);' \
    'self.collect_missed(account);'
mutant missed_is_called_overlap manager/runs.rs 'ended: closing.ended.min(desk.now.wall), asked' 'ended: desk.now.wall, asked'
mutant calendar_begins_anew manager/plan.rs \
    'slot: row.slot.filter(|slot| is_slot(app, *slot)),' 'slot: None,'
mutant limit_is_one_too_many manager/desk.rs 'host_count >= *limit' 'host_count > *limit'
mutant line_is_never_served manager/desk.rs \
    'if !std::mem::take(&mut self.room_was_made) {' 'if std::mem::take(&mut self.room_was_made) || true {'
mutant starts_though_barred manager/commands.rs \
    'CmdName::Start | CmdName::Restart if self.is_barred() => refused(self.barred_reason()),' ''
mutant repeated_command_is_new manager/commands.rs \
    '.any(|known| known.id == command.id)' '.any(|_| false)'
mutant superseded_has_no_verdict manager/commands.rs \
    'settle(&restart, superseded_by(command), desk, step);' 'let _ = (restart, desk, step);'
mutant stop_is_executed_at_once manager/commands.rs \
    'self.stop(Purpose::Command(Box::new(command.clone())), cause, desk, step);
                Progress::UnderWay' \
    'self.stop(Purpose::Other, cause, desk, step);
                Progress::Settled(Verdict::Executed)'
mutant adopted_stop_is_lost manager/restore.rs 'if is_stopping {' 'if is_stopping && false {'
mutant open_run_is_not_begun_again manager/restore.rs \
    'step.effects.push(Effect::Start { run: open.run, launch });' 'drop(launch);'
mutant survivors_start_again manager/restore.rs \
    'survivors: survivors.into_iter().map(|survivor| (survivor.run, survivor)).collect(),' \
    'survivors: { drop(survivors); BTreeMap::new() },'
mutant restart_after_stop manager/restore.rs \
    'command.app == Some(app) && matches!(command.name, CmdName::Start | CmdName::Restart)' \
    'command.app == Some(app) && matches!(command.name, CmdName::Start | CmdName::Restart) && false'
mutant waiting_is_lost manager/entry.rs \
    'self.plan.shown(&self.app, self.waits_since())' \
    '{ let _ = self.waits_since(); self.plan.shown(&self.app, None) }'
mutant old_rows_are_taken manager/registry.rs \
    'if !self.is_current(row.sequence) && self.set_aside.is_none() {' 'if false {'
mutant stop_is_lifted_by_a_refusal manager/runs.rs \
    'self.phase = Phase::Resting(rest.clone());' 'let _ = rest; self.phase = Phase::Resting(Rest::Ready);'
mutant edited_disable_stays manager/entry.rs 'self.written.disabled = !disabled;' ''
mutant commands_wait_for_ever manager/commands.rs \
    'Phase::Starting(_) => Progress::NotYet,' 'Phase::Starting(_) => Progress::UnderWay,'

exit $missed
