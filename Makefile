# MinerPulse. `make` alone lists what there is to do.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Calculations without I/O: every line and branch of them is tested.
comma := ,
space := $(subst ,, )
PURE := $(subst $(space),$(comma),$(strip \
	services/core/errors.py \
	services/core/trust.py \
	services/core/prices.py \
	services/core/sessions.py \
	services/core/text.py \
	services/core/identity.py \
	services/core/installation.py \
	services/core/statistics.py \
	services/market/align.py \
	services/market/measure.py \
	services/market/gap.py \
	services/market/holdings.py \
	services/market/network.py \
	services/market/network_history.py \
	services/market/network_checks.py \
	services/market/mining_economics.py \
	services/market/consensus/quorum.py \
	services/market/consensus/quarantine.py \
	services/market/consensus/closes.py \
	services/market/consensus/corporate_actions.py \
	services/market/consensus/declared_actions.py \
	services/market/consensus/no_trade_sessions.py \
	services/rules/rule.py \
	services/rules/grammar.py \
	services/rules/decide.py \
	services/rules/prefilter.py \
	services/rules/replay.py \
	services/rules/chart_series.py \
	services/rules/history_lookup.py \
	services/research/attribution.py \
	services/research/explain.py \
	services/research/track_record.py \
	services/research/tune.py \
	services/research/rate_target.py \
	services/research/drawdown.py \
	services/research/holdings_effects.py \
	services/research/report.py \
	services/alerting/alert.py \
	services/alerting/rule_hit.py \
	services/alerting/alert_news.py \
	services/alerting/feedback.py \
	services/alerting/snooze.py \
	services/alerting/channel_settings.py \
	services/alerting/setting_syntax.py \
	services/alerting/quiet_hours.py \
	services/alerting/notice.py \
	services/alerting/brief.py \
))
PURE_TESTS := tests/services/core tests/services/market tests/services/rules tests/services/research tests/services/alerting

.DEFAULT_GOAL := help
.PHONY: help run test test-pythons check types validate-live cover bench chaos simulate picture setup lock clean

help: ## list these commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run ## connect to Slack where tokens are set, else rehearse a simulated market here
	@$(BIN)/minerpulse run

test: $(VENV)/.dev ## run the tests
	@$(BIN)/pytest -n auto

test-pythons: $(VENV)/.dev ## run the domain, sources and CLI tests on every other supported Python here
	@$(BIN)/python -m tests.pythons

check: $(VENV)/.dev ## lint, types, layers, dependencies and the coverage of the calculations
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/pytest -q -n auto $(PURE_TESTS) --cov=services --cov-report=
	@$(BIN)/coverage report --skip-covered --include="$(PURE)" --fail-under=100

types: $(VENV)/.dev ## hold messages and calls against Slack's own types; needs Node
	@command -v npm > /dev/null || { echo "This needs Node: install it, and run again."; exit 1; }
	@npm install --prefix tests/types --no-package-lock --no-audit --no-fund --silent
	@$(BIN)/python -m tests.types
	@tests/types/node_modules/.bin/tsc -p tests/types

validate-live: $(VENV)/.dev ## ask Slack itself about every golden message; needs the network
	@$(BIN)/python -m tests.types.live

cover: $(VENV)/.dev ## run the tests with the coverage of everything
	@$(BIN)/pytest -q -n auto --cov --cov-report=
	@$(BIN)/coverage report --skip-covered

bench: $(VENV)/.dev ## measure the speed and memory budgets, as ratios in one run
	@$(BIN)/python -m tests.bench

chaos: $(VENV)/.dev ## kill, freeze and cut off its processes, and count what was lost and repeated (half an hour)
	@$(BIN)/python -m tests.chaos kill --on sqlite
	@$(BIN)/python -m tests.chaos kill --on postgresql
	@$(BIN)/python -m tests.chaos share --workers 4
	@$(BIN)/python -m tests.chaos freeze
	@$(BIN)/python -m tests.chaos restart
	@$(BIN)/python -m tests.chaos faults

simulate: $(VENV)/.dev ## run seeded simulations of everything that can go wrong; SEED=123 shows one, RUNS=10000 more
	@$(BIN)/python -m tests.simulate $(if $(SEED),--seed $(SEED),--runs $(or $(RUNS),200))

picture: ## draw docs/alert.png anew, with a Chromium that is installed here
	@$(PYTHON) docs/draw_alert.py

setup: $(VENV)/.dev ## create .venv with everything for development

lock: $(VENV)/.dev ## renew the pinned requirements from pyproject.toml
	@$(BIN)/python -m pip install -q uv
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-strip-extras \
		--python-version 3.11 --upgrade pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-strip-extras \
		--python-version 3.11 --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean: ## remove .venv and every cache
	@rm -rf $(VENV) $(VENV)-3.* tests/types/node_modules tests/types/build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "MinerPulse needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Creating $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what MinerPulse runs on (once) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run | $(VENV)/bin/python
	@echo "Installing what the tests and checks need (once) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
