"""Which column of a table is which field: as mapped, else guessed from the names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fastanomaly.errors import UsageError
from fastanomaly.formats.display import escaped, suggestion

_LINES = ("id", "id1", "id2")

_OWN = {
    "kind": ("event_type", "kind"),
    "user": ("user", "id1"),
    "friend": ("friend", "id2"),
    "amount": ("amount",),
    "timestamp": ("timestamp",),
    "since": ("since",),
    "until": ("until",),
}
"""The names that a field has in any case, best first."""

_PEOPLE = ("user", "customer", "client", "buyer", "account", "member", "person", "cardholder")
_GUESSES = {
    "user": (
        *(f"{who}{part}" for who in _PEOPLE for part in ("", "_id", "_no", "_number")),
        "uid",
        "cust_id",
        "purchaser",
        "payer",
    ),
    "amount": (
        *("total", "price", "value", "sum", "cost", "paid", "amt", "subtotal", "charge"),
        *("total_amount", "amount_paid", "total_price", "purchase_amount", "order_total"),
        *("grand_total", "transaction_amount", "payment_amount", "unit_price"),
    ),
    "timestamp": (
        *("time", "date", "datetime", "ts", "when", "created", "created_at", "purchased_at"),
        *("paid_at", "ordered_at", "order_date", "order_time", "purchase_date", "date_time"),
        *("purchase_time", "transaction_date", "transaction_time", "event_time", "sold_at"),
        *("created_on", "invoice_date", "occurred_at", "event_date", "creation_date"),
    ),
    "kind": ("event",),
    "since": ("start", "started_at", "from_date", "valid_from", "start_date", "created_at"),
    "until": ("end", "ended_at", "to_date", "valid_to", "end_date", "ended", "removed_at"),
}
"""Other usual names, in lower case; more than one of them is ambiguous."""

_PAIRS = (
    *(("id1", "id2"), ("user", "friend"), ("user_id", "friend_id"), ("source", "target")),
    *(("src", "dst"), ("from", "to"), ("a", "b"), ("user1", "user2"), ("u", "v")),
    *(("user_1", "user_2"), ("user_id1", "user_id2"), ("user_id_1", "user_id_2")),
    *(("user1_id", "user2_id"), ("user_a", "user_b"), ("from_user", "to_user")),
    *(("customer_id", "friend_id"), ("customer", "friend"), ("from_id", "to_id")),
    *(("follower", "followed"), ("node1", "node2"), ("person1", "person2"), ("id", "friend")),
    *(("source_id", "target_id"), ("customer_id1", "customer_id2"), ("id", "friend_id")),
)
"""Usual names of the two columns of an edge list."""


class Guess:
    """The columns of a table.

    Attributes
    ----------
    columns : dict of str to str
        By field; `id`, `id1` and `id2` stand for user and friend in tables like logs.
    guessed : list of str
        The fields whose columns were guessed.
    """

    def __init__(self, path: str, names: Sequence[str], option: str) -> None:
        self.columns: dict[str, str] = {}
        self.guessed: list[str] = []
        self.option = option
        self._path = path
        self._names = names
        self._by_form: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            self._by_form.setdefault(_form(name), []).append(name)

    def map(self, columns: Mapping[str, str]) -> None:
        """Take the columns that were named; raises UsageError if one is not there."""
        for field, column in columns.items():
            if column not in self._names:
                raise UsageError(
                    f"{self._path}: has no column {column!r} for {field}"
                    f"{suggestion(column, list(self._names))}; {self.listed()}"
                )
            if column in self.columns.values():
                raise UsageError(f"{self._path}: column {column!r} is mapped to two fields")
            self.columns[field] = column

    def find(self, field: str, needed: bool) -> None:
        """Find the column of a field that was not named.

        Raises
        ------
        UsageError
            If it is needed and not found, or several columns may be it.
        """
        if field in self.columns:
            return
        free = [name for name in self._names if name not in self.columns.values()]
        for name in _OWN[field]:
            if name in free:
                self.columns[field] = name
                return
        found = self.usual(field)
        if len(found) > 1:
            raise UsageError(
                f"{self._path}: the {field} may be {_either(found)}: "
                f"say which, such as {self.option} {field}={found[0]}; {self.listed()}"
            )
        if found:
            self.take(field, found[0])
        elif needed:
            raise UsageError(
                f"{self._path}: no column looks like the {field}: say which it is, with "
                f"{self.option} {field}=COLUMN; {self.listed()}"
            )

    def usual(self, field: str) -> list[str]:
        """Return the columns with a usual name of a field."""
        forms = (*_OWN[field], *_GUESSES.get(field, ()))
        found = [name for form in forms for name in self._by_form.get(form, ())]
        return [name for name in found if name not in self.columns.values()]

    def take(self, field: str, column: str) -> None:
        """Note a guess."""
        self.columns[field] = column
        if field != column:
            self.guessed.append(field)

    def take_pair(self) -> bool:
        """Take the two columns of an edge list, if their names or their number tell them."""
        free = [name for name in self._names if name not in self.columns.values()]
        for pair in _PAIRS:
            first, second = (self._by_form.get(form, ()) for form in pair)
            if len(first) == len(second) == 1 and first[0] in free and second[0] in free:
                self.take("user", first[0])
                self.take("friend", second[0])
                return True
        if len(free) == 2 and len(self._names) == 2:
            self.take("user", free[0])
            self.take("friend", free[1])
            return True
        return False

    def listed(self) -> str:
        """Return the names of all columns, for messages."""
        if not self._names:
            return "it has no columns"
        return f"its columns are {', '.join(escaped(name) for name in self._names)}"

    @property
    def notice(self) -> str:
        """What was guessed, and how to say it; "" if nothing was."""
        if not self.guessed:
            return ""
        found = [f"{field}={self.columns[field]}" for field in self.guessed]
        return f"{self._path}: guessed {self.option} {','.join(found)}"


def event_columns(path: str, names: Sequence[str], mapped: Mapping[str, str]) -> Guess:
    """Return the columns of a table of events.

    Raises
    ------
    UsageError
        If one is missing or ambiguous; lists the columns.
    """
    guess = Guess(path, names, "--map")
    guess.map(mapped)
    guess.find("kind", needed=False)
    has_kind = "kind" in guess.columns
    if has_kind and "user" not in mapped and all(name in names for name in _LINES):
        guess.columns |= {name: name for name in _LINES}
    else:
        if "user" not in guess.columns and "id" in names and not guess.usual("user"):
            # Beside another name of a user it is that of the purchase.
            guess.columns["user"] = "id"
        guess.find("user", needed=True)
        guess.find("friend", needed=False)
    if "friend" in guess.columns and not has_kind:
        del guess.columns["friend"]
    guess.find("amount", needed=not has_kind)
    guess.find("timestamp", needed=not has_kind)
    return guess


def friend_columns(path: str, names: Sequence[str], mapped: Mapping[str, str]) -> Guess:
    """Return the columns of an edge list.

    Raises
    ------
    UsageError
        If one is missing or ambiguous; lists the columns.
    """
    guess = Guess(path, names, "--map-friends")
    guess.map(mapped)
    if not {"user", "friend"} & set(guess.columns) and not guess.take_pair():
        raise UsageError(
            f"{path}: say which two columns are the friends, such as --map-friends "
            f"user=COLUMN,friend=COLUMN; {guess.listed()}"
        )
    for field in ("user", "friend"):
        guess.find(field, needed=True)
    for field in ("since", "until"):
        guess.find(field, needed=False)
    return guess


def check_once(path: str, names: Sequence[str], columns: Mapping[str, str]) -> None:
    """Check that no column of a field has a name that another column has, too.

    Raises
    ------
    UsageError
        Names the column.
    """
    for field, column in columns.items():
        if names.count(column) > 1:
            raise UsageError(
                f"{path}: has more than one column {column!r}, which is the {field}"
            )


def _form(name: str) -> str:
    """Return a name in lower case with underscores: ``customerID`` is ``customer_id``."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name.strip())
    return re.sub(r"[^0-9a-z]+", "_", words.lower()).strip("_")


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
