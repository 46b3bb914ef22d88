"""redis-py connects again after a restart: reconnect.py PORT READY RESTARTED, the latter two being files."""

import os
import pathlib
import sys
import time

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

port, ready, restarted = int(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
client = redis.Redis(port=port, retry=Retry(ConstantBackoff(0.1), 100))
client.set("before", "restart")
ready.touch()
deadline = time.monotonic() + 50
while not os.path.exists(restarted):
    assert time.monotonic() < deadline
    time.sleep(0.01)
assert client.get("before") == b"restart"
