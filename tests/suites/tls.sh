#!/usr/bin/env bash
# TLS with other people's certificates and clients: OpenSSL makes the certificates; redis-cli, redis-benchmark, redis-py and ioredis
# connect, to one node, and to three that speak nothing but TLS, to clients and to each other.
. "$(dirname "$0")/lib.sh"

need openssl openssl
need redis-cli redis-tools
need redis-benchmark redis-tools
need_redis_py
need_node_clients

# certificate NAME USAGE: NAME.crt and NAME.key, signed by ca.crt, for 127.0.0.1.
certificate() {
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$CERTS/$1.key" -out "$CERTS/$1.csr" 2>/dev/null
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=%s\n' "$2" >"$CERTS/$1.ext"
    openssl x509 -req -in "$CERTS/$1.csr" -CA "$CERTS/ca.crt" -CAkey "$CERTS/ca.key" -CAcreateserial -days 2 \
        -extfile "$CERTS/$1.ext" -out "$CERTS/$1.crt" 2>/dev/null
}

CERTS=$WORK/certs
mkdir "$CERTS"
openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=authority" -days 2 -keyout "$CERTS/ca.key" -out "$CERTS/ca.crt" 2>/dev/null
certificate server serverAuth
certificate client clientAuth

SERVER=(--tls-cert-file "$CERTS/server.crt" --tls-key-file "$CERTS/server.key" --tls-ca-cert-file "$CERTS/ca.crt")
CLIENT=(--tls --cacert "$CERTS/ca.crt" --cert "$CERTS/client.crt" --key "$CERTS/client.key")

# One node with both ports.
free_port
TLS_PORT=$PORT
start_server --tls-port "$TLS_PORT" "${SERVER[@]}"
[ "$(redis-cli -p "$TLS_PORT" "${CLIENT[@]}" set greeting hello)" = OK ] || fail "redis-cli --tls"
[ "$(redis-cli -p "$PORT" get greeting)" = hello ] || fail "the plain port beside the TLS port"
if redis-cli -p "$TLS_PORT" --tls --cacert "$CERTS/ca.crt" ping 2>/dev/null | holds PONG; then
    fail "a client without a certificate is served"
fi
for pipeline in 1 16; do
    redis-benchmark -p "$TLS_PORT" "${CLIENT[@]}" -q -n 20000 -d 64 -P "$pipeline" -t set,get >"$WORK/benchmark" 2>&1 ||
        fail "redis-benchmark --tls"
    echo "with TLS, -P $pipeline: $(tr '\r' '\n' <"$WORK/benchmark" | grep 'requests per second' | tr '\n' ' ')"
done
echo "redis-cli and redis-benchmark use TLS"

# Three nodes, with TLS only.
peers="" PORTS=()
for id in 1 2 3; do
    free_port
    PORTS+=("$PORT")
    peers="$peers${peers:+,}$id@127.0.0.1:$PORT"
done
for id in 1 2 3; do
    launch "$PORT" "tls-$id" --port 0 --tls-port "${PORTS[id - 1]}" "${SERVER[@]}" --tls-cluster yes \
        --tls-client-cert-file "$CERTS/client.crt" --tls-client-key-file "$CERTS/client.key" \
        --cluster-enabled yes --node-id "$id" --cluster-secret suites --cluster-peers "$peers"
done
for id in 1 2 3; do
    for _ in $(seq 300); do
        redis-cli -p "${PORTS[id - 1]}" "${CLIENT[@]}" cluster info 2>/dev/null | holds cluster_state:ok && continue 2
        sleep 0.1
    done
    cat "$WORK/tls-$id.log" >&2
    fail "node $id has no leader"
done
[ "$(redis-cli -c -p "${PORTS[0]}" "${CLIENT[@]}" set through redis-cli)" = OK ] || fail "redis-cli -c --tls"
"$PYTHON" "$ROOT/tests/suites/clients/tls.py" "${PORTS[1]}" "$CERTS" || fail "redis-py with TLS"
timeout 60 node "$ROOT/tests/suites/clients/tls.js" "${PORTS[2]}" "$CERTS" || fail "ioredis with TLS"
echo "three nodes with TLS only: redis-cli -c, redis-py and ioredis follow redirects"
