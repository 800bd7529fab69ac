#!/bin/sh
# Apache Kafka for development, demo and tests: fetches it, formats storage, runs one KRaft node or
# three on loopback. `make kafka-up` and `make kafka-down` call this script; the Rust crate beside it
# embeds the same script, so what holds here holds in tests.
#
#   kafka.sh fetch      copy Kafka from Maven Central into the user's cache; prints the folder
#   kafka.sh up         start in the background and wait until it serves; prints the address
#   kafka.sh down       stop what `up` started
#   kafka.sh run        one node in the foreground, tied to standard input (below)
#   kafka.sh checksums  fetch anew without checking and rewrite checksums.sha256
#
# Environment (defaults):
#   KAFKA_PORT (9092)   port of node 1; node 2 has the next one, and so on
#   KAFKA_NODES (1)     1 or 3
#   KAFKA_DATA          data directory (${XDG_STATE_HOME:-~/.local/state}/meshwork/kafka)
#   KAFKA_HEAP          heap of one node in MiB (512; 384 each for three)
#   KAFKA_SETTINGS      more lines for server.properties
#   KAFKA_START_SECONDS (120) how long `up` waits for a node to serve
#
# `run` also takes KAFKA_NODE (1), KAFKA_PORTS and KAFKA_CONTROLLER_PORTS (comma-separated, one a
# node), KAFKA_LIBS (a folder that `fetch` has printed), KAFKA_MORE_LISTENERS and KAFKA_MORE_PROTOCOLS
# (`,NAME://host:port` and `,NAME:PROTOCOL`, as often as there are more), KAFKA_MORE_ADVERTISED (as
# the listeners, where clients are told other ports) and KAFKA_DISCARD (1: when standard input ends
# the data directory goes too). It answers on standard output, one word
# a line: `pid N`, `serving`, `done WORD`. It obeys lines on standard input: `stop` (clean), `kill`,
# `pause`, `resume`. When standard input ends the broker gets SIGKILL, so that not even a parent
# that was killed leaves one behind; when this shell is killed the broker goes too (pdeathsig).
set -eu

version=4.2.2
here=$(cd "$(dirname "$0")" && pwd)

say() { printf '%s\n' "$*" >&2; }
fail() { say "kafka.sh: $*"; exit 1; }

# --- fetch ---------------------------------------------------------------------------------------

cache=${XDG_CACHE_HOME:-${HOME:?HOME or XDG_CACHE_HOME must be set}/.cache}/meshwork/kafka

need_tool() {
    command -v "$1" >/dev/null 2>&1 || fail "$1 is needed and was not found: $2"
}

# Every jar of the list is there with its checksum, and no other.
complete() {
    [ -d "$1" ] || return 1
    [ "$(find "$1" -name '*.jar' | wc -l)" -eq "$(wc -l <"$here/checksums.sha256")" ] || return 1
    (cd "$1" && sha256sum --check --status "$here/checksums.sha256")
}

copy_jars() {
    need_tool mvn "install maven (Debian, Ubuntu: apt-get install maven)"
    java_home
    say "fetching Apache Kafka $version from Maven Central (44 MB)"
    mvn --batch-mode --quiet --file "$here/pom.xml" dependency:copy-dependencies \
        -DoutputDirectory="$1" >"$1.log" 2>&1 || {
        tail -n 20 "$1.log" >&2
        rm -rf "$1" "$1.log"
        fail "Maven could not fetch Apache Kafka $version; is Maven Central (repo.maven.apache.org) reachable?"
    }
    rm -f "$1.log"
}

fetch() {
    need_tool sha256sum "install coreutils"
    need_tool flock "install util-linux"
    libs=$cache/$version/libs
    if ! complete "$libs"; then
        mkdir -p "$cache"
        exec 8>"$cache/lock"
        # Two at once: the second waits and finds the work done. 600 s is far more than a slow
        # network takes for 44 MB.
        flock -w 600 8 || fail "another fetch has held $cache/lock for 600 s"
        if ! complete "$libs"; then
            rm -rf "$cache"/part.*
            part=$cache/part.$$
            mkdir -p "$part"
            copy_jars "$part/libs"
            complete "$part/libs" || {
                (cd "$part/libs" && sha256sum --check --quiet "$here/checksums.sha256" 2>&1 | tail -n 5 >&2) || true
                rm -rf "$part"
                fail "what Maven fetched does not match checksums.sha256; nothing was kept"
            }
            rm -rf "${cache:?}/$version"
            mv "$part" "$cache/$version"
        fi
        exec 8>&-
    fi
    printf '%s\n' "$libs"
}

