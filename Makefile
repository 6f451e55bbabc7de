# Each target is also one pasteable line: `make -n TARGET` prints it.
PYTHON ?= python3
BIN = .venv/bin
PORT ?= 8000
DATA ?=

.PHONY: demo test check fix bench docs clean

demo: .venv/.run        ## the sample site on port 8000: no key, no network
	$(BIN)/askfit demo --port $(PORT)

test: .venv/.dev        ## every test, the browser's included
	@$(BIN)/python tests/chromium.py
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

check: .venv/.dev       ## format, lint, types, floors
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fix: .venv/.dev
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

bench: .venv/.dev       ## every benchmark's table; DATA=folder adds the real data
	@missed=0; for file in benchmarks/*.py; do echo; echo "== $$file"; $(BIN)/python $$file $(DATA) || missed=1; done; exit $$missed

docs: .venv/.dev        ## what the docs print is what the code prints
	$(BIN)/python docs/render.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "askfit needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.run: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ .venv/.run
