#!/bin/sh
# An hour of 200 apps with 1 s between their runs, both cores loaded, a shim killed every 7 s and the manager every 150 s. What
# the tables say is compared with what each process wrote about itself. On demand; the test suite has a short form.
#
# usage: tests/soak.sh [SECONDS [APPS]]
set -eu
cd "$(dirname "$0")/.."
DCM_SOAK="${1:-3600},${2:-200}" exec cargo test --locked --release --test it short_runs_on_a_busy_host -- --nocapture
