"""A client of few verbs: calls one command, or sends many SETs in pipelines."""

import os
import socket

VALUE_BYTES = 64

# What loading stores: another in every run.
VALUE = os.urandom(VALUE_BYTES // 2).hex().encode()

# Bytes of one pipeline while loading: one group commit each.
LOAD_BYTES = 100_000

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

    def send_all(self, commands):
        """Sends commands, lists of bytes, in pipelines. An error reply is raised as ReplyError."""
        batch, size = [], 0
        for command in commands:
            batch.append(encode(*command))
            size += len(batch[-1])
            if size >= LOAD_BYTES:
                self._pipeline(batch)
                batch, size = [], 0
        self._pipeline(batch)

    def _pipeline(self, batch):
        self.socket.sendall(b"".join(batch))
        for _ in batch:
            self._reply()

    def load(self, count):
        """Sets the first `count` keys, each to 64 bytes, and checks that they are there."""
        self.send_all([b"SET", key_name(number), VALUE] for number in range(count))
        if self.call("GET", key_name(count - 1)) != VALUE:
            raise AssertionError("a key that was just set is not there")
