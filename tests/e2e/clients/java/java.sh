#!/usr/bin/env bash
# Makes sure of Apache Kafka's Java client in VERSION with Matrix.java compiled against it, and prints
# the class path: java.sh VERSION, one of those in the file `versions`. Both are in the user's cache,
# made anew when the sources change.
set -euo pipefail
cd "$(dirname "$0")"

version=$1
cache="${XDG_CACHE_HOME:-$HOME/.cache}/meshwork"
dir="$cache/java-client/$version"
mkdir -p "$cache/java-client"

for tool in javac mvn; do
  command -v "$tool" >/dev/null || {
    echo "java.sh: $tool is needed: run deploy/setup.sh clients (Debian, Ubuntu: apt-get install openjdk-17-jdk-headless maven)" >&2
    exit 1
  }
done

# Several tests may ask at once: one makes it, the others wait.
exec 9>"$cache/java-client/$version.lock"
flock 9

pins=$(sha256sum pom.xml | cut -d' ' -f1)
if [ "$(cat "$dir/pins" 2>/dev/null)" != "$pins" ]; then
  rm -rf "$dir"
  mkdir -p "$dir"
  mvn --batch-mode --quiet --file pom.xml -Dkafka="$version" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$dir/libs" >&2
  echo "$pins" >"$dir/pins"
fi
sources=$(sha256sum ./*.java | sha256sum | cut -d' ' -f1)
if [ "$(cat "$dir/sources" 2>/dev/null)" != "$sources" ]; then
  rm -rf "$dir/classes"
  # Of two versions one deprecates what the other has no other word for.
  javac -nowarn -Xlint:none -d "$dir/classes" -cp "$dir/libs/*" ./*.java >&2
  echo "$sources" >"$dir/sources"
fi
echo "$dir/classes:$dir/libs/*"
