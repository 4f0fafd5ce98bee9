# All steps of development and CI. `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Steps are ordered from quick to slow, and Cargo uses every core by itself.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
NODE_PACKAGES := $(patsubst %/package.json,%,$(wildcard web-demo/package.json tests/package.json))
TESTED_SERVER := $(abspath $(TARGET_DIR))/debug/switchyard
E2E := SWITCHYARD_BIN=$(TESTED_SERVER) node --test --test-concurrency=1 --test-force-exit
# The files that `make generate` writes. The last section has a rule for each.
GENERATED := web-demo/src/call/signaling.gen.ts

## run: build the demo page and the release binary, serve both at http://localhost:3000
.PHONY: run
run: web-demo/dist/index.html
	cargo run --release --locked

## check: formatting, storeys, lints, docs, licences, dependencies, TypeScript, generated files
.PHONY: check
check: check-format check-map check-layers check-dependencies check-web check-lint check-docs check-generated

## test: install what is missing, then run every test, browsers and PostgreSQL included
.PHONY: test
test: test-needs test-rust test-e2e

## test-kill: kill the server under load many times, on both databases, and compare the records (minutes)
.PHONY: test-kill
test-kill: tested-server
	cd tests && KILLS=$(or $(KILLS),30) $(E2E) kill.test.mjs

## test-outage: interrupt each database for 30 seconds during a running call
.PHONY: test-outage
test-outage: tested-server
	cd tests && OUTAGE_SECONDS=30 $(E2E) outage.test.mjs