checksums() {
    part=$(mktemp -d)
    copy_jars "$part/libs"
    (cd "$part/libs" && LC_ALL=C sha256sum -- *.jar) | LC_ALL=C sort -k 2 >"$here/checksums.sha256"
    rm -rf "$part"
    say "wrote $here/checksums.sha256"
}

# --- one node ------------------------------------------------------------------------------------

# Sets $java. Kafka 4 brokers need Java 17.
java_home() {
    if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/java" ]; then
        java=$JAVA_HOME/bin/java
    else
        java=$(command -v java) ||
            fail "java 17 or later is needed and was not found: install it (Debian, Ubuntu: apt-get install openjdk-17-jre-headless)"
    fi
    major=$("$java" -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p')
    [ "${major:-0}" -ge 17 ] ||
        fail "java 17 or later is needed, $java is ${major:-of unknown version}: install it (Debian, Ubuntu: apt-get install openjdk-17-jre-headless) or set JAVA_HOME"
}

# The $2-th word of the comma-separated list $1.
nth() { printf '%s' "$1" | cut -d, -f"$2"; }

# A KRaft cluster id: 16 random bytes in base64url. A leading '-' would read as an option.
cluster_id() {
    if [ ! -s "$data/cluster.id" ]; then
        head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' | sed 's/^-/A/' >"$data/cluster.id.$$"
        # `ln` fails where another node was quicker: all then use the one that is there.
        ln "$data/cluster.id.$$" "$data/cluster.id" 2>/dev/null || true
        rm -f "$data/cluster.id.$$"
    fi
    cat "$data/cluster.id"
}

# Writes the settings of node $1 to $home. Static voters for one node too: they are not kept in the
# metadata log, so a directory may come back on other ports.
settings() {
    node=$1
    voters='' i=1
    while [ "$i" -le "$nodes" ]; do
        voters=$voters${voters:+,}$i@127.0.0.1:$(nth "$controller_ports" "$i")
        i=$((i + 1))
    done
    # A lost broker is noticed in seconds: this is for faults on purpose. One that comes back after
    # SIGKILL is not let in before its old session ends, so a single node's is shorter still.
    min_isr=1 session=3000 heartbeat=500
    [ "$nodes" -lt 3 ] || { min_isr=2 session=6000 heartbeat=1000; }
    cat >"$home/server.properties" <<EOF
# Written by kafka.sh at every start.
process.roles=broker,controller
node.id=$node
controller.quorum.voters=$voters
listeners=PLAINTEXT://127.0.0.1:$(nth "$ports" "$node"),CONTROLLER://127.0.0.1:$(nth "$controller_ports" "$node")${KAFKA_MORE_LISTENERS:-}
advertised.listeners=PLAINTEXT://127.0.0.1:$(nth "$ports" "$node")${KAFKA_MORE_ADVERTISED:-${KAFKA_MORE_LISTENERS:-}}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT${KAFKA_MORE_PROTOCOLS:-}
log.dirs=$home/data
# Apart from the data: a node that loses its data disk must keep its vote.
metadata.log.dir=$home/metadata
auto.create.topics.enable=false
min.insync.replicas=$min_isr
default.replication.factor=$nodes
offsets.topic.num.partitions=8
offsets.topic.replication.factor=$nodes
transaction.state.log.num.partitions=8
transaction.state.log.replication.factor=$nodes
transaction.state.log.min.isr=$min_isr
share.coordinator.state.topic.num.partitions=2
share.coordinator.state.topic.replication.factor=$nodes
share.coordinator.state.topic.min.isr=$min_isr
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=$session
broker.heartbeat.interval.ms=$heartbeat
controller.quorum.election.timeout.ms=1000
controller.quorum.fetch.timeout.ms=2000
replica.lag.time.max.ms=6000
# 128 MiB by default, on the heap.
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=1000
num.network.threads=2
num.io.threads=4
${KAFKA_SETTINGS:-}
EOF
    cat >"$home/log4j2.xml" <<'EOF'
<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="ERROR" shutdownHook="disable">
  <Appenders>
    <Console name="out"><PatternLayout pattern="[%d{ISO8601}{UTC}Z] %p %m (%c)%n"/></Console>
  </Appenders>
  <Loggers>
    <Logger name="org.apache.kafka.common.config.AbstractConfig" level="WARN"/>
    <Logger name="kafka.server.KafkaConfig" level="WARN"/>
    <Root level="INFO"><AppenderRef ref="out"/></Root>
  </Loggers>
</Configuration>
EOF
}

# Sets what the functions below read, from the environment.
prepare() {
    nodes=${KAFKA_NODES:-1}
    case $nodes in 1 | 3) ;; *) fail "KAFKA_NODES is $nodes; it can be 1 or 3" ;; esac
    data=${KAFKA_DATA:-${XDG_STATE_HOME:-${HOME:?HOME or KAFKA_DATA must be set}/.local/state}/meshwork/kafka}
    port=${KAFKA_PORT:-9092}
    heap=${KAFKA_HEAP:-$([ "$nodes" -eq 1 ] && echo 512 || echo 384)}
    ports=${KAFKA_PORTS:-$port,$((port + 1)),$((port + 2))}
    if [ "$port" -lt 50000 ]; then shifted=$((port + 10000)); else shifted=$((port - 10000)); fi
    controller_ports=${KAFKA_CONTROLLER_PORTS:-$shifted,$((shifted + 1)),$((shifted + 2))}
    mkdir -p "$data"
    data=$(cd "$data" && pwd)
    if [ -s "$data/nodes" ] && [ "$(cat "$data/nodes")" != "$nodes" ]; then
        fail "$data was made for $(cat "$data/nodes") node(s), not $nodes: set KAFKA_NODES=$(cat "$data/nodes"), or take another KAFKA_DATA"
    fi
    echo "$nodes" >"$data/nodes"
    java_home
    need_tool flock "install util-linux"
    need_tool setpriv "install util-linux"
}

