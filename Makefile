# rfid3: everything starts here; `make` alone says what there is.
#
# A first run needs Python 3.11 to 3.13, make and a network. What else is missing (python3-venv,
# Mosquitto; for tests and benches MariaDB and Redis too) is installed with apt, as root or with sudo, or
# the cure is printed. Python packages come from the index that pip is set up for; every one is pinned by
# version and hash.

PYTHON ?= python3
ARGS ?=
DATA ?=
KILLS ?= 200
N ?= 5000
SEED ?= 1
VENV ?= .venv

# Programs of the system that the tests start for themselves.
PROGRAMS := systemd-analyze mosquitto mariadbd redis-server
BIN := $(VENV)/bin
DONE := $(VENV)/.done
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install --quiet --only-binary=:all: --require-hashes
# A virtual environment whose Python is gone (moved folder, new distribution) is made anew.
STALE := $(shell $(BIN)/python -c "" 2>/dev/null || echo stale)

export PIP_ROOT_USER_ACTION = ignore
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo run test check bench backtest impact torture hostile wheels lint types layers setup lock upgrade clean stale trainer starter
.DELETE_ON_ERROR:
# One after the other: the goals share one virtual environment and apt.
.NOTPARALLEL:

help:  ## This list
	@echo 'rfid3: the edge brain of a rental or retail shop, on one Raspberry Pi'
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  ARGS="..." is handed on:  make demo ARGS="--seconds 30 --json",  make test ARGS="-k journal"'
	@echo '  PYTHON=python3.12 chooses the Python (3.11 to 3.13) of a new .venv'

demo: $(DONE)/run mosquitto  ## A simulated shop, a private broker and the daemon; Ctrl-C ends it
	@tools/foreground.sh $(BIN)/rfid3 demo $(ARGS)

run: $(DONE)/run  ## The daemon in the foreground, e.g. ARGS="--config config.toml"
	@tools/foreground.sh $(BIN)/rfid3 run $(ARGS)

test: $(DONE)/dev $(PROGRAMS)  ## Everything set up, and the whole test suite
	$(BIN)/python -m pytest $(ARGS)

check: lint types layers $(DONE)/wheels  ## Format, lint, types, import layers, hygiene, wheels

lint: $(DONE)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(DONE)/dev
	$(BIN)/mypy

layers: $(DONE)/dev
	$(BIN)/python -m pytest tests/test_layers.py tests/test_repository.py

bench: $(DONE)/bench mosquitto mariadbd  ## The figures, as tables and JSON
	@$(BIN)/python -m bench $(ARGS)

backtest: $(DONE)/bench  ## Forecasts against public tables in DATA=folder, e.g. ARGS="--quick"
	@test -n "$(DATA)" || { echo 'Say where the tables are: make backtest DATA=folder'; exit 1; }
	@$(BIN)/python -m bench.backtest --data "$(DATA)" $(ARGS)

impact: $(DONE)/dev  ## A simulated year with the proposals carried out, and without, e.g. ARGS="--seeds 3"
	@$(BIN)/python -m bench.impact $(ARGS)

torture: $(DONE)/dev mosquitto  ## kill -9 under load, KILLS=200 times from SEED=1
	@$(BIN)/python -m tests.torture --kills $(KILLS) --seed $(SEED) $(ARGS)

hostile: $(DONE)/dev  ## Spoilt and hostile models at the door, N=5000 of them from SEED=1
	@$(BIN)/python -m tests.hostile --number $(N) --seed $(SEED) $(ARGS)

starter: $(DONE)/dev  ## Train the models that are shipped for a first start anew, into models/
	@$(BIN)/python -m tools.starter $(ARGS)

wheels: $(DONE)/lock  ## Do the pins have wheels for Python 3.11-3.13 on x86-64 and aarch64?
	$(BIN)/python tools/check_wheels.py

lock: $(DONE)/lock  ## Write requirements/*.txt again, changing as little as possible
	tools/lock.sh $(BIN)/uv

upgrade: $(DONE)/lock  ## Write requirements/*.txt again with the newest versions
	tools/lock.sh $(BIN)/uv --upgrade

trainer: $(DONE)/trainer  ## What 'rfid3 train' needs beside the daemon

setup: $(DONE)/dev $(PROGRAMS)  ## Only install what demo and test need

clean:  ## Remove what was made here: .venv, caches, builds (var/, your data, stays)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One look in PATH; apt only when they are missing.
.PHONY: $(PROGRAMS)
$(PROGRAMS):
	@tools/need.sh $@

# A stamp a layer of the virtual environment. The second `make` finds them and is instant.
$(DONE)/venv: $(if $(STALE),stale)
	@tools/venv.sh $(VENV) $(PYTHON)
	@mkdir -p $(DONE) && touch $@

$(DONE)/run: $(DONE)/venv requirements/run.txt requirements/build.txt pyproject.toml edge/__init__.py
	@echo "Installing rfid3 and its pinned packages ..."
	@$(INSTALL) -r requirements/build.txt
	@$(INSTALL) -r requirements/run.txt
	@$(PIP) install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

$(DONE)/trainer: $(DONE)/run requirements/trainer.txt
	@echo "Installing the pinned packages that training needs ..."
	@$(INSTALL) -r requirements/trainer.txt
	@touch $@

$(DONE)/dev: $(DONE)/run requirements/dev.txt
	@echo "Installing the pinned tools for tests and checks ..."
	@$(INSTALL) -r requirements/dev.txt
	@touch $@

$(DONE)/bench: $(DONE)/dev requirements/bench.txt
	@$(INSTALL) -r requirements/bench.txt
	@touch $@

$(DONE)/lock: $(DONE)/venv requirements/lock.txt
	@$(INSTALL) -r requirements/lock.txt
	@touch $@

# Asks the index, so only when the answer may have changed.
$(DONE)/wheels: $(DONE)/lock tools/check_wheels.py $(wildcard requirements/*.txt)
	$(BIN)/python tools/check_wheels.py
	@touch $@
