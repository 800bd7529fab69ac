#!/usr/bin/env bash
# Brings what benches run in Java from Maven Central into the user's cache, and prints the directory
# (jars in libs/, classes and what was in an archive beside it): `fetch.sh apicurio`, the registry's
# neighbour; `fetch.sh kroxylicious`, the gateway's, with the few lines that start it; or `fetch.sh
# kafka-tools`, Kafka's own load. The checksums are those of NAME's checksums.sha256: after a change of
# its pom.xml run `fetch.sh NAME checksums`, look at the difference, and commit it.
set -euo pipefail
shopt -s nullglob
name=${1:?which: apicurio, kroxylicious or kafka-tools}
cd "$(dirname "$0")/$name"
here=$PWD

mark=$(cat pom.xml checksums.sha256 ./*.java | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-${HOME:?HOME or XDG_CACHE_HOME must be set}/.cache}/meshwork/bench/$name
app=$cache/$mark

say() { printf '%s: %s\n' "$name" "$*" >&2; }

# copy DIR : jars and archives as Maven Central has them.
copy() {
  command -v mvn >/dev/null || { say "mvn is needed: install maven (Debian, Ubuntu: apt-get install maven)"; exit 1; }
  say "fetching from Maven Central"
  mvn --batch-mode --quiet --file pom.xml dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$1/libs" >"$1/maven.log" 2>&1 || {
    tail -n 20 "$1/maven.log" >&2
    say "Maven could not fetch it; is Maven Central (repo.maven.apache.org) reachable?"
    exit 1
  }
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9

if [ "${2:-}" = checksums ]; then
  part=$(mktemp -d "$cache/part.XXXXXX")
  copy "$part"
  (cd "$part/libs" && sha256sum -- *) >checksums.sha256
  rm -rf "$part"
  exit 0
fi

if [ ! -d "$app" ]; then
  # What an older version left behind goes too.
  find "$cache" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
  part=$(mktemp -d "$cache/part.XXXXXX")
  copy "$part"
  (cd "$part/libs" && sha256sum --check --quiet "$here/checksums.sha256") >&2 || {
    rm -rf "$part"
    say "what Maven fetched does not match checksums.sha256; nothing was kept"
    exit 1
  }
  for archive in "$part"/libs/*.tar.gz; do
    tar xzf "$archive" -C "$part"
    rm "$archive"
  done
  for source in *.java; do
    javac -cp "$part/libs/*" -d "$part" "$source" >&2
  done
  mv "$part" "$app"
fi
echo "$app"
