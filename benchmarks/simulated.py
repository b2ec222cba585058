"""The simulated organisation as the worker would see it."""

from streams.simulate.seen import context_of, events_of

__all__ = ["context_of", "events_of"]
