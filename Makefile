# Everything happens in .venv, .genre, mlruns and mlflow.db, all inside this folder.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& echo $$p && break; done)
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)
READY := .venv/.ready
IN_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH"
ARGS ?=
# What these would leave in the home folder lies here instead.
export MLFLOW_DISABLE_TELEMETRY := true
export MPLCONFIGDIR := $(CURDIR)/.genre/matplotlib

.DEFAULT_GOAL := help
.PHONY: help run search test lint ui serve bench lock mlproject clean

help: ## Show what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

run: $(READY) ## Train on the demo corpus, evaluate, register (mlflow run .)
	$(IN_VENV) mlflow run . --env-manager local --experiment-name genre-mlflow \
		--storage-dir .genre/mlflow-run $(ARGS)

search: $(READY) ## Search for a better setting on the demo corpus (mlflow run . -e search)
	$(IN_VENV) mlflow run . -e search --env-manager local --experiment-name genre-mlflow \
		--storage-dir .genre/mlflow-run $(ARGS)

test: $(READY) ## Run the fast tests; ARGS="-m slow" for the slow ones
	$(IN_VENV) python -m pytest $(ARGS)

lint: $(READY) ## Check style and types
	$(IN_VENV) ruff check .
	$(IN_VENV) ruff format --check .
	$(IN_VENV) mypy

ui: $(READY) ## Open the MLflow UI on port 5000
	$(IN_VENV) mlflow ui --port 5000 $(ARGS)

serve: $(READY) ## Serve the champion on port 5001
	$(IN_VENV) genre-mlflow serve

bench: $(READY) ## Run the benchmarks
	@test -n "$$GENRE_REAL_DATA" || { echo "set GENRE_REAL_DATA; see CONTRIBUTING.md" >&2; exit 2; }
	@for script in benchmarks/bench_*.py; do \
		echo "== $$script"; $(IN_VENV) python $$script || exit 1; done

lock: $(READY) ## Renew requirements.lock from pyproject.toml
	$(IN_VENV) uv pip compile pyproject.toml --extra dev --universal --generate-hashes \
		--python-version 3.11 --no-header --upgrade -o requirements.lock

mlproject: $(READY) ## Write MLproject anew from the options of the commands
	$(IN_VENV) python -m genre_mlflow.cli.mlproject > MLproject.new && mv MLproject.new MLproject

clean: ## Delete the environment and all derived files; MLflow's store stays
	rm -rf .venv .genre .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info

# Bytecode: else the first start, where none may be written every start, compiles for seconds.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none was found" >&2; exit 2; }
	rm -rf .venv
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV="$(CURDIR)/.venv" .venv/bin/uv pip install --quiet --require-hashes --compile-bytecode \
		-r requirements.lock
	VIRTUAL_ENV="$(CURDIR)/.venv" .venv/bin/uv pip install --quiet --no-deps --editable .
	touch $@
