# The commands of DeployOn. `make` alone lists them. Needs python3 (3.11 to 3.13) with venv; PYTHON=... names another interpreter.

PYTHON ?= python3
export PYTHON
PY := .venv/bin/python
RUN_STAMP := .venv/.installed
DEV_STAMP := .venv/.installed-dev
RUNNER_STAMP := .venv-runner/runner.stamp
CFY_STAMP := .venv-cfy/.installed-cfy
LOCK := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run demo test e2e e2e-cut e2e-faults lint format bench bench-cluster lab lock
MAKEFLAGS += --no-print-directory

help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1|\2/' | while IFS='|' read -r name text; do printf '%-16s %s\n' "$$name" "$$text"; done

setup: $(RUN_STAMP) $(RUNNER_STAMP) ## Makes .venv and .venv-runner from the locks; again only when they changed

setup-dev: $(DEV_STAMP) $(RUNNER_STAMP) $(CFY_STAMP) ## The same, with what tests and linters need

$(RUN_STAMP): requirements.txt
	@scripts/venv.sh requirements.txt
	@touch $@

$(DEV_STAMP): requirements-dev.txt requirements.txt
	@scripts/venv.sh requirements.txt requirements-dev.txt
	@touch $(RUN_STAMP) $@

$(RUNNER_STAMP): requirements-runner.txt orchestration/runner_setup.py | $(RUN_STAMP)
	@$(PY) -m orchestration.runner_setup
	@touch $@

$(CFY_STAMP): requirements-cfy.txt tests/orchestration/cfy/environment.py | $(DEV_STAMP)
	@$(PY) -m tests.orchestration.cfy.environment
	@touch $@

run: setup ## One installation on http://127.0.0.1:8000, with everything embedded
	@exec $(PY) manage.py up

demo: setup ## The main job: a central portal, three sub-managers, one service on all; DEMO_PORT=8000, DEMO_EXIT=1 ends with the rollout
	@exec $(PY) manage.py demo

test: setup-dev ## All tests, on SQLite and PostgreSQL; as root installs what is missing; ARGS="-k rollout" chooses, REQUIRE_ALL=1 forbids skips
	@$(PY) tests/run.py $(ARGS)

e2e: setup-dev ## What is slow: pages in a browser, then (as root) a cluster from bare hosts to clean ones; TOPOLOGY=compact is quicker
	@$(PY) tests/run.py -m e2e $(ARGS)
	@$(PY) -m tests.e2e --topology $(or $(TOPOLOGY),ten)

e2e-cut: setup-dev ## A cut of it in minutes (as root): three compact hosts, and the power cut of the database's leader
	@$(PY) -m tests.e2e --topology compact --only 'drill: power cut*'

e2e-faults: setup-dev ## At each step of an install one fault, then resume (as root, hours); goes on where it stood; ARGS="--minutes 30 --seed 7"
	@exec $(PY) -m tests.e2e.faults $(ARGS)

lint: setup-dev ## ruff, mypy, djlint, Django's checks, missing migrations
	@scripts/lint.sh

format: setup-dev ## Lays the code out and repairs what ruff can repair
	@.venv/bin/ruff check --quiet --fix-only .
	@.venv/bin/ruff format .

bench: setup-dev ## The measures of docs/benchmarks.md
	@exec $(PY) -m bench $(ARGS)

bench-cluster: setup-dev ## The measures of clusters (as root, hours); ARGS="leader-cut --from NAME --times 5"; docs/lab.md says how a lab is kept
	@exec $(PY) -m tests.e2e.bench $(ARGS)

lab: ## Debian hosts on this machine, to build clusters on and to break; needs root: ARGS="up db1 db2", ARGS="down"
	@exec $(PYTHON) -m tests.lab $(or $(ARGS),--help)

lock: setup-dev ## Resolves requirements*.in again; UPGRADE=--upgrade takes newer versions
	@$(LOCK) $(UPGRADE) -o requirements.txt requirements.in
	@$(LOCK) $(UPGRADE) -o requirements-dev.txt requirements-dev.in
	@$(LOCK) $(UPGRADE) --no-annotate --override requirements-cfy-overrides.in -o requirements-cfy.txt requirements-cfy.in
	@$(LOCK) $(UPGRADE) -o requirements-tools.txt requirements-tools.in
