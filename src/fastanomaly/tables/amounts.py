"""Amounts as people write them, such as ``$1,234.50`` or ``1.234,50 EUR``, as decimal texts.

Only texts change, digit by digit: nothing is rounded.
"""

from __future__ import annotations

from typing import Any

_SPACE = r"[ \x{a0}\x{202f}\x{2009}]"
_SIGN = rf"(?:\p{{Sc}}|[A-Z]{{3}}|[A-Z]{{1,3}}\p{{Sc}}){_SPACE}?"
_SIGN_AFTER = rf"{_SPACE}?(?:\p{{Sc}}|[A-Z]{{3}})"
_GAP = r"['_\x{2019} \x{a0}\x{202f}\x{2009}]"


class Writing:
    """How the amounts of a table are written.

    Parameters
    ----------
    decimal_comma : bool
        The decimal mark is a comma, and thousands may be separated by points.
    currency : bool
        A currency sign or the three letters of a currency may stand before or after, and
        thousands may be separated.
    """

    def __init__(self, decimal_comma: bool, currency: bool) -> None:
        mark, group = (",", r"\.") if decimal_comma else (r"\.", ",")
        number = rf"[0-9]+(?:{mark}[0-9]*)?|{mark}[0-9]+"
        self._mark = mark.removeprefix("\\")
        self._between = group.removeprefix("\\")
        if currency:
            grouped = "|".join(
                rf"[0-9]{{1,3}}(?:{between}[0-9]{{3}})+(?:{mark}[0-9]*)?"
                for between in (group, _GAP)
            )
            number = rf"{grouped}|{number}"
            self._form = rf"^(?:(?:{_SIGN})?(?:{number})|(?:{number})(?:{_SIGN_AFTER}))$"
        else:
            self._form = rf"^(?:{number})$"

    def read(self, column: Any) -> tuple[Any, Any]:
        """Return a column with decimal texts, and which rows are to be rejected.

        Parameters
        ----------
        column : pyarrow.Array
            Amounts; numbers are returned as they are.

        Returns
        -------
        tuple of pyarrow.Array
            The amounts, those of another form as they were; and a mask of those that must
            not be read as they are, since a point means something else in them.
        """
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.compute as pc  # noqa: PLC0415

        kind = column.type
        if pa.types.is_dictionary(kind):
            return self.read(column.dictionary_decode())
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return column, None
        matches = pc.match_substring_regex(column, self._form)
        if not pc.any(matches).as_py():
            return column, self._refused(column, matches)
        kept = rf"[^0-9{self._mark}]"
        plain = pc.replace_substring_regex(column, kept, "")
        if self._mark == ",":
            plain = pc.replace_substring(plain, ",", ".")
        return pc.if_else(matches, plain, column), self._refused(column, matches)

    def _refused(self, column: Any, matches: Any) -> Any:
        """Return which texts have a point that is no decimal point; None if they may not."""
        if self._mark == ".":
            return None
        import pyarrow.compute as pc  # noqa: PLC0415

        refused = pc.and_(pc.invert(matches), pc.match_substring(column, "."))
        return pc.fill_null(refused, False)
