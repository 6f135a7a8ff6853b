#!/bin/sh
# Write requirements/*.txt: exact versions, the hashes of all their wheels, no index address.
#
# One resolution serves Python 3.11 to 3.13 on x86-64 and aarch64 (--universal). Which index is asked
# is the machine's business: pip's own setting is handed on, and never written down.
#
# Usage: tools/lock.sh UV [--upgrade]     (or: make lock, make upgrade)
set -eu
uv=$1
shift
cd "$(dirname "$0")/.."

export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
if index=$(python3 -m pip config get global.index-url 2>/dev/null); then
    UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index}
    export UV_DEFAULT_INDEX
fi

compile() {
    output=$1
    shift
    "$uv" pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --annotation-style line \
        --custom-compile-command "make lock" --output-file "requirements/$output" "$@"
}

# The trainer's pins are the strictest, so everything else follows them.
compile trainer.txt pyproject.toml --extra trainer --extra parquet "$@"
compile run.txt pyproject.toml -c requirements/trainer.txt "$@"
compile build.txt requirements/build.in "$@"
compile dev.txt pyproject.toml requirements/dev.in --extra parquet --extra trainer \
    -c requirements/trainer.txt -c requirements/build.txt "$@"
compile bench.txt requirements/bench.in -c requirements/dev.txt "$@"
compile lock.txt requirements/lock.in "$@"
