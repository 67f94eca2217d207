# Two commands on a fresh machine: `make demo`, `make test`. Both create what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo live kafka stack test soak fuzz check bench bench-compare bench-detect bench-live bench-rivals speed-page \
	dashboards picture assets axe lock sbom clean

demo: $(READY)
	-@$(MAKE) --silent assets
	$(BIN)/brinkwatch demo

# The same through a real Kafka, which is fetched and started; no Docker, Java or Maven needed.
live: $(READY)
	$(BIN)/brinkwatch demo --live

kafka: $(READY)
	$(BIN)/brinkwatch kafka

# Kafka, Alertmanager, Prometheus and the sidecar on loopback, and a simulated day published to it; until
# Ctrl-C, which leaves nothing running.
stack: $(READY)
	$(BIN)/python -m deploy.stack $(if $(SPEED),--speed $(SPEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(RECEIVERS),--receivers $(RECEIVERS))

# In two processes: one of them waits for Kafka most of the time.
test: $(READY)
	-@$(MAKE) --silent assets axe
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# What takes long: in full.
soak: $(READY)
	BRINKWATCH_TEST_CASES=200 $(BIN)/python -m pytest tests/theorems
	BRINKWATCH_TEST_SERIES=10000 $(BIN)/python -m pytest tests/detectors/calibration/test_adversarial.py
	BRINKWATCH_TEST_TAMPERINGS=1000 $(BIN)/python -m pytest tests/replay/day/test_tampering.py
	BRINKWATCH_TEST_HOSTILE=100000 $(BIN)/python -m pytest tests/live/test_hostile.py
	$(BIN)/python -m tests.live.killing --kills 200 --members 2
	$(BIN)/python -m tests.live.killing --kills 200 --members 1
	BRINKWATCH_TEST_SOURCE_KILLS=10 $(BIN)/python -m pytest tests/live/test_sources.py
	BRINKWATCH_TEST_FAULTS_S=30 $(BIN)/python -m pytest tests/live/test_faults.py
	BRINKWATCH_TEST_AWAY_S=60 $(BIN)/python -m pytest tests/live/test_notifications.py
	$(BIN)/python -m tests.fuzz --seconds 600
	$(BIN)/python -m tests.live.soak
	$(BIN)/python -m tests.bench.bench_rivals --events 200000 --rounds 1 --only flink,streams

# Changed inputs into everything that reads bytes from outside.
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --inputs 1000000 --seconds 3600

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_imports.py tests/test_layout.py

# What it costs: a table, and JSON in bench-out/. `make bench ONLY=seconds` runs one, QUICK=1 smaller
# sizes. Without ONLY, what detectors find and what becomes of real liquidations come last, as tables.
bench: $(READY)
	$(BIN)/python -m tests.bench $(ONLY) $(if $(QUICK),--quick)
	$(if $(ONLY),,$(BIN)/python -m tests.bench.bench_detect --quick)
	$(if $(ONLY),,$(BIN)/python -m tests.bench.bench_outcomes)

# `make bench-compare REV`: that commit and these files measured in turn, the ratios of their figures.
ifeq (bench-compare,$(firstword $(MAKECMDGOALS)))
REV := $(or $(REV),$(word 2,$(MAKECMDGOALS)))
$(REV):
	@:
endif
bench-compare: $(READY)
	@test -n "$(REV)" || { echo "name a commit: make bench-compare REV"; exit 2; }
	$(BIN)/python -m tests.bench.compare $(REV) $(ONLY) $(if $(FULL),--full)

# docs/speed.md and its picture from what `make bench` or `make bench-compare` wrote.
speed-page: $(READY)
	$(BIN)/python -m tests.bench.speed_page $(AFTER) $(BEFORE)

# Grafana's, from deploy/dashboards.
dashboards: $(READY)
	$(BIN)/python -m deploy.dashboards

# The README's: the alerts of the demo.
picture: demo
	$(BIN)/python -m deploy.picture

# What detectors find, and at how many false alarms: the whole table, over two hours on one core, half of them
# for twenty quiet days (`python -m tests.bench.bench_detect --only PART,...` runs some).
bench-detect: $(READY)
	$(BIN)/python -m tests.bench.bench_detect

# Through a real Kafka: how long alerts take at a live pace.
bench-live: $(READY)
	$(BIN)/python -m tests.bench live

# `brinkwatch run` beside Flink, Kafka Streams, Quix and a bare consumer: EVENTS=200000 ROUNDS=1 is small.
bench-rivals: $(READY) $(VENV)/others/.ready
	$(BIN)/python -m tests.bench.bench_rivals $(if $(EVENTS),--events $(EVENTS)) \
		$(if $(ROUNDS),--rounds $(ROUNDS))

# What it is measured beside has bounds of its own, so it has an environment of its own.
OTHERS := tests/bench/others
$(VENV)/others/.ready: $(OTHERS)/requirements.lock $(READY)
	$(PYTHON) -m venv $(VENV)/others
	$(VENV)/others/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# What reports draw with (uPlot, ECharts), from npm's packages: exactly those of the lock, with their
# licences. Only `--report` needs them, so without npm everything else goes on.
ASSETS := monitor/page/assets
PACKED := deploy/report/node_modules
assets: $(ASSETS)/LICENSES.txt
$(ASSETS)/LICENSES.txt: deploy/report/package-lock.json
	@command -v npm >/dev/null || \
		{ echo "reports need npm (of Node.js) once, for what they draw with: install it, then make assets"; exit 2; }
	npm ci --prefix deploy/report --ignore-scripts --no-audit --no-fund --loglevel=error
	mkdir -p $(ASSETS)
	cp $(PACKED)/uplot/dist/uPlot.iife.min.js $(PACKED)/uplot/dist/uPlot.min.css \
		$(PACKED)/echarts/dist/echarts.min.js $(ASSETS)
	for name in uplot/LICENSE echarts/NOTICE echarts/LICENSE echarts/licenses/LICENSE-d3 \
		zrender/LICENSE tslib/LICENSE.txt; do \
		printf '%s\n\n' "== $$name"; cat $(PACKED)/$$name; echo; done >$@
	rm -rf $(PACKED)

# What the browser tests judge the pages' accessibility with, from npm as well.
AXE := tests/browser/node_modules/axe-core/axe.min.js
axe: $(AXE)
$(AXE): tests/browser/package-lock.json
	@command -v npm >/dev/null || \
		{ echo "the browser tests need npm (of Node.js) once: install it, then make axe"; exit 2; }
	npm ci --prefix tests/browser --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# Exactly the versions and hashes of the lock; the project itself stays editable.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "brinkwatch needs Python 3.11 or later: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

# The hosts of registries have no place in a lock file: names, versions and hashes only. The two of
# the container image have the same versions: what runs, and what the wheel is built with.
COMPILE := -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header
lock: $(READY)
	$(BIN)/python $(COMPILE) \
		--extra dev --extra broker --extra dask --output-file requirements.lock pyproject.toml
	$(BIN)/python $(COMPILE) --constraint requirements.lock \
		--output-file deploy/run.lock pyproject.toml
	$(BIN)/python $(COMPILE) --constraint requirements.lock \
		--build-deps-for wheel --only-build-deps --output-file deploy/build.lock pyproject.toml
	$(BIN)/python $(COMPILE) --output-file $(OTHERS)/requirements.lock $(OTHERS)/requirements.in

# What the image holds beside its base, as CycloneDX.
sbom: $(READY)
	$(BIN)/python -m deploy.sbom dist/brinkwatch.cdx.json
	@echo "dist/brinkwatch.cdx.json"

clean:
	rm -rf $(VENV) $(ASSETS) tests/browser/node_modules demo-out bench-out stack-out dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
