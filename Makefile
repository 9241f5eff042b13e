# MinerPulse. `make` alone lists the commands.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Calculations without I/O: every line and branch of them is tested. ORCHESTRATION is what calls stores, sources or clocks.
PURE := services/core/*,services/market/*.py,services/market/consensus/*,services/rules/*,services/research/*,services/alerting/*
ORCHESTRATION := */ports.py,*/core/clock.py,*/core/concurrency.py,*/market/live_pair.py,*/market/network_service.py,\
*/market/price_history.py,*/market/snapshot.py,*/rules/market_service.py,*/rules/market_view.py,*/rules/network_view.py,\
*/research/holdings_report.py,*/research/service.py,*/alerting/alert_update.py,\
*/alerting/corrections.py,*/alerting/enrichment.py,*/alerting/monitor.py,*/alerting/open_alerts.py,\
*/alerting/rule_index.py,*/alerting/tick_log.py
PURE_TESTS := tests/services/core tests/services/market tests/services/rules tests/services/research tests/services/alerting

.DEFAULT_GOAL := help
.PHONY: help run doctor test test-pythons check types validate-live cover bench scale study chaos simulate image picture recording look tables sessions docs setup lock sbom audit clean

help: ## list these commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run ## connect to Slack if tokens are set, else rehearse a simulated market here
	@$(BIN)/minerpulse run --check; case $$? in \
		0) exec $(BIN)/minerpulse run ;; \
		3) echo "No Slack tokens are set: this is a rehearsal. README.md shows how to connect."; \
			exec $(BIN)/minerpulse rehearse --try-web ;; \
		*) exit 2 ;; \
	esac

doctor: $(VENV)/.run ## check the settings, the database, the sources and Slack
	@$(BIN)/minerpulse doctor

test: $(VENV)/.dev ## run the tests
	@$(BIN)/pytest -n auto --dist worksteal

test-pythons: $(VENV)/.dev ## run the domain, sources and CLI tests on every other supported Python here
	@$(BIN)/python -m tests.pythons

check: $(VENV)/.dev ## lint, types, layers, dependencies, tables of the docs, coverage of the calculations
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/python -m docs.tables --check
	@$(BIN)/pytest -q -n auto --dist worksteal $(PURE_TESTS) --cov=services --cov-report=
	@$(BIN)/coverage report --skip-covered --include="$(PURE)" --omit="$(subst $() ,,$(ORCHESTRATION))" --fail-under=100

types: $(VENV)/.dev ## check messages and calls against Slack's own types, the dashboard against Grafana's; needs Node
	@command -v npm > /dev/null || { echo "This needs Node: install it, and run again."; exit 1; }
	@npm install --prefix tests/types --no-package-lock --no-audit --no-fund --silent
	@$(BIN)/python -m tests.types
	@tests/types/node_modules/.bin/tsc -p tests/types

validate-live: $(VENV)/.dev ## validate every golden message with Slack itself; needs the network
	@$(BIN)/python -m tests.types.live

cover: $(VENV)/.dev ## run the tests with the coverage of everything
	@$(BIN)/pytest -q -n auto --dist worksteal --cov --cov-report=
	@$(BIN)/coverage report --skip-covered

bench: $(VENV)/.dev ## measure the speed and memory budgets, as ratios in one run
	@$(BIN)/python -m tests.bench

scale: $(VENV)/.dev ## simulate one move in 10,000 workspaces with 1, 2 and 4 workers on PostgreSQL (five minutes)
	@$(BIN)/python -m tests.scale $(SCALE)

study: $(VENV)/.dev ## simulate how often statistical claims hold, and print one table
	@$(BIN)/python -m tests.study $(STUDY)

