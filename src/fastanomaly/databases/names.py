"""Names of tables and queries in databases, such as ``sqlite:shop.db?table=flags``."""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from fastanomaly.errors import UsageError
from fastanomaly.names import FILE_SCHEMES

SECRETS = ("password", "sslpassword")
"""The parameters of a server that no message and no checkpoint has."""

_PARTS = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


class DatabaseName(NamedTuple):
    """The parts of a name.

    Attributes
    ----------
    scheme : str
    address : str
        The URL of a server without a password and without parameters, or the path of a file.
    table : tuple of str
        The parts of ``table=``, such as schema and table; empty if there is none.
    query : str
        The text of ``query=``, or "".
    others : dict of str to str
        Other parameters, secrets included.
    """

    scheme: str
    address: str
    table: tuple[str, ...]
    query: str
    others: dict[str, str]

    @property
    def shown(self) -> str:
        """The name without secrets."""
        address = self.address
        if self.scheme in FILE_SCHEMES:
            address = f"{self.scheme}:{address}"
        table = ".".join(map(_part_text, self.table))
        shown = {k: quote(v, safe="/:,") for k, v in self.others.items() if k not in SECRETS}
        pairs = shown | ({"table": table} if table else {})
        text = "&".join(f"{name}={value}" for name, value in pairs.items())
        if self.query:
            text += ("&" if text else "") + f"query={self.query}"
        return f"{address}?{text}" if text else address

    @property
    def identity(self) -> str:
        """The name without secrets, and with the real path of a file."""
        if self.scheme in FILE_SCHEMES:
            return self._replace(address=os.path.realpath(self.address)).shown
        return self.shown


def parse_name(name: str) -> DatabaseName:
    """Return the parts of a name in a database.

    A query that has a space is taken as it stands, to the end of the name; one without is
    decoded as in every URL, and so are other values.

    Raises
    ------
    UsageError
        If it names neither a table nor a query; the message has no secrets.
    """
    address, _, text = name.partition("?")
    scheme, _, path = address.partition(":")
    others, query = _parameters(text)
    if scheme in FILE_SCHEMES:
        address = path
    else:
        address, password = _without_password(address)
        others = password | others
    table = others.pop("table", "")
    parsed = DatabaseName(scheme, address, (), query, others)
    if not address or bool(table) == bool(query):
        both = parsed._replace(others=others | ({"table": table} if table else {}))
        raise UsageError(f"{both.shown}: expected ?table=NAME or ?query=SELECT ... at the end")
    if scheme in FILE_SCHEMES and others:
        raise UsageError(f"{parsed.shown}: has no parameter {next(iter(others))!r:.40}")
    return parsed._replace(table=_table_parts(parsed, table) if table else ())


def _parameters(text: str) -> tuple[dict[str, str], str]:
    """Return the parameters other than the query, and the query."""
    query = ""
    if (found := re.search("(?:^|&)query=", text)) and re.search(r"\s", text[found.end() :]):
        text, query = text[: found.start()], text[found.end() :]
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    others = {unquote(key): unquote(value) for key, _, value in pairs}
    return others, query or others.pop("query", "")


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """Return the URL of a server without its password, and the password as a parameter."""
    head, slashes, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    if not at and re.match(r"[^/]*:[^]/]*[^]/0-9,:]", place):
        # Most likely the host is missing, and what looks like its port is a password.
        raise UsageError(f"{head}://: expected {head}://USER:PASSWORD@HOST/DATABASE")
    user, colon, password = user.partition(":")
    secrets = {"password": unquote(password)} if colon else {}
    return f"{head}{slashes}{user}{at}{place}", secrets


def _table_parts(name: DatabaseName, text: str) -> tuple[str, ...]:
    """Return the parts of ``schema.table``; a part in double quotes may have dots."""
    parts, end = [], 0
    for match in _PARTS.finditer(text):
        if match.start() != end:
            break
        parts.append(match[1].replace('""', '"') if match[1] else match[2])
        end = match.end() + 1
        if text[match.end() : end] not in (".", ""):
            break
    if end != len(text) + 1:
        raise UsageError(f"{name.shown}: {text!r:.60} is not a table's name")
    return tuple(parts)


def _part_text(part: str) -> str:
    return quoted(part) if re.search(r'[".]', part) else part


def quoted(part: str) -> str:
    """Return a name as an identifier of SQL."""
    return '"' + part.replace('"', '""') + '"'


def quoted_table(parts: tuple[str, ...]) -> str:
    """Return the parts of a table's name as SQL."""
    return ".".join(map(quoted, parts))
