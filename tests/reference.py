"""All of docs/semantics.md in plain Python, slow and simple, for tests to compare with.

Amounts are Fractions, a network is a set found by visiting every friend, every purchase is
kept, and all of a network are sorted for each verdict. It shares no code with the package,
so an error in one is not also in the other.
"""

import json
import re
import sys
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor, isqrt

MAX_PARAMETER = 2**31 - 1
MAX_DEPTH = 1024
BOM = b"\xef\xbb\xbf"
REASONS = (
    "line_too_long",
    "invalid_utf8",
    "not_json",
    "not_an_object",
    "bad_event_type",
    "missing_field",
    "wrong_type",
    "bad_id",
    "bad_timestamp",
    "bad_amount",
    "self_friendship",
)


class ParameterError(Exception):
    """D, T or k is missing or invalid: the run ends before it writes anything."""


class Reject(Exception):  # noqa: N818 - about a line, not an error of the program
    """A line is not a valid event; `reason` is one of REASONS."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


@dataclass
class Rejected:
    """A rejected line: its log ("batch" or "stream"), number, reason and bytes."""

    log: str
    line: int
    reason: str
    raw: bytes


@dataclass
class Flag:
    """An anomalous purchase; `line` is its number in the stream log (0: not from a log)."""

    line: int
    user: str
    amount: Fraction
    n: int
    mean: Fraction
    variance: Fraction
    mean_text: str
    sd_text: str


@dataclass
class Result:
    """The output of a run as bytes, its flags, rejects, counts and exit status.

    `rounded_amounts` is the number of purchases whose amounts were rounded, and `cut_times`
    of those whose times were cut to microseconds.
    """

    output: bytes
    flags: list[Flag]
    rejects: list[Rejected]
    counts: dict[str, int]
    status: int = 0
    rounded_amounts: int = 0
    cut_times: int = 0


# The verdict


class ReferenceDetector:
    """Keeps friendships and purchases, and judges the next purchase."""

    def __init__(self, degree, tracked, sigmas=3):
        self.degree = option_in_range("degree", degree, 1)
        self.tracked = option_in_range("tracked", tracked, 2)
        self.sigmas = parse_sigmas(sigmas)
        self.friends_of = {}  # user -> set of users; the keys are all users
        self.purchases_of = {}  # user -> list of (time_us, seq, user, amount)
        self.purchases = 0
        self.befriends = 0
        self.unfriends = 0

    @property
    def users(self):
        """The number of users."""
        return len(self.friends_of)

    @property
    def friendships(self):
        """The number of friendships."""
        return sum(len(friends) for friends in self.friends_of.values()) // 2

    def befriend(self, a, b):
        """Make two different users friends, both ways."""
        if a == b:
            raise Reject("self_friendship")
        self.friends_of.setdefault(a, set()).add(b)
        self.friends_of.setdefault(b, set()).add(a)
        self.befriends += 1

    def unfriend(self, a, b):
        """End a friendship, if there is one; this adds no user."""
        if a in self.friends_of and b in self.friends_of:
            self.friends_of[a].discard(b)
            self.friends_of[b].discard(a)
        self.unfriends += 1

    def record(self, user, amount, time_us):
        """Keep a purchase; `seq` is its place in the order in which purchases are read."""
        self.friends_of.setdefault(user, set())
        seq = self.purchases
        self.purchases_of.setdefault(user, []).append((time_us, seq, user, amount))
        self.purchases += 1

    def purchase(self, user, amount, time_us):
        """Judge a purchase by the state before it, then record it."""
        flag = self.judge(user, amount)
        self.record(user, amount, time_us)
        return flag

    def network(self, user):
        """Return the users at distance 1 to D from the user, without the user."""
        seen = {user}
        rim = {user}
        distance = 0
        while rim and distance < self.degree:
            rim = {friend for one in rim for friend in self.friends_of.get(one, ())} - seen
            seen |= rim
            distance += 1
        return seen - {user}

    def window(self, user):
        """Return the latest T purchases of the network, newest first.

        Each is (time_us, seq, user, amount). Of two with equal timestamps, the one read last
        is the later one.
        """
        theirs = [p for other in self.network(user) for p in self.purchases_of.get(other, ())]
        theirs.sort(reverse=True)  # seq is unique: users and amounts are never compared
        return theirs[: self.tracked]

    def judge(self, user, amount):
        """Return the Flag if this purchase would be anomalous now, else None."""
        amounts = [purchase[3] for purchase in self.window(user)]
        n = len(amounts)
        if n < 2:
            return None
        mean = sum(amounts) / n
        variance = sum((x - mean) ** 2 for x in amounts) / n
        if not exceeds(amount, mean, variance, self.sigmas):
            return None
        # floor(100 sqrt(v)) = floor(sqrt(10000 v)) = isqrt(floor(10000 v))
        mean_text = cents_text(floor(mean * 100))
        sd_text = cents_text(isqrt(floor(variance * 10000)))
        return Flag(0, user, amount, n, mean, variance, mean_text, sd_text)


def exceeds(amount, mean, variance, sigmas):
    """Return whether amount > mean + sigmas sqrt(variance), without a square root.

    As sigmas >= 0, this needs amount - mean > 0; then both sides can be squared.
    """
    difference = amount - mean
    return difference > 0 and difference**2 > sigmas**2 * variance


def cents_text(cents):
    """Return a whole number of cents as a decimal with two places."""
    return f"{cents // 100}.{cents % 100:02d}"


# Parameters


def option_in_range(name, value, lowest):
    """Return a parameter that was given as an option: an int within its range."""
    if type(value) is not int or not lowest <= value <= MAX_PARAMETER:
        raise ParameterError(f"{name}: {value!r} is not an integer from {lowest} to 2^31 - 1")
    return value


def parse_sigmas(sigmas):
    """Return k as a Fraction: a decimal from 0 to 10^6 with at most 3 decimals."""
    if isinstance(sigmas, str):
        if not re.fullmatch(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", sigmas):
            raise ParameterError(f"sigmas: {sigmas!r} is not a decimal number")
    elif type(sigmas) is not int and not isinstance(sigmas, (Decimal, Fraction)):
        raise ParameterError(f"sigmas: {sigmas!r} is not an exact number")
    try:
        exact = Fraction(sigmas)
    except (ValueError, OverflowError):  # Decimal("NaN"), Decimal("Infinity")
        raise ParameterError(f"sigmas: {sigmas!r} is not a number") from None
    if not 0 <= exact <= 10**6 or (exact * 1000).denominator != 1:
        raise ParameterError(f"sigmas: {sigmas!r} is not from 0 to 10^6 with 3 decimals")
    return exact


def parameter_from_file(fields, name, lowest):
    """Return D or T of the parameter line: a JSON integer or a string of ASCII digits."""
    if name not in fields:
        raise ParameterError(f"batch log: the first line has no {name}")
    value = fields[name]
    is_text_of_digits = type(value) is str and re.fullmatch(r"[0-9]+", value)
    if type(value) is JsonInteger or is_text_of_digits:
        digits = value.lstrip("0")
        # The largest parameter has ten digits; int() refuses texts that are very long.
        if 1 <= len(digits) <= 10 and lowest <= int(digits) <= MAX_PARAMETER:
            return int(digits)
    raise ParameterError(f"batch log: {name} is not an integer from {lowest}: {value!r:.99}")


def parameter_fields(line, max_line):
    """Return the fields of a parameter line, or None if the line is not one."""
    try:
        fields = parse_object(line, max_line)
    except Reject:
        return None
    if "event_type" in fields or not ("D" in fields or "T" in fields):
        return None
    return fields


# One line to one event


class JsonNumber(str):
    """The text of a JSON number, as written."""

    __slots__ = ()


class JsonInteger(JsonNumber):
    """The text of a JSON number without fraction and exponent, as written."""

    __slots__ = ()


class JsonObject(list):
    """The members of a JSON object: (name, value) pairs in order."""

    __slots__ = ()


def refuse_constant(_name):
    """Refuse NaN and Infinity, which Python's json accepts."""
    raise Reject("not_json")