chaos: $(VENV)/.dev ## kill, freeze and cut off processes; count lost and repeated messages (half an hour)
	@$(BIN)/python -m tests.chaos kill --on sqlite
	@$(BIN)/python -m tests.chaos kill --on postgresql
	@$(BIN)/python -m tests.chaos share --workers 4
	@$(BIN)/python -m tests.chaos freeze
	@$(BIN)/python -m tests.chaos restart
	@$(BIN)/python -m tests.chaos clock --on sqlite
	@$(BIN)/python -m tests.chaos clock --on postgresql
	@$(BIN)/python -m tests.chaos replace
	@$(BIN)/python -m tests.chaos pages --on sqlite
	@$(BIN)/python -m tests.chaos pages --on postgresql
	@$(BIN)/python -m tests.chaos bomb
	@$(BIN)/python -m tests.chaos rewrite
	@$(BIN)/python -m tests.chaos faults

image: ## build the container image with buildah, run it offline, and check its size; says so if it can't
	@deploy/check_image.sh

simulate: $(VENV)/.dev ## run seeded failure simulations; SEED=123 shows one, RUNS=10000 runs more
	@$(BIN)/python -m tests.simulate $(if $(SEED),--seed $(SEED),--runs $(or $(RUNS),200))

picture: $(VENV)/.dev ## redraw docs/alert.png and docs/chart.png; needs Chromium
	@$(BIN)/python -m docs.pictures

recording: $(VENV)/.dev ## record docs/rehearsal.svg, 20 seconds of a rehearsal in the terminal
	@$(BIN)/python -m docs.record

look: $(VENV)/.dev ## draw and measure every golden message, phone and desktop, in build/look; needs Chromium
	@$(BIN)/python -m tests.look $(LOOK)

tables: $(VENV)/.dev ## write the tables of the documentation from the code
	@$(BIN)/python -m docs.tables

sessions: $(VENV)/.dev ## write the shipped table of XNYS sessions from exchange_calendars
	@$(BIN)/python -m tests.session_table

docs: $(VENV)-docs/.ready ## build the documentation into docs/_build/html and check its links, offline
	@$(VENV)-docs/bin/sphinx-build -q -W --keep-going -E -d docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

setup: $(VENV)/.dev ## create .venv with everything for development

lock: $(VENV)/.dev ## update the pinned requirements from pyproject.toml
	@$(BIN)/python -m pip install -q uv
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-strip-extras \
		--python-version 3.11 --upgrade pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-strip-extras \
		--python-version 3.11 --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-strip-extras \
		--python-version 3.11 --upgrade --group audit -o requirements-audit.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-strip-extras \
		--python-version 3.11 --upgrade --group docs -o requirements-docs.txt

sbom: $(VENV)-audit/.ready ## write dist/minerpulse.cdx.json, a CycloneDX list of everything MinerPulse depends on
	@mkdir -p dist
	@$(VENV)-audit/bin/python -W ignore::UserWarning -m cyclonedx_py requirements requirements.txt \
		--pyproject pyproject.toml --mc-type application --sv 1.6 --output-reproducible --of JSON -o dist/minerpulse.cdx.json
	@echo "dist/minerpulse.cdx.json"

audit: $(VENV)-audit/.ready ## look up known advisories of everything MinerPulse depends on; needs PyPI
	@$(VENV)-audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.txt

.DEFAULT:
	@echo "There is no target “$@”. \`make help\` lists them; MinerPulse's own commands are in $(BIN)/minerpulse." >&2; exit 2

clean: ## remove .venv and every cache
	@rm -rf $(VENV) $(VENV)-3.* $(VENV)-audit $(VENV)-docs docs/_build tests/types/node_modules tests/types/build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "MinerPulse needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Creating $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what MinerPulse depends on (once) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run | $(VENV)/bin/python
	@echo "Installing what the tests and checks need (once) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)-audit/.ready: requirements-audit.txt
	@echo "Installing what lists and audits the dependencies (once) …"
	@$(PYTHON) -m venv $(VENV)-audit
	@$(VENV)-audit/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-audit.txt
	@touch $@

$(VENV)-docs/.ready: requirements-docs.txt
	@echo "Installing what builds the documentation (once) …"
	@$(PYTHON) -m venv $(VENV)-docs
	@$(VENV)-docs/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-docs.txt
	@touch $@
