# The book's commands. On Windows, README.md has the same steps without make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup book test lint check mutate bench serve clean
.DEFAULT_GOAL := help

help:  ## Show these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once; about 6 GB of packages)…"
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("error: Python 3.11 or newer is needed, got " + sys.version.split()[0] + "; set PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --editable '.[test]' --constraint constraints.txt
	@touch $(READY)

setup: $(READY)  ## Make .venv with the pinned packages

book: $(READY)  ## Run the chapters that changed and build the site in _build/html
	$(BIN)/cvlib book build

test: $(READY)  ## Prove the book: every chapter, every bar, the site in a browser
	$(BIN)/pytest -n 2 --dist loadgroup

lint: $(READY)  ## Format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint  ## The fast loop, about a minute: lint and fast tests
	$(BIN)/pytest -n 2 -m 'not chapter and not site and not slow and not render'

mutate: $(READY)  ## Faults that no test sees, in changed files (ARGS='--all --sample 200')
	@$(BIN)/pip install --quiet --editable '.[mutate]' --constraint constraints.txt
	$(BIN)/python tests/mutate.py $(ARGS)

bench: $(READY)  ## Timed comparisons with other libraries, side by side
	$(BIN)/pytest tests/benchmarks -o addopts= --benchmark-only

serve: book  ## Build, then show the site on http://127.0.0.1:8000
	$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/html

clean:  ## Remove the site and its runs; .venv and CVLIB_RUNS stay
	rm -rf _build
