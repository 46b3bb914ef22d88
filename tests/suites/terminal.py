"""redis-cli at a terminal: what a person types, and what the terminal then shows.

    terminal.py PORT
"""

import os
import pty
import re
import select
import sys
import termios
import time

PATIENCE_S = 20


def main(port):
    child, terminal = pty.fork()
    if child == 0:
        # Without a size, redis-cli asks the terminal for one, and waits.
        termios.tcsetwinsize(0, (24, 100))
        os.environ["TERM"] = "xterm"
        os.execvp("redis-cli", ["redis-cli", "-p", port])
    shown = ""

    def until(wanted):
        """Reads until `wanted` is shown, then forgets everything up to it."""
        nonlocal shown
        deadline = time.monotonic() + PATIENCE_S
        while wanted not in shown:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([terminal], [], [], left)[0]:
                sys.exit(f"'{wanted}' does not appear; shown: {shown!r}")
            chunk = os.read(terminal, 4096).decode(errors="replace")
            shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", chunk)
        shown = shown.split(wanted, 1)[1]

    def answer(wanted):
        """Waits for an answer and the next prompt: what is typed before it is thrown away."""
        until(wanted)
        until(prompt)

    def type_in(text):
        os.write(terminal, text.encode())

    prompt = f"127.0.0.1:{port}>"
    until(prompt)
    # The hint comes from COMMAND DOCS: the arguments that are still to be typed.
    type_in("set ")
    until("key value")
    type_in("hinted yes\r")
    answer("OK")
    type_in("get hinted\r")
    answer('"yes"')
    type_in("help get\r")
    answer("group: string")
    type_in("quit\r")
    if os.waitpid(child, 0)[1] != 0:
        sys.exit("redis-cli did not end well")


main(sys.argv[1])
