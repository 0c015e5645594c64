# The commands a newcomer needs. Each installs its requirements, and can be repeated at no cost.

.PHONY: help setup demo test early parity lint windows-check fuzz mutants bench

help:
	@echo "make demo    show what Keyward does, on the embedded emulator"
	@echo "make test    run all tests"
	@echo "make early   respond to curl, Python and Node 6,000 times before their bodies are sent"
	@echo "make parity  compare clients with and without mounts, and write docs/compatibility.md"
	@echo "make lint    check format, lints, docs, WIT packages, licences and the build for Windows"
	@echo "make windows-check   compile everything for Windows, as make lint does"
	@echo "make fuzz    fuzz the parsers and the authorization of requests for two minutes"
	@echo "make mutants test the tests of the policy crate and of redaction by changes to the code (hours)"
	@echo "make bench   measure Keyward beside nginx and Azure's SDK (needs a quiet machine)"
	@echo "make setup   install what a build needs: a C compiler, Rust, a compiler for WebAssembly"

setup:
	@scripts/setup

demo: setup
	@echo "demo: the first build of Keyward and its plugins takes about 6 minutes on two cores"
	cargo run --locked --package keyward-daemon -- demo

test: setup
	scripts/test

early: setup
	scripts/early

parity: setup
	scripts/parity

lint: setup
	scripts/lint

windows-check: setup
	scripts/windows-check

fuzz:
	scripts/fuzz

mutants:
	scripts/mutants

bench: setup
	scripts/bench
