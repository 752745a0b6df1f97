"""Snapshots: folders with the state of a cluster, one file for each shard."""
