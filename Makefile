# `make demo` and `make test` need nothing but Python >= 3.11 and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
NEWEST := .venv-newest
# Which tests `make test` runs: `make test MARKERS="not gpu"` adds the slow ones.
MARKERS ?= not slow and not gpu
# How many files of tests run at a time: `make test JOBS=4`; `make test JOBS=0` runs all in one process.
JOBS ?= 2
PYTEST := python -m pytest -n $(JOBS) --dist loadscope
SAMPLES := reference typical blank

.PHONY: help system setup demo lint test test-newest check docs refresh attacks matrix bench fuzz kills gpu-check clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       set up, build the release, grade three sample submissions"
	@echo "make test       set up, run the tests (MARKERS='not gpu' adds the slow ones)"
	@echo "make check      run lint and test"
	@echo "make lint       run ruff (rules, format) and mypy, and check that student_template/ is up to date"
	@echo "make docs       build the documentation as a site: dist/site/index.html"
	@echo "make setup      create the environment in $(VENV)"
	@echo "make refresh    after a change of a slot: renew what depends on it, and name what you have to do (STATIC=1: quick)"
	@echo "make system     install bubblewrap and a browser, where apt-get can"
	@echo "make test-newest  run the tests with the newest versions that pyproject.toml allows, in $(NEWEST)"
	@echo "make attacks    grade hostile submissions with the real command (resumes)"
	@echo "make matrix     grade every known mistake and every correct variant (QUICK=1: without training)"
	@echo "make bench      measure timings, as ratios to the reference's training alone"
	@echo "make fuzz       read and grade 1,000 damaged notebooks and archives"
	@echo "make kills      end the grader at random moments, by kill -9 and by Ctrl-C (about half an hour)"
	@echo "make gpu-check  run the GPU tests and grade one sample on a CUDA device"
	@echo "make clean      remove $(VENV), $(NEWEST) and dist"

system:
	bash .ci/system

setup: $(VENV)/.project-stamp

# torch is installed first and alone, so that pip chooses the build for this machine. Later packages find it installed.
$(VENV)/.torch-stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; try: make setup PYTHON=python3.12"; exit 1; }
	@test ! -e $(VENV) || test -e $(VENV)/pyvenv.cfg \
	  || { echo "$(VENV) is no virtual environment: choose another VENV"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "No virtual environment: install venv first (Debian, Ubuntu: apt-get install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' requirements.lock)"
	@touch $@

$(VENV)/.lock-stamp: requirements.lock $(VENV)/.torch-stamp
	$(BIN)/python -m pip install --quiet -r requirements.lock
	@touch $@

$(VENV)/.project-stamp: pyproject.toml $(VENV)/.lock-stamp
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Packages of the site alone; what the environment holds already keeps its version.
$(VENV)/.docs-stamp: requirements-docs.lock $(VENV)/.project-stamp
	$(BIN)/python -m pip install --quiet -r requirements-docs.lock -c requirements.lock
	@touch $@

demo: setup
	$(BIN)/rlhf-lab build
	$(BIN)/rlhf-lab verify --static
	@for sample in $(SAMPLES); do \
	  $(BIN)/rlhf-lab grade tests/submissions/$$sample.ipynb --out dist/demo/$$sample || exit $$?; \
	done
	@echo "Reports:"; for sample in $(SAMPLES); do echo "  dist/demo/$$sample/report.html"; done

test: setup
	$(BIN)/$(PYTEST) -m "$(MARKERS)"

test-newest:
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --editable ".[dev]"
	$(NEWEST)/bin/$(PYTEST) -m "$(MARKERS)"

check: lint test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/rlhf-lab build --check

docs: $(VENV)/.docs-stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

refresh: setup
	$(BIN)/python -m tests.refresh $(if $(STATIC),--static)

attacks: setup
	$(BIN)/python -m tests.attacks

matrix: setup
	$(BIN)/python -m tests.matrix $(if $(QUICK),--quick)

bench: setup
	$(BIN)/python -m benchmarks.bench

fuzz: setup
	$(BIN)/python -m tests.fuzz

kills: setup
	$(BIN)/python -m tests.kills
	$(BIN)/python -m tests.kills --interrupt --count 6

gpu-check: setup
	$(BIN)/python -m pytest -m gpu
	$(BIN)/rlhf-lab grade tests/submissions/reference.ipynb --device cuda --out dist/gpu-check

# VENV may be any folder that was named on the command line: only a virtual environment is removed.
clean:
	@test ! -e $(VENV) || test -e $(VENV)/pyvenv.cfg \
	  || { echo "$(VENV) is no virtual environment: nothing was removed"; exit 1; }
	rm -rf $(VENV) $(NEWEST) dist
