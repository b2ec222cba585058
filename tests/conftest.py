"""Fixtures every test may ask for."""

import signal

pytest_plugins = ["tests.servers"]

# What a shell starts in the background ignores Ctrl-C, and so would every process a test starts to end it so.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Whoever ends the run (`timeout`, a CI job) ends the servers and programs of its tests with it, as Ctrl-C does.
signal.signal(signal.SIGTERM, signal.default_int_handler)
