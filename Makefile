# The one task runner. `make demo` for a first look, `make test` for every proof.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FIND := $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)")
COMPILE := $(BIN)/uv pip compile --quiet --universal --no-header --no-annotate --python-version 3.11 --upgrade
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode $(FIND)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench docs eda results training backtests volatility quality torture locks clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.base:
	$(PYTHON) -c 'import sys; sys.exit("Forecastle needs Python 3.11 to 3.13, this is %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2] if not (3, 11) <= sys.version_info[:2] <= (3, 13) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/.core: $(VENV)/.base pyproject.toml locks/core.txt
	$(INSTALL) -c locks/core.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base pyproject.toml locks/all.txt
	$(INSTALL) -c locks/all.txt -e '.[dev]'
	@touch $@ $(VENV)/.core

setup: $(VENV)/.dev ## install everything the tests need

demo: $(VENV)/.core ## first look: bundled S&P 500 and NASDAQ become a forecast, its tests, report.html
	$(BIN)/forecastle demo --out report.html

check: $(VENV)/.dev ## lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: check ## check, then all tests
	$(BIN)/pytest -q -n 2

torture: $(VENV)/.dev ## kill, starve and spoil the lake a thousand times; ends with a table of counts
	FORECASTLE_TORTURE_ROUNDS=1000 $(BIN)/pytest -q -n 2 tests/torture tests/experiments/test_honesty.py

format: $(VENV)/.dev ## mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## figures: times side by side
	$(BIN)/python -m bench

docs: $(VENV)/.dev ## remake the README's figures and pictures (needs chromium) and the tables of sources and features
	$(BIN)/python docs/make_sources.py
	$(BIN)/python docs/make_features.py
	$(BIN)/python docs/make_feast.py
	$(BIN)/python docs/make_pictures.py

eda: $(VENV)/.dev ## remake docs/eda: run the notebooks top to bottom, offline
	$(BIN)/python docs/make_eda.py

results: $(VENV)/.dev ## remake docs/results and docs/environment.json
	$(BIN)/python docs/make_results.py $(if $(DATA),--data "$(DATA)")

training: $(VENV)/.dev ## remake docs/results/training.md: every ready configuration on real data (needs DATA; half an hour)
	$(BIN)/python docs/make_training.py $(if $(DATA),--data "$(DATA)")

backtests: $(VENV)/.dev ## remake docs/results/backtests.md: every ready backtest on real data (needs DATA; ten minutes)
	$(BIN)/python docs/make_backtests.py $(if $(DATA),--data "$(DATA)")

volatility: $(VENV)/.dev ## remake docs/results/volatility.md: every model on every series (needs DATA; half an hour)
	$(BIN)/python docs/make_volatility.py $(if $(DATA),--data "$(DATA)")

quality: $(VENV)/.dev ## remake docs/data_quality.md (needs DATA)
	$(BIN)/python docs/make_quality.py $(if $(DATA),--data "$(DATA)")

locks: $(VENV)/.base ## resolve the locked versions again
	$(COMPILE) --extra all pyproject.toml -o locks/all.txt
	$(COMPILE) -c locks/all.txt pyproject.toml -o locks/core.txt

clean: ## forget the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis report.html
