#!/usr/bin/env bash
# A file system that is really full: the node refuses writes, lets deletions pass as long as they fit, serves reads, starts, and
# recovers when there is room. Needs the right to mount.
. "$(dirname "$0")/lib.sh"

need redis-cli redis-tools

DISK=$WORK/disk
mkdir "$DISK"
mount -t tmpfs -o size=600m tmpfs "$DISK" || fail "a file system cannot be mounted, which needs root"
trap 'kill -9 "$PID" 2>/dev/null || true; wait "$PID" 2>/dev/null || true; umount "$DISK" || true; clean_up' EXIT

# leave MB: fills the file system until so much is left.
leave() {
    rm -f "$DISK/ballast"
    fallocate -l "$(($(df --output=avail -B 1M "$DISK" | tail -1) - $1))M" "$DISK/ballast"
}

# says PATTERN COMMAND...: waits until the node answers so.
says() {
    local pattern=$1 answer
    shift
    for _ in $(seq 300); do
        answer=$(timeout 5 redis-cli -p "$PORT" "$@" 2>&1) || true
        [[ $answer == $pattern ]] && return
        kill -0 "$PID" 2>/dev/null || { tail -5 "$WORK/full.log" >&2; fail "the node has stopped"; }
        sleep 0.1
    done
    fail "$* answers: $answer"
}

start() {
    "$TINYKV_BIN" --bind 127.0.0.1 --port "$PORT" --dir "$DISK/data" --checkpoint-interval-ms 500 >>"$WORK/full.log" 2>&1 &
    PID=$!
}

free_port
start
await "$PORT" full
says OK set kept value
says OK set deleted value

leave 110
says "MISCONF*" set more value
says value get kept
says 1 del deleted
echo "on a nearly full disk only deletions are accepted"

leave 40
says "MISCONF*" expire kept 10000
says value get kept
says "MISCONF*" set more value
leave 2
says value get kept
echo "a full disk refuses all writes and serves reads"

rm "$DISK/ballast"
says OK set more value
echo "with room the node goes on"

leave 40
kill -9 "$PID"
wait "$PID" 2>/dev/null || true
start
for _ in $(seq 100); do
    grep -q "the Raft log waits for room" "$WORK/full.log" && break
    sleep 0.1
done
grep -q "the Raft log waits for room" "$WORK/full.log" || fail "a node that starts on a full disk does not say so"
kill -0 "$PID" || fail "a node does not start on a full disk"
rm "$DISK/ballast"
says value get kept
says value get more
says OK set more again
echo "a node that starts on a full disk waits, and goes on"

kill -9 "$PID"
wait "$PID" 2>/dev/null || true

# Three nodes with a disk each.

# leave_on ID MB
leave_on() {
    rm -f "$WORK/disk-$1/ballast"
    fallocate -l "$(($(df --output=avail -B 1M "$WORK/disk-$1" | tail -1) - $2))M" "$WORK/disk-$1/ballast"
}

# cluster_says PATTERN ID COMMAND...
cluster_says() {
    local pattern=$1
    PORT=${LIST[$2]}
    PID=${NODES[$2]}
    says "$pattern" "${@:3}"
}

LIST=("")
NODES=("")
PEERS=""
for id in 1 2 3; do
    mkdir "$WORK/disk-$id"
    mount -t tmpfs -o size=400m tmpfs "$WORK/disk-$id" || fail "a file system cannot be mounted"
    free_port
    LIST+=("$PORT")
    PEERS="$PEERS${PEERS:+,}$id@127.0.0.1:$PORT"
done
trap 'kill -9 "${NODES[@]:1}" 2>/dev/null || true; wait "${NODES[@]:1}" 2>/dev/null || true
    umount "$DISK" "$WORK"/disk-* || true; clean_up' EXIT
for id in 1 2 3; do
    "$TINYKV_BIN" --bind 127.0.0.1 --port "${LIST[$id]}" --dir "$WORK/disk-$id/data" --node-id "$id" --cluster-secret suites \
        --cluster-peers "$PEERS" --checkpoint-interval-ms 500 >>"$WORK/full.log" 2>&1 &
    NODES+=("$!")
done
LEADS=$(leader)
cluster_says OK "$LEADS" set kept value

FULL=$LEADS
leave_on "$FULL" 2
LEADS=$(leader "$FULL")
cluster_says OK "$LEADS" set while one
cluster_says OK "$FULL" set while "one is full"
cluster_says "one is full" "$FULL" get while
echo "a leader whose disk is full lets another one lead, and two go on"

for id in 1 2 3; do
    leave_on "$id" 2
done
for id in 1 2 3; do
    cluster_says "MISCONF*" "$id" set more value
    cluster_says value "$id" get kept
done
echo "where all disks are full, every node refuses writes and serves reads"

for id in 1 2 3; do
    rm "$WORK/disk-$id/ballast"
done
for id in 1 2 3; do
    cluster_says OK "$id" set "more:$id" value
done
replicas_agree
cluster_says "one is full" 3 get while
echo "with room all three go on, and agree"
