"""networkx: a `Graph`, and its breadth-first search that stops at a distance.

Run it as `python -m benchmarks.solutions.with_networkx BATCH STREAM OUT`.
"""

import networkx as nx

from benchmarks.solutions import common


class NetworkxGraph:
    """The friend graph as a networkx `Graph`."""

    def __init__(self) -> None:
        self.graph = nx.Graph()

    def add_user(self, user: int) -> None:
        """Add a node."""
        self.graph.add_node(user)

    def befriend(self, a: int, b: int) -> None:
        """Add an edge, unless it exists."""
        self.graph.add_edge(a, b)

    def unfriend(self, a: int, b: int) -> None:
        """Remove an edge, if it exists."""
        if self.graph.has_edge(a, b):
            self.graph.remove_edge(a, b)

    def batch_log_done(self) -> None:
        """Do nothing: the graph is always ready."""

    def network(self, user: int, degree: int) -> dict[int, int]:
        """Return the users at distance 1 to `degree` from `user`."""
        distances = nx.single_source_shortest_path_length(self.graph, user, cutoff=degree)
        del distances[user]
        return distances


def detect(batch: str, stream: str, out: str) -> common.Phases:
    """Write the anomalous purchases of `stream` to `out`; return the time of each log."""
    return common.replay(NetworkxGraph, batch, stream, out)


if __name__ == "__main__":
    common.main(detect)
