#!/bin/sh
# Makes the virtual environment of the tests, target/venv: the package below python/ and what it is tried with. Done
# already, it takes a few milliseconds.
set -eu
cd "$(dirname "$0")/.."
venv=target/venv
wanted=$(python3 --version; pwd; cat tests/venv.sh python/requirements-test.txt python/pyproject.toml)
[ "$(cat $venv/made-of 2>/dev/null)" = "$wanted" ] && exit
rm -rf $venv
python3 -m venv $venv
export PIP_DISABLE_PIP_VERSION_CHECK=1
$venv/bin/pip install -q -r python/requirements-test.txt
$venv/bin/pip install -q -e python
echo "$wanted" >$venv/made-of
