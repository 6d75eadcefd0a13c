# Each target sets up what it needs: `make demo` and `make test` work on a fresh machine.
PYTHON ?= python3
# 2.13.0 is what the default model was trained with. TORCH="torch --index-url https://download.pytorch.org/whl/cpu"
# takes a build without CUDA where the default wheel carries it.
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := client,aiohttp,remote,indexer,export,cpu,cli,bench,dev

.PHONY: demo test test-all test-s3 check bench docker-test clean setup

demo: $(VENV)/ready
	$(BIN)/hashgrain demo

# Divided among cores (tests/conftest.py says how many); ARGS="-n0" runs one test after the other.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

test: $(VENV)/ready
	$(PYTEST) $(ARGS)

# With the tests marked `long`, which churn and kill for minutes.
test-all: $(VENV)/ready
	$(PYTEST) --long $(ARGS)

# Of s3:// addresses, on a server that speaks S3: apart, since it takes 200 MB of packages.
test-s3: $(VENV)/ready
	$(BIN)/python -m pip install -q "s3fs>=2024.6" "moto[s3]>=5" flask flask-cors
	$(BIN)/python -m pytest tests/client/test_s3.py $(ARGS)

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks.lookup $(ARGS)
	$(BIN)/python -m benchmarks.recall_curve
	$(BIN)/python -m benchmarks.serving

# From `docker compose up` to a folder encoded and searched over gRPC; needs a Docker engine, takes minutes.
docker-test: $(VENV)/ready
	HASHGRAIN_DOCKER=1 $(BIN)/python -m pytest tests/docker $(ARGS)

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	@echo "installing hashgrain and all of its extras into $(VENV) (once, a minute or more)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q $(TORCH)
	$(BIN)/python -m pip install -q -e ".[$(EXTRAS)]"
	@touch $@

clean:
	-[ -x $(BIN)/hashgrain ] && $(BIN)/hashgrain down
	rm -rf $(VENV) .hashgrain build dist .mypy_cache .ruff_cache .pytest_cache demo.html
