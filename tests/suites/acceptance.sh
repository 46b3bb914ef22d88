#!/usr/bin/env bash
# Client libraries as they come, each knowing one node's address, under load: a transfer of leadership, a rolling restart of all nodes,
# and the addition and removal of a node bring no error reply; kill -9 of the leader breaks one connection at most, and they
# go on; nothing that was acknowledged is lost. redis-benchmark ends at the first error reply: it runs through what is gentle.
. "$(dirname "$0")/lib.sh"

need redis-benchmark redis-tools
need_redis_py
need_node_clients
(cd "$ROOT" && cargo build --locked --quiet --package tests --example redis_rs)

# Nobody is to be told that there is no leader, however busy the machine is.
SHARED=(--cluster-secret suites --election-hold-ms 10000)
DIRECTORY=$WORK/clients
mkdir "$DIRECTORY"
CLIENTS=()
declare -A CLIENT_PIDS

# start_clients: each library on each node.
start_clients() {
    local id port
    for id in 1 2 3; do
        port=${PORTS[id - 1]}
        client "python-$id" "$PYTHON" "$ROOT/tests/suites/clients/acceptance.py" "$port"
        client "node-$id" node "$ROOT/tests/suites/clients/acceptance.js" "$port"
        client "rust-$id" "$ROOT/target/debug/examples/redis_rs" "$port"
    done
}

# client NAME PROGRAM... PORT: starts one.
client() {
    local name=$1 port=${*: -1}
    shift
    "${@:1:$#-1}" "$port" "$name" "$DIRECTORY" >"$WORK/$name.out" 2>&1 &
    CLIENTS+=("$name")
    PIDS+=($!)
    CLIENT_PIDS[$name]=$!
}

# shown NAME FIELD: of what a client shows, the number of rounds (1), of broken connections (2), or how often it has connected again (3).
shown() {
    [ -e "$DIRECTORY/$1" ] && cut -d ' ' -f "$2" "$DIRECTORY/$1" || echo 0
}

# progress WHAT: waits until each client has gone on.
progress() {
    local name from=() at=0
    for name in "${CLIENTS[@]}"; do
        from+=("$(shown "$name" 1)")
    done
    for name in "${CLIENTS[@]}"; do
        for _ in $(seq 600); do
            [ "$(shown "$name" 1)" -ge $((from[at] + 60)) ] && break
            kill -0 "${CLIENT_PIDS[$name]}" 2>/dev/null || { cat "$WORK/$name.out" >&2; fail "$1: $name has ended"; }
            sleep 0.05
        done
        [ "$(shown "$name" 1)" -ge $((from[at] + 60)) ] || { cat "$WORK/$name.out" >&2; fail "$1: $name does not go on"; }
        at=$((at + 1))
    done
}

# find_leader: sets LEADER and FOLLOWER (ports), and LEADER_AT (its place).
find_leader() {
    local at
    for _ in $(seq 600); do
        LEADER=""
        for at in 0 1 2; do
            if redis-cli -p "${PORTS[at]}" info raft 2>/dev/null | holds "^raft_role:leader"; then
                LEADER=${PORTS[at]} LEADER_AT=$at
            else
                FOLLOWER=${PORTS[at]}
            fi
        done
        [ -n "$LEADER" ] && return
        sleep 0.05
    done
    fail "the three nodes have no leader"
}

# restart AT: a node of the three starts again after its end.
restart() {
    wait "${NODE_PIDS[$1]}" 2>/dev/null || true
    launch "${PORTS[$1]}" "node-$1" "${SHARED[@]}" --node-id $(($1 + 1)) --cluster-peers "$PEERS"
    NODE_PIDS[$1]=$PID
    await "${PORTS[$1]}" "node-$1"
}

# benchmark PORT: redis-benchmark in the background for as long as it gets no error; sets BENCHMARK.
benchmark() {
    redis-benchmark -p "$1" -l -q -c 20 -r 1000 -t set,get,incr >"$WORK/benchmark" 2>&1 &
    BENCHMARK=$!
    PIDS+=("$BENCHMARK")
}

# benchmark_ends WHAT: it must have got none.
benchmark_ends() {
    kill -0 "$BENCHMARK" 2>/dev/null || { tr '\r' '\n' <"$WORK/benchmark" | tail -3 >&2; fail "$1: redis-benchmark has ended"; }
    kill "$BENCHMARK"
    wait "$BENCHMARK" 2>/dev/null || true
}

PORTS=() NODE_PIDS=() PEERS=""
for id in 1 2 3; do
    free_port
    PORTS+=("$PORT")
    PEERS="$PEERS${PEERS:+,}$id@127.0.0.1:$PORT"
done
for at in 0 1 2; do
    launch "${PORTS[at]}" "node-$at" "${SHARED[@]}" --node-id $((at + 1)) --cluster-peers "$PEERS"
    NODE_PIDS+=("$PID")
done
for at in 0 1 2; do
    await "${PORTS[at]}" "node-$at"
done
find_leader
start_clients
progress "the start"

find_leader
benchmark "$FOLLOWER"
for _ in 1 2 3; do
    find_leader
    [ "$(redis-cli -p "$LEADER" raft.transfer_leader)" = OK ] || fail "RAFT.TRANSFER_LEADER"
    progress "a transfer"
done
free_port
launch "$PORT" "node-3" "${SHARED[@]}" --join "127.0.0.1:$FOLLOWER"
FOURTH_PID=$PID
await "$PORT" "node-3"
for _ in $(seq 600); do
    redis-cli -p "$FOLLOWER" info raft | holds "^raft_voters:4" && break
    sleep 0.05
done
redis-cli -p "$FOLLOWER" info raft | holds "^raft_voters:4" || fail "the fourth node does not vote"
progress "a node more"
told=$(redis-cli -p "$FOLLOWER" raft.node remove 4)
[ "$told" = OK ] || fail "RAFT.NODE REMOVE: $told"
progress "a node less"
kill "$FOURTH_PID"
benchmark_ends "transfers, a node more and a node less"
echo "transfers of leadership, the addition and the removal of a node: no error reply"

for at in 0 1 2; do
    benchmark "${PORTS[(at + 1) % 3]}"
    kill "${NODE_PIDS[at]}"
    restart "$at"
    progress "the restart of node $((at + 1))"
    benchmark_ends "the restart of node $((at + 1))"
done
for name in "${CLIENTS[@]}"; do
    [ "$(shown "$name" 3)" -le 1 ] || fail "$name has connected $(shown "$name" 3) times again, and its node was restarted once"
done
echo "a rolling restart: no error reply, one broken connection for those whose node it is"

for round in 1 2 3; do
    before=()
    for name in "${CLIENTS[@]}"; do
        before+=("$(shown "$name" 2)")
    done
    find_leader
    kill -9 "${NODE_PIDS[LEADER_AT]}"
    restart "$LEADER_AT"
    progress "kill -9 of the leader"
    nth=0
    for name in "${CLIENTS[@]}"; do
        most=0
        [ "${name##*-}" = $((LEADER_AT + 1)) ] && most=1
        broken=$(($(shown "$name" 2) - before[nth]))
        [ "$broken" -le "$most" ] || fail "kill -9 of the leader: $name saw $broken broken connections"
        nth=$((nth + 1))
    done
done
echo "kill -9 of the leader, three times: one broken connection for those that were connected to it, nothing for others"

touch "$DIRECTORY/stop"
for name in "${CLIENTS[@]}"; do
    wait "${CLIENT_PIDS[$name]}" || { cat "$WORK/$name.out" >&2; fail "$name"; }
    cat "$WORK/$name.out"
done
