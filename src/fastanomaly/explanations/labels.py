"""Places for the labels of a picture, such that they do not overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import cos, pi, sin
from typing import NamedTuple

_GAPS = (7, 11, 16, 22, 30, 40, 52, 66, 82, 100, 120)  # from the point, nearest first
_DIRECTIONS = 24
_MARGIN = 1.5  # around every label


class Box(NamedTuple):
    """A rectangle in a picture, in pixels, with the origin at the bottom left."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        """Return whether the two have an inner point in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def contains(self, other: Box) -> bool:
        """Return whether no part of the other is outside of this one."""
        return (
            self.left <= other.left
            and self.bottom <= other.bottom
            and other.right <= self.right
            and other.top <= self.top
        )

    def nearest(self, point: tuple[float, float]) -> tuple[float, float]:
        """Return the point of the box that is nearest to another point."""
        x, y = point
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)

    def grown(self, by: float) -> Box:
        """Return the box with more space on every side."""
        return Box(self.left - by, self.bottom - by, self.right + by, self.top + by)


def free_place(
    size: tuple[float, float], point: tuple[float, float], taken: list[Box], inside: Box
) -> Box | None:
    """Return the nearest place for a label beside its point, or None if there is none.

    Parameters
    ----------
    size : (float, float)
        Width and height of the label, in pixels.
    point : (float, float)
        What it labels.
    taken : list of Box
        What it must not cover.
    inside : Box
        What it must not leave.
    """
    return _first_free(_places(size, point), taken, inside)


def free_place_on(
    size: tuple[float, float],
    points: Iterable[tuple[float, float]],
    taken: list[Box],
    inside: Box,
) -> Box | None:
    """Return the first free place for a label that is centred on one of several points.

    Parameters and result are those of `free_place`.
    """
    width, height = size
    centred = (Box(x - width / 2, y, x + width / 2, y + height) for x, y in points)
    return _first_free(centred, taken, inside)


def _first_free(places: Iterable[Box], taken: list[Box], inside: Box) -> Box | None:
    for box in places:
        with_margin = box.grown(_MARGIN)
        if inside.contains(box) and not any(map(with_margin.overlaps, taken)):
            return box
    return None


def _places(size: tuple[float, float], point: tuple[float, float]) -> Iterator[Box]:
    """Generate places around a point, starting at its upper right."""
    width, height = size
    for gap in _GAPS:
        for index in range(_DIRECTIONS):
            angle = pi / 6 + 2 * pi * index / _DIRECTIONS
            left = point[0] + (gap + width / 2) * cos(angle) - width / 2
            bottom = point[1] + (gap + height / 2) * sin(angle) - height / 2
            yield Box(left, bottom, left + width, bottom + height)
