"""redis-py, as it comes, through everything that happens to a cluster: acceptance.py PORT NAME DIRECTORY.

It knows one node's address, and goes on until DIRECTORY/stop exists. DIRECTORY/NAME shows how far it is: the number of rounds, of
connections that broke, and how often it has connected again. An error reply ends it. In the end everything that was acknowledged must be there.
"""

import os
import pathlib
import sys

import redis

port, name, directory = int(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
attempts = connections = 0


def counted(connection):
    """What the library does, counted: it connects again and sends again by itself, and says nothing.

    A connection is one once the server has answered: who connects again at once may find the socket of a process that is being
    killed.
    """
    global attempts, connections
    attempts += 1
    connection.on_connect()
    connections += 1


# On a busy machine an answer may take longer than the library waits by itself.
client = redis.Redis(port=port, socket_timeout=30, redis_connect_func=counted)
rounds = 0
while not (directory / "stop").exists():
    rounds += 1
    assert client.set(f"{name}:{rounds}", rounds)
    assert client.get(f"{name}:{rounds}") == str(rounds).encode(), "its own write"
    client.incr(f"{name}:count")
    client.rpush(f"{name}:list", rounds)
    if rounds % 20 == 0:
        shown = directory / f".{name}"
        shown.write_text(f"{rounds} {connections - 1} {attempts - 1}\n")
        os.replace(shown, directory / name)

# A command is sent again only when its connection broke before the answer.
broken = connections - 1
count = int(client.get(f"{name}:count"))
assert rounds <= count <= rounds + broken, f"{count} for {rounds} acknowledged and {broken} connections broken"
numbers = [int(number) for number in client.lrange(f"{name}:list", 0, -1)]
assert sorted(set(numbers)) == list(range(1, rounds + 1)), "an element is missing"
assert len(numbers) <= rounds + broken and numbers == sorted(numbers), "elements out of order"
for start in range(1, rounds + 1, 500):
    keys = range(start, min(start + 500, rounds + 1))
    assert client.mget([f"{name}:{key}" for key in keys]) == [str(key).encode() for key in keys]
print(f"redis-py, {name}: {rounds} rounds, {broken} broken connections, no error reply, nothing lost")
