#!/usr/bin/env bash
# Disks that stall, are slow, and fail, under a load of INCRs: three nodes go on, and no acknowledged increment is lost.
. "$(dirname "$0")/lib.sh"

need redis-cli redis-tools
need cc gcc

cc -shared -fPIC -O2 -o "$WORK/disk.so" "$ROOT/tests/suites/faults/disk.c"

# start_node ID: sets NODE_PIDS[ID].
start_node() {
    mkdir -p "$WORK/faults-$1"
    LD_PRELOAD=$WORK/disk.so DISK_FAULTS=$WORK/faults-$1 \
        launch "${LIST[$1]}" "node-$1" --node-id "$1" --cluster-secret suites --cluster-peers "$PEERS" "${@:2}"
    NODE_PIDS[$1]=$PID
}

# load ID: increments through a node until $WORK/enough is there, or all is over; what was acknowledged goes to $WORK/acknowledged, one line each.
load() {
    while [ -d "$WORK" ] && [ ! -e "$WORK/enough" ]; do
        redis-cli -p "${LIST[$1]}" incr count 2>/dev/null | sed -n '/^[0-9][0-9]*$/p' >>"$WORK/acknowledged" || true
    done
}

# more COUNT: waits until so many more were acknowledged.
more() {
    local from
    from=$(wc -l <"$WORK/acknowledged")
    for _ in $(seq 600); do
        [ "$(wc -l <"$WORK/acknowledged")" -ge $((from + $1)) ] && return
        sleep 0.05
    done
    fail "writes do not go on: $(wc -l <"$WORK/acknowledged") acknowledged"
}

# moved_from ID: the node that leads when that one does not any more. A leader hands over only to a node that has everything; and one
# whose disk has just stalled may give it back, because it takes its disk for slow.
moved_from() {
    local reply=none
    for _ in $(seq 100); do
        leader_now "$1" && return
        reply=$(redis-cli -p "${LIST[$1]}" raft.transfer_leader)
        [ "$reply" = OK ] || echo "node $1 does not hand over yet: $reply" >&2
        sleep 0.1
    done
    fail "node $1 does not hand over: $reply"
}

# value ID: the counter, once that node has everything.
value() {
    for _ in $(seq 300); do
        [ "$(redis-cli -p "${LIST[$1]}" ping 2>/dev/null)" = PONG ] && redis-cli -p "${LIST[$1]}" get count && return
        sleep 0.1
    done
    fail "node $1 does not answer"
}

# run APPENDFSYNC
run() {
    local id slow failing last
    rm -rf "$WORK"/node-* "$WORK"/faults-* "$WORK/enough"
    LIST=()
    PEERS=""
    for id in 1 2 3; do
        free_port
        LIST[id]=$PORT
        PEERS="$PEERS${PEERS:+,}$id@127.0.0.1:$PORT"
    done
    : >"$WORK/acknowledged"
    for id in 1 2 3; do
        start_node "$id" --appendfsync "$1"
    done
    for id in 1 2 3; do
        await "${LIST[id]}" "node-$id"
    done

    slow=$(leader)
    last=$((slow % 3 + 1))
    load "$last" &
    LOAD=$!
    more 100
    touch "$WORK/faults-$slow/slow"
    leader "$slow" >/dev/null
    more 50
    rm "$WORK/faults-$slow/slow"
    echo "$1: a leader with a slow disk hands over"

    if [ "$1" = always ]; then
        slow=$(leader)
        if [ "$slow" = "$last" ]; then
            slow=$(moved_from "$last")
        fi
        touch "$WORK/faults-$slow/stall"
        leader "$slow" >/dev/null
        more 50
        rm "$WORK/faults-$slow/stall"
        value "$slow" >/dev/null
        echo "$1: a leader whose disk stalls is replaced, and comes back"
    fi

    failing=$(leader)
    if [ "$failing" = "$last" ]; then
        failing=$(moved_from "$last")
    fi
    touch "$WORK/faults-$failing/fail"
    { wait "${NODE_PIDS[$failing]}"; } 2>/dev/null && fail "a node whose disk fails goes on"
    grep -q "The Store stops" "$WORK/node-$failing.log" || fail "a node whose disk fails does not say why it stops"
    leader "$failing" >/dev/null
    more 50
    rm "$WORK/faults-$failing/fail"
    start_node "$failing" --appendfsync "$1"
    await "${LIST[$failing]}" "node-$failing"
    touch "$WORK/enough"
    wait "$LOAD"
    for id in 1 2 3; do
        # Others may have been executed too: those whose connection broke before the answer.
        [ "$(value "$id")" -ge "$(tail -1 "$WORK/acknowledged")" ] || fail "node $id lacks what was acknowledged"
    done
    [ -z "$(sort "$WORK/acknowledged" | uniq -d)" ] || fail "the same value was acknowledged twice"
    echo "$1: a node whose disk fails stops, and comes back; $(wc -l <"$WORK/acknowledged") increments, none lost"
    for id in 1 2 3; do
        kill -9 "${NODE_PIDS[$id]}" 2>/dev/null || true
        wait "${NODE_PIDS[$id]}" 2>/dev/null || true
    done
}

run always
run everysec
