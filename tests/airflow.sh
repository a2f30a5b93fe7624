#!/bin/sh
# Runs the DAG of examples/airflow and what else the operator promises by a real Airflow, on SQLite: tests/airflow.sh [3|2]...
# Each major version has a virtual environment of its own (target/airflow-3, 300 MB), which is made when it is missing.
# Needs target/debug/dcm.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- 3 2
unset DC_DATABASE_URL DC_STATE_DIR DC_CONFIG AIRFLOW_HOME 2>/dev/null || true
export PIP_DISABLE_PIP_VERSION_CHECK=1
for major in "$@"; do
    case $major in
    3) version=3.3.2 ;;
    2) version=2.11.2 ;;
    *)
        echo "tests/airflow.sh: no version of Airflow $major: 3 or 2" >&2
        exit 2
        ;;
    esac
    venv=target/airflow-$major
    wanted=$(python3 --version; pwd; echo "$version"; cat tests/airflow.sh python/pyproject.toml)
    if [ "$(cat "$venv/made-of" 2>/dev/null)" != "$wanted" ]; then
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" install -q "apache-airflow==$version" "$(grep ^pytest== python/requirements-test.txt)" -e python
        echo "$wanted" >"$venv/made-of"
    fi
    echo "Airflow $("$venv/bin/python" -W ignore -m airflow version 2>/dev/null | tail -n 1)"
    "$venv/bin/python" -m pytest -q -p no:cacheprovider tests/airflow
done
