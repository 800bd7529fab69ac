#!/usr/bin/env bash
# Makes sure of the program of main.go, with franz-go in the version of go.mod, and prints its path. It
# is in the user's cache and is made anew when the sources change.
set -euo pipefail
cd "$(dirname "$0")"

cache="${XDG_CACHE_HOME:-$HOME/.cache}/meshwork"
dir="$cache/franz-go"
mkdir -p "$dir"

# Several tests may ask at once: one makes it, the others wait.
exec 9>"$dir.lock"
flock 9

sources=$(cat go.mod go.sum ./*.go | sha256sum | cut -d' ' -f1)
if [ "$(cat "$dir/sources" 2>/dev/null)" != "$sources" ]; then
  go build -mod=readonly -o "$dir/matrix" . >&2
  echo "$sources" >"$dir/sources"
fi
echo "$dir/matrix"
