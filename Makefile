# Needs Python 3.11+ with pip, and make. `make` alone lists the commands. uv is used when it is on the PATH; otherwise pip
# fetches the locked uv into .venv (a quarter of the time that pip takes, 2026-11-22), or does it all where uv cannot.
#
# .venv is made from requirements.lock (every file's hash is checked) when it is absent or older than the lock or
# pyproject.toml. PYTHON=/path/to/python3.12 chooses the interpreter.

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint audit format docs coverage test-coverage faults ui lock clean

BIN   := .venv/bin
STAMP := .venv/.installed-from-lock

# What only the benchmark needs (the libraries that it compares with) goes into a venv of its own.
BENCH       := .venv-benchmarks
BENCH_STAMP := $(BENCH)/.installed-from-lock
SIZE        ?= 50000
ROUNDS      ?= 3

# Console scripts carry the folder's path: a moved or copied .venv is made anew.
ifeq ($(shell grep -sF "$(CURDIR)/.venv" $(BIN)/activate),)
.PHONY: $(STAMP)
endif

QUIET_UV  = --quiet --python $(BIN)/python --no-deps
QUIET_PIP = --quiet --disable-pip-version-check --no-deps --require-hashes

# A file's tests stay together: they share sandboxes and homes. In the order of folders: the longest files have few tests, and would come last.
ON_ALL_CORES = -n auto --dist loadfile --no-loadscope-reorder

# Names, versions, hashes and markers for every platform and Python >= 3.11, and no address.
COMPILE = pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-annotate --no-header

# uv trusts the system's certificates, as pip does: company networks have their own. Two names, for newer and older uv.
export UV_SYSTEM_CERTS = 1
export UV_NATIVE_TLS = 1

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP)  ## the whole job on made-up data: sandbox, sync, warehouse, marts, report (no account, no network)
	@$(BIN)/resulthouse demo

test: $(STAMP)  ## all tests but the slow ones
	@echo '==> tests'
	@$(BIN)/python -m pytest $(ON_ALL_CORES)

test-slow: $(STAMP)  ## the slow tests only
	@echo '==> slow tests'
	@$(BIN)/python -m pytest $(ON_ALL_CORES) -m slow

lint: $(STAMP)  ## style, types, and who may import whom
	@echo '==> ruff'
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo '==> mypy'
	@$(BIN)/mypy --strict pipelines
	@echo '==> import-linter'
	@$(BIN)/lint-imports

audit: $(STAMP)  ## known vulnerabilities of the locked versions (network)
	@.ci/audit

format: $(STAMP)  ## let ruff format and fix what it safely can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(STAMP)  ## render what is rendered in docs/ (the dictionary) anew
	@$(BIN)/python -m docs.render

coverage: $(STAMP)  ## every documented leaf in its place, every mutation tried: docs/coverage.md, docs/conformance.md (minutes)
	@$(BIN)/python -m tests.support.coverage
	@$(BIN)/python -m tests.conformance.report

test-coverage: $(STAMP)  ## all tests but the slow ones, with the lines and branches that they reach (minutes more)
	@rm -rf .coverage
	@echo '==> tests, measured'
	@$(BIN)/coverage run -m pytest -p tests.support.bars $(ON_ALL_CORES)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage json --quiet -o .coverage/report.json
	@$(BIN)/python -m tests.support.bars .coverage/report.json

faults: $(STAMP)  ## run the fault matrix and write docs/faults.md (minutes)
	@$(BIN)/python -m tests.faults.matrix

benchmark: $(BENCH_STAMP)  ## every way of loading the same payloads, side by side: docs/benchmarks.md (SIZE=50000 ROUNDS=3)
	@$(BENCH)/bin/python -m tests.benchmarks.run --payloads $(SIZE) --rounds $(ROUNDS)

benchmark-lock: $(STAMP)
	@uv=$$(command -v uv || echo $(BIN)/uv); \
	"$$uv" $(COMPILE) --constraint requirements.lock tests/benchmarks/requirements.in -o tests/benchmarks/requirements.lock

ui: $(STAMP)  ## Dagster's UI and schedules on http://127.0.0.1:3000
	@$(BIN)/resulthouse ui

