"""A detector whose purchase histories are spread over several shards.

Every shard applies every event, so all have the same users, friendships and recency log; a
user's purchases are kept by one shard. docs/cluster.md describes who asks whom, and when.
"""

from fastanomaly.cluster.detector import ClusterDetector
from fastanomaly.cluster.exchange import Exchange, LocalExchange
from fastanomaly.cluster.memory import ClusterMemory
from fastanomaly.cluster.messages import Answers, Asks, Batch, Message, Traffic, Verdicts
from fastanomaly.cluster.shard import Shard
from fastanomaly.cluster.work import ShardProgress, ShardWork

__all__ = [
    "Answers",
    "Asks",
    "Batch",
    "ClusterDetector",
    "ClusterMemory",
    "Exchange",
    "LocalExchange",
    "Message",
    "Shard",
    "ShardProgress",
    "ShardWork",
    "Traffic",
    "Verdicts",
]
