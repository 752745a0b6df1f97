"""The metrics that a running command publishes, read as Prometheus reads them."""

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families


def samples(text):
    """Return the value of each sample, by its name and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def samples_at(port):
    """Return the samples that a local port serves; none while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return samples(answer.read().decode())
    except urllib.error.URLError:
        return {}
