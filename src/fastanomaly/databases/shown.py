"""Names without passwords."""

from fastanomaly.names import SERVER_SCHEMES, scheme_of


def shown(name: str) -> str:
    """Return a name as messages, flags and checkpoints have it: without a password."""
    if scheme_of(name) not in SERVER_SCHEMES:
        return name
    from fastanomaly.databases.names import parse_name  # noqa: PLC0415 - few runs need it

    return parse_name(name).shown
