# Two commands on a machine with nothing but Python (>= 3.11) and make:
#   make demo    install, train GRPO and NPO on the world that ships, write the report
#   make test    install, lint, type check, run the whole suite
# and make test-matrix: every pair of documented settings trained, killed, resumed and reported, in half an hour or so
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ENGINES ?= .venv-engines
RUNS ?= runs/demo
export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY ?= 1
export TOKENIZERS_PARALLELISM ?= false
# glibc: keep the heap instead of returning it after every step; a tenth of a small model's step was page faults.
export MALLOC_MMAP_THRESHOLD_ ?= 4294967296
export MALLOC_TRIM_THRESHOLD_ ?= 4294967296

.PHONY: install demo test lint typecheck unit clean test-matrix test-installs test-vllm test-deepspeed

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("nearfuture needs Python 3.11 or newer, found " + sys.version.split()[0] + ". Use make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

# One process a core, one thread each. NPO pays for 40 + 60 extra steps, so GRPO trains that much longer.
demo: install
	@mkdir -p $(RUNS)
	@echo "GRPO trains in the background: $(RUNS)/grpo.log"
	@OMP_NUM_THREADS=1 $(BIN)/nearfuture train configs/apprentice/grpo.yaml \
	    run_dir=$(RUNS)/grpo max_steps=340 --clean > $(RUNS)/grpo.log 2>&1 & pid=$$!; \
	OMP_NUM_THREADS=1 $(BIN)/nearfuture train configs/apprentice/npo_early_late.yaml run_dir=$(RUNS)/npo --clean \
	    || { kill $$pid; exit 1; }; \
	echo "waiting for GRPO"; wait $$pid || { cat $(RUNS)/grpo.log; exit 1; }
	@$(BIN)/nearfuture report $(RUNS)/grpo $(RUNS)/npo --output $(RUNS)/report/index.html

test: lint typecheck unit

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: install
	$(BIN)/mypy

unit: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Every pair of settings, trained, killed, resumed and reported; goes on where it was stopped.
test-matrix: install
	OMP_NUM_THREADS=1 $(BIN)/python tests/matrix.py --folder runs/matrix

# Beside the suite, by hand: they need the registry, minutes, and (but the first) 3.6 GB for an environment of their own.
test-installs: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python scripts/resolve_installs.py

test-vllm: $(ENGINES)/.installed
	$(ENGINES)/bin/python -m pytest --override-ini addopts= tests_engines/test_vllm.py

test-deepspeed: $(ENGINES)/.installed
	$(ENGINES)/bin/python -m pytest --override-ini addopts= tests_engines/test_deepspeed.py

$(ENGINES)/.installed: pyproject.toml tests_engines/requirements.txt
	$(PYTHON) -m venv $(ENGINES)
	$(ENGINES)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	DS_BUILD_OPS=0 $(ENGINES)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests_engines/requirements.txt
	$(ENGINES)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

clean:
	rm -rf $(VENV) $(ENGINES) runs build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
