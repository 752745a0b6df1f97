"""Logs with values that are rounded or cut when they are read with the right options."""

import re
from fractions import Fraction

import reference

from fastanomaly.convert import TimeUnit

UNITS: tuple[TimeUnit, ...] = ("s", "ms", "us", "ns", "iso")


def noisy(log, random):
    """Return a log in which many amounts have more decimals than they should."""

    def more(match):
        if random.random() < 0.5:
            return match[0]
        noise = random.choice([b"0000000004", b"4999999996", b"0000005", b"9999999999999997"])
        return match[0] + noise

    return re.sub(rb'"amount"\s*:\s*"?[0-9]+\.[0-9]{1,6}', more, log)


def in_unit(log, unit, random):
    """Return a log in which most valid timestamps are numbers in a unit, or wider texts."""

    def spelled(match):
        text = match[2].decode(errors="replace")
        try:
            time_us = reference.parse_timestamp(text)
        except reference.Reject:
            return match[0]
        if random.random() < 0.2:
            return match[0]
        if unit == "iso" or random.random() < 0.2:
            if re.search(r"\.[0-9]{6}", text):
                text = re.sub(r"(\.[0-9]{6})", r"\g<1>" + random.choice(["000", "001"]), text)
            elif text[19:] == "" and text.endswith(":00"):
                text = text[:16]
            return match[1] + f'"{text}"'.encode()
        value = Fraction(time_us) * reference.PER_SECOND[unit] / 10**6
        whole, rest = divmod(value, 1)
        decimals = f"{int(rest * 10**6):06d}".rstrip("0")
        if random.random() < 0.1:
            decimals = decimals.ljust(6, "0") + "5"
        number = f"{whole}.{decimals}" if decimals else str(whole)
        if whole < 0 and rest:
            return match[0]
        if random.random() < 0.2:
            number = f'"{number}"'
        return match[1] + number.encode()

    return re.sub(rb'("timestamp"\s*:\s*)"([^"\\]*)"', spelled, log)


def reading_of(random):
    """Return options of reading, often none."""
    found = {}
    if random.random() < 0.4:
        found["round_amounts"] = True
    if random.random() < 0.4:
        found["time_unit"] = random.choice(UNITS)
    return found


def adjusted(log, reading, random):
    """Return a log whose values need these options of reading."""
    if "round_amounts" in reading:
        log = noisy(log, random)
    if "time_unit" in reading:
        log = in_unit(log, reading["time_unit"], random)
    return log
