#!/usr/bin/env bash
# Redis's own Tcl tests, from Debian's source package of redis, against a running tinykv-server, unit by unit.
#
#   tests/suites/redis-tcl.sh [UNIT...]
#
# Prints passed over applicable for each unit. Tests named in redis-tcl.left-out need not pass, each for the reason given
# there; any other one that fails makes the script fail.
. "$(dirname "$0")/lib.sh"

UNITS=(unit/type/string unit/type/incr unit/type/hash unit/type/set unit/type/list unit/type/list-2 unit/type/list-3 unit/sort unit/type/zset unit/type/stream unit/type/stream-cgroups unit/bitops unit/bitfield unit/hyperloglog unit/dump unit/other unit/geo unit/expire unit/keyspace unit/scan unit/protocol unit/info unit/introspection-2 unit/printver)
[ $# -eq 0 ] || UNITS=("$@")
LEFT_OUT=$ROOT/tests/suites/redis-tcl.left-out

# unpack_source: the tests, into $CACHE/redis, with what they need to judge this server.
unpack_source() {
    local tests=$CACHE/redis/tests
    rm -rf "$CACHE/redis"
    mkdir "$CACHE/redis"
    tar -xf "$REDIS_SOURCE" -C "$CACHE/redis" --strip-components=1
    # Scripts are not there yet; the tests only make sure that none is left behind.
    sed -i 's/^    r function flush$/    catch {r function flush}/' "$tests/support/server.tcl"
    # This unit is not for external servers because others could use them too; here nobody does.
    sed -i 's/^start_server {tags {"info" "external:skip"}} {$/start_server {tags {"info"}} {/' "$tests/unit/info.tcl"
    # One of 75 such strings ends with a backslash, which Tcl takes for the beginning of an escape in the list around it.
    sed -i 's/\[randstring 70 90 alpha\]/[string map {\\\\ x} &]/' "$tests/unit/type/hash.tcl" "$tests/unit/type/zset.tcl"
    # Behind all support files, before the units.
    echo 'source $::env(TINYKV_TCL)' >>"$tests/support/test.tcl"
    export TINYKV_TCL=$ROOT/tests/suites/redis-7.2.tcl
}

need tclsh tcl
need redis-cli redis-tools
need redis-benchmark redis-tools
need_redis_source
unpack_source
# The tests expect these programs where a build would leave them.
for program in redis-cli redis-benchmark; do
    ln -sf "$(command -v $program)" "$CACHE/redis/src/$program"
done

failed=0
printf '%-28s %8s %11s\n' unit passed applicable
for unit in "${UNITS[@]}"; do
    # What is tagged so looks at the stream of commands that Redis's replicas get, or needs slots on several masters.
    tags="-needs:repl -cluster"
    start_server --databases 16 --enable-debug-command yes
    log=$CACHE/${unit//\//-}.log
    (cd "$CACHE/redis" && timeout 1800 tclsh tests/test_helper.tcl --host 127.0.0.1 --port "$PORT" --baseport $((PORT + 200)) --single "$unit" \
        --durable --tags "$tags" --clients 1 --no-latency) \
        >"$log" 2>&1 || true
    kill "$PID"
    # Names, without colours; a name may hold anything but is followed by the time it took or by its file.
    sed -e 's/\x1b\[[0-9;]*m//g' -n -e 's/^\[ok\]: \(.*\) ([0-9]* ms)$/\1/p' "$log" | sort >"$WORK/passed"
    sed -e 's/\x1b\[[0-9;]*m//g' -n -e 's/^\[\(err\|exception\)\]: \(.*\) in tests\/.*$/\2/p' \
        -e 's/^\[exception\]: Executing test client: \(.*\)$/\1/p' "$log" | sort -u >"$WORK/failed"
    sed -n "s#^$unit: \(.*\) -- .*#\1#p" "$LEFT_OUT" | sort >"$WORK/left-out"
    comm -23 "$WORK/failed" "$WORK/left-out" >"$WORK/unexpected"
    passed=$(wc -l <"$WORK/passed")
    left=$(comm -12 "$WORK/failed" "$WORK/left-out" | wc -l)
    printf '%-28s %8d %11d\n' "$unit" "$passed" $((passed + $(wc -l <"$WORK/failed") - left))
    comm -12 "$WORK/passed" "$WORK/left-out" | sed 's/^/    left out, but passes: /'
    if [ -s "$WORK/unexpected" ]; then
        sed 's/^/    FAILED: /' "$WORK/unexpected"
        failed=1
    fi
    if ! grep -q 'The End' "$log"; then
        echo "    the unit did not come to its end; see $log"
        failed=1
    fi
done
[ "$failed" -eq 0 ] || fail "see above; logs are in $CACHE"
