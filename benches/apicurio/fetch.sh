#!/usr/bin/env bash
# Brings Apicurio Registry, which the bench runs beside ours, from Maven Central into the user's
# cache, unpacks it and prints its directory. The checksum is that of apicurio.sha256: after a
# change of the version run `fetch.sh checksum`, look at it, and commit it.
set -euo pipefail
cd "$(dirname "$0")"

version=3.3.3
archive=apicurio-registry-app-$version-all.tar.gz
cache=${XDG_CACHE_HOME:-${HOME:?HOME or XDG_CACHE_HOME must be set}/.cache}/meshwork/apicurio
app=$cache/$version

say() { printf 'apicurio: %s\n' "$*" >&2; }

# copy DIR : the archive as Maven Central has it.
copy() {
  command -v mvn >/dev/null || { say "mvn is needed: install maven (Debian, Ubuntu: apt-get install maven)"; exit 1; }
  say "fetching Apicurio Registry $version from Maven Central (151 MB)"
  mvn --batch-mode --quiet org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
    -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" \
    -DoutputDirectory="$1" >"$1/maven.log" 2>&1 || {
    tail -n 20 "$1/maven.log" >&2
    say "Maven could not fetch it; is Maven Central (repo.maven.apache.org) reachable?"
    exit 1
  }
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9

if [ "${1:-}" = checksum ]; then
  part=$(mktemp -d "$cache/part.XXXXXX")
  copy "$part"
  (cd "$part" && sha256sum "$archive") >apicurio.sha256
  rm -rf "$part"
  exit 0
fi

if [ "$(cat "$app/checksum" 2>/dev/null)" != "$(cat apicurio.sha256)" ]; then
  rm -rf "$cache"/part.* "$app"
  part=$(mktemp -d "$cache/part.XXXXXX")
  copy "$part"
  (cd "$part" && sha256sum --check --quiet "$OLDPWD/apicurio.sha256") >&2 || {
    rm -rf "$part"
    say "what Maven fetched does not match apicurio.sha256; nothing was kept"
    exit 1
  }
  mkdir "$part/app"
  tar xzf "$part/$archive" -C "$part/app"
  cp apicurio.sha256 "$part/app/checksum"
  mv "$part/app" "$app"
  rm -rf "$part"
fi
echo "$app"