# Makes node $1 ready to start: its lock (descriptor 9, which the broker inherits and so holds for
# as long as it lives), settings, formatted storage.
ready_node() {
    home=$data/node-$1
    log=$home/server.log
    mkdir -p "$home/data" "$home/metadata"
    exec 9>>"$home/lock"
    # One that was killed a moment ago lets go of it when it is really gone.
    flock -w 30 9 || fail "another broker is running in $home (its process: $(cat "$home/pid" 2>/dev/null || echo unknown))"
    settings "$1"
    [ ! -e "$log" ] || mv -f "$log" "$home/server.log.1"
    : >"$log"
    rm -f "$home/orphaned"
    if [ ! -s "$home/data/meta.properties" ] || [ ! -s "$home/metadata/meta.properties" ]; then
        "$java" -Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto \
            -Dlog4j2.configurationFile="$home/log4j2.xml" -cp "$libs/*" \
            kafka.tools.StorageTool format --ignore-formatted \
            -t "$(cluster_id)" -c "$home/server.properties" >>"$log" 2>&1 9>&- || {
            tail -n 10 "$log" >&2
            fail "could not format $home"
        }
    fi
}

# Becomes the broker (exec).
become_broker() {
    exec "$@" "$java" "-Xms${heap}m" "-Xmx${heap}m" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
        -Dlog4j2.configurationFile="$home/log4j2.xml" -cp "$libs/*" \
        kafka.Kafka "$home/server.properties"
}

serving() { grep -q 'Kafka Server started' "$log"; }

# --- run: tied to standard input -----------------------------------------------------------------

run() {
    # Whoever reads what we say may be gone when there is still something to tidy up.
    trap '' PIPE
    prepare
    libs=${KAFKA_LIBS:-$(fetch)}
    ready_node "${KAFKA_NODE:-1}"
    exec 3<&0
    (become_broker setpriv --pdeathsig KILL) </dev/null 3<&- >>"$log" 2>&1 &
    broker=$!
    # The broker alone holds the lock from here on.
    exec 9>&-
    echo "$broker" >"$home/pid"
    echo "pid $broker"

    # Obeys standard input; its end means that whoever wanted the broker is gone.
    # shellcheck disable=SC2016
    setpriv --pdeathsig KILL sh -c '
        while read -r word; do
            case $word in
                stop) kill -CONT "$1"; kill -TERM "$1" ;;
                kill) kill -KILL "$1" ;;
                pause) kill -STOP "$1" ;;
                resume) kill -CONT "$1" ;;
                *) continue ;;
            esac 2>/dev/null
            echo "done $word"
        done
        : >"$2/orphaned"
        kill -KILL "$1"
    ' kafka-stdin "$broker" "$home" <&3 2>/dev/null &
    obey=$!
    exec 3<&-

    # shellcheck disable=SC2016
    setpriv --pdeathsig KILL sh -c '
        until grep -q "Kafka Server started" "$2"; do
            kill -0 "$1" || exit 0
            sleep 0.1
        done
        echo serving
    ' kafka-serving "$broker" "$log" </dev/null 2>/dev/null &
    watch=$!

    trap 'kill -TERM "$broker" 2>/dev/null' TERM INT HUP
    code=0
    wait "$broker" || code=$?
    # A trapped signal ends `wait` early.
    while kill -0 "$broker" 2>/dev/null; do wait "$broker" || code=$?; done
    kill -KILL "$obey" "$watch" 2>/dev/null || true
    rm -f "$home/pid"
    if [ "${KAFKA_DISCARD:-0}" = 1 ] && [ -e "$home/orphaned" ]; then
        # Another node may still be writing here; the last one to end finds all of them gone.
        rm -rf "${data:?}" 2>/dev/null || true
    fi
    exit "$code"
}

