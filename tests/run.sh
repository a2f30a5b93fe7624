#!/bin/sh
# Runs all tests. On a bare Debian or Ubuntu with cargo and python3 it installs what is missing.
# Further arguments go to `cargo test`.
set -eu
cd "$(dirname "$0")/.."

# What the build and the tests call, and the package that has it.
missing=
need() {
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need cc gcc
need ld binutils
need sh dash
need unshare util-linux
need mount mount
need python3 python3
need setpriv util-linux
# Not as process 1 of this host: tests start one in namespaces of its own.
need systemd-analyze systemd
need tmux tmux
need openssl openssl
need aiosmtpd python3-aiosmtpd
PATH="$PATH:/usr/sbin" need rabbitmq-server rabbitmq-server
# Tests start a cluster of their own, unless DCM_TEST_POSTGRES is the URL of a server.
[ -n "${DCM_TEST_POSTGRES:-}" ] || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || need initdb postgresql
PATH="$PATH:/usr/sbin" need pgbouncer pgbouncer
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
# The virtual environment of the tests needs what Debian keeps in a package of its own.
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    as_root=
    [ "$(id -u)" = 0 ] || as_root="sudo -n"
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    { $as_root apt-get update -q && $as_root apt-get install -qy --no-install-recommends $missing; } >/dev/null || {
        echo "these packages are missing and could not be installed:$missing" >&2
        exit 1
    }
fi
command -v cargo >/dev/null 2>&1 || {
    echo "cargo is missing: install Rust by https://rustup.rs, or the package rustup" >&2
    exit 1
}

tests/venv.sh
export DCM_TEST_PYTHON="${DCM_TEST_PYTHON:-$PWD/target/venv/bin/python}"

# Each test has a state directory of its own; what this shell has set is not for them.
unset DC_DATABASE_URL DC_STATE_DIR DC_CONFIG 2>/dev/null || true
export RUST_BACKTRACE="${RUST_BACKTRACE:-0}"
if [ $# -gt 0 ]; then
    exec cargo test --locked --no-fail-fast "$@"
fi

# What fails keeps nothing else from being run.
failed=
run() {
    "$@" || failed="$failed
    $*"
}
run cargo test --locked --no-fail-fast
# The simulation has its full number of seeds only where it is fast.
run cargo test --locked --release --test simulation
# The Python package, beside the program that was built above.
run "$DCM_TEST_PYTHON" -m pytest python
run env -C python "$DCM_TEST_PYTHON" -m mypy --cache-dir ../target/mypy
# A real Airflow. Version 2 takes as long again: the operator is the same, and it runs on demand.
run tests/airflow.sh 3
echo "left out: Airflow 2.11 (tests/airflow.sh 2)"
[ -z "$failed" ] || {
    echo "failed:$failed" >&2
    exit 1
}
