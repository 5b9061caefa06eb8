# `make demo` and `make test` need Python 3.11 or later, pip and make; everything is installed into .venv here.

PYTHON ?= python3
BIN := .venv/bin
# The constraints keep torch at the release whose wheels run on any CPU.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test quick lint docs clean

demo: .venv/installed
	@$(BIN)/python examples/demo.py
	@echo
	@echo "Next, restore a photograph of your own:"
	@echo "    $(BIN)/unblur photo.jpg"
	@echo "To type unblur alone, in any folder, activate the environment once in each terminal:"
	@echo '    . "$(CURDIR)/.venv/bin/activate"'
	@echo "    unblur photo.jpg"

test: lint
	$(BIN)/python -m pytest --numprocesses logical --dist worksteal

# Folders whose tests neither train, nor start processes, nor type what the documents say.
LAWS := $(addprefix tests/,blur checkpoints datasets deconvolution metrics models photos restoration test_config.py)

quick: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/python -m pytest --numprocesses logical --dist worksteal -m "not slow" $(LAWS)

lint: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, in `site/`: broken links and warnings fail.
docs: .venv/installed-docs
	$(BIN)/python docs/generate.py
	PYTHONPATH=docs/markdown $(BIN)/zensical build --strict

clean:
	rm -rf .venv demo site .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find unblur experiments tests examples -name __pycache__ -type d -exec rm -rf {} +

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo 'unblur needs Python 3.11 or later, which "$(PYTHON)" is not: name another, as in "make PYTHON=python3.12 demo".' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/created pyproject.toml constraints.txt
	@echo "Installing into .venv; the first time this takes a few minutes."
	$(INSTALL) --editable .
	@touch $@

.venv/installed-dev: .venv/created pyproject.toml constraints.txt
	@echo "Installing into .venv; the first time this takes a few minutes."
	$(INSTALL) --editable '.[dev]'
	@touch $@ .venv/installed

.venv/installed-docs: .venv/created pyproject.toml constraints.txt
	@echo "Installing into .venv; the first time this takes a few minutes."
	$(INSTALL) --editable '.[docs]'
	@touch $@ .venv/installed
