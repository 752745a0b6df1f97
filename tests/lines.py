"""Lines of logs, as bytes with their line ends."""


def unusual_spellings(line):
    """Return a line that is an object, and spellings of it that only orjson reads."""
    inside = line.rstrip()[1:]
    return [
        line,
        b'{"note": "\xc3\xa9", ' + inside,
        b'{"note": [{"id": null}], ' + inside,
        b'{"note": "\\u00e9\\"", ' + inside,
        b'{"amount": 1, "amount": null, "timestamp": "now", "id": "", ' + inside,
    ]


def purchase(user, amount, timestamp="2017-06-13 11:33:02"):
    """Return the line of a purchase."""
    text = (
        f'{{"event_type":"purchase", "timestamp":"{timestamp}", "id": "{user}", '
        f'"amount": "{amount}"}}\n'
    )
    return text.encode()


def befriend(one, other):
    """Return the line of a befriend event."""
    return f'{{"event_type":"befriend", "id1":"{one}", "id2":"{other}"}}\n'.encode()


def parameters(degree, tracked):
    """Return a parameter line."""
    return f'{{"D":"{degree}", "T":"{tracked}"}}\n'.encode()
