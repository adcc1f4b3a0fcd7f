# Everything lives in one .venv; nothing but Python 3.11+ and make is needed beforehand.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
BIN := .venv/bin
# uv inside the venv: compiled bytecode (imports are a third faster) and the overrides of pyproject.toml
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test setup lab lint bench verify-statistics wheel-check notebooks nightly clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/core ## the leaderboard of the shipped prompts, no key needed
	$(BIN)/workbench demo

test: .venv/all ## the whole test suite, notebooks included
	$(BIN)/python -m pytest -q -n 2 --dist loadfile tests --ignore=tests/browser
	$(BIN)/python -m pytest -q tests/browser
	@for notebook in notebooks/*.ipynb; do \
		WORKBENCH_HOME=$$(mktemp -d) $(BIN)/python -m pytest -q -p no:cacheprovider --nbval-lax --nbval-current-env \
			--nbval-cell-timeout 120 --nbval-sanitize-with notebooks/nbval.cfg $$notebook || exit 1; \
	done

setup: .venv/all ## environment and everything installed, nothing run

lab: .venv/all ## JupyterLab on notebooks/
	WORKBENCH_HOME=$(CURDIR) $(BIN)/jupyter lab --notebook-dir=notebooks

lint: .venv/all ## ruff, and mypy strict on the package
	$(BIN)/ruff check
	$(BIN)/mypy

bench: .venv/all ## speed and memory, as one table
	$(BIN)/python tests/bench/run.py

notebooks: .venv/all ## run the notebooks and store their outputs
	$(BIN)/python notebooks/record.py

nightly: .venv/all ## the notebooks as regressions; NIGHT='--live --budget 5' calls real models
	$(BIN)/workbench nightly $(NIGHT)

verify-statistics: .venv/all ## simulate what the verdicts promise, as tables
	$(BIN)/python tests/verify_statistics.py

wheel-check: .venv/all ## build the wheel, install it in an empty environment, run the demo in an empty folder
	$(BIN)/python tests/wheel_check.py

clean: ## remove the environment and all caches, but no runs and no replies
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

.venv/bin/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv

.venv/core: .venv/bin/uv pyproject.toml constraints.txt
	$(INSTALL) --editable .
	@touch $@

.venv/all: .venv/bin/uv pyproject.toml constraints.txt
	$(INSTALL) --editable '.[dev]'
	@touch .venv/core $@
