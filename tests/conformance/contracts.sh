#!/usr/bin/env bash
# Lints every contract of the demo with another implementation of ODCS, PyPI `datacontract-cli`.
#
#   tests/conformance/contracts.sh [CONTRACT…]
#
# Takes the tool from $DATACONTRACT, else from the path, else from a virtual environment in the
# user's cache, which it makes. Exit code 1: a contract does not lint.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=1.2
cache=${XDG_CACHE_HOME:-$HOME/.cache}/meshwork/datacontract-$version

tool=${DATACONTRACT:-}
if [ -z "$tool" ] && command -v datacontract >/dev/null; then
  tool=datacontract
fi
if [ -z "$tool" ]; then
  tool=$cache/bin/datacontract
  if [ ! -e "$cache/.complete" ]; then
    echo "contracts: installing datacontract-cli $version into $cache" >&2
    rm -rf "$cache"
    python3 -m venv "$cache"
    "$cache/bin/pip" install --quiet --disable-pip-version-check \
      "datacontract-cli[kafka,avro]==$version.*"
    touch "$cache/.complete"
  fi
fi

if [ $# -eq 0 ]; then
  set -- schemas/flights/*.odcs.yaml
fi
failed=0
for contract in "$@"; do
  if answer=$("$tool" lint --all-errors "$contract" 2>&1); then
    echo "contracts: $contract lints"
  else
    printf '%s\ncontracts: %s does not lint\n' "$answer" "$contract" >&2
    failed=1
  fi
done
exit "$failed"
