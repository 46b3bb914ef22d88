"""A proxy that makes a connection longer: whatever goes in at one end comes out at the other so much later."""

import collections
import socket
import threading
import time

CHUNK_BYTES = 256 << 10

# Chunks under way in one direction; beyond it, the sender feels it.
CHUNKS = 1024


class Delay:
    """Accepts at `port` and connects to `target`, both of this machine, until it is closed."""

    def __init__(self, port, target, seconds):
        self.target, self.seconds = target, seconds
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Accepts no more; connections end with the processes that they connect."""
        # Closing alone does not wake who accepts.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                dialer, _ = self.listener.accept()
            except OSError:
                return
            try:
                acceptor = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                dialer.close()
                continue
            for end in (dialer, acceptor):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _Direction(dialer, acceptor, self.seconds)
            _Direction(acceptor, dialer, self.seconds)


class _Direction:
    """One direction of a connection: a thread that takes in, and one that gives out when it is time."""

    def __init__(self, source, sink, seconds):
        self.source, self.sink, self.seconds = source, sink, seconds
        self.chunks, self.changed = collections.deque(), threading.Condition()
        for work in (self._take, self._give):
            threading.Thread(target=work, daemon=True).start()

    def _take(self):
        chunk = None
        while chunk != b"":
            try:
                chunk = self.source.recv(CHUNK_BYTES)
            except OSError:
                chunk = b""
            with self.changed:
                self.changed.wait_for(lambda: len(self.chunks) < CHUNKS)
                self.chunks.append((time.monotonic() + self.seconds, chunk))
                self.changed.notify_all()

    def _give(self):
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.chunks)
                due, chunk = self.chunks.popleft()
                self.changed.notify_all()
            if (left := due - time.monotonic()) > 0:
                time.sleep(left)
            try:
                if not chunk:
                    self.sink.shutdown(socket.SHUT_WR)
                    return
                self.sink.sendall(chunk)
            except OSError:
                self.source.close()
                return
