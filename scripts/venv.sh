#!/bin/sh
# Creates or updates .venv with exactly the pinned dependencies. `make venv` runs it when needed.
#
#   PYTHON   the interpreter to use; by default the first of python3, python3.13, python3.12 and
#            python3.11 that is new enough
#
# uv does the work where it is installed, otherwise venv and pip, which come with Python.
set -eu
cd "$(dirname "$0")/.."

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

is_suitable() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null
}

find_python() {
    for candidate in python3 python3.13 python3.12 python3.11; do
        if is_suitable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    found=$(version_of python3) || found="none"
    echo "Remit needs Python 3.11 to 3.14; python3 here: $found." >&2
    echo "Install one, or name it: make $goal PYTHON=/path/to/python3.12" >&2
    exit 1
}

goal=${GOAL:-venv}
if [ -n "${PYTHON:-}" ]; then
    if ! is_suitable "$PYTHON"; then
        found=$(version_of "$PYTHON") || found="it does not run"
        echo "PYTHON=$PYTHON does not do: Remit needs Python 3.11 to 3.14 ($found)." >&2
        exit 1
    fi
    python=$PYTHON
else
    python=$(find_python)
fi

# What an interrupted run left behind, or an interpreter that is gone, is made anew.
if [ -d .venv ] && ! is_suitable .venv/bin/python; then
    rm -rf .venv
fi

if command -v uv >/dev/null 2>&1; then
    echo "Installing the pinned dependencies into .venv with uv ..." >&2
    [ -d .venv ] || uv venv --quiet --python "$python" .venv
    uv pip install --quiet --python .venv/bin/python -r requirements-dev.txt -c constraints.txt
else
    echo "Installing the pinned dependencies into .venv with pip, a minute or two ..." >&2
    # A .venv without pip is uv's, or was cut short.
    .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input --no-compile \
        -r requirements-dev.txt -c constraints.txt
fi

# Compiled here on all cores, not by pip on one, and not by each of Airflow's processes as it starts.
# Some packages carry files for other versions of Python, which do not compile.
.venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null || true
