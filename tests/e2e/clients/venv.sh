#!/usr/bin/env bash
# Makes sure of a Python environment with stock clients, and prints its directory: without an
# argument that of requirements.txt, with NAME that of requirements-NAME.txt. It is in the user's
# cache and is made anew when the pins change.
set -euo pipefail
cd "$(dirname "$0")"

cache="${XDG_CACHE_HOME:-$HOME/.cache}/meshwork"
venv="$cache/venv${1:+-$1}"
requirements="requirements${1:+-$1}.txt"
mkdir -p "$cache"

# Several tests may ask at once: one makes it, the others wait.
exec 9>"$venv.lock"
flock 9

pins=$(sha256sum "$requirements" | cut -d' ' -f1)
if [ "$(cat "$venv/pins" 2>/dev/null)" != "$pins" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv" >&2
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2
  echo "$pins" >"$venv/pins"
fi
echo "$venv"
