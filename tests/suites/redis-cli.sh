#!/usr/bin/env bash
# redis-cli and redis-benchmark as their users use them: against one node, and against each of three.
. "$(dirname "$0")/lib.sh"

need redis-cli redis-tools
need redis-benchmark redis-tools
need script bsdutils
need python3 python3
need redis-check-rdb redis-tools
need redis-server redis-server

PORTS=()

# expect WHAT WANTED GOT
expect() {
    [ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
}

# cli ARGUMENTS...
cli() {
    redis-cli -p "$PORT" "$@"
}

# policy NAME: the maxmemory-policy of all nodes.
policy() {
    local port
    for port in "$PORT" "${PORTS[@]}"; do
        redis-cli -p "$port" config set maxmemory-policy "$1" >/dev/null
    done
}

# use_cli: every way to use redis-cli that has a meaning here, on $PORT.
use_cli() {
    cli flushall >/dev/null
    expect "set and get" value "$(cli set key value >/dev/null && cli get key)"
    expect "RESP3" value "$(cli -3 get key)"
    cli -3 --json hello 3 | holds '"proto":3' || fail "a map of RESP3 as JSON"
    expect "repeated" "1 2 3" "$(cli -r 3 -i 0.01 incr counter | xargs)"
    expect "standard input" "\"a b\"" "$(printf 'a b' | cli -x set binary >/dev/null && cli --no-raw get binary)"
    expect "an error's exit code" 1 "$(cli -e incr key >/dev/null 2>&1; echo $?)"
    expect "another database" "" "$(cli -n 5 get key)"
    for number in $(seq 1000); do
        printf 'SET bulk:%d %d\r\n' "$number" "$number"
    done | cli --pipe | holds "errors: 0, replies: 1000" || fail "--pipe"
    expect "--scan" 1000 "$(cli --scan --pattern 'bulk:*' | sort -u | wc -l)"
    cli --bigkeys | holds "Biggest string found" || fail "--bigkeys"
    cli --memkeys | holds "Biggest string found" || fail "--memkeys"
    expect "--csv" '"a","b"' "$(cli --csv command getkeys mset a 1 b 2)"
    # The leader answers OBJECT FREQ, whichever node is asked.
    policy allkeys-lfu
    cli --hotkeys | holds "Sampled" || fail "--hotkeys"
    policy noeviction
    cli set 'rdb key' 'rdb value' >/dev/null
    cli --rdb "$WORK/remote.rdb" >"$WORK/rdb.log" 2>&1 || fail "--rdb: $(tail -3 "$WORK/rdb.log")"
    redis-check-rdb "$WORK/remote.rdb" >"$WORK/check.log" 2>&1 || fail "the file of --rdb: $(tail -3 "$WORK/check.log")"
    grep -aq "rdb value" "$WORK/remote.rdb" || fail "the file of --rdb lacks a key"
    cli info server | holds "^redis_version:7" || fail "INFO server"
    script -q -c "timeout 0.5 redis-cli -p $PORT --stat -i 0.01" /dev/null >"$WORK/stat" || true
    grep -q "^keys" "$WORK/stat" || fail "--stat"
    cli command docs set | holds "^summary" || fail "the documentation of a command"
    python3 "$ROOT/tests/suites/terminal.py" "$PORT" || fail "an interactive session"
    cli help set >/dev/null || fail "help"
}

# use_redis_conf: the configuration that Debian's package installs starts a server, apart from where its files are.
use_redis_conf() {
    free_port
    mkdir "$WORK/redis-conf"
    "$TINYKV_BIN" /etc/redis/redis.conf --port "$PORT" --dir "$WORK/redis-conf" --logfile "" --pidfile "" \
        >"$WORK/redis-conf.log" 2>&1 &
    PIDS+=("$!")
    await "$PORT" redis-conf
    expect "redis.conf" everysec "$(cli config get appendfsync | tail -1)"
    holds "'appendonly': 'no' is ignored" <"$WORK/redis-conf.log" || fail "no notice about appendonly"
}

# How many tests redis-benchmark 7.0 runs unless it is told which; newer ones run more.
BENCHMARKS=20

# use_benchmark: redis-benchmark's whole default run with and without pipelining, in both protocols, on $PORT.
use_benchmark() {
    local options lines
    for options in "" "-r 1000 -P 16" "-r 1000 -3" "-3 -P 16"; do
        # shellcheck disable=SC2086
        redis-benchmark -p "$PORT" -n 2000 -d 64 -q $options >"$WORK/benchmark" 2>&1 ||
            fail "redis-benchmark $options: $(tail -3 "$WORK/benchmark")"
        ! grep -qi "error\|warning" "$WORK/benchmark" ||
            fail "redis-benchmark $options: $(grep -i "error\|warning" "$WORK/benchmark" | head -3)"
        lines=$(tr '\r' '\n' <"$WORK/benchmark" | grep -c 'requests per second')
        [ "$lines" -ge "$BENCHMARKS" ] || fail "redis-benchmark $options: $lines tests of $BENCHMARKS"
    done
}

start_server
use_cli
use_benchmark
echo "one node: redis-cli and redis-benchmark work"
use_redis_conf
echo "Debian's redis.conf starts a server"
start_cluster
for PORT in "${PORTS[@]}"; do
    use_cli
    use_benchmark
    echo "node on port $PORT (leader: $LEADER): redis-cli and redis-benchmark work"
done