DECODER = json.JSONDecoder(
    object_pairs_hook=JsonObject,
    parse_int=JsonInteger,
    parse_float=JsonNumber,
    parse_constant=refuse_constant,
)

# A whole JSON string, so that its content is not taken for structure, or a bracket or comma.
STRUCTURE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[][{},]', re.DOTALL)


def nesting_depth(line):
    """Return how deeply objects and arrays are nested."""
    depth = deepest = 0
    for token in STRUCTURE.findall(line):
        if token in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in b"]}":
            depth -= 1
    return deepest


def has_lone_surrogate(value):
    """Return whether a string in a decoded value, or a name, has a lone surrogate."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            if any("\ud800" <= character <= "\udfff" for character in one):
                return True
        elif isinstance(one, (list, tuple)):  # an object, its pairs, or an array
            todo.extend(one)
    return False


def parse_json(line):
    """Return the value of a line, with numbers as texts and objects as pairs."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise Reject("invalid_utf8") from None
    recursion_limit = sys.getrecursionlimit()
    if line.count(b"[") + line.count(b"{") > 100:
        if nesting_depth(line) > MAX_DEPTH:
            raise Reject("not_json")
        # The decoder recurses, and less than 1,024 may be left of the limit.
        sys.setrecursionlimit(recursion_limit + 5 * MAX_DEPTH)
    try:
        value = DECODER.decode(text)
    except json.JSONDecodeError:
        raise Reject("not_json") from None
    finally:
        if sys.getrecursionlimit() != recursion_limit:
            sys.setrecursionlimit(recursion_limit)
    if "\\u" in text and has_lone_surrogate(value):
        raise Reject("not_json")
    return value


