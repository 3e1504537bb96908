# Everything runs from .venv, which the first target that needs it creates. Packages are installed again only
# when requirements.txt or pyproject.toml changed. A machine needs Python 3.11 or newer and nothing else.
#
#   make demo [ARGS="--port 7861"]    the studio, on http://127.0.0.1:7860
#   make test [ARGS="tests/core"]     the whole test suite, or a part of it
#   make lint | make format           check, or rewrite, with ruff
#
# Without a GPU the smaller CPU wheels of PyTorch will do:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make demo

PYTHON ?= $(shell for p in python3 python3.12 python3.13 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo test lint format clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/python app.py $(ARGS)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed, and none was found." >&2; exit 1; fi
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --editable .
	touch $@

$(VENV)/.installed-dev: requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --editable ".[train,dev]"
	touch $@ $(VENV)/.installed
