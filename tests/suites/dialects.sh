#!/usr/bin/env bash
# Clients of other kinds of high availability, redis-py's and ioredis's for Redis Cluster and for Sentinels, and redis-cli -c:
# each goes on through the loss of the leader.
. "$(dirname "$0")/lib.sh"

need_redis_py
need_node_clients

# dialect KIND OFFSET OPTIONS...: three nodes; every library asks at their ports plus OFFSET.
dialect() {
    local kind=$1 offset=$2 id asked library client
    shift 2
    for library in "$PYTHON $ROOT/tests/suites/clients/dialects.py" "node $ROOT/tests/suites/clients/dialects.js"; do
        rm -rf "$WORK"/cluster-* "$WORK/ready" "$WORK/killed"
        start_nodes "$offset" "$@"
        asked=""
        for id in 0 1 2; do
            asked="$asked${asked:+,}$((PORTS[id] + offset))"
        done
        # shellcheck disable=SC2086
        timeout 80 $library "$kind" "$asked" "$WORK/ready" "$WORK/killed" &
        client=$!
        for _ in $(seq 300); do
            [ -e "$WORK/ready" ] && break
            sleep 0.1
        done
        [ -e "$WORK/ready" ] || fail "the client does not get far: $library"
        kill -9 "$LEADER_PID"
        wait "$LEADER_PID" 2>/dev/null || true
        touch "$WORK/killed"
        wait "$client" || fail "$kind: $library"
        if [ "$kind" = cluster ]; then
            [ "$(redis-cli -c -p "$FOLLOWER" set through redis-cli)" = OK ] || fail "redis-cli -c"
            [ "$(redis-cli -c -p "$FOLLOWER" get through)" = redis-cli ] || fail "redis-cli -c"
        fi
        for pid in "${NODE_PIDS[@]}"; do
            kill -9 "$pid" 2>/dev/null || true
            wait "$pid" 2>/dev/null || true
        done
    done
}

# start_nodes OFFSET OPTIONS...: as start_cluster; with an offset each node has a Sentinel port so far from its own. Sets
# NODE_PIDS and LEADER_PID too.
start_nodes() {
    local offset=$1 id port peers="" list=()
    shift
    for id in 1 2 3; do
        free_port
        list+=("$PORT")
        peers="$peers${peers:+,}$id@127.0.0.1:$PORT"
    done
    NODE_PIDS=()
    for id in 1 2 3; do
        port=${list[id - 1]}
        launch "$port" "cluster-$id" --node-id "$id" --cluster-secret suites --cluster-peers "$peers" "$@" \
            $([ "$offset" = 0 ] || echo --sentinel-port $((port + offset)))
        NODE_PIDS+=("$PID")
    done
    for id in 1 2 3; do
        await "${list[id - 1]}" "cluster-$id"
    done
    PORTS=("${list[@]}")
    LEADER_PID=""
    for _ in $(seq 600); do
        for id in 0 1 2; do
            if redis-cli -p "${PORTS[id]}" info raft | holds "^raft_role:leader"; then
                LEADER_PID=${NODE_PIDS[id]}
            else
                FOLLOWER=${PORTS[id]}
            fi
        done
        [ -n "$LEADER_PID" ] && return
        sleep 0.1
    done
    fail "the three nodes elect no leader"
}

dialect cluster 0 --cluster-enabled yes
echo "Redis Cluster's dialect: redis-py, ioredis and redis-cli -c go on through the loss of the leader"
dialect sentinel 5000
echo "Sentinel's dialect: redis-py and ioredis go on through the loss of the leader"