def parse_object(line, max_line):
    """Return the fields of a JSON object; the last of two with the same name counts."""
    if len(line) > max_line:
        raise Reject("line_too_long")
    value = parse_json(line)
    if type(value) is not JsonObject:
        raise Reject("not_an_object")
    return dict(value)


def field(fields, name):
    """Return a field, which must be present."""
    if name not in fields:
        raise Reject("missing_field")
    return fields[name]


def parse_id(value):
    """Return a user_id: a string as it is, or the decimal text of an integer."""
    if type(value) is JsonInteger:
        return "0" if value == "-0" else str(value)
    if type(value) is not str:
        raise Reject("wrong_type")
    if value == "":
        raise Reject("bad_id")
    return value


TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,6}))?"
    r"(Z|([+-])([0-9]{2})(?::?([0-9]{2}))?)?"
)
EPOCH_DAY = date(1970, 1, 1).toordinal()


def parse_timestamp(text):
    """Return a timestamp in microseconds since 1970-01-01 UTC."""
    match = TIMESTAMP.fullmatch(text)
    if not match:
        raise Reject("bad_timestamp")
    hour, minute, second = int(match[4]), int(match[5]), int(match[6])
    offset_hours, offset_minutes = int(match[10] or 0), int(match[11] or 0)
    if hour > 23 or minute > 59 or second > 59 or offset_hours > 23 or offset_minutes > 59:
        raise Reject("bad_timestamp")
    try:
        day = date(int(match[1]), int(match[2]), int(match[3])).toordinal() - EPOCH_DAY
    except ValueError:
        raise Reject("bad_timestamp") from None
    offset = offset_hours * 60 + offset_minutes
    if match[9] == "-":
        offset = -offset
    minutes = (day * 24 + hour) * 60 + minute - offset
    microseconds = int((match[7] or "").ljust(6, "0"))
    return (minutes * 60 + second) * 1_000_000 + microseconds


WIDE_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2})"
    r"(?:(:[0-9]{2})(?:\.([0-9]+))?)?"
    r"((?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)"
)
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FIRST_SECOND = (date(1, 1, 1).toordinal() - EPOCH_DAY) * 86400
END_SECOND = (date(9999, 12, 31).toordinal() + 1 - EPOCH_DAY) * 86400


