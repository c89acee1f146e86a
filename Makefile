# Everything a developer runs. Needs make, git and Python 3.11 or newer; the rest comes with `venv`.
#
# Variables, also from the environment: make demo REMIT_PORT=18080
#   PYTHON                the interpreter that .venv is made with
#   REMIT_PORT            Airflow's UI and API, and the trigger hook (8080)
#   REMIT_AWS_PORT        the local AWS (5055)
#   REMIT_RECEIVER_PORT   the webhook receiver (8090)

.DEFAULT_GOAL := help
SHELL := /bin/sh

BIN := .venv/bin
STAMP := .venv/.installed
PEERS_STAMP := .venv-peers/.installed
# What .venv holds comes first, whatever the caller has activated. `exec`, so that a signal to the
# recipe reaches the program, which then stops what it started.
RUN = exec env PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV

.PHONY: help venv demo up down token test test-unit test-slow check bench-export \
	bench-webhooks bench-api bench-latency clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' \
		$(MAKEFILE_LIST)
	@echo
	@sed -n 's/^#   \([A-Z_]* .*\)/  \1/p' $(MAKEFILE_LIST)

venv: $(STAMP) ## Create .venv with the pinned dependencies (the others do it when needed)

$(STAMP): requirements.txt requirements-dev.txt constraints.txt scripts/venv.sh
	@GOAL=$(firstword $(MAKECMDGOALS)) PYTHON="$(PYTHON)" scripts/venv.sh
	@touch $@

$(PEERS_STAMP): benchmarks/export/requirements-peers.txt $(STAMP)
	@$(BIN)/python -m venv .venv-peers
	@.venv-peers/bin/python -m pip install -qq --disable-pip-version-check --no-input -r $<
	@touch $@

demo: $(STAMP) ## Run the whole job once, on a local stack that is stopped at the end
	@$(RUN) -m demo run

up: $(STAMP) ## Start the local stack and leave it running
	@$(RUN) -m demo up

down: $(STAMP) ## Stop what `make up` started
	@$(RUN) -m demo down

token: $(STAMP) ## Print a fresh merchant token for the stack that is up
	@$(RUN) -m demo token

# A file's tests stay together: many share what it has set up.
test: $(STAMP) ## Run the tests: unit, integration, end to end (minutes)
	@$(RUN) -m pytest -n 2 --dist loadfile -m "not slow and not alone" tests
	@$(RUN) -m pytest -m "alone and not slow" tests

test-unit: $(STAMP) ## Run the unit tests (under a minute)
	@$(RUN) -m pytest -m "not slow" tests/unit

test-slow: $(STAMP) ## Run the tests that take longer (under half an hour)
	@$(RUN) -m pytest -m slow tests

check: $(STAMP) ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	MYPYPATH=plugins $(BIN)/mypy plugins/remit

bench-export: $(STAMP) $(PEERS_STAMP) ## Measure exports beside boto3 + pandas, awswrangler, the provider
	@$(RUN) -m benchmarks.export

bench-webhooks: $(STAMP) ## Measure deliveries beside requests + boto3, aiohttp, mapped HttpOperators
	@$(RUN) -m benchmarks.webhooks

bench-api: $(STAMP) ## Measure the hook's routes beside Airflow's version route
	@$(RUN) -m benchmarks.api

bench-latency: $(STAMP) ## Measure request to link, beside a bare DAG run, on a stack of its own
	@$(RUN) -m benchmarks.latency

clean: ## Remove caches and the stack's directory, not .venv
	@if [ -f .run/stack.json ]; then echo "A stack may be up: make down first." >&2; exit 1; fi
	rm -rf .run .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
