"""Shards as actors of Ray: processes on one machine or on many."""

from fastanomaly.errors import UsageError, installation

try:
    from fastanomaly.cluster.on_ray.connection import connected
    from fastanomaly.cluster.on_ray.exchange import RayExchange
except ModuleNotFoundError as error:
    if error.name != "ray":
        raise
    raise UsageError(f"--cluster: needs Ray: {installation('cluster')}") from error

__all__ = ["RayExchange", "connected"]
