"""What shards on Ray say of networks, also when one has just been killed."""

from random import Random

import pytest
from clusterlogs import crowd
from on_ray.rayclusters import kill, process_of, ray_cluster

from fastanomaly import Detector

pytestmark = pytest.mark.usefixtures("local_ray")


def test_networks():
    columns = crowd(Random(7), 40, 3000)
    single = Detector(2, 20, 1)
    single.feed_columns(*columns)
    with ray_cluster(2, 20, 1, shards=3) as cluster:
        cluster.feed_columns(*columns)
        users = single.sample_users(10)
        assert cluster.sample_users(10) == users
        for user in users:
            assert cluster.network(user) == single.network(user)
            assert cluster.network_sizes(user, 4) == single.network_sizes(user, 4)
            assert cluster.explain(user, 50) == single.explain(user, 50)
        kill(process_of(cluster, 0))
        assert cluster.network(users[0]) == single.network(users[0])
        kill(process_of(cluster, 1))
        assert cluster.explain(users[0], 50) == single.explain(users[0], 50)
        with pytest.raises(TypeError, match="user id: expected str or int, got float"):
            cluster.network(1.5)
