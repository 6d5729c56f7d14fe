# Two commands for newcomers: `make run` and `make test`. Everything else is here for convenience.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/ironrule/target

IRONRULE = $(CARGO_TARGET_DIR)/release/ironrule
DATA_DIR ?= data
LISTEN ?= 127.0.0.1:8090

.PHONY: run build test test-rust test-policies test-plugins test-web lint bench plugins clean-data

## Build in release and serve the demo shop on an embedded database under ./data.
run: build
	@$(IRONRULE) serve --data-dir $(DATA_DIR) --listen $(LISTEN) --demo shop

build:
	@.ci/prerequisites build
	cargo build --release --workspace --bin ironrule

## Everything: format, lints, Rust tests on real parts, the document, the SDK, other clients, and pages in a real browser.
test: lint test-rust test-policies test-plugins test-web

lint: 
	@.ci/prerequisites test
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- --deny warnings

test-rust: build
	cargo test --release --workspace

## The tests that stand beside policies, and what lint finds.
test-policies: build
	$(IRONRULE) policy test policies
	$(IRONRULE) policy lint policies
	$(IRONRULE) policy test server/app/demo/shop
	$(IRONRULE) policy lint server/app/demo/shop

## The SDKs of plugins, and the examples with their fixtures: as they are committed, and built anew where that can be done.
test-plugins: build
	@.ci/prerequisites test
	cd plugins/guest-ts && npm test --silent
	CARGO_TARGET_DIR=$(HOME)/.cache/ironrule/guest-target cargo test --quiet --locked --manifest-path plugins/guest-rust/Cargo.toml
	IRONRULE=$(IRONRULE) plugins/examples/check.sh

test-web: build
	@.ci/prerequisites test
	node tests/web/run.mjs

## Requests per second beside PocketBase and raw SurrealDB, from one run.
bench: build
	tests/bench/run

## Rebuild the example plugins from source; needs a Rust toolchain for wasm32-unknown-unknown, or Debian's.
plugins:
	for crate in plugins/examples/*/Cargo.toml; do plugins/build-guest.sh "$$(dirname "$$crate")" || exit; done

clean-data:
	rm -rf $(DATA_DIR)
