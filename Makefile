# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

PYTHON ?= python3
VENV_PYTHON := $(CURDIR)/.venv/bin/python
STAMP := .venv/.made-from

# The packages of the tests (emulator, demo, tools) lie below tests/
export PYTHONPATH := $(CURDIR)/tests
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo play test docs quick bench clean pins

help: ## Show this list
	@printf '\nintrusion.response: from intrusion detection to network block\n\n'
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@printf '\nNew here? Run `make demo`.\n\n'

demo: $(STAMP) ## See the main job done, on emulated services (a minute); others: make demo LEDGER=postgresql, make demo DETECTOR=suricata
	@"$(VENV_PYTHON)" -m demo $(if $(LEDGER),--ledger $(LEDGER)) $(if $(DETECTOR),--detector $(DETECTOR))

play: $(STAMP) ## Let the demo's services stay up, to try commands of your own, until Ctrl-C
	@"$(VENV_PYTHON)" -m demo --play

test: $(STAMP) ## Run all tests (minutes), or some: make test LAYERS="unit sanity"
	@"$(VENV_PYTHON)" -m tools.layers $(LAYERS)

docs: $(STAMP) ## Build the site of guides and reference, without a warning
	@"$(VENV_PYTHON)" -m tools.layers documentation && echo "Open .cache/pages/html/index.html"

quick: $(STAMP) ## Run the cheap tests only, lint and unit
	@"$(VENV_PYTHON)" -m tools.layers lint unit

bench: $(STAMP) ## Compare with other ways and with the floor (an hour), or some: make bench CASES="bulk ad_hoc"
	@"$(VENV_PYTHON)" -m benchmarks $(CASES)

setup: ## Make .venv with pinned tools (seconds to a minute, once); the others do it themselves
	@$(PYTHON) tests/tools/environment.py setup

$(STAMP): tests/requirements.txt
	@$(PYTHON) tests/tools/environment.py setup
	@touch $@

pins: ## Resolve tests/requirements.in anew, to the newest releases
	@$(PYTHON) tests/tools/environment.py pins

clean: ## Remove .venv and everything that was built or cached
	@rm -rf .venv .cache .ansible tests/output .hypothesis .mypy_cache .pytest_cache .ruff_cache *.tar.gz changelogs/.plugin-cache.yaml
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