def exact_time(value, time_unit):
    """Return the time in microseconds that a timestamp means, perhaps with a fraction.

    `time_unit` is None (the strict form), "iso" (texts only), or the unit of numbers.
    """
    is_number = isinstance(value, JsonNumber)
    if not isinstance(value, str) or (is_number and time_unit not in PER_SECOND):
        raise Reject("wrong_type")
    if not is_number:
        try:
            return Fraction(parse_timestamp(value))
        except Reject:
            if time_unit is None:
                raise
        if match := WIDE_TIMESTAMP.fullmatch(value):
            minute, second, decimals, offset = match.groups(default="")
            time_us = parse_timestamp(minute + (second or ":00") + offset)
            return time_us + Fraction(int(decimals or "0"), 10 ** len(decimals)) * 10**6
        if time_unit == "iso":
            raise Reject("bad_timestamp")
    try:
        seconds = decimal_value(value) / PER_SECOND[time_unit]
    except Reject:
        raise Reject("bad_timestamp") from None
    if not FIRST_SECOND <= seconds < END_SECOND:
        raise Reject("bad_timestamp")
    return seconds * 10**6


def decimal_value(text):
    """Return the value of a number that is spelled like an amount.

    Beyond 10^30 and below 10^-30 it is only roughly right.
    """
    match = AMOUNT.fullmatch(text)
    if not match:
        raise Reject("bad_amount")
    decimals = match[3] or match[4] or ""
    digits = (match[2] or "") + decimals
    significant = digits.strip("0")
    if significant == "":
        return Fraction(0)
    exponent_digits = (match[6] or "0").lstrip("0")
    exponent = int(exponent_digits[:20] or "0")
    if match[5] == "-":
        exponent = -exponent
    highest = exponent + len(digits.lstrip("0")) - len(decimals)
    if len(significant) > 99:  # a nonzero digit stands for the others
        significant = significant[:99] + "1"
    highest = max(min(highest, 99), -99)
    value = Fraction(int(significant)) * Fraction(10) ** (highest - len(significant))
    return -value if match[1] == "-" else value


AMOUNT = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?)([0-9]+))?")


def parse_amount(text, round_amounts=False):
    """Return an amount exactly: from 0 to below 10^12, a multiple of 10^-6.

    With `round_amounts`, any number is first rounded half to even to six decimals.
    """
    match = AMOUNT.fullmatch(text)
    if not match:
        raise Reject("bad_amount")
    decimals = match[3] or match[4] or ""
    digits = (match[2] or "") + decimals
    significant = digits.strip("0")
    if significant == "":
        return Fraction(0)  # with any sign and exponent
    exponent_digits = (match[6] or "").lstrip("0")
    if len(exponent_digits) > 20:
        # No text has enough digits to bring such an exponent back into range.
        if round_amounts and match[5] == "-":
            return Fraction(0)
        raise Reject("bad_amount")
    exponent = int(exponent_digits or "0")
    if match[5] == "-":
        exponent = -exponent
    trailing_zeros = len(digits) - len(digits.rstrip("0"))
    # The value is int(significant) * 10**lowest; its highest digit is below 10**highest.
    lowest = exponent - len(decimals) + trailing_zeros
    highest = lowest + len(significant)
    if round_amounts and highest < -6:
        return Fraction(0)  # less than a tenth of a millionth, with any sign
    if highest > 12 or (lowest < -6 and not round_amounts):
        raise Reject("bad_amount")
    if len(significant) > 99:  # a nonzero digit stands for the others, of which none is kept
        significant = significant[:99] + "1"
        lowest = highest - 100
    # round() rounds halves to the even neighbour.
    units = round(Fraction(int(significant)) * Fraction(10) ** (lowest + 6))
    if units >= 10**18 or (match[1] == "-" and units > 0):
        raise Reject("bad_amount")
    return Fraction(units, 10**6)


def parse_event(line, max_line=1 << 20, round_amounts=False, time_unit=None):
    """Return ("purchase", user, amount, time_us) or ("befriend" or "unfriend", a, b).

    Raises Reject with the reason if the line is not a valid event.
    """
    fields = parse_object(line, max_line)
    event_type = fields.get("event_type")

    if event_type == "purchase":
        time_us = floor(exact_time(field(fields, "timestamp"), time_unit))
        user = parse_id(field(fields, "id"))
        amount = field(fields, "amount")
        if not isinstance(amount, str):  # a JsonNumber is a str too
            raise Reject("wrong_type")
        return ("purchase", user, parse_amount(amount, round_amounts), time_us)

    if event_type in ("befriend", "unfriend"):
        a = parse_id(field(fields, "id1"))
        b = parse_id(field(fields, "id2"))
        if event_type == "befriend" and a == b:
            raise Reject("self_friendship")
        return (event_type, a, b)

    raise Reject("bad_event_type")


