# On a fresh Debian or Ubuntu with Python 3.11 each of these is enough: `make demo`, `make test`, `make test-lab`.
# They make .venv, install hvops into it, and add missing system packages through apt, naming them first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# A test that cannot run fails; tests are handed out one by one, those that take longest first.
PYTEST := $(BIN)/pytest -q --no-skips
READY := $(VENV)/.ready
DEMO_READY := $(VENV)/.demo
# Pytest workers: two more than cores, since whole incidents wait for most of their time; four at most, since the tests
# start real servers and a browser.
WORKERS ?= $(shell n=$$(($$(nproc) + 2)); [ $$n -gt 4 ] && n=4; echo $$n)
SPREAD = -n $(WORKERS) --dist load --maxschedchunk 1

# What `make coverage` traces, which takes one and a half times as long again: all tests of the parts. Not the stories: what
# they reach varies.
PARTS = tests/bot tests/commands

# Where this is set, each of the hundreds of processes that tests start compiles all that it imports: a second and more.
unexport PYTHONDONTWRITEBYTECODE

# Incidents as data: make cases CASES=folder plays your own.
CASES ?= tests/cases

.PHONY: help setup demo test coverage test-lab test-long test-postgres test-two-bots test-sites chaos cases bare image snapshots pictures rooms walk tours kill slack-faults mutants check fix docs bench bench-long lock clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(READY)  ## only the set-up, with all that the tests need; afterwards .venv/bin/hvops works

INSTALLED_FROM = pyproject.toml lab/pyproject.toml requirements/install.sh deploy/system-packages.sh

# Without Kerberos and without the tools of development: nothing is compiled.
$(DEMO_READY): requirements/demo.txt $(INSTALLED_FROM)
	@sh deploy/system-packages.sh demo $(PYTHON)
	@echo "Installing hvops and its Python packages into $(VENV) ..."
	@sh requirements/install.sh demo $(VENV) $(PYTHON)
	@touch $@

$(READY): requirements/test.txt $(INSTALLED_FROM)
	@sh deploy/system-packages.sh run $(PYTHON)
	@echo "Installing hvops and its Python packages into $(VENV); Kerberos is compiled, which takes two minutes the first time ..."
	@sh requirements/install.sh test $(VENV) $(PYTHON)
	@touch $(DEMO_READY) $@

demo: $(DEMO_READY)  ## the practice Slack and estate on loopback: open the address, press Enter
	@$(BIN)/hvops demo

# Where `make test test-lab` asks for both, one run plays both: each start collects all tests in every worker, and at the end of
# each run workers wait for the last test.
BOTH = $(filter test test-lab,$(MAKECMDGOALS))
test: $(READY)  ## hvops itself, whole incidents among it, over real protocols
	@sh deploy/system-packages.sh test $(PYTHON)
	$(PYTEST) $(SPREAD) -m "not postgresql" $(if $(filter test-lab,$(BOTH)),,--ignore tests/lab)

coverage: $(READY)  ## lines and branches of bot/ and commands/ that the tests of the parts reach: fails where that is half a point less than was measured
	@sh deploy/system-packages.sh test $(PYTHON)
	rm -rf .coverage && $(BIN)/coverage run -m pytest -q --no-skips $(SPREAD) -m "not postgresql" $(PARTS)
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report

test-lab: $(READY)  ## what it is tested against: the practice environment, the practice Slack, the page
	@sh deploy/system-packages.sh test $(PYTHON)
	$(if $(filter test,$(BOTH)),@echo "The tests of the lab were run with the others.",$(PYTEST) $(SPREAD) tests/lab)

# The contract of the stores, one move and four scenarios run on PostgreSQL in `make test` as well. Here: what only a database
# can meet, and all that a file goes through, killed and raced, unless it looks into the file itself.
DATABASE_TESTS = tests/bot/executor/test_ownership.py tests/bot/doctor/test_bots.py tests/bot/ledger/test_postgresql.py tests/bot/ledger/test_database_locks.py tests/bot/ledger/test_store_contract.py tests/bot/ledger/test_copies.py \
	tests/bot/ledger/test_views.py tests/bot/cli/test_ledger_move.py tests/stories/test_postgresql.py tests/stories/test_site.py \
	tests/bot/transport/sites tests/bot/doctor/test_sites.py tests/bot/doctor/test_pgbouncer.py tests/releases
EITHER_STORE = tests/bot/ledger/test_ticket_state.py tests/bot/ledger/test_ticket_table.py tests/bot/ledger/test_entries.py \
	tests/bot/ledger/test_kill.py tests/bot/ledger/test_concurrency.py tests/bot/executor
test-postgres: $(READY)  ## the ledger and the queue of sites in PostgreSQL: kills, lost answers, a move, hostile workers, and the rules of tickets
	@sh deploy/system-packages.sh test $(PYTHON)
	$(PYTEST) $(SPREAD) $(DATABASE_TESTS)
	STORE=postgresql $(PYTEST) $(SPREAD) -m "not sqlite" $(EITHER_STORE)
	KILL_ROUNDS=60 $(PYTEST) tests/stories/test_two_bots_killed.py
	KILL_ROUNDS=20 $(PYTEST) --long tests/stories/test_two_bots_killed.py
	$(MAKE) test-two-bots

