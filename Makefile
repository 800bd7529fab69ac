# Every target brings what a fresh Debian-like machine lacks; a Rust toolchain by rustup is the one
# prerequisite. Compiled dependencies stay in the user's cache, so that a new clone is quick.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/meshwork
export PATH := $(CACHE)/tools/bin:$(PATH):$(HOME)/.cargo/bin
export CARGO_TARGET_DIR ?= $(CACHE)/target

# make demo ONCE=1 KEEP=1 DATA_DIR=… SPEED=…
DEMO_ARGS := $(if $(ONCE),--once) $(if $(KEEP),--keep) $(if $(DATA_DIR),--data-dir $(DATA_DIR)) $(if $(SPEED),--speed $(SPEED))

.PHONY: help demo test test-kill bench lint advisories fuzz fuzz-socket kafka-up kafka-down build

help: ## Shows this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Builds the binary (the first build takes about half an hour on two cores)
	@deploy/setup.sh build
	@cargo build -p meshwork

demo: ## The whole mission on a month of real flights (ONCE=1: plain, as fast as it goes; KEEP=1: stays up)
	@deploy/setup.sh build kafka
	@cargo build -p meshwork
	@exec "$(CARGO_TARGET_DIR)/debug/meshwork" demo $(DEMO_ARGS)

test: ## All tests, with real Kafka
	@deploy/setup.sh build kafka clients
	@tests/run.sh

test-kill: ## The demo whole, and killed five times: equal summaries
	@deploy/setup.sh build kafka
	@tests/run.sh kill

bench: ## The benches' table: figure, goal, met or not (BENCH=registry: only that one)
	@deploy/setup.sh build kafka
	@cargo build --release -p meshwork -p meshwork-benches
	@exec "$(CARGO_TARGET_DIR)/release/meshwork-benches" $(BENCH)

lint: ## Format, clippy and dependency rules
	@deploy/setup.sh build deny
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings
	@cargo deny check bans licenses sources

advisories: ## Known vulnerabilities in dependencies, where the database can be had
	@deploy/setup.sh deny
	@cargo deny check advisories || { echo "advisories: findings above, or NOT checked because the RustSec database could not be fetched. With a copy of it: set db-path under [advisories] in deny.toml and run cargo deny --offline check advisories" >&2; exit 1; }

fuzz: ## One fuzz target: make fuzz TARGET=avro_datum SECONDS=60
	@deploy/setup.sh build fuzz
	@cd fuzz && cargo fuzz run --sanitizer none $(or $(TARGET),avro_datum) -- -max_total_time=$(if $(filter command,$(origin SECONDS)),$(SECONDS),60)

fuzz-socket: ## Damaged bytes on the client's side of a running gateway: make fuzz-socket SECONDS=600
	@deploy/setup.sh build kafka
	@MESHWORK_FUZZ_SECONDS=$(if $(filter command,$(origin SECONDS)),$(SECONDS),600) cargo test -p meshwork-gateway --test socket_fuzz -- --nocapture

kafka-up: ## Apache Kafka on loopback (KAFKA_PORT, KAFKA_NODES), until kafka-down
	@deploy/setup.sh kafka
	@deploy/kafka/kafka.sh up

kafka-down: ## Stops what kafka-up started
	@deploy/kafka/kafka.sh down
