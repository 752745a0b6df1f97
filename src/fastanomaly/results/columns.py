"""What the detector returns for columns of events."""

from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import numpy.typing as npt


class _FlagArrays(NamedTuple):
    """The four arrays of `ColumnFlags`: NumPy's, of int64, but naming it would import it."""

    rows: Any
    n: Any
    mean_cents: Any
    sd_cents: Any


class ColumnFlags(_FlagArrays):
    """The flagged rows of columns: one-dimensional int64 arrays of one length.

    A named tuple of the four arrays: it is unpacked and indexed as one. As with a data frame,
    ``len(flags)`` is the number of flags, not of arrays, so that it is false if no row was
    flagged.

    Attributes
    ----------
    rows : numpy.ndarray
        The indices of the rows flagged, ascending.
    n : numpy.ndarray
        How many purchases each was compared with.
    mean_cents, sd_cents : numpy.ndarray
        Their mean and standard deviation in cents, truncated.

    Examples
    --------
    >>> from fastanomaly import BEFRIEND, PURCHASE, Detector
    >>> detector = Detector(degree=1, tracked=50)
    >>> flags = detector.feed_columns(
    ...     kinds=[BEFRIEND, PURCHASE, PURCHASE, PURCHASE],
    ...     times_us=[0, 1, 2, 3],
    ...     users=[1, 2, 2, 1],
    ...     friends=[2, 0, 0, 0],
    ...     amounts_units=[0, 1_000_000, 2_000_000, 9_500_000],
    ... )
    >>> len(flags)
    1
    >>> rows, n, mean_cents, sd_cents = flags
    >>> rows.tolist(), mean_cents.tolist()
    ([3], [150])
    """

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __reversed__(self) -> "Iterator[npt.NDArray[np.int64]]":
        return iter(self[::-1])

    @classmethod
    def _make(cls, iterable: "Iterable[Any]") -> Self:  # type: ignore[override]
        return cls(*iterable)  # that of named tuples, also used by _replace, compares len
