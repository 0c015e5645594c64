# The commands a newcomer needs. Each installs what it needs, and can be run again at no cost.

.PHONY: help setup demo test early parity lint windows-check fuzz bench

help:
	@echo "make demo    show what Keyward does, on the embedded emulator"
	@echo "make test    run all tests"
	@echo "make early   answer curl, Python and Node 6,000 times before they have sent their bodies (minutes)"
	@echo "make parity  compare what clients see through mounts and without, and write docs/compatibility.md"
	@echo "make lint    check format, lints, documentation, the WIT packages, licences, sources, and that it compiles for Windows"
	@echo "make windows-check   compile everything for Windows; a part of make lint"
	@echo "make fuzz    look for a minute each for input that breaks the identity sources' parsers or the rules for paths"
	@echo "make bench   measure Keyward beside nginx and Azure's SDK (needs a quiet machine)"
	@echo "make setup   install what a build needs: a C compiler, Rust, a compiler for WebAssembly"

setup:
	@scripts/setup

demo: setup
	@echo "demo: builds Keyward and its plugins, then runs: the first time about 6 minutes on two cores"
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

bench: setup
	scripts/bench
