"""How many machines a log needs: from counts of clusters, measured times and assumptions."""

from fastanomaly.cluster.planning.needs import Machine, Needs
from fastanomaly.cluster.planning.plan import Plan, plan_cluster
from fastanomaly.cluster.planning.text import plan_text

__all__ = ["Machine", "Needs", "Plan", "plan_cluster", "plan_text"]
