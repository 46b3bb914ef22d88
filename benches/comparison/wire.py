"""A client of few verbs: calls one command, or sends many SETs in pipelines."""

import os
import socket

VALUE_BYTES = 64

# SETs of one pipeline while loading: one group commit each.
LOAD_BATCH = 1000

TIMEOUT_SECONDS = 120


class ReplyError(Exception):
    """An error reply; its text begins with its code."""


def key_name(number):
    """The name that redis-benchmark gives to its key of this number."""
    return b"key:%012d" % number


def encode(*args):
    """A command as an array of bulk strings."""
    args = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in args]
    parts = [b"*%d\r\n" % len(args)]
    parts += [b"$%d\r\n%s\r\n" % (len(arg), arg) for arg in args]
    return b"".join(parts)


class Client:
    """One connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.replies = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.replies.close()
        self.socket.close()

    def call(self, *args):
        """The reply: bytes, an integer, None or a list. An error reply is raised as ReplyError."""
        self.socket.sendall(encode(*args))
        return self._reply()

    def _reply(self):
        line = self.replies.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise ReplyError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.replies.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]
        raise ConnectionError(f"not a reply: {line!r}")

    def info(self, section):
        """INFO's fields of one section."""
        lines = self.call("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def load(self, count):
        """Sets the first `count` keys, each to 64 bytes, and checks that they are there."""
        value = os.urandom(VALUE_BYTES // 2).hex().encode()
        tail = b"$%d\r\n%s\r\n" % (VALUE_BYTES, value)
        for start in range(0, count, LOAD_BATCH):
            numbers = range(start, min(start + LOAD_BATCH, count))
            commands = [b"*3\r\n$3\r\nSET\r\n$16\r\n%s\r\n%s" % (key_name(n), tail) for n in numbers]
            self.socket.sendall(b"".join(commands))
            for _ in numbers:
                self._reply()
        if self.call("GET", key_name(count - 1)) != value:
            raise AssertionError("a key that was just set is not there")
