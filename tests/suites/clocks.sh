#!/usr/bin/env bash
# Wall clocks that jump by an hour in both directions, and run too fast or too slow, each node's for itself: relative expiry keeps
# its time, nothing acknowledged is lost or comes back, the leader keeps its lease, and replicas agree.
. "$(dirname "$0")/lib.sh"

need redis-cli redis-tools
need cc gcc

cc -shared -fPIC -O2 -o "$WORK/clock.so" "$ROOT/tests/suites/faults/clock.c"

HOUR=3600000

# set_clock ID OFFSET_MS [PERMILLE]: in place, because the node has the file mapped.
set_clock() {
    printf '%-20d %-20d\n%22s' "$2" "${3:-1000}" "" | dd of="$WORK/clock-$1" conv=notrunc status=none
}

start_node() {
    LD_PRELOAD=$WORK/clock.so CLOCK_OFFSET_FILE=$WORK/clock-$1 \
        launch "${LIST[$1]}" "node-$1" --node-id "$1" --cluster-secret suites --cluster-peers "$PEERS"
    NODE_PIDS[$1]=$PID
}

start_all() {
    local id
    for id in 1 2 3; do
        start_node "$id"
    done
    for id in 1 2 3; do
        await "${LIST[$id]}" "node-$id"
    done
}

# ask COMMAND...: asks node 1, whoever leads.
ask() {
    timeout 20 redis-cli -p "${LIST[1]}" "$@"
}

expect() {
    local wanted=$1 answer
    shift
    answer=$(ask "$@")
    [ "$answer" = "$wanted" ] || fail "$* answers $answer instead of $wanted"
}

now_ms() {
    date +%s%3N
}

# expires_in LEAST MOST: a key with 1500 ms to live is gone after so many.
expires_in() {
    local began took
    ask set lock held px 1500 >/dev/null
    began=$(now_ms)
    while [ "$(ask exists lock)" = 1 ]; do
        took=$(($(now_ms) - began))
        [ "$took" -le "$2" ] || fail "a key with 1500 ms to live is there after $took ms: $STAGE"
    done
    took=$(($(now_ms) - began))
    [ "$took" -ge "$1" ] || fail "a key with 1500 ms to live is gone after $took ms: $STAGE"
    echo "$STAGE: 1500 ms last $took ms"
}

# leads ID: makes it lead.
leads() {
    local _
    for _ in $(seq 100); do
        redis-cli -p "${LIST[$1]}" info raft | holds "^raft_role:leader" && return
        redis-cli -p "${LIST[1]}" raft.transfer_leader "$1" >/dev/null 2>&1 || true
        sleep 0.1
    done
    fail "node $1 does not lead"
}

LIST=("")
NODE_PIDS=("" "" "" "")
PEERS=""
for id in 1 2 3; do
    free_port
    LIST+=("$PORT")
    PEERS="$PEERS${PEERS:+,}$id@127.0.0.1:$PORT"
    : >"$WORK/clock-$id"
    set_clock "$id" 0
done
start_all

leads 1
ask set kept value >/dev/null
ask set day value ex 86400 >/dev/null
ask set minutes value ex 1800 >/dev/null
term=$(ask info raft | sed -n 's/^raft_term:\([0-9]*\).*/\1/p')
STAGE="true clocks"
expires_in 1400 2500

set_clock 1 0 1300
STAGE="a clock that is a third too fast"
expires_in 1000 2800
set_clock 1 0 700
STAGE="a clock that is a third too slow"
expires_in 1400 3500
set_clock 1 0

set_clock 1 "$HOUR"
expect "" get minutes
expect value get kept
expect value get day
STAGE="the leader's clock an hour ahead"
expires_in 1400 2500

set_clock 1 0
expect "" get minutes
expect value get day
STAGE="the leader's clock set back by an hour"
expires_in 1400 2800

set_clock 1 "-$HOUR"
STAGE="the leader's clock an hour behind"
expires_in 1400 2800
[ "$(ask info raft | sed -n 's/^raft_term:\([0-9]*\).*/\1/p')" = "$term" ] || fail "a wall clock's jump costs the leader its lead"

leads 2
STAGE="a leader whose clock was right follows one that was ahead"
expires_in 1400 2800
leads 3
set_clock 3 "-$HOUR"
STAGE="and another one, an hour behind"
expires_in 1400 2800

# An hour ahead, killed and started with the right clock: what has expired does not come back.
leads 1
set_clock 1 $((24 * HOUR + HOUR))
expect "" get day
for id in 1 2 3; do
    kill -9 "${NODE_PIDS[$id]}"
    wait "${NODE_PIDS[$id]}" 2>/dev/null || true
    set_clock "$id" 0
done
start_all
expect "" get day
expect value get kept
STAGE="after a restart with right clocks"
expires_in 1400 2800
replicas_agree
echo "the replicas agree"
