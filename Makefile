# The commands a person needs. Each makes .venv by itself the first time.
PYTHON ?= python3
STORAGE ?= ./data
BIND ?= 127.0.0.1:8000
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint docs bench bench-peers chaos clean

demo: $(VENV)/.demo
	$(BIN)/resumable demo --storage "$(STORAGE)" --bind "$(BIND)"

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 3 --dist loadfile

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site

bench: $(VENV)/.test
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.objects
	$(BIN)/python -m tests.bench.video

bench-peers: $(VENV)/.test
	$(BIN)/python -m tests.bench.peers

chaos: $(VENV)/.test
	$(BIN)/python -m pytest -m chaos --chaos

clean:
	rm -rf $(VENV) site dist build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[demo,video]"
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[demo,test,lint,docs]"
	@touch $@ $(VENV)/.demo
