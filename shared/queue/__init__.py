"""Queues and small shared state between the services of one household."""

from shared.queue.protocol import Dead, Delivery, Entry, Queue, Store

__all__ = ["Dead", "Delivery", "Entry", "Queue", "Store"]