# Locked versions stay as they are unless pyproject.toml asks for others; delete requirements.lock first to take the newest.
lock:  ## write requirements.lock anew from pyproject.toml (network)
	@uv=$$(command -v uv || echo $(BIN)/uv); \
	if ! [ -x "$$uv" ]; then echo 'make lock needs uv: put it on the PATH, or run `make lint` once, which brings it' >&2; exit 1; fi; \
	echo '==> resolving'; \
	"$$uv" $(COMPILE) --group dev pyproject.toml -o requirements.lock
	@if grep -n '://' requirements.lock; then echo 'requirements.lock holds an address (above); it must not' >&2; exit 1; fi

clean:  ## remove .venv and caches; ./data stays
	rm -rf .venv $(BENCH) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .tmp_dagster_home_* dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Sets $python to the first interpreter that runs and is new enough, or says what is missing. An installed name may be a
# shim that does not run (pyenv), so each is tried.
define FIND_PYTHON
python=; for candidate in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$candidate; break; fi; \
done; \
if [ -z "$$python" ]; then \
  echo 'Python 3.11 or newer is needed and none was found. Install one, or say where it is: make PYTHON=/path/to/python3' >&2; exit 1; \
fi
endef

# Bytecode of what commands import, and of nothing else: of all 16,000 files it takes half a minute. Without it every start
# would compile Dagster again where PYTHONDONTWRITEBYTECODE is set (a sync: also what its storage finds only when it is opened).
# $(1) is the interpreter, $(2) packages besides.
BYTECODE = env -u PYTHONDONTWRITEBYTECODE $(1) -c 'import compileall, importlib, dagster, assets.runs, altair, vl_convert, uvicorn; \
  folders = [dagster.__path__[0] + "/_core/storage", "pipelines", "assets", *(importlib.import_module(name).__path__[0] for name in "$(2)".split())]; \
  [compileall.compile_dir(folder, quiet=1) for folder in folders]'

# An existing .venv whose interpreter still runs is brought up to date in place; a broken one is made anew.
# The project itself is installed from the folder, without build isolation: its build tools come from the lock, too.
$(STAMP): requirements.lock pyproject.toml
	@if [ -d .venv ] && ! grep -qsF "$(CURDIR)/.venv" $(BIN)/activate; then \
	  echo '==> .venv was made in another folder'; rm -rf .venv; fi
	@if [ ! -d .venv ] || ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  $(FIND_PYTHON); \
	  echo "==> making .venv with $$("$$python" --version)"; \
	  rm -rf .venv; \
	  if command -v uv >/dev/null; then uv venv --quiet --seed --python "$$("$$python" -c 'import sys; print(sys.executable)')" .venv; \
	  else "$$python" -m venv .venv || { rm -rf .venv; \
	    echo 'python -m venv failed (above); on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }; fi; \
	fi
	@uv=$$(command -v uv) || { \
	  echo '==> no uv on the PATH: taking the locked one, with pip'; \
	  awk '/^[a-z]/ { wanted = /^uv==/ } wanted' requirements.lock > .venv/uv.lock; \
	  $(BIN)/python -m pip install $(QUIET_PIP) -r .venv/uv.lock && uv=$(BIN)/uv; }; \
	echo '==> installing what requirements.lock names (first time: about half a minute)'; \
	if [ -n "$$uv" ] && "$$uv" pip install $(QUIET_UV) --require-hashes -r requirements.lock; then \
	  "$$uv" pip install $(QUIET_UV) --no-build-isolation -e .; \
	else \
	  echo '==> that did not work with uv: with pip, which knows your pip settings (up to two minutes)'; \
	  $(BIN)/python -m pip install $(QUIET_PIP) -r requirements.lock \
	  && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
	@$(call BYTECODE,$(BIN)/python,)
	@touch $@

# The project's own lock first, the peers' over it; the project itself is run from the folder.
$(BENCH_STAMP): $(STAMP) requirements.lock tests/benchmarks/requirements.lock
	@echo '==> making $(BENCH)'
	@rm -rf $(BENCH)
	@$(BIN)/python -m venv $(BENCH)
	@uv=$$(command -v uv || echo $(BIN)/uv); \
	for lock in requirements.lock tests/benchmarks/requirements.lock; do \
	  if [ -x "$$uv" ]; then "$$uv" pip install --quiet --python $(BENCH)/bin/python --no-deps --require-hashes -r "$$lock"; \
	  else $(BENCH)/bin/python -m pip install $(QUIET_PIP) -r "$$lock"; fi || exit 1; \
	done
	@$(call BYTECODE,$(BENCH)/bin/python,dlt)
	@touch $@
