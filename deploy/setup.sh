#!/usr/bin/env bash
# Brings what a fresh Debian-like machine lacks: `deploy/setup.sh build kafka clients deny fuzz`.
# As root it installs; otherwise it prints the line to run and ends with exit code 1.
set -euo pipefail

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/meshwork
CARGO_DENY_VERSION=0.20.2
CARGO_FUZZ_VERSION=0.13.2

say() { printf 'setup: %s\n' "$*" >&2; }

# packages NAME… : installs those Debian packages that are missing.
packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null; then
    say "this machine has no apt-get; install by its own means what these Debian packages hold: ${missing[*]}"
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    say "packages are missing; run: sudo apt-get install -y ${missing[*]}"
    exit 1
  fi
  say "installing ${missing[*]}"
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# has COMMAND PACKAGE : the package only where the command is missing.
has() { command -v "$1" >/dev/null || packages "$2"; }

rust() {
  command -v cargo >/dev/null && return 0
  [ -x "$HOME/.cargo/bin/cargo" ] && return 0
  say "there is no Rust toolchain. Install it with rustup (https://rustup.rs), then run make again:"
  say "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
  exit 1
}

java_17() {
  local major
  # Without Java the command fails, which must not end the script.
  major=$({ java -version 2>&1 || true; } | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1)
  [ "${major:-0}" -ge 17 ] || packages openjdk-17-jre-headless
}

# tool NAME VERSION : a cargo tool, pinned, in the cache.
tool() {
  local name=$1 version=$2
  if [ "$("$CACHE/tools/bin/$name" --version 2>/dev/null | awk '{print $2}')" = "$version" ]; then
    return 0
  fi
  say "building $name $version (once, a few minutes)"
  CARGO_TARGET_DIR="$CACHE/tools/target" cargo install --quiet --locked --root "$CACHE/tools" \
    --version "$version" "$name" >&2
  rm -rf "$CACHE/tools/target"
}

# Clones share the target directory, and cargo tells their sources apart by time alone: a clone whose
# files are older than what another one built would run the other's code. So a change of clone makes
# this one's sources new.
claim_target() {
  local target=${CARGO_TARGET_DIR:-target} mark
  mark=$target/clone
  if [ "$(cat "$mark" 2>/dev/null)" != "$PWD" ]; then
    mkdir -p "$target"
    find crates services deploy tests benches -name '*.rs' -exec touch -c -- {} +
    printf '%s\n' "$PWD" >"$mark"
  fi
}

for part in "$@"; do
  case $part in
    build)
      rust
      claim_target
      has g++ g++
      has clang++ clang
      has make make
      has pkg-config pkg-config
      packages libclang-dev libssl-dev zlib1g-dev
      ;;
    kafka) java_17; has mvn maven ;;
    clients)
      has python3 python3
      packages python3-venv
      has node nodejs
      has npm npm
      has javac openjdk-17-jdk-headless
      has mvn maven
      has kcat kcat
      ;;
    deny) rust; tool cargo-deny "$CARGO_DENY_VERSION" ;;
    fuzz) rust; tool cargo-fuzz "$CARGO_FUZZ_VERSION" ;;
    *) say "unknown part: $part"; exit 2 ;;
  esac
done
