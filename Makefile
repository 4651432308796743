# SPDX-License-Identifier: GPL-3.0-or-later
# `make demo` and `make test` do everything, set-up included; `make clean` removes what they left running.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

LAB_PIS ?= 3
ARM_RELEASES ?= bookworm trixie
ARM_DEPLOYMENTS ?= container package
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.cache/collections
LAB := PYTHONPATH=molecule python -m lab

CLUSTER := PYTHONPATH=molecule python -m cluster

.PHONY: help python setup unit lint test molecule demo bench load arm kubernetes soak clean distclean

help: ## Show the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

python:
	@scripts/setup_python.sh

setup: python ## Install what the tests and the lab need on this machine.
	@scripts/setup_lab.sh

unit: python ## Run the unit tests without plays and the like (seconds; needs Python packages only).
	@pytest -q -n auto -m "not slow" tests/unit

lint: python ## Run every linter, ansible-test sanity and galaxy-importer.
	@scripts/lint.sh

molecule: setup ## Run the Molecule scenarios on simulated Pis.
	@scripts/molecule.sh test --all

test: setup ## Run all tests.
	@scripts/test.sh

demo: setup ## Turn three simulated Pis into a fleet, run jobs on them, and show that a second run changes nothing.
	@$(LAB) demo demo --pis $(LAB_PIS)

bench: setup ## Measure seconds: an unchanged re-run against `ansible -m ping`, and the merge of a large config.toml.
	@PYTHONPATH=molecule:tests:.cache/collections python -m bench

load: setup ## Disturb fleets under a load of jobs, and count the jobs that are lost (LOAD='--only upgrade' for less).
	@PYTHONPATH=molecule:tests:tests/unit/registration:.cache/collections python -m load $(LOAD)

arm: python ## Turn emulated 64-bit ARM machines, bare, into Pis that run jobs (ARM_RELEASES=trixie ARM_DEPLOYMENTS=package for one).
	@scripts/setup_arm.sh
	PYTHONPATH=molecule PATH=$$PATH:/usr/sbin:/sbin python -m arm --releases $(ARM_RELEASES) --deployments $(ARM_DEPLOYMENTS)

kubernetes: python ## Keep runners in a real cluster: one that you name, of kind or k3d, or built here (minutes, once).
	@scripts/setup_cluster.sh
	scripts/kubernetes.sh

soak: setup ## Run all that `make test` draws from: every core, kill and start, and many more histories (hours).
	@export PIFLEET_SOAK=1 PIFLEET_ANSIBLE_PLAYBOOKS=$$(scripts/cores.sh)
	pytest -q -n auto --timeout 7200 tests/unit
	scripts/molecule.sh test --all
	scripts/molecule.sh test --scenario-name swarm
	trap '$(LAB) down soak; $(LAB) down soak-swarm' EXIT
	$(LAB) up soak --pis 2
	PIFLEET_LAB=soak pytest -q tests/integration/kills/test_every_start.py
	$(LAB) up soak-swarm --pis 5
	PIFLEET_LAB=soak-swarm pytest -q tests/integration/swarm

clean: ## Remove the labs and clusters, what they left running, and the engine that they started.
	@if [ -x .venv/bin/python ]; then $(CLUSTER) clean; $(LAB) clean; fi

distclean: clean ## Remove caches and the Python environment as well.
	@rm -rf .venv .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache .ansible
