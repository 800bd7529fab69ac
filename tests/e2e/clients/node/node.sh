#!/usr/bin/env bash
# Makes sure of the stock clients of package-lock.json, here or with NAME of the folder ../NAME, and
# prints the directory that NODE_PATH must name. It is in the user's cache and is made anew when the
# pins change. No package's own scripts run.
set -euo pipefail
name=${1:-node}
cd "$(dirname "$0")/../$name"

cache="${XDG_CACHE_HOME:-$HOME/.cache}/meshwork"
dir="$cache/$name"
mkdir -p "$cache"

for tool in node npm; do
  command -v "$tool" >/dev/null || {
    echo "node.sh: $tool is needed: run deploy/setup.sh clients (Debian, Ubuntu: apt-get install nodejs npm)" >&2
    exit 1
  }
done
major=$(node -p 'process.versions.node.split(".")[0]')
if [ "$major" -lt 18 ]; then
  echo "node.sh: Node 18 or later is needed, and $(command -v node) is $major" >&2
  exit 1
fi

# Several tests may ask at once: one makes it, the others wait.
exec 9>"$dir.lock"
flock 9

pins=$(sha256sum package-lock.json | cut -d' ' -f1)
if [ "$(cat "$dir/pins" 2>/dev/null)" != "$pins" ]; then
  rm -rf "$dir"
  mkdir -p "$dir"
  cp package.json package-lock.json "$dir"
  (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >&2
  echo "$pins" >"$dir/pins"
fi
echo "$dir/node_modules"
