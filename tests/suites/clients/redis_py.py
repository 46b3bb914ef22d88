"""What programs do with redis-py, in both protocols."""

import sys
import time

import redis


def use(client):
    client.flushall()
    assert client.ping()
    assert client.set("key", "value")
    assert client.get("key") == b"value"
    binary = bytes(range(256)) * 10
    assert client.set(binary[:40], binary) and client.get(binary[:40]) == binary
    assert client.set("lock", "token", nx=True, px=30000) and client.set("lock", "other", nx=True) is None
    assert client.set("key", "next", get=True) == b"value"
    assert 0 < client.pttl("lock") <= 30000 and client.ttl("key") == -1 and client.ttl("none") == -2
    assert client.mset({"a": 1, "b": 2}) and client.mget("a", "b", "none") == [b"1", b"2", None]
    assert client.incr("a", 5) == 6 and client.incrbyfloat("b", 0.5) == 2.5 and client.append("key", "!") == 5
    assert client.exists("a", "b", "none") == 2 and client.delete("a", "b") == 2
    assert client.type("key") == b"string" and client.object("encoding", "key") == b"raw"
    client.set("soon", "x", px=30)
    deadline = time.monotonic() + 20
    while client.exists("soon"):
        assert time.monotonic() < deadline
    pipeline = client.pipeline(transaction=False)
    for number in range(1000):
        pipeline.set(f"scan:{number}", number)
    assert pipeline.execute() == [True] * 1000
    assert len(set(client.scan_iter("scan:*", count=100))) == 1000
    try:
        client.incr("key")
        raise AssertionError("INCR of text")
    except redis.ResponseError as error:
        assert str(error) == "value is not an integer or out of range", error
    assert client.info("server")["redis_version"].startswith("7.")
    assert client.config_get("maxmemory") == {"maxmemory": "0"}
    assert client.client_setname("suite") and client.client_getname() in ("suite", b"suite")
    assert any(row["name"] == "suite" and row["lib-name"].startswith("redis-py") for row in client.client_list())
    assert client.dbsize() >= 1000 and client.time()[0] > 1_600_000_000
    assert client.restore("copy", 0, client.dump("key")) and client.get("copy") == client.get("key")


for protocol in (2, 3):
    use(redis.Redis(port=int(sys.argv[1]), protocol=protocol))
