#!/usr/bin/env bash
# Redis's own Tcl tests, from Debian's source package of redis, against a running tinykv-server, unit by unit.
#
#   tests/suites/redis-tcl.sh [UNIT...]
#
# Prints passed over applicable for each unit. Tests named in redis-tcl.left-out need not pass, each for the reason given
# there; any other one that fails makes the script fail.
. "$(dirname "$0")/lib.sh"

UNITS=(unit/type/string unit/type/incr unit/type/hash unit/type/set unit/type/list unit/type/list-2 unit/type/list-3 unit/sort unit/type/zset unit/type/stream unit/type/stream-cgroups unit/bitops unit/bitfield unit/hyperloglog unit/dump unit/other unit/geo unit/expire unit/keyspace unit/scan unit/protocol unit/info unit/introspection-2)
[ $# -eq 0 ] || UNITS=("$@")
LEFT_OUT=$ROOT/tests/suites/redis-tcl.left-out

# fetch_source: unpacks the source package into $CACHE/redis. Debian's own lists stay as they are.
fetch_source() {
    [ -x "$CACHE/redis/runtest" ] && return
    local apt=$CACHE/apt
    mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/archives/partial" "$apt/source"
    local list
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        [ -e "$list" ] || continue
        sed -e 's/^deb /deb-src /' -e 's/^Types: deb$/Types: deb-src/' "$list" >"$apt/parts/$(basename "$list")"
    done
    local options=(-q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/parts"
        -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt")
    (cd "$apt/source" && apt-get "${options[@]}" update && apt-get "${options[@]}" source --download-only redis) \
        >"$WORK/source.log" 2>&1 || { tail -5 "$WORK/source.log" >&2; fail "the source package of redis cannot be fetched"; }
    rm -rf "$CACHE/redis" "$CACHE/redis.part"
    mkdir "$CACHE/redis.part"
    tar -xf "$apt"/source/redis_*.orig.tar.gz -C "$CACHE/redis.part" --strip-components=1
    # Scripts are not there yet; the tests only make sure that none is left behind.
    sed -i 's/^    r function flush$/    catch {r function flush}/' "$CACHE/redis.part/tests/support/server.tcl"
    mv "$CACHE/redis.part" "$CACHE/redis"
}

need tclsh tcl
need redis-cli redis-tools
need redis-benchmark redis-tools
fetch_source
# The tests expect these programs where a build would leave them.
for program in redis-cli redis-benchmark; do
    ln -sf "$(command -v $program)" "$CACHE/redis/src/$program"
done

failed=0
printf '%-28s %8s %11s\n' unit passed applicable
for unit in "${UNITS[@]}"; do
    tags="-needs:repl -needs:save -cluster"
    # The last tests of these are about the append-only file.
    case $unit in unit/type/stream*) tags="$tags -needs:debug" ;; esac
    start_server --databases 16 --enable-debug-command yes
    log=$CACHE/${unit//\//-}.log
    (cd "$CACHE/redis" && timeout 300 tclsh tests/test_helper.tcl --host 127.0.0.1 --port "$PORT" --baseport $((PORT + 200)) --single "$unit" \
        --durable --ignore-encoding --ignore-digest --tags "$tags" --clients 1 --no-latency) \
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
