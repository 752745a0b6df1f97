"""Shards as actors of Ray: processes on one machine or on many."""

from fastanomaly.cluster.on_ray.connection import connected
from fastanomaly.cluster.on_ray.exchange import RayExchange

__all__ = ["RayExchange", "connected"]
