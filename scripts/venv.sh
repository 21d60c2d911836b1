#!/bin/sh
# Makes .venv, or brings it up to the locks: scripts/venv.sh requirements.txt [requirements-dev.txt]
# Needs python3 with venv and nothing else. PYTHON names another interpreter (3.11 to 3.13). UV names a program uv that installs in
# place of pip, which is then not in .venv either.
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"

if ! command -v "$python" >/dev/null; then
    echo "$python is not installed. On Debian, as root: apt-get install python3 python3-venv" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
    echo "DeployOn runs on Python 3.11 to 3.13; $python is $("$python" -V 2>&1). Name another one: make PYTHON=python3.13 ..." >&2
    exit 1
fi
# A virtual environment that was copied or whose interpreter went away does not start: it is made again.
if ! .venv/bin/python -c '' 2>/dev/null; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version="$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')"
        echo "$python cannot make virtual environments. On Debian, as root: apt-get install $version-venv" >&2
        exit 1
    fi
    echo "Making .venv"
    rm -rf .venv
    "$python" -m venv ${UV:+--without-pip} .venv
fi
set -- $(for lock in "$@"; do echo "-r $lock"; done)
echo "Installing $(echo "$@" | sed 's/-r //g') into .venv"
if [ -n "${UV:-}" ]; then
    exec "$UV" pip install --quiet --python .venv/bin/python --require-hashes "$@"
fi
# uv takes a second where pip takes ten; whatever keeps it from working, pip is the judge.
for uv in .venv/bin/uv uv; do
    if command -v "$uv" >/dev/null && "$uv" pip install --quiet --python .venv/bin/python --require-hashes "$@" 2>/dev/null; then
        exit 0
    fi
done
exec .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes "$@"
