# make demo     compile the gesture example and stream held-out recordings through the C
# make test     the test suite; as root it installs missing cross compilers and emulators first
# make check    ruff, mypy, clang-format
# make help     all targets

PYTHON  ?= python3
JOBS    ?= 2
BUDGET  ?= 20
VENV    := .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTEST  := $(BIN)/python -m pytest
# What each process has made for a file's tests serves the next: they are not dealt out one by one.
SPREAD  := -n $(JOBS) --dist worksteal
C_FILES  = $(wildcard runtime_c/*.[ch] runtime_c/*/*.[ch] examples/*/*.[ch])
# What the packages are given to, in an environment of their own: their dependencies are not ours.
BUILD_TOOLS := platformio idf-component-manager cmsis-pack-manager
BENCHMARKS = $(filter-out benchmarks/_% benchmarks/op_cost.py benchmarks/op_table.py,$(wildcard benchmarks/*.py))

# What the pages from-pytorch and from-keras need beside rnnc.
FRAMEWORKS_pytorch := torch onnxscript
FRAMEWORKS_keras := keras tensorflow tf2onnx

# Every package that development and CI install, with its version and its hashes, for Python 3.10 and later on every system;
# and the oldest versions that pyproject.toml allows. `make lock` writes both, with tools in an environment of their own.
LOCK := packaging/lock.txt
MINIMUM := packaging/minimum.txt
LOCK_TOOLS := uv cyclonedx-bom
RESOLVE = build/lock/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header
# What is run with the oldest and with the newest versions: the front end, the compiler, its C and the command line.
VERSION_TESTS ?= tests/onnx tests/property tests/golden/test_c_of_a_gru.py tests/kernels/test_generated_c.py \
    $(addprefix tests/unit/test_,cli.py python.py frontend_load.py verification.py data.py package.py assurance.py)

# Changes of these ask for a new installation; of the code they do not: it is editable.
INSTALL_INPUTS := pyproject.toml hatch_build.py $(LOCK)

.PHONY: help demo test packages test-frameworks check format golden zoo targets assurance python-coverage eva mutation lock sbom versions versions-minimum versions-newest bench bench-ops docs docs-version wheel release-check clean

help:
	@echo "demo     compile the gesture example and stream held-out recordings through the C"
	@echo "test     the test suite (ARGS='tests/unit -x' for a part); as root, installs missing system packages"
	@echo "test-frameworks  the tutorials for PyTorch and Keras, in environments of their own in build/, and modern cells"
	@echo "packages  what the tools of build systems say of packages; minutes, the first time"
	@echo "check    ruff, mypy and clang-format"
	@echo "format   let ruff and clang-format rewrite the sources"
	@echo "golden   accept what is generated and measured now: kernels and tables of runtime_c, a small network's C,"
	@echo "         docs/supported.md, counts of instructions and cycles, pictures of the documentation"
	@echo "zoo      every exporter's files (RNNC_SHARED=folder); minutes"
	@echo "targets  many networks on every emulated target, cycles on every simulated core, more random networks under"
	@echo "         sanitizers, more spellings of cells; minutes"
	@echo "assurance  what is missing of the long goals, for BUDGET=20 minutes, and their table; docs/assurance.md"
	@echo "eva      Frama-C over four small networks, on three machines; installs 0.9 GB"
	@echo "python-coverage  branches of the compiler that the suite runs, and those that it does not; minutes"
	@echo "mutation  mutants of the kernels that the last commit changed"
	@echo "bench    the benchmarks in benchmarks/"
	@echo "bench-ops  instructions of one op at a time, on five cores (ARGS='--target cortex-m4'), then a line for each figure"
	@echo "         that microcontrollers are held to, with its limit (ROWS='flashvad AVR')"
	@echo "docs     the site, in build/site, with pictures of this build"
	@echo "docs-version  this version of the site on the branch gh-pages, with mike"
	@echo "lock     newest versions of what development installs, with their hashes, and the oldest that rnnc allows"
	@echo "sbom     what rnnc runs with, as CycloneDX, in dist/rnnc.cdx.json"
	@echo "versions  the main tests with the oldest and with the newest versions of what rnnc runs with; minutes"
	@echo "wheel    sdist, wheel and sbom in dist/"
	@echo "release-check  sdist and wheel, checked by twine"
	@echo "clean    remove everything that is not source"

demo: $(VENV)/.installed
	$(BIN)/rnnc demo

test: $(VENV)/.dev
	tools/system_packages.sh test
	$(PYTEST) $(SPREAD) $(ARGS)

packages: $(VENV)/.dev build/packages/.installed
	tools/system_packages.sh test
	CI=true PATH="$(CURDIR)/build/packages/bin:$$PATH" $(PYTEST) -m "not slow" tests/packages tests/target/test_arduino.py \
	    tests/unit/test_cmake_package.py tests/unit/test_rust_package.py tests/unit/test_wasm_package.py $(ARGS)
	@echo "built by Arduino's builder, PlatformIO, ESP's component tool, cmsis-pack-manager, CMake, cargo, Node.js"
	@echo "not built by a system of its own here, as its sources are in no registry: zephyr, esp-idf, micropython;"
	@echo "with their folders: tools/real_systems.sh"

build/packages/.installed: $(VENV)/.created
	$(PYTHON) -m venv build/packages
	build/packages/bin/python -m pip install --quiet --disable-pip-version-check $(BUILD_TOOLS)
	@touch $@

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict rnnc tests assurance benchmarks tools
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

golden: $(VENV)/.dev
	RNNC_UPDATE_GOLDEN=1 $(PYTEST) -m "slow or not slow" tests/golden $(ARGS)
	$(BIN)/python tools/pictures.py

test-frameworks: frameworks-pytorch frameworks-keras
	build/pytorch/bin/python tools/torch_cells.py --write tests/support/torch.json

frameworks-%:
	PYTHON=$(PYTHON) tools/system_packages.sh venv
	$(PYTHON) -m venv build/$*
	build/$*/bin/python -m pip install --quiet --disable-pip-version-check -e . pytest hypothesis $(FRAMEWORKS_$*)
	RNNC_UPDATE_RUNS=1 build/$*/bin/python -m pytest tests/repo/test_docs.py -k "in_order and from-$*"

zoo: $(VENV)/.dev
	@test -n "$$RNNC_SHARED" || { echo "zoo: set RNNC_SHARED to the folder that holds zoo/" >&2; exit 2; }
	$(PYTEST) $(SPREAD) -m slow tests/onnx $(ARGS)

targets: $(VENV)/.dev
	tools/system_packages.sh test
	$(PYTEST) $(SPREAD) -m slow tests/target tests/property tests/golden/test_cycles.py $(ARGS)

assurance: $(VENV)/.dev
	tools/system_packages.sh assurance
	$(BIN)/python -m assurance --budget $(BUDGET) $(ARGS)

python-coverage: $(VENV)/.dev
	tools/system_packages.sh test
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(SPREAD) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

eva: $(VENV)/.dev
	tools/system_packages.sh assurance
	$(BIN)/python -m assurance.eva

mutation: $(VENV)/.dev
	$(BIN)/python -m assurance.mutation $(ARGS)

bench: $(VENV)/.dev
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python "$$script" $(ARGS); done

bench-ops: $(VENV)/.dev
	$(BIN)/python benchmarks/op_cost.py $(ARGS)
	$(BIN)/python benchmarks/op_table.py $(ROWS)

docs: $(VENV)/.dev
	$(BIN)/python tools/pictures.py
	$(BIN)/mkdocs build --strict

# One version of the site beside the others, on the branch gh-pages of this clone; nothing is pushed.
docs-version: $(VENV)/.dev
	$(PIP) -e '.[publish]'
	$(BIN)/python tools/pictures.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/mike deploy --update-aliases "$$($(BIN)/python -c 'import rnnc; print(rnnc.__version__)')" latest

wheel: $(VENV)/.dev sbom
	$(BIN)/python -m build --no-isolation

release-check: $(VENV)/.dev
	$(PIP) -e '.[publish]'
	rm -rf dist
	$(MAKE) wheel
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	PYTHON=$(PYTHON) tools/system_packages.sh venv
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created $(INSTALL_INPUTS)
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.created $(INSTALL_INPUTS)
	$(PIP) --require-hashes -r $(LOCK)
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $(VENV)/.installed $@

lock: build/lock/.installed
	$(RESOLVE) --extra dev --upgrade pyproject.toml -o $(LOCK)
	$(RESOLVE) --extra test --resolution lowest-direct --upgrade pyproject.toml -o $(MINIMUM)

sbom: build/lock/.installed
	mkdir -p dist
	$(RESOLVE) --constraint $(LOCK) pyproject.toml -o build/lock/runtime.txt
	build/lock/bin/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application --output-reproducible \
	    -o dist/rnnc.cdx.json build/lock/runtime.txt

build/lock/.installed: $(VENV)/.created
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check $(LOCK_TOOLS)
	@touch $@

versions: versions-minimum versions-newest

versions-minimum: $(VENV)/.created
	tools/system_packages.sh test
	$(PYTHON) -m venv build/minimum
	build/minimum/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(MINIMUM)
	build/minimum/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	build/minimum/bin/python -m pytest $(SPREAD) $(VERSION_TESTS) $(ARGS)

versions-newest: $(VENV)/.created
	tools/system_packages.sh test
	$(PYTHON) -m venv build/newest
	build/newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade -e '.[test]'
	build/newest/bin/python -m pytest $(SPREAD) $(VERSION_TESTS) $(ARGS)
