#!/bin/sh
# Make .venv with a Python that rfid3 runs on (3.11 to 3.13).
#
# Usage: tools/venv.sh DIRECTORY PYTHON      PYTHON is tried first, then the usual names.
#
# Stock Debian and Raspberry Pi OS have no ensurepip: the package that brings it is installed.
set -eu
directory=$1
wanted=$2
here=$(dirname "$0")

say() { printf '%s\n' "$*" >&2; }

runs_rfid3() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
}

# The first that exists, runs and is of the right version; prints nothing if there is none.
find_python() {
    for name in "$wanted" python3 python3.13 python3.12 python3.11; do
        if runs_rfid3 "$name"; then
            command -v "$name"
            return
        fi
    done
}

# One that works is kept: somebody may be using it.
if "$directory/bin/python" -m pip --version >/dev/null 2>&1 && runs_rfid3 "$directory/bin/python"; then
    exit 0
fi

python=$(find_python)
if [ -z "$python" ]; then
    say "rfid3 runs on Python 3.11, 3.12 or 3.13, and none of them was found."
    say "'$wanted' is: $("$wanted" --version 2>&1 || true)"
    say "The cure: on Debian 12+ or Raspberry Pi OS 12+, 'apt-get install python3';"
    say "elsewhere name one: 'make PYTHON=/path/to/python3.12'."
    exit 1
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$here/need.sh" --package "python$version-venv"
fi

say "Making $directory with $("$python" --version) ..."
rm -rf "$directory"
"$python" -m venv "$directory"
