#!/usr/bin/env bash
# `tests/run.sh` runs every test; `tests/run.sh kill` only the demo that is killed five times.
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/kafka/kafka.sh fetch
# The whole-system tests start this binary.
cargo build -p meshwork
if [ "${1:-all}" = kill ]; then
  exec cargo test -p meshwork-tests --test fault -- --nocapture kill
fi

tests/e2e/clients/venv.sh >/dev/null
tests/e2e/clients/venv.sh aiokafka >/dev/null
tests/e2e/clients/node/node.sh >/dev/null
tests/e2e/clients/node/node.sh kafkajs >/dev/null
for version in $(cat tests/e2e/clients/java/versions); do
  tests/e2e/clients/java/java.sh "$version" >/dev/null
done
if command -v go >/dev/null; then tests/e2e/clients/kgo/go.sh >/dev/null; fi
tests/conformance/contracts.sh
# Said last, where it is seen.
trap 'command -v go >/dev/null || echo "tests: NOT RUN: franz-go against the registry and through the gateway, for there is no Go here"' EXIT
cargo test --workspace --no-fail-fast