# From two logs to the flagged purchases


def numbered_lines(log, max_line):
    """Return (number, bytes) of the lines that are not skipped, without line ends."""
    # If the log ends with LF, the last of these is empty and skipped as a blank line.
    unended = [line.removesuffix(b"\r") for line in log.removeprefix(BOM).split(b"\n")]
    return [
        (number, line)
        for number, line in enumerate(unended, 1)
        if line.strip(b" \t\r") or len(line) > max_line
    ]


def split_members(inside):
    """Split the text between the braces of an object at its top-level commas."""
    parts = []
    start = depth = 0
    for token in STRUCTURE.finditer(inside):
        if token[0] in b"[{":
            depth += 1
        elif token[0] in b"]}":
            depth -= 1
        elif token[0] == b"," and depth == 0:
            parts.append(inside[start : token.start()])
            start = token.end()
    return [*parts, inside[start:]]


def member_name(member):
    """Return the name of a member, without escapes."""
    name, _end = DECODER.raw_decode(member.decode("utf-8").lstrip(" \t\r\n"))
    return name


def flagged_line(line, mean_text, sd_text):
    """Return an output line: the input line with mean and sd before its closing brace."""
    opening, closing = line.index(b"{"), line.rindex(b"}")
    members = split_members(line[opening + 1 : closing])
    kept = [member for member in members if member_name(member) not in ("mean", "sd")]
    new = f', "mean": "{mean_text}", "sd": "{sd_text}"'.encode()
    return line[: opening + 1] + b",".join(kept) + new + line[closing:] + b"\n"


def adjustments(line, max_line, time_unit):
    """Return whether the amount of a purchase's line was rounded, and its time cut."""
    fields = parse_object(line, max_line)
    try:
        parse_amount(fields["amount"])
        rounded = False
    except Reject:
        rounded = True
    return rounded, exact_time(fields["timestamp"], time_unit).denominator > 1


def detect(
    batch,
    stream,
    *,
    degree=None,
    tracked=None,
    sigmas="3",
    max_line=1 << 20,
    round_amounts=False,
    time_unit=None,
):
    """Replay both logs; only the purchases of the stream log are judged."""
    batch_lines = numbered_lines(batch, max_line)
    fields = parameter_fields(batch_lines[0][1], max_line) if batch_lines else None
    if degree is None:
        degree = parameter_from_file(fields or {}, "D", 1)
    if tracked is None:
        tracked = parameter_from_file(fields or {}, "T", 2)
    if fields is not None:
        batch_lines = batch_lines[1:]

    detector = ReferenceDetector(degree, tracked, sigmas)
    output, flags, rejects = [], [], []
    status = 0
    rounded_amounts = cut_times = 0
    for log, lines in (("batch", batch_lines), ("stream", numbered_lines(stream, max_line))):
        rejected_before = len(rejects)
        for number, line in lines:
            try:
                event = parse_event(line, max_line, round_amounts, time_unit)
            except Reject as reject:
                rejects.append(Rejected(log, number, reject.reason, line))
                continue
            if event[0] == "purchase":
                rounded, cut = adjustments(line, max_line, time_unit)
                rounded_amounts += rounded
                cut_times += cut
            if event[0] == "befriend":
                detector.befriend(*event[1:])
            elif event[0] == "unfriend":
                detector.unfriend(*event[1:])
            elif log == "batch":
                detector.record(*event[1:])
            else:
                flag = detector.purchase(*event[1:])
                if flag is not None:
                    flags.append(replace(flag, line=number))
                    output.append(flagged_line(line, flag.mean_text, flag.sd_text))
        if lines and len(rejects) - rejected_before == len(lines):
            status = 4  # lines, but no valid event
    counts = {
        "purchases": detector.purchases,
        "befriends": detector.befriends,
        "unfriends": detector.unfriends,
    }
    return Result(b"".join(output), flags, rejects, counts, status, rounded_amounts, cut_times)
