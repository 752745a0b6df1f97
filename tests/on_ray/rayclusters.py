"""Clusters whose shards run on Ray, and kills of their processes."""

import os
import signal
from contextlib import closing
from functools import partial

import ray

from fastanomaly.cluster import ClusterDetector
from fastanomaly.cluster.on_ray import RayExchange


def ray_cluster(*settings, lost_after=120, notices=None, **options):
    """Return a context manager for a cluster on Ray; collects what the operator is told."""
    make_exchange = partial(
        RayExchange,
        lost_after=lost_after,
        on_notice=None if notices is None else notices.append,
    )
    return closing(ClusterDetector(*settings, make_exchange=make_exchange, **options))


def process_of(cluster, number):
    """Return the number of the process that runs a shard; None while it is restarting."""
    actor = cluster.exchange._actors[number]
    try:
        return ray.get(actor.process.remote(), timeout=60)
    except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
        return None


def kill(process):
    """Kill a process at once."""
    os.kill(process, signal.SIGKILL)
