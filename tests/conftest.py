"""Fixtures every test may ask for."""

import signal

pytest_plugins = ["tests.servers"]

# What a shell starts in the background ignores Ctrl-C, and so would every process a test starts to end it so.
signal.signal(signal.SIGINT, signal.default_int_handler)