test-two-bots: $(READY)  ## whole incidents again, on PostgreSQL with two bots that Slack gives each event in turn
	STORE=postgresql BOTS=2 $(PYTEST) $(SPREAD) -m "not sqlite" tests/stories

test-sites: $(READY)  ## whole incidents again, with all machines behind a site's worker
	SITE=worker $(PYTEST) $(SPREAD) tests/stories

test-long: $(READY)  ## whole incidents that take long, such as each error of a node whose updates are fixed
	$(PYTEST) $(SPREAD) --ignore tests/lab --long

# A quarter of an hour: stories are played one after the other, each by its own bot.
tours: $(READY)  ## follow every tour of the demo to its end, by clicking in a browser what it says
	@sh deploy/system-packages.sh test $(PYTHON)
	$(PYTEST) tests/lab/page/test_tours.py
	$(PYTEST) tests/lab/page/test_tours.py --long

pictures: $(READY)  ## draw the pictures of the docs afresh: each card, Home and the audit, at 1400 and at 390 pixels
	@$(BIN)/python -m tests.pictures
# Six minutes and more: each kill, and after every third a trouble of the network or of the database.
chaos: $(READY)  ## kill two bots and two workers 200 times while their database and the way to it fail: nothing twice, lost or silent
	@sh deploy/system-packages.sh test $(PYTHON)
	SITE_KILLS=200 $(PYTEST) tests/bot/transport/sites/test_harm.py -k "killed_again or two_bots_and"

cases: $(READY)  ## play the incidents of tests/cases (or CASES=folder) over the wire, and print which are answered rightly
	@$(BIN)/python -m tests.cases $(CASES)

bare:  ## the set-up and a test of each kind (or TESTS=...) on a bare Debian made for it; needs root, mmdebstrap
	sh tests/deploy/bare_root.sh $(TESTS)

image:  ## build the container image on a Debian made for it, and run it read-only, not as root; needs root, buildah, mmdebstrap
	sh tests/deploy/image.sh

# A file that did not exist is reported as missing by the run that writes it, so the second run is the one that counts.
snapshots: $(READY)  ## write afresh what people see (tests/snapshots); read the difference before it is committed
	rm -rf tests/snapshots/*/
	-$(BIN)/pytest -q -p no:xdist --inline-snapshot=create,fix --tb=no tests/snapshots > /dev/null
	$(BIN)/pytest -q -p no:xdist tests/snapshots

rooms: $(READY)  ## count the imports between the rooms of bot/ and commands/, and their floors
	@$(BIN)/python -m tests.structure.rooms

walk: $(READY)  ## count the files on the way of /drain-node from Slack to its plan in Slack
	@$(BIN)/python -m tests.structure.walk

kill: $(READY)  ## kill the bot a thousand times at random moments: nothing is done twice, every ticket is true
	KILL_ROUNDS=1000 $(PYTEST) tests/bot/executor/test_kill.py

# Seed 7 again: make slack-faults SEEDS=50 ONLY='-k [7]'
SEEDS ?= 50
slack-faults: $(READY)  ## whole tickets while Slack fails by fifty seeds, ten thousand calls: every end is told, nothing twice
	SLACK_FAULT_SEEDS=$(SEEDS) $(PYTEST) $(SPREAD) tests/bot/slack/changes/test_faults.py $(ONLY)

# Takes half an hour. One module: make mutants MODULES=bot/redaction.py
mutants: $(READY)  ## break the core's code in small ways: the tests must notice, but for what tests/mutants.md accepts
	@$(BIN)/python -m pip install --quiet --group mutants
	$(BIN)/python -m tests.mutants $(MODULES)

check: $(READY)  ## style, types, import rules, generated docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cog --check --diff commands/README.md
	$(BIN)/hvops manifest | diff -u deploy/slack.yaml -

fix: $(READY)  ## let the tools mend what they can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(READY)  ## write the generated docs afresh
	$(BIN)/cog -r commands/README.md
	$(BIN)/hvops manifest > deploy/slack.yaml

bench: $(READY)  ## measure, side by side with the alternatives, in one run
	@$(BIN)/python -m pip install --quiet --group bench || echo 'ansible-core cannot be installed: measured without it.'
	$(BIN)/python -m tests.bench

# Versions stay where nothing asks for others; LOCK=--upgrade takes the newest of all.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-package hvops --no-emit-package hvops-lab $(LOCK)
lock: $(READY)  ## write requirements/*.txt afresh: the versions and hashes that set-up and container install
	$(COMPILE) requirements/demo.in -o requirements/demo.txt
	$(COMPILE) requirements/test.in --group dev -c requirements/demo.txt -o requirements/test.txt
	$(COMPILE) requirements/deploy.in -c requirements/demo.txt -o requirements/deploy.txt
	$(BIN)/python deploy/licences.py

bench-long: $(READY)  ## an hour of mixed load on PostgreSQL and a worker: the bot's memory stays flat (MINUTES=60)
	$(BIN)/python -m tests.bench.steady --minutes $(or $(MINUTES),60)

clean:  ## remove the virtual environment and all caches
	rm -rf $(VENV) .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
