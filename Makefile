# Huiyin. `make help` lists the targets; `make run` and `make test` are all a newcomer needs.
# Everything needed is set up on the way: uv into a private folder if the machine has none, then the locked packages.

SHELL := /bin/bash
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
STAMP := .venv/.ready
WEB := shared/web
BUILT := $(WEB)/dist/.built

# A start without compiled modules takes twice as long, and where PYTHONDONTWRITEBYTECODE is set nobody else makes them.
COMPILE := .venv/bin/python -m compileall -q services shared

.DEFAULT_GOAL := help
.PHONY: help run test test-distributed browser check web bench bench-long simulate mutations powercut chaos chaos-distributed servers-up servers-down secrets events dashboards trace pictures clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

run: $(STAMP) ## start everything in one process, with the sample at the first start, and print the addresses
	@$(MAKE) --silent --no-print-directory $(BUILT) || true
	@$(COMPILE)
	@HUIYIN_SAMPLE=$${HUIYIN_SAMPLE:-on} .venv/bin/huiyin serve

test: check ## lint, types, import rules, and every test that needs no server and no browser
	@$(COMPILE)
	.venv/bin/pytest -n 3 --dist worksteal -m "not distributed" tests/simulation tests/journeys tests --ignore=tests/browser --ignore=tests/chaos

test-distributed: $(STAMP) ## both contract suites, every journey and the gateway on real Kafka and MongoDB servers, which it starts and stops
	@$(COMPILE)
	@UV="$(abspath $(UV))" .venv/bin/python -m deploy.native run -- \
		.venv/bin/pytest -n 3 --dist worksteal -m distributed tests/contract tests/journeys tests/deploy

browser: $(STAMP) $(BUILT) ## the pages in Debian's chromium, in both languages, widths and schemes, with scripts and without
	@$(COMPILE)
	.venv/bin/pytest -n 2 --dist loadfile tests/browser

check: $(STAMP) ## lint, format, types and import rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	@$(WEB)/build check

web: ## build the scripts of the pages (TypeScript); the pages work without them too
	@rm -f $(BUILT)
	@$(MAKE) --silent --no-print-directory $(BUILT)

bench: $(STAMP) ## measure against bounds of the same run; `make bench ONLY="B1 B8"`, `SCALE=0.1` for a tenth
	.venv/bin/python -m tests.bench $(ONLY) --scale $(or $(SCALE),1)

bench-long: $(STAMP) ## cost and memory at a million stored
	.venv/bin/python -m tests.bench B6 --long

chaos: $(STAMP) ## kill, pause and starve a real process under load, and see whether it kept its word; `make chaos SEEDS=10 SECONDS=20`
	@$(COMPILE)
	.venv/bin/pytest -m "not distributed" tests/chaos
	.venv/bin/python -m tests.chaos --seeds $(or $(SEEDS),3) --seconds $(or $(SECONDS),20)

chaos-distributed: $(STAMP) ## the same on three brokers and a replica set of three, which die, hang and are cut off; each mistake in the adapters is caught
	@$(COMPILE)
	@UV="$(abspath $(UV))" .venv/bin/pytest -m distributed tests/chaos
	@UV="$(abspath $(UV))" .venv/bin/python -m tests.chaos --servers --seeds $(or $(SEEDS),3) --seconds $(or $(SECONDS),20)

servers-up: $(STAMP) ## start Kafka and MongoDB on this machine, without containers; `make servers-up NODES=3`; eval "$(make -s servers-up)" names them
	@UV="$(abspath $(UV))" .venv/bin/python -m deploy.native up --nodes $(or $(NODES),1)

servers-down: $(STAMP) ## stop them; what they hold stays in .servers
	@.venv/bin/python -m deploy.native down --nodes $(or $(NODES),1)

secrets: ## write new passwords for docker-compose.yml into .env, once
	@$(PYTHON) -m deploy.secrets

events: $(STAMP) ## write docs/events.md and the schema snapshots anew from shared/events
	.venv/bin/python -m tests.support.catalogue

trace: $(STAMP) ## draw one feedback's way through four processes on real servers into docs/pictures/trace.svg
	@UV="$(abspath $(UV))" .venv/bin/python -m deploy.native run -- .venv/bin/python -m tests.support.trace

dashboards: $(STAMP) ## write the Grafana dashboard anew from deploy/grafana/generate.py
	.venv/bin/python -m deploy.grafana.generate

simulate: $(STAMP) ## live through histories of all four services in virtual time; `make simulate SEEDS=20000` for a night
	.venv/bin/python -m tests.simulation --seeds $(or $(SEEDS),300)

mutations: $(STAMP) ## make deliberate mistakes and see that the simulation catches each
	.venv/bin/python -m tests.simulation --mutations --seeds $(or $(SEEDS),300)

powercut: $(STAMP) ## cut the power of the SQLite files 3,000 times (needs a C compiler)
	.venv/bin/python -m tests.power --cuts $(or $(CUTS),3000)

pictures: $(STAMP) $(BUILT) ## take the pictures of the README from the running program with the sample (needs chromium)
	.venv/bin/python -m tests.support.pictures

clean: ## remove what the targets made (never the data folder)
	rm -rf .venv .uv $(WEB)/dist $(WEB)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): pyproject.toml uv.lock
	@command -v $(UV) >/dev/null 2>&1 || { echo "setting up uv in .uv" >&2; $(PYTHON) -m venv .uv && .uv/bin/pip install --quiet uv; }
	@echo "setting up the packages of uv.lock" >&2
	@$(UV) sync --frozen --quiet --compile-bytecode --extra distributed --extra otlp $(if $(CI),--group operations)
	@touch $@

$(BUILT): $(STAMP) $(wildcard $(WEB)/scripts/*.ts $(WEB)/scripts/*/*.ts) $(addprefix $(WEB)/,build package.json package-lock.json tsconfig.json vite.config.js)
	@UV="$(abspath $(UV))" $(WEB)/build
	@mkdir -p $(@D) && touch $@
