"""redis-py to a cluster that speaks TLS only.

    tls.py PORT CERTIFICATES
"""

import sys

import redis

port, certificates = int(sys.argv[1]), sys.argv[2]
tls = {
    "ssl": True,
    "ssl_ca_certs": f"{certificates}/ca.crt",
    "ssl_certfile": f"{certificates}/client.crt",
    "ssl_keyfile": f"{certificates}/client.key",
}
client = redis.RedisCluster(host="127.0.0.1", port=port, **tls)
for number in range(200):
    client.set(f"py:{number}", number)
assert [int(client.get(f"py:{number}")) for number in range(200)] == list(range(200))
assert client.get("through") == b"redis-cli"
large = "x" * 2_000_000
client.set("py:large", large)
assert client.get("py:large") == large.encode()

try:
    redis.Redis(host="127.0.0.1", port=port, ssl=True, ssl_ca_certs=f"{certificates}/ca.crt").ping()
    sys.exit("a client without a certificate is served")
except redis.exceptions.ConnectionError:
    pass
