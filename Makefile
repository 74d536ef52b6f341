# make demo   makes an environment in .venv, installs dovetail into it and runs the main example
# make test   the same for the tests; CI runs exactly this
# Needs Linux, Python >= 3.10 with venv, and a C++ compiler; everything else is fetched into .venv. Both are quick to repeat:
# the stamps in .venv say what is up to date, and the native build is incremental.

PYTHON  ?= python3
PICTURE ?= examples/image_pipeline/picture.png
PYTEST  ?=
WORKERS ?= auto
# CUDA kernels are compiled wherever nvcc is, driver or not, so that every change is; make demo CUDA=OFF is twice as fast.
CUDA    ?= NVCC
# Each process has a run of neighbouring tests, and one that is done takes half of what is left to another: tests keep their
# order and share the fixtures of a module, and no process waits for one that was given the long ones.
TYPING  := build/typing/dovetail# the package as it is installed, for the type checker
PARALLEL = -n $(WORKERS) --dist worksteal
# Tests start hundreds of interpreters: compiled modules are kept, in build/, even where the environment says to keep none.
CACHED   = PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX="$(CURDIR)/build/bytecode"
VENV    := .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check -q
NATIVE  := $(shell find csrc -type f) machine/facade.py machine/cli/__main__.py machine/tensorrt.py
CPP     := $(shell find csrc examples tests benchmarks -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.cu' -o -name '*.cuh')

help:
	@echo 'make demo      build, install into .venv and run examples/image_pipeline (PICTURE=file for another picture)'
	@echo 'make test      build, install into .venv, lint and run all tests (PYTEST="-k expr" passes options on; WORKERS=0: in one process)'
	@echo 'make quick     a smoke test in seconds: part of the tests of each part, and neither lint nor compilers'
	@echo 'make lint      ruff, clang-format, typos and mypy; make format applies what they can'
	@echo 'make refresh   write again what follows from the specs and is checked in: stubs, C++ enumerations, docs/layers, golden files'
	@echo 'make sanitize  native code under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make test-gpu  build with CUDA and run the tests marked gpu, then compute-sanitizer; fetches nothing (.ci/test-gpu)'
	@echo 'make bench     networks and single calls, beside ONNX Runtime and other peers in .venv (or PEERS=python)'
	@echo 'make wheel     wheel and sdist in dist/'
	@echo 'make clean     removes .venv, build/ and dist/'

demo: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python examples/image_pipeline/run.py $(PICTURE) --out build/demo/result.png

test: lint $(VENV)/installed $(VENV)/programs
	PATH="$(CURDIR)/$(BIN):$$PATH" DOVETAIL_TEST_PROGRAMS="$$(cat $(VENV)/programs)" $(CACHED) \
	  $(BIN)/python -m pytest $(PARALLEL) $(PYTEST)

# One module or more of each part, and a layer that goes the whole road: build, plan, load, run, against the reference.
QUICK = tests/test_architecture.py tests/core tests/registry/test_registry.py tests/registry/test_tables.py \
  tests/plugins/test_plugin.py tests/machine/test_network.py tests/machine/test_builder.py tests/machine/test_context.py \
  tests/machine/test_onnx.py tests/runtime/test_engine.py tests/runtime/test_context.py tests/builtin/test_matrix_multiply.py \
  tests/documents

quick: $(VENV)/installed $(VENV)/for-test
	PATH="$(CURDIR)/$(BIN):$$PATH" $(CACHED) $(BIN)/python -m pytest $(PARALLEL) -q -m "not slow" --no-header -r fE $(PYTEST) $(QUICK)

lint: $(VENV)/for-test
	$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	$(BIN)/clang-format --dry-run -Werror $(CPP)
	$(BIN)/typos
	@mkdir -p $(TYPING)
	@ln -sfn $(CURDIR)/core $(CURDIR)/registry $(CURDIR)/plugins $(CURDIR)/machine $(CURDIR)/csrc/bindings/_native.pyi $(TYPING)
	@ln -sfn $(CURDIR)/machine/facade.py $(TYPING)/__init__.py
	$(BIN)/mypy --no-error-summary

format: $(VENV)/for-test
	$(BIN)/ruff check -q --fix . || true
	$(BIN)/ruff format -q .
	$(BIN)/clang-format -i $(CPP)

# The header is an input of the build, and so of the tests that write golden files: the build follows it.
refresh: $(VENV)/for-test $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" ./.ci/refresh
	$(MAKE) $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -q --refresh-golden tests/test_messages.py tests/machine/test_stubs.py

sanitize: $(VENV)/for-test
	PYTEST='$(PYTEST)' .ci/sanitize $(BIN)/python

test-gpu:
	PYTEST='$(PYTEST)' .ci/test-gpu '$(PYTHON)'

# The peers are whatever is in .venv, or in the Python that PEERS names; BENCH takes names and options of run.py.
PEERS ?= $(BIN)/python
BENCH ?= networks
bench: $(VENV)/for-bench $(VENV)/installed
	$(BIN)/python benchmarks/run.py --peers $(PEERS) --json build/figures.json --plot build/figures.svg $(BENCH)
	$(BIN)/python benchmarks/overhead.py --json build/overhead.json
	$(BIN)/python benchmarks/abi_call.py

wheel: $(VENV)/for-demo
	$(PIP) install build
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m build -q --no-isolation --outdir dist . \
	  --config-setting=cmake.define.DOVETAIL_CUDA=$(CUDA)
	@ls -l dist

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis

# An editable install: edited Python is in force at once, edited C++ after an incremental build of seconds.
# Its distribution was called dovetail once: of two in one environment the older would offer the built-in layers as well.
$(VENV)/installed: $(VENV)/for-demo $(VENV)/modules $(NATIVE) pyproject.toml
	@$(PIP) uninstall -q -y dovetail 2>/dev/null
	PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) install --no-build-isolation --no-deps --editable . \
	  --config-settings=cmake.define.DOVETAIL_CUDA=$(CUDA)
	@touch $@

