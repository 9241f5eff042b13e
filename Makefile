# MinerPulse. `make` alone lists what there is to do.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test check cover bench simulate picture setup lock clean

help: ## list these commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run ## connect to Slack where tokens are set, else rehearse a simulated market here
	@$(BIN)/minerpulse run

test: $(VENV)/.dev ## run the tests
	@$(BIN)/pytest -n auto

check: $(VENV)/.dev ## lint, types, layers, dependencies and the coverage of services/domain
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/pytest -q -n auto tests/services/domain --cov=services/domain --cov-report=
	@$(BIN)/coverage report --skip-covered --fail-under=100

cover: $(VENV)/.dev ## run the tests with the coverage of everything
	@$(BIN)/pytest -q -n auto --cov --cov-report=
	@$(BIN)/coverage report --skip-covered

bench: $(VENV)/.dev ## measure the speed and memory budgets, as ratios in one run
	@$(BIN)/python -m tests.bench

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
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage dist

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
