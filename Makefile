# Everything runs from .venv, which the first target that needs it creates. Packages are installed again only
# when requirements.txt or pyproject.toml changed. A machine needs Python 3.11 or newer and nothing else.
#
#   make demo [ARGS="--port 7861"]    the studio, on http://127.0.0.1:7860
#   make test [ARGS="tests/core"]     the whole test suite, or a part of it
#   make lint | make format           check with ruff and pyright, or rewrite
#   make audit                        look for packages with known vulnerabilities
#
# On Linux without an NVIDIA driver PyTorch's CPU build is taken from its own index: 1.9 GB installed in place of 6.8.
#   make demo TORCH=default           the build that PyPI has, whatever the machine
#   make demo TORCH=cpu               the CPU build, whatever the machine

PYTHON ?= $(shell for p in python3 python3.12 python3.13 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
CPU_INDEX ?= https://download.pytorch.org/whl/cpu
# Elsewhere PyPI's own build is for the CPU, or for the GPU that every such machine has.
TORCH ?= $(shell [ "$$(uname -sm)" = "Linux x86_64" ] && [ ! -e /proc/driver/nvidia/version ] && \
	! command -v nvidia-smi >/dev/null 2>&1 && echo cpu || echo default)

.PHONY: demo test lint audit format clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/python app.py $(ARGS)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# Packages with known vulnerabilities, as the Python Packaging Advisory Database names them; needs a network.
audit: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet 'pip-audit>=2.10'
	$(BIN)/python -m pip_audit --local --skip-editable --progress-spinner off --timeout 15

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed, and none was found." >&2; exit 1; fi
	$(PYTHON) -m venv $(VENV)

# Where the index of the CPU build cannot be used, the default build is installed, and that is said.
REACH := import urllib.request; urllib.request.urlopen("$(CPU_INDEX)/torch/", timeout=20)
$(VENV)/.torch: requirements.txt | $(BIN)/python
	@if [ "$(TORCH)" = cpu ]; then \
		echo "No NVIDIA driver: PyTorch's CPU build is taken from $(CPU_INDEX) (TORCH=default for the usual one)."; \
		if $(BIN)/python -c '$(REACH)' 2>/dev/null && $(BIN)/python -m pip install --index-url $(CPU_INDEX) \
			$$(grep -E '^torch(vision)?>' requirements.txt); then :; else \
			echo "WARNING: $(CPU_INDEX) cannot be used. PyTorch will come with libraries for NVIDIA GPUs," >&2; \
			echo "WARNING: 5 GB that this machine has no use for. CPU_INDEX=URL names another index." >&2; \
		fi; \
	fi
	@touch $@

$(VENV)/.installed: requirements.txt pyproject.toml | $(BIN)/python $(VENV)/.torch
	$(BIN)/python -m pip install --editable .
	touch $@

$(VENV)/.installed-dev: requirements.txt pyproject.toml | $(BIN)/python $(VENV)/.torch
	$(BIN)/python -m pip install --editable ".[train,dev]"
	touch $@ $(VENV)/.installed
