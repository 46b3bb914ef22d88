"""The parts of compare.py: the comparison of tinykv-server with redis-server."""
