# Every target sets up what it needs in .venv, from requirements.lock; nothing else on the machine changes.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PIP := pip --disable-pip-version-check install --quiet
NOTEBOOKS := notebooks

.DEFAULT_GOAL := help
.PHONY: help setup reproduce quick test lint unit nbval site lab labcheck bench figures lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv from the lock (minutes, once)

reproduce: $(READY) ## Run every notebook at the full profile; write figures/ and the claims ledger
	$(BIN)/initlib run all --profile full

quick: $(READY) ## The same at the quick profile: a first taste, in minutes, in runs/quick/
	$(BIN)/initlib run all --profile quick

test: lint unit nbval ## Check the style, run the unit tests, then compare every notebook with its outputs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

unit: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --doctest-modules tests initlib

nbval: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadscope -o filterwarnings= \
		-p tests.save_twice --nbval --nbval-current-env --nbval-cell-timeout=120 $(NOTEBOOKS)

site: $(READY) ## Write notebooks, gallery and ledger as a website into site/
	$(BIN)/initlib site

lab: $(READY) ## Open JupyterLab on notebooks/, for this machine alone and with a token
	$(BIN)/jupyter lab --notebook-dir=$(NOTEBOOKS) --ip=127.0.0.1

labcheck: $(READY) ## Open and run every notebook in JupyterLab, by its menus, in a headless Chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -v --every-notebook tests/test_jupyterlab.py

bench: .venv-bench/ready ## Time initlib against its peers, as ratios; needs a quiet machine
	.venv-bench/bin/python -m benchmarks

lock: ## Resolve requirements.lock again from pyproject.toml
	.ci/lock $(PYTHON)

clean: ## Remove .venv, runs/ and caches
	rm -rf $(VENV) .venv-bench runs site build *.egg-info .pytest_cache .ruff_cache .hypothesis

$(READY): requirements.lock pyproject.toml setup.py initlib/_kernel.c
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "initlib needs Python 3.11 or later: make PYTHON=python3.11 ...")'
	@echo "Setting up $(VENV) from requirements.lock: some minutes, once."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m $(PIP) -r requirements.lock
	@$(BIN)/python -m $(PIP) --no-deps --editable .
	@$(BIN)/python -m ipykernel install --sys-prefix --name initlib --display-name "initlib (Python 3)" >/dev/null
	@touch $@

# A peer that can't be installed leaves its rows out, and nothing else.
.venv-bench/ready: $(READY) benchmarks/requirements.txt
	@echo "Setting up .venv-bench: the lock and the peers."
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m $(PIP) -r requirements.lock
	@.venv-bench/bin/python -m $(PIP) --no-deps --editable .
	@grep -v '^#' benchmarks/requirements.txt | while read -r peer; do \
		.venv-bench/bin/python -m $(PIP) -c requirements.lock "$$peer" \
			|| echo "make bench: $$peer could not be installed, so its rows are left out"; \
	done
	@touch $@
