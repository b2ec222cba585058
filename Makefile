# The developer's menu; `make` alone shows it. Python 3.11 or 3.12 and make are all it needs; all it installs is in .venv.
# ARGS="..." is passed on to the command: make demo ARGS="--duration 90s", make test ARGS="tests/audit -x".

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
WANTED := make: needs Python 3.11 or 3.12 with venv (Debian: apt install python3-venv); name one with make PYTHON=/path/to/python3.12
LOCK := $(VENV)/uv/bin/uv pip compile pyproject.toml requirements/build.in --quiet --upgrade --universal \
	--python-version 3.11 --fork-strategy fewest --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help demo test check bench replay kafka docs lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.demo  ## see it work: a company under attack, alerts in this terminal, no set-up (Ctrl-C ends it)
	$(BIN)/auditwatch demo $(ARGS)

test: $(VENV)/.dev  ## all tests but the slow ones; those on a real Kafka skip where Java or Maven is missing
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile $(ARGS)

check: $(VENV)/.dev  ## style, types, import rules and the rule library, in under a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/auditwatch rules check

bench: $(VENV)/.dev  ## speed and memory, as ratios to yardsticks measured in the same run
	$(BIN)/python -m benchmarks $(ARGS)

replay: $(VENV)/.demo  ## your own file through the pipeline: make replay SOURCE=cloudtrail FILE=events.jsonl.gz
	@if [ -z "$(SOURCE)" ] || [ -z "$(FILE)" ]; then echo "usage: make replay SOURCE=cloudtrail FILE=events.jsonl.gz" >&2; exit 2; fi
	$(BIN)/auditwatch replay "$(SOURCE)=$(FILE)" $(ARGS)

kafka: $(VENV)/.demo  ## a real Apache Kafka on this machine, port 9092 or PORT=; needs Java 17 and Maven (Ctrl-C ends it)
	$(BIN)/python deploy/kafka.py --port $(or $(PORT),9092)

docs: $(VENV)/.dev  ## the pages, and a check of their links, commands and make targets
	@for page in README.md docs/*.md; do printf '  %-24s %s\n' "$$page" "$$(sed -n 's/^# //p;' "$$page" | head -n 1)"; done
	$(BIN)/python -m pytest -q tests/test_docs.py

lock: | $(BIN)/python  ## pin the newest packages pyproject.toml allows, by hash, in requirements/*.lock
	$(BIN)/python -m venv $(VENV)/uv
	$(VENV)/uv/bin/python -m pip --quiet --disable-pip-version-check install uv
	$(LOCK) --extra dev --output-file requirements/dev.lock
	$(LOCK) --extra embedded --constraint requirements/dev.lock --output-file requirements/demo.lock

clean:  ## remove .venv, caches and build results; .auditwatch/ and .kafka/ hold data and stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@for python in $(or $(PYTHON),python3.12 python3.11 python3 python); do \
	    if $$python -c '$(FITS)' 2>/dev/null; then echo "making $(VENV) with $$python"; exec $$python -m venv $(VENV); fi; \
	done; echo "$(WANTED)" >&2; exit 2

$(VENV)/.demo: requirements/demo.lock pyproject.toml | $(BIN)/python
	@echo "installing the packages of requirements/demo.lock into $(VENV) (once)"
	@$(PIP) install --require-hashes -r requirements/demo.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(BIN)/python
	@echo "installing the packages of requirements/dev.lock into $(VENV) (once)"
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(VENV)/.demo $@
