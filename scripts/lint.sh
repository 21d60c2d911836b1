#!/bin/sh
# Everything that can be said about the code without running it. All of it runs, so that one round shows all there is to mend.
set -u
cd "$(dirname "$0")/.."
failed=""
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

look() {
    name="$1"
    shift
    if "$@" >"$work/out" 2>&1; then
        echo "ok      $name"
    else
        echo "FAILED  $name: $*"
        cat "$work/out"
        failed="$failed $name"
    fi
}

# The checks read the settings as a new installation would, without touching the data folder of this one.
django() { DATA_DIR="$work/data" .venv/bin/python manage.py "$@"; }

look "ruff" .venv/bin/ruff check .
look "layout" .venv/bin/ruff format --check .
look "templates" .venv/bin/djlint --quiet --lint templates
look "django" django check --fail-level WARNING
look "migrations" django makemigrations --check --dry-run
look "mypy" .venv/bin/mypy .

if [ -n "$failed" ]; then
    echo "To mend:$failed. \`make format\` lays the code out."
    exit 1
fi
