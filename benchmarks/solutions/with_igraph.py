"""igraph: a `Graph` built in one call after the batch log, and its `neighborhood` in C.

Run it as `python -m benchmarks.solutions.with_igraph BATCH STREAM OUT`.

igraph rebuilds its index at every call that changes edges, so the batch log's friendships
are collected in a set first, and the stream log's changes are applied in two calls, when
the next purchase needs them.
"""

import igraph

from benchmarks.solutions import common


class IgraphGraph:
    """The friend graph as an igraph `Graph`; changes are applied when it is queried."""

    def __init__(self) -> None:
        self.graph = igraph.Graph()
        self.users = 0
        self.changes: dict[tuple[int, int], bool] = {}

    def add_user(self, user: int) -> None:
        """Count the user; its vertex is added with the next changes."""
        self.users = user + 1

    def befriend(self, a: int, b: int) -> None:
        """Plan to add the edge."""
        self.changes[(a, b) if a < b else (b, a)] = True

    def unfriend(self, a: int, b: int) -> None:
        """Plan to delete the edge."""
        self.changes[(a, b) if a < b else (b, a)] = False

    def batch_log_done(self) -> None:
        """Build the graph."""
        self.graph = igraph.Graph(
            self.users, [e for e, there in self.changes.items() if there]
        )
        self.changes.clear()

    def network(self, user: int, degree: int) -> list[int]:
        """Return the users at distance 1 to `degree` from `user`."""
        if self.users > self.graph.vcount():
            self.graph.add_vertices(self.users - self.graph.vcount())
        if self.changes:
            self.apply_changes()
        return self.graph.neighborhood(user, order=degree, mindist=1)

    def apply_changes(self) -> None:
        """Add and delete the edges that have changed."""
        graph = self.graph
        is_there = {edge: graph.get_eid(*edge, error=False) for edge in self.changes}
        added = [e for e, there in self.changes.items() if there and is_there[e] < 0]
        removed = [i for e, i in is_there.items() if i >= 0 and not self.changes[e]]
        if removed:
            graph.delete_edges(removed)
        if added:
            graph.add_edges(added)
        self.changes.clear()


def detect(batch: str, stream: str, out: str) -> common.Phases:
    """Write the anomalous purchases of `stream` to `out`; return the time of each log."""
    return common.replay(IgraphGraph, batch, stream, out)


if __name__ == "__main__":
    common.main(detect)
