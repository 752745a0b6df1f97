"""Ray on this machine, for all tests of this folder."""

import pytest

from fastanomaly.cluster.on_ray import connected


@pytest.fixture(scope="session")
def local_ray():
    """Connect to a Ray that is started with room for five shards."""
    with connected("local", 5):
        yield
