"""redis-py as a cluster's client and as Sentinels' client, while the leader is killed.

dialects.py KIND PORTS READY KILLED: KIND is cluster or sentinel, PORTS the nodes' or their Sentinels' ports with commas between,
the latter two files: READY asks for the kill, KILLED tells that it happened.
"""

import os
import pathlib
import sys
import time

import redis
from redis.backoff import ConstantBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError, RedisClusterException, TimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

kind, ports = sys.argv[1], [int(port) for port in sys.argv[2].split(",")]
ready, killed = pathlib.Path(sys.argv[3]), sys.argv[4]
deadline = time.monotonic() + 50
broken = 0

if kind == "cluster":
    # Until the others notice the loss they still name the lost node, as Redis Cluster does: by itself the library gives up
    # after three tries without a pause, so it is told to pause.
    client = RedisCluster(
        startup_nodes=[ClusterNode("127.0.0.1", port) for port in ports], retry=Retry(ConstantBackoff(0.1), 50)
    )
    assert client.cluster_slots()
    readers = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", ports[0])], read_from_replicas=True)
    client.set("near", "by")
    assert all(readers.get("near") == b"by" for _ in range(20))
    try:
        client.execute_command("MGET", "a", "b")
        raise AssertionError("keys of two slots")
    except (RedisClusterException, redis.ResponseError):
        pass
else:
    sentinel = Sentinel([("127.0.0.1", port) for port in ports], socket_timeout=5)
    first = sentinel.discover_master("mymaster")
    replicas = sentinel.discover_slaves("mymaster")
    assert len(replicas) == 2
    client = sentinel.master_for("mymaster", retry=Retry(ConstantBackoff(0.1), 50))
    replica = sentinel.slave_for("mymaster")
    client.set("near", "by")
    assert replica.get("near") == b"by"
    assert client.role()[0] == b"master" and replica.role()[0] == b"slave"
    # The nodes' Sentinel ports are as far apart as their own.
    offset = min(ports) - min(port for _, port in [first, *replicas])
    events = [redis.Redis(port=port).pubsub() for port in ports if port != first[1] + offset]
    for subscriber in events:
        subscriber.subscribe("+switch-master")
        assert subscriber.get_message(timeout=5)["type"] == "subscribe"

client.set("count", 0)
acknowledged, after = 0, 0
while after < 200:
    assert time.monotonic() < deadline, "it does not go on"
    try:
        client.incr("count")
        acknowledged += 1
        after += os.path.exists(killed)
    except (ConnectionError, TimeoutError):
        broken += 1
    if acknowledged == 100:
        ready.touch()
count = int(client.get("count"))
assert acknowledged <= count <= acknowledged + broken + 3, (acknowledged, count, broken)
assert broken <= 1, f"{broken} broken connections"
if kind == "sentinel":
    second = sentinel.discover_master("mymaster")
    assert second != first
    switched = f"mymaster {first[0]} {first[1]} {second[0]} {second[1]}".encode()
    for subscriber in events:
        message = subscriber.get_message(timeout=10)
        assert message and (message["channel"], message["data"]) == (b"+switch-master", switched), message
        assert subscriber.get_message(timeout=0.1) is None, "told once"
print(f"redis-py, {kind}: {acknowledged} acknowledged, {broken} broken connections")
