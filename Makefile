# Huiyin. `make help` lists the targets; `make run` and `make test` are all a newcomer needs.
# Everything needed is set up on the way: uv into a private folder if the machine has none, then the locked packages.

SHELL := /bin/bash
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
STAMP := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help run test check events clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: $(STAMP) ## start everything in one process and print the addresses
	@.venv/bin/huiyin serve

test: check ## lint, types, import rules, and every test that needs no server
	.venv/bin/pytest

check: $(STAMP) ## lint, format, types and import rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

events: $(STAMP) ## write docs/events.md and the schema snapshots anew from shared/events
	.venv/bin/python -m tests.support.catalogue

clean: ## remove what the targets made (never the data folder)
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): pyproject.toml uv.lock
	@command -v $(UV) >/dev/null 2>&1 || { echo "setting up uv in .uv"; $(PYTHON) -m venv .uv && .uv/bin/pip install --quiet uv; }
	@echo "setting up the packages of uv.lock"
	@$(UV) sync --frozen --quiet
	@touch $@
