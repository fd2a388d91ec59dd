# Variables, all optional:
#   PYTHON           the Python that makes .venv: 3.11 or 3.12
#   TORCH_INDEX_URL  where torch comes from. On a Linux machine without an NVIDIA GPU that is torch's index of CPU
#                    builds, which spares gigabytes of CUDA; if it does not answer, and elsewhere, pip's own index.
#                    A torch wheel in the folder wheelhouse/ goes before all of them.
#   PEERS ROUNDS NAME MODEL   of `make demo`
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
TORCH_VERSION ?= 2.13.0
TORCH_INDEX_URL ?= $(if $(or $(shell command -v nvidia-smi),$(filter Darwin,$(shell uname))),,https://download.pytorch.org/whl/cpu)
PEERS ?= 3
ROUNDS ?=
NAME ?= demo-$(shell date +%Y%m%d-%H%M%S)
MODEL ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
LLAMA_VERSION := 0.3.36
LLAMA_WHEELS ?= .cache/wheels
WHEELS := $(if $(wildcard wheelhouse),--find-links wheelhouse)
INDEX := $(if $(wildcard wheelhouse/torch-$(TORCH_VERSION)*),--no-index,$(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)))

# Modules that decide and do nothing else: no clock, no randomness, no network of their own.
comma := ,
empty :=
space := $(empty) $(empty)
PURE := $(subst $(space),$(comma),$(strip \
  $(patsubst %,services/trainer/%.py,pacing \
    $(addprefix learning/,advantages batches loss mixing picks rollout) $(addprefix model/,fitting footprint models) \
    $(addprefix forward/,packing padding) games/debate/rules market/betting) \
  $(patsubst %,services/publisher/%.py,account card facts names running schedule sections tables \
    $(addprefix llama/,shape tolerance vocabulary)) \
  $(patsubst %,services/coordinator/%.py,market/moves rounds pace verdicts calls batches) \
  $(patsubst %,services/p2p/%.py,$(addprefix wire/,announcement buckets dictionaries packing rejection validation) \
    $(addprefix trust/,budget gate members originals reputation tally) $(addprefix bridge/,layouts payloads door) \
    $(addprefix network/,population reach sightings) $(addprefix traffic/,choice pacing survey watch)) \
  $(patsubst %,services/judge/%.py,breaker games records) \
  $(patsubst %,services/identity/%.py,live history sections series board shown/* signing/owner signing/policy) services/chain/calls.py \
  $(patsubst %,services/local/%.py,summary snapshot history conf) \
  $(patsubst %,shared/%.py,messages asks checkpoints estimates streams tasks names settings invite patience proof rate wagers)))

# Where Python is told to keep no bytecode, each of the hundreds of processes of a test run would compile our own modules.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup install demo test test-unit test-chaos test-gguf lint format model contracts bench bench-chain bench-judge bench-sapo bench-trainer bench-p2p e2e fresh chaos wheelhouse sbom release-check clean

help:  ## Show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.dev  ## Everything that a developer needs, in .venv
install: $(VENV)/.all  ## Only what a swarm needs, in .venv

demo: $(VENV)/.all  ## Start a fresh swarm here, page on http://localhost:3000 (PEERS=3 ROUNDS=60 NAME=...); ends with a model card
	@$(BIN)/rlswarm up --local --name $(NAME) --peers $(PEERS) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(MODEL),--model $(MODEL)) \
		$(if $(ROUNDS),&& $(if $(MODEL),PUBLISH_QUESTIONS=1 PUBLISH_SAMPLES=2) $(BIN)/rlswarm publish --dry-run --name $(NAME))

# More workers than cores: whoever tests a real process waits for it most of the time.
test: $(VENV)/.dev  ## Linters, types, import rules, all tests
	@$(MAKE) --no-print-directory -j 2 lint test-unit
	@$(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder \
		tests/e2e tests/publish tests/contract tests/integration tests/pages

test-unit: $(VENV)/.dev  ## Only the quick tests; decisions must be covered to the last branch
	@$(BIN)/python -m pytest -n 2 tests/unit --cov --cov-report=
	@$(BIN)/coverage report --show-missing --fail-under=100 --include='$(PURE)'

test-chaos: $(VENV)/.dev  ## The long tests of the peer network: hostile peers, bad lines, kills (ONLY=file; needs root for some)
	@$(BIN)/python -m pytest -s -v tests/chaos$(if $(ONLY),/$(ONLY))

test-gguf: $(VENV)/.gguf  ## Files for llama.cpp and Ollama, by llama.cpp itself: compiled once, seven minutes on two cores
	@$(BIN)/python -m pytest -v tests/gguf

lint: $(VENV)/.dev  ## Style, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@cd config/grafana && ../../$(BIN)/mypy --strict build.py
	@$(BIN)/lint-imports

format: $(VENV)/.dev  ## Put the code into form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

model: $(VENV)/.all  ## Train the embedded model anew
	@$(BIN)/python -m services.trainer.warmup

contracts: $(VENV)/.all  ## Compile the Solidity sources anew (needs npm)
	@cd contracts && npm ci --omit=optional --silent --no-fund --no-audit && node build.mjs

bench-sapo: $(VENV)/.dev  ## Does learning from peers help? Half an hour (SAPO=--smoke: three minutes)
	@$(BIN)/python -m benchmarks.sapo $(SAPO)

bench: $(VENV)/.all  ## Measure every published figure
	@for script in $(filter-out benchmarks/chaos.py benchmarks/trainer.py,$(wildcard benchmarks/*.py)); do $(BIN)/python -m benchmarks.$$(basename "$$script" .py) || exit 1; done
	@$(BIN)/python -m benchmarks.sapo

bench-trainer: $(VENV)/.dev  ## Measure the trainer beside GenRL and TRL, some 25 minutes; makes GenRL a venv
	@$(BIN)/python -m benchmarks.trainer

bench-p2p: $(VENV)/.dev  ## What the exchange of rollouts costs, beside one key in a DHT; and computed for 100,000 peers; a quarter of an hour
	@$(BIN)/python -m benchmarks.p2p

bench-chain: $(VENV)/.dev  ## How fast 500 rewards reach a chain, in batches and one by one, beside two other ways; two minutes
	@$(BIN)/python -m benchmarks.chain

bench-judge: $(VENV)/.dev  ## How many requests a second the judge serves, and how long each takes; two minutes
	@$(BIN)/python -m benchmarks.judge

e2e: $(VENV)/.dev  ## The stack in containers: from a clone to a reward, two households, images (needs a container engine)
	@$(BIN)/python -m pytest -s tests/containers

chaos: $(VENV)/.dev  ## Kill, freeze, cut, fill, wipe what runs in containers, and see it heal (CHAOS=--short; needs root)
	@$(BIN)/python -m benchmarks.chaos $(CHAOS)

wheelhouse: $(VENV)/.python  ## Fetch torch for the CPU once, for all builds of images
	@ls wheelhouse/torch-$(TORCH_VERSION)* >/dev/null 2>&1 || { echo "Fetching torch $(TORCH_VERSION) into wheelhouse/"; \
		$(PIP) download --no-deps --timeout 15 --retries 1 --index-url https://download.pytorch.org/whl/cpu \
			--dest wheelhouse torch==$(TORCH_VERSION); }

fresh:  ## make demo and make test in a bare container, from a clone (FRESH=demo|test|both ROUNDS=10)
	@tests/fresh.sh

sbom: $(VENV)/.dev  ## What each image is made of, as CycloneDX in dist/sbom (IMAGE=name; else all that are built)
	@$(BIN)/python -m deploy.release.sbom $(IMAGE)

release-check: $(VENV)/.dev  ## What can be checked of a release before its tag (VERSION=1.2.3)
	@$(BIN)/python -m deploy.release.check $(VERSION)

clean:  ## Remove .venv and all caches; runs/ stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist *.egg-info \
		vendor/*/build vendor/*/*.egg-info

# A stamp is older than what it depends on, or it is there and nothing is to be done.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
		|| { echo "Python 3.11 or 3.12 is needed. Name one: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@[ -x $(BIN)/python ] || { echo "Making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@touch $@

# torch first and alone: another index, or a local wheel, is for it only.
$(VENV)/.torch: $(VENV)/.python
	@$(BIN)/python -c 'import sys, importlib.metadata as m; sys.exit(m.version("torch").split("+")[0] != "$(TORCH_VERSION)")' 2>/dev/null \
		|| { echo "Installing torch $(TORCH_VERSION); this can take minutes"; \
		     $(if $(INDEX),$(PIP) -q install --timeout 15 --retries 1 --no-deps $(INDEX) $(WHEELS) torch==$(TORCH_VERSION) 2>/dev/null ||) \
		     $(PIP) install --no-deps $(WHEELS) torch==$(TORCH_VERSION); }
	@touch $@

# vendor/pycosat takes the place of a package that would need a C compiler.
$(VENV)/.all: $(VENV)/.torch pyproject.toml config/constraints.txt vendor/pycosat/pyproject.toml vendor/pycosat/pycosat.py
	@echo "Installing what a swarm needs; this can take minutes"
	@$(PIP) install $(WHEELS) -c config/constraints.txt ./vendor/pycosat -e '.[all]'
	@touch $@

# Compiled for any processor of this kind, not just for this one, without libraries that an image lacks or models that see,
# and kept.
$(VENV)/.gguf: $(VENV)/.dev config/constraints.txt
	@ls $(LLAMA_WHEELS)/llama_cpp_python-$(LLAMA_VERSION)-* >/dev/null 2>&1 || { echo "Compiling llama.cpp; this takes minutes"; \
		CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DLLAVA_BUILD=OFF" nice $(PIP) wheel --no-cache-dir --no-deps --wheel-dir $(LLAMA_WHEELS) llama-cpp-python==$(LLAMA_VERSION); }
	@$(PIP) install --find-links $(LLAMA_WHEELS) -c config/constraints.txt -e '.[gguf]'
	@touch $@

$(VENV)/.dev: $(VENV)/.all
	@echo "Installing the tools for tests"
	@$(PIP) install $(WHEELS) -c config/constraints.txt -e '.[dev]'
	@touch $@