# The modules that an editable installation maps to files; a new one, or one that became a package, needs it made again.
$(VENV)/modules: $(VENV)/made FORCE
	@find core registry plugins machine -name '*.py' | LC_ALL=C sort >$@.new
	@cmp -s $@.new $@ || cp $@.new $@
	@rm $@.new

# C++ programs that tests run, of the objects of the installation, in whose build folder they are; holds its path. The
# folder is the one that pyproject.toml names by the tag of the wheel. OFF again: later installations are made without.
TAG := from importlib.metadata import distribution as d; print(d("dovetail-runtime").read_text("WHEEL").split("Tag: ")[1].split()[0])
$(VENV)/programs: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH"; build="$(CURDIR)/build/$$(python -c '$(TAG)')"; \
	  cmake -DDOVETAIL_TESTS=ON "$$build" >/dev/null && cmake --build "$$build" --target test_blocks test_plan_fuzz test_repack -- --quiet && \
	  cmake -DDOVETAIL_TESTS=OFF "$$build" >/dev/null && echo "$$build/tests" >$@

$(VENV)/for-demo $(VENV)/for-test $(VENV)/for-bench: $(VENV)/for-%: $(VENV)/made pyproject.toml .ci/requirements.py
	$(BIN)/python .ci/requirements.py build run $(sort demo $*) >$@.txt
	$(PIP) install -r $@.txt
	@touch $@

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo '$(PYTHON) is older than Python 3.10; name another: make PYTHON=python3.12'; exit 1; }
	@c++ --version >/dev/null 2>&1 || $${CXX:-c++} --version >/dev/null 2>&1 \
	  || { echo 'no C++ compiler found; install g++ or set CXX'; exit 1; }
	$(PYTHON) -m venv --clear $(VENV) \
	  || { echo 'Python cannot make environments here; on Debian and Ubuntu: apt install python3-venv'; exit 1; }
	$(PIP) install 'pip>=23.1'
	@touch $@

.PHONY: FORCE help demo test quick lint format refresh sanitize test-gpu bench wheel clean
.DELETE_ON_ERROR:
