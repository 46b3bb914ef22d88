"""What redis-benchmark is told to send, and what must be there before it does."""

from dataclasses import dataclass
from typing import Callable, Optional

from .wire import VALUE, key_name

# Elements, members or fields of one command while loading.
LOAD_ELEMENTS = 500

# Elements of the list that LRANGE reads from, of which it takes the first hundreds.
RANGE_ELEMENTS = 10_000

# Elements of each small collection whose memory is compared.
SMALL_ELEMENTS = 8

# redis-benchmark replaces it, and so is what loading must name its members.
RANDOM = "__rand_int__"


def element(number):
    """The name that redis-benchmark gives to its member or field of this number."""
    return b"element:%012d" % number


@dataclass(frozen=True)
class Case:
    """One line of the tables."""

    # As the tables and `--rows` call it.
    name: str
    # What redis-benchmark is told: a test of its own as `-t TEST`, or the words of a command.
    sends: tuple
    # Called with a client and the number of requests to come; makes what they need.
    prepare: Optional[Callable] = None
    # How many requests, to the number that is asked for.
    share: float = 1.0
    # Whether -P 16 gets more requests: not those that are long without.
    is_short: bool = True


def test(name, **more):
    """One of redis-benchmark's own tests."""
    return Case(name, ("-t", name.lower()), **more)


def command(name, words, **more):
    """A command in words."""
    return Case(name, tuple(words.split()), **more)


def push(client, key, count):
    """A list of so many values."""
    client.send_all([b"RPUSH", key, *[VALUE] * len(part)] for part in parts(count))


def add_members(client, key, count):
    """A set of so many members."""
    client.send_all([b"SADD", key, *map(element, part)] for part in parts(count))


def add_ranked(client, key, count):
    """A sorted set of so many members, their numbers in another order the scores."""
    step = 7_919
    client.send_all(
        [b"ZADD", key, *(word for n in part for word in (b"%d" % (n * step % count), element(n)))] for part in parts(count)
    )


def set_fields(client, key, count):
    """A hash of so many fields."""
    client.send_all([b"HSET", key, *(word for n in part for word in (element(n), VALUE))] for part in parts(count))


def add_entries(client, key, count):
    """A stream of so many entries, their numbers the ids."""
    client.send_all([b"XADD", key, b"%d-1" % (n + 1), b"field", VALUE] for n in range(count))


def set_keys(client, count):
    """As many keys, ten thousand bytes of a pipeline each."""
    client.send_all([b"MSET", *(word for n in part for word in (key_name(n), VALUE))] for part in parts(count))


def small_collections(words_of_element, command):
    """Loads so many collections of a few short elements each."""

    def load(client, count):
        elements = [word for number in range(SMALL_ELEMENTS) for word in words_of_element(b"%02d" % number)]
        client.send_all([command, key_name(number), *elements] for number in range(count))

    return load


def parts(count):
    """The numbers below `count`, some at a time."""
    return (range(start, min(start + LOAD_ELEMENTS, count)) for start in range(0, count, LOAD_ELEMENTS))


def lrange(elements):
    """The first elements of a list."""
    words = f"LRANGE mylist 0 {elements - 1}"
    return command(f"LRANGE_{elements}", words, prepare=_range_list, share=0.2, is_short=False)


def _range_list(client, _):
    push(client, b"mylist", RANGE_ELEMENTS)


def _list(client, requests):
    push(client, b"mylist", requests)


def _members(client, requests):
    add_members(client, b"myset", requests)


def _ranked(client, requests):
    add_ranked(client, b"myzset", requests)


# The whole default run of redis-benchmark, in its order.
DEFAULT_RUN = (
    test("PING_INLINE"),
    test("PING_MBULK"),
    test("SET"),
    test("GET"),
    test("INCR"),
    test("LPUSH"),
    test("RPUSH"),
    test("LPOP", prepare=_list),
    test("RPOP", prepare=_list),
    test("SADD"),
    test("HSET"),
    test("SPOP", prepare=_members),
    test("ZADD"),
    test("ZPOPMIN", prepare=_ranked),
    lrange(100),
    lrange(300),
    lrange(500),
    lrange(600),
    test("MSET", is_short=False),
)

# Whole collections in one reply.
WHOLE = (
    command(
        "ZRANGE_500",
        "ZRANGE myzset 0 -1",
        prepare=lambda client, _: add_ranked(client, b"myzset", 500),
        share=0.2,
        is_short=False,
    ),
    command(
        "HGETALL_500",
        "HGETALL myhash",
        prepare=lambda client, _: set_fields(client, b"myhash", 500),
        share=0.2,
        is_short=False,
    ),
)

# Collections whose memory is compared: names, what loads so many elements, and how many elements a key has; none: one key has
# all.
COLLECTIONS = (
    ("small hashes", small_collections(lambda n: (b"field:" + n, b"value:" + n), b"HSET"), SMALL_ELEMENTS),
    ("small sets", small_collections(lambda n: (b"member:" + n,), b"SADD"), SMALL_ELEMENTS),
    ("small sorted sets", small_collections(lambda n: (n, b"member:" + n), b"ZADD"), SMALL_ELEMENTS),
    ("small lists", small_collections(lambda n: (b"element:" + n,), b"RPUSH"), SMALL_ELEMENTS),
    ("a hash", lambda client, count: set_fields(client, b"large", count), None),
    ("a set", lambda client, count: add_members(client, b"large", count), None),
    ("a sorted set", lambda client, count: add_ranked(client, b"large", count), None),
    ("a list", lambda client, count: push(client, b"large", count), None),
)

# Of one key with a million elements. Each kind has a server of its own, and its cases run in this order.
LARGE = {
    "list": (
        lambda client, count: push(client, b"large", count),
        (
            command("LINDEX", "LINDEX large {middle}", share=0.2),
            command("LRANGE_100", "LRANGE large {middle} {middle_end}", share=0.2),
            command("LPUSH", "LPUSH large {value}"),
            command("RPUSH", "RPUSH large {value}"),
            command("LPOP", "LPOP large"),
            command("RPOP", "RPOP large"),
        ),
    ),
    "hash": (
        lambda client, count: set_fields(client, b"large", count),
        (
            command("HGET", f"HGET large element:{RANDOM}"),
            command("HRANDFIELD", "HRANDFIELD large"),
            command("HSCAN", "HSCAN large 0 COUNT 100", share=0.2),
            command("HSET", f"HSET large element:{RANDOM} {{value}}"),
            command("HSET_NEW", f"HSET large other:{RANDOM} {{value}}"),
            command("HDEL", f"HDEL large element:{RANDOM}"),
        ),
    ),
    "set": (
        lambda client, count: add_members(client, b"large", count),
        (
            command("SISMEMBER", f"SISMEMBER large element:{RANDOM}"),
            command("SRANDMEMBER", "SRANDMEMBER large"),
            command("SSCAN", "SSCAN large 0 COUNT 100", share=0.2),
            command("SADD_NEW", f"SADD large other:{RANDOM}"),
            command("SREM", f"SREM large element:{RANDOM}"),
            command("SPOP", "SPOP large"),
        ),
    ),
    "zset": (
        lambda client, count: add_ranked(client, b"large", count),
        (
            command("ZSCORE", f"ZSCORE large element:{RANDOM}"),
            command("ZRANK", f"ZRANK large element:{RANDOM}"),
            command("ZRANGE_100", "ZRANGE large {middle} {middle_end}", share=0.2),
            command("ZRANGEBYSCORE_100", f"ZRANGEBYSCORE large {RANDOM} +inf LIMIT 0 100", share=0.2),
            command("ZRANDMEMBER", "ZRANDMEMBER large"),
            command("ZADD", f"ZADD large {RANDOM} element:{RANDOM}"),
            command("ZADD_NEW", f"ZADD large {RANDOM} other:{RANDOM}"),
            command("ZINCRBY", f"ZINCRBY large 1 element:{RANDOM}"),
            command("ZPOPMIN", "ZPOPMIN large"),
            command("ZPOPMAX", "ZPOPMAX large"),
        ),
    ),
    "stream": (
        lambda client, count: add_entries(client, b"large", count),
        (
            command("XRANGE_100", "XRANGE large {middle} + COUNT 100", share=0.2),
            command("XREVRANGE_100", "XREVRANGE large {middle} - COUNT 100", share=0.2),
            command("XREAD_100", "XREAD COUNT 100 STREAMS large {middle}", share=0.2),
            command("XADD", "XADD large * field {value}"),
            command("XDEL", f"XDEL large {RANDOM}-1"),
            command("XTRIM", "XTRIM large MAXLEN {half}", share=0.2),
        ),
    ),
}

# With few keys and with many.
MANY = (test("SET"), test("GET"))


def words_of(case, elements):
    """A large case's words, with the places and values that they leave open."""
    middle = elements // 2
    fills = {"middle": middle, "middle_end": middle + 99, "half": middle, "value": VALUE.decode()}
    return tuple(word.format(**fills) for word in case.sends)