## test-recording: record on failing disks, lossy networks and through outages, and kill the server 200 times (an hour)
.PHONY: test-recording
test-recording: tested-server
	cd tests && $(E2E) recording/*.test.mjs
	cd tests && KILLS=$(or $(KILLS),200) $(E2E) recording-kill.test.mjs

## test-network: measure browsers behind limited links, without and with MEDIA_ADAPTATION (10 minutes, root)
.PHONY: test-network
test-network: web-demo/dist/index.html tests/node_modules/.package-lock.json
	node --test tests/network/figures.test.mjs
	cargo build --release --locked --package switchyard-link
	[[ -n "$${SWITCHYARD_BIN:-}" ]] || cargo build --release --locked --package switchyard-server
	SWITCHYARD_BIN=$${SWITCHYARD_BIN:-$(abspath $(TARGET_DIR))/release/switchyard} \
		SWITCHYARD_LINK_BIN=$(abspath $(TARGET_DIR))/release/switchyard-link node tests/network/run.mjs

## test-memory: run the tests of `unsafe` code under valgrind
.PHONY: test-memory
test-memory:
	cargo test --locked --package switchyard-media-worker --lib socket:: \
		--config "target.'cfg(unix)'.runner = ['valgrind', '--quiet', '--error-exitcode=1']"

## fuzz-api: fuzz the REST API of a running server by its OpenAPI document (3 minutes)
.PHONY: fuzz-api
fuzz-api: tested-server tests/fuzz/.venv/installed
	SWITCHYARD_BIN=$(TESTED_SERVER) node tests/fuzz/fuzz.mjs

## fuzz-feedback: fuzz the readers of clients' RTCP with mutated packets (5 minutes, or FUZZ_SECONDS)
.PHONY: fuzz-feedback
fuzz-feedback:
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),300) cargo test --locked --package switchyard-media --lib \
		congestion::tests::fuzz -- --nocapture

## fuzz-tap: fuzz the readers of recorded payloads with mutated packets (5 minutes, or FUZZ_SECONDS)
.PHONY: fuzz-tap
fuzz-tap:
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),300) cargo test --locked --package switchyard-media --lib \
		tap::tests::fuzz -- --nocapture

## bench-control: measure call control on both databases; figures are printed, nothing is asserted
.PHONY: bench-control
bench-control: web-demo/dist/index.html tests/node_modules/.package-lock.json
	cargo build --workspace --bins --locked --release
	SWITCHYARD_BIN=$(abspath $(TARGET_DIR))/release/switchyard node tests/bench/control.mjs

## bench-recording: measure how soon recording begins and what it costs a meeting (5 minutes); nothing is asserted
.PHONY: bench-recording
bench-recording: web-demo/dist/index.html tests/node_modules/.package-lock.json
	cargo build --workspace --bins --locked --release
	SWITCHYARD_BIN=$(abspath $(TARGET_DIR))/release/switchyard node tests/bench/recording.mjs

## bench: measure forwarding beside its floor (10 minutes; as root on a sink device too); nothing is asserted
.PHONY: bench
bench:
	cargo build --release --locked --package switchyard-bench
	$(TARGET_DIR)/release/switchyard-bench --json $(TARGET_DIR)/bench.json $(BENCH)
	@echo 'as JSON: $(TARGET_DIR)/bench.json'

## bench-callgrind: count instructions per forwarded packet, by component; needs valgrind
.PHONY: bench-callgrind
bench-callgrind:
	cargo build --release --locked --package switchyard-bench
	valgrind --quiet --tool=callgrind --callgrind-out-file=$(TARGET_DIR)/callgrind.out \
		--toggle-collect='switchyard_bench::linux::callgrind::measured' \
		$(TARGET_DIR)/release/switchyard-bench workload
	$(TARGET_DIR)/release/switchyard-bench instructions $(TARGET_DIR)/callgrind.out

## check-advisories: look for known faults in dependencies; downloads the advisories
.PHONY: check-advisories
check-advisories: $(TARGET_DIR)/tools/bin/cargo-deny
	$< --workspace check --hide-inclusion-graph advisories

## generate: rewrite the generated files
.PHONY: generate
generate: $(GENERATED)

## fmt: format Rust and TypeScript
.PHONY: fmt
fmt: web-demo/node_modules/.package-lock.json
	cargo fmt --all
	npm --prefix web-demo run format

## clean: remove everything that was built or installed here
.PHONY: clean
clean:
	cargo clean
	rm -rf web-demo/dist {web-demo,tests}/node_modules tests/artifacts tests/.venv tests/fuzz/.venv

## help: list the targets
.PHONY: help
help:
	@awk -F ': ' '/^## / { printf "%-16s %s\n", substr($$1, 4), $$2 }' Makefile

# ---- The demo page ----

web-demo/dist/index.html: web-demo/node_modules/.package-lock.json web-demo/index.html web-demo/vite.config.ts \
		$(shell find web-demo/src web-demo/public -type f)
	npm --prefix web-demo run build

%/node_modules/.package-lock.json: %/package.json %/package-lock.json
	npm --prefix $* ci --no-audit --no-fund
	touch $@

# ---- check ----

.PHONY: check-format
check-format:
	cargo fmt --all --check

# The map names files and folders relative to crates/ or to the root: a rename has to change it too.
.PHONY: check-map
check-map:
	@echo 'every path that crates/README.md names exists'
	@grep -oE '`[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*(/|\.(rs|toml|md|sql|ts|tsx|yml|conf))`' crates/README.md \
		| tr -d '`' | sort -u | while read -r path; do \
			[[ -e crates/$$path || -e $$path ]] || { echo "crates/README.md names $$path: no such path"; exit 1; }; \
		done

# Which module may import which: the table is in the script.
.PHONY: check-layers
check-layers:
	@echo 'no module imports one that stands above it, or one that imports it'
	@crates/layers check

# One crypto library: aws-lc-rs. The lock file may list others, but the build must not use them.
.PHONY: check-dependencies
check-dependencies: $(TARGET_DIR)/tools/bin/cargo-deny
	$< --workspace check --hide-inclusion-graph bans licenses sources
	@echo 'no other crypto stack in cargo tree'
	@tree=$$(cargo tree --workspace --locked --edges all --target all --prefix none); \
		if grep -E '^(ring|openssl|openssl-sys|native-tls) v' <<<"$$tree"; then exit 1; fi

# Unoptimised: cargo-deny runs for a second, but its optimised build takes minutes. Without its default features it
# downloads advisories with the command `git`.
$(TARGET_DIR)/tools/bin/cargo-deny:
	CARGO_PROFILE_DEV_DEBUG=0 cargo install cargo-deny --version 0.20.2 --locked --debug --no-default-features \
		--root $(TARGET_DIR)/tools --target-dir $(TARGET_DIR)/tools/build
	rm -rf $(TARGET_DIR)/tools/build

.PHONY: check-web
check-web: $(addprefix check-,$(NODE_PACKAGES))

.PHONY: $(addprefix check-,$(NODE_PACKAGES))
$(addprefix check-,$(NODE_PACKAGES)): check-%: %/node_modules/.package-lock.json
	npm --prefix $* run check

.PHONY: check-lint
check-lint:
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: check-docs
check-docs:
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

.PHONY: check-generated
check-generated:
	@echo 'generated files are what the code makes: $(or $(GENERATED),there are none)'
	@before=$$(cat /dev/null $(GENERATED) | sha256sum); $(MAKE) generate; \
		[[ $$before == "$$(cat /dev/null $(GENERATED) | sha256sum)" ]] \
		|| { echo 'they were stale and have been rewritten: commit them'; exit 1; }

# ---- test ----

.PHONY: test-needs
test-needs:
	tests/install

.PHONY: test-rust
test-rust: web-demo/dist/index.html
	cargo test --workspace --locked

.PHONY: test-e2e
test-e2e: tested-server tests/.venv/installed
	SWITCHYARD_BIN=$(TESTED_SERVER) npm --prefix tests test

.PHONY: tested-server
tested-server: web-demo/dist/index.html tests/node_modules/.package-lock.json
	cargo build --workspace --bins --locked

# Python packages: for calls with another WebRTC stack, and for the fuzzer.
tests/.venv/installed: tests/python/requirements.txt
tests/fuzz/.venv/installed: tests/fuzz/requirements.txt
tests/.venv/installed tests/fuzz/.venv/installed:
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

# ---- generate ----

# File times do not show whether the code has changed, so these files are always rewritten.
.PHONY: $(GENERATED)

web-demo/src/call/signaling.gen.ts: web-demo/node_modules/.package-lock.json
	cargo run --locked --package switchyard-server -- typescript >$@
	cd web-demo && node_modules/.bin/biome check --write --log-level=error $(@:web-demo/%=%)
