# One name for each thing one does here; `make` alone lists them. The virtual environment is made on demand.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Tests that start processes want a core each: two workers are the fastest stable number on two cores.
WORKERS ?= 2
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: help setup check fix test fault bench docs demo lint types imports quick

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED)  ## make .venv and install everything the other targets need

# The first Python on the PATH that is new enough and really starts (a version manager's placeholder may not).
$(INSTALLED): pyproject.toml constraints.txt
	@set -euo pipefail; \
	found=""; \
	for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null; \
	  then found="$$python"; break; fi; \
	done; \
	if [ -z "$$found" ] && [ ! -x $(BIN)/python ]; \
	then echo "No Python from 3.11 to 3.14 on the PATH. Install one (https://www.python.org/downloads/) and repeat." >&2; exit 1; fi; \
	if [ ! -x $(BIN)/python ]; then \
	  echo "Making $(VENV) with $$($$found --version)"; \
	  "$$found" -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "$$found has no working venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi; \
	echo "Installing (a minute or two, once)"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

check: $(INSTALLED)  ## lint, types, import contracts, architecture and unit tests, in under a minute
	@$(MAKE) --no-print-directory -k -j2 $(SYNC) lint types imports quick

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports --no-logo

quick: $(INSTALLED)
	$(BIN)/pytest -q -n $(WORKERS) -m "not slow" tests/architecture tests/unit

fix: $(INSTALLED)  ## repair what the linter can repair, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(INSTALLED)  ## every test there is, crashes included (under a quarter of an hour)
	$(BIN)/pytest -q -n $(WORKERS) --dist loadgroup

fault: $(INSTALLED)  ## only the crash and failure tests
	$(BIN)/pytest -q tests/fault

bench: $(INSTALLED)  ## measure calls, overhead, throughput, memory and start-up; print a table and write JSON
	$(BIN)/python tests/bench/run.py

docs: $(INSTALLED)  ## write the generated reference pages, then check every page's samples
	$(BIN)/python -m docs.reference.generate
	$(BIN)/python -m closedwon.cli.reference docs/reference/cli.md
	$(BIN)/pytest -q tests/docs

demo: $(INSTALLED)  ## the whole story in the terminal: deals won, invoiced, paid, broken and healed
	$(BIN)/closedwon demo