# --- up and down ---------------------------------------------------------------------------------

# The process of node $1 if `up` started it and it lives, else nothing.
running() {
    pid=$(cat "$data/node-$1/pid" 2>/dev/null) || return 0
    # The number may be another process's by now.
    if { tr "\0" " " <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF "$data/node-$1/server.properties"; then
        echo "$pid"
    fi
}

address() {
    all='' i=1
    while [ "$i" -le "$nodes" ]; do
        all=$all${all:+,}127.0.0.1:$(nth "$ports" "$i")
        i=$((i + 1))
    done
    echo "$all"
}

up() {
    prepare
    libs=$(fetch)
    n=1
    while [ "$n" -le "$nodes" ]; do
        if [ -z "$(running "$n")" ]; then
            ready_node "$n"
            (become_broker setsid) </dev/null >>"$log" 2>&1 &
            echo $! >"$home/pid"
            exec 9>&-
        fi
        n=$((n + 1))
    done
    n=1 waited=0
    while [ "$n" -le "$nodes" ]; do
        home=$data/node-$n log=$data/node-$n/server.log
        until serving; do
            if [ -z "$(running "$n")" ] && [ "$waited" -gt 10 ]; then
                tail -n 15 "$log" >&2
                if grep -q 'Address already in use' "$log"; then
                    fail "a port of node $n is taken (127.0.0.1:$(nth "$ports" "$n") or its controller's $(nth "$controller_ports" "$n")): stop what uses it, or set KAFKA_PORT"
                fi
                fail "node $n ended before it served; its log is $log"
            fi
            [ "$waited" -lt $((${KAFKA_START_SECONDS:-120} * 10)) ] ||
                fail "node $n did not serve within ${KAFKA_START_SECONDS:-120} s; its log is $log"
            sleep 0.1
            waited=$((waited + 1))
        done
        # A broker that runs already may have been started with another port.
        got=$(sed -n 's|^advertised.listeners=PLAINTEXT://127.0.0.1:||p' "$home/server.properties")
        [ "$got" = "$(nth "$ports" "$n")" ] ||
            fail "node $n runs already, on port $got: \`make kafka-down\` first, or set KAFKA_PORT and KAFKA_DATA"
        n=$((n + 1))
    done
    say "Apache Kafka $version serves; data in $data; stop it with \`make kafka-down\`"
    address
}

down() {
    data=${KAFKA_DATA:-${XDG_STATE_HOME:-${HOME:?HOME or KAFKA_DATA must be set}/.local/state}/meshwork/kafka}
    [ -d "$data" ] || { say "no broker was started in $data"; return 0; }
    data=$(cd "$data" && pwd)
    stopped=0
    for n in 1 2 3; do
        pid=$(running "$n")
        [ -z "$pid" ] || { kill -TERM "$pid"; stopped=$((stopped + 1)); }
    done
    waited=0
    for n in 1 2 3; do
        while pid=$(running "$n") && [ -n "$pid" ]; do
            # A quorum that is gone makes a clean stop wait for ever: 30 s, then hard.
            [ "$waited" -lt 300 ] || kill -KILL "$pid" 2>/dev/null || true
            sleep 0.1
            waited=$((waited + 1))
        done
        rm -f "$data/node-$n/pid"
    done
    say "stopped $stopped node(s) of $data"
}

case ${1:-} in
    fetch) fetch ;;
    checksums) checksums ;;
    run) run ;;
    up) up ;;
    down) down ;;
    *) sed -n '2,/^set -eu/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2 ;;
esac
