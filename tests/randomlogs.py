"""Generate small random logs that test every rule of docs/semantics.md, one pair a seed.

The generator applies its own events to a ReferenceDetector, only to know the window that a
purchase is compared with: so it can choose amounts exactly at the threshold, or a millionth
above or below it. It does not decide which purchases are anomalous.

    logs = random_logs(seed)
    detect(logs.batch, logs.stream, **logs.arguments)

never raises ParameterError. `degree` and `tracked` are the values in force; `options` has
those of them that must be given as options.
"""

import json
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import isqrt
from random import Random

from reference import MAX_PARAMETER, ReferenceDetector, parse_timestamp

LARGEST_UNITS = 10**18 - 1  # 999999999999.999999, the largest amount, in millionths
DEFAULT_MAX_LINE = 1 << 20
SIGMAS = ("0", "0.5", "1", "2.125", "3", "3")
STYLES = ("published", "compact", "loose", "mixed")

PLAIN_IDS = tuple(str(number) for number in range(1, 15))
ODD_IDS = (
    "0",
    "-3",
    "02",
    "2.0",
    "1e3",
    "18446744073709551616",
    "123456789012345678901234567890",
    "999999999999999999",
    "1000000000000000000",
    "-9223372036854775808",
    "ann@example.org",
    "Ann@example.org",
    "123e4567-e89b-12d3-a456-426614174000",
    " 2",
    "2 ",
    "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{GRINNING FACE}",
    "\ud7ff\ue000\uffff\U0010ffff",
    "\N{LINE SEPARATOR}",
    "\N{ARABIC-INDIC DIGIT TWO}",
    "\N{ZERO WIDTH NO-BREAK SPACE}2",
    "a\x00b",
    "a\x00c",
    "\x00",
    "\x7f",
    "tab\tnewline\nreturn\r",
    'quote"backslash\\slash/',
    '","id":"2',
    "{[}],:",
    "mean",
    "null",
    "long" * 60,
)
HUGE_INTEGER_ID = "-" + "7" * 400
LONGER_THAN_PYTHON_READS = "7" * 5000  # int() refuses texts of more than 4,300 digits

# JSON values of a wrong type, by field.
WRONG_TYPES = {
    "timestamp": ("null", "true", "1497353581", "1.5", "{}", '["2017-06-13 11:33:01"]'),
    "id": ("null", "false", "2.0", "1e3", "-0.0", "{}", '["2"]'),
    "amount": ("null", "true", "{}", '["1.00"]'),
}
BAD_TIMESTAMPS = (
    "",
    "2017-06-13",
    "2017-06-13 11:33",
    "2017-06-13 11:33:60",
    "2017-06-13 24:00:00",
    "2017-06-13 11:60:00",
    "2017-02-29 11:33:01",
    "1900-02-29 11:33:01",
    "2017-13-01 11:33:01",
    "2017-00-10 11:33:01",
    "0000-01-01 00:00:00",
    "2017-6-13 11:33:01",
    "2017-06-13t11:33:01",
    "2017-06-13T11:33:01z",
    "2017-06-13  11:33:01",
    "2017-06-13 11:33:01 ",
    " 2017-06-13 11:33:01",
    "2017-06-13 11:33:01\n",
    "2017-06-13 11:33:01.",
    "2017-06-13 11:33:01,5",
    "2017-06-13 11:33:01.1234567",
    "2017-06-13 11:33:01+24:00",
    "2017-06-13 11:33:01+01:60",
    "2017-06-13 11:33:01+1",
    "2017-06-13 11:33:01+01:",
    "2017-06-13 11:33:01+01:0",
    "2017-06-13 11:33:01 +01:00",
    "2017-06-13 11:33:01Z+01:00",
    "2017-06-13 11:33:01\N{MINUS SIGN}01:00",
    "\N{ARABIC-INDIC DIGIT TWO}017-06-13 11:33:01",
    "20170613T113301Z",
    "1497353581",
)
BAD_AMOUNTS = (  # as JSON
    '""',
    '"."',
    '"-1"',
    "-1",
    "-0.000001",
    '"1e12"',
    "1e12",
    "1000000000000",
    "999999999999.9999999",
    '"1e-7"',
    "1e-7",
    '"16.830000000000000001"',
    "0.0000001",
    "1e400",
    "1e99999999999999999999",
    '"1e-99999999999999999999"',
    '"NaN"',
    '"inf"',
    '"Infinity"',
    '" 1"',
    '"1 "',
    '"1,5"',
    '"1_0"',
    '"0x10"',
    '"1e"',
    '"e5"',
    '"1e1.5"',
    '"+-1"',
    '"$5"',
    '"\N{ARABIC-INDIC DIGIT TWO}"',
    '"1\\u0000"',
    LONGER_THAN_PYTHON_READS,
)
GARBAGE = (
    b"garbage",
    b"{",
    b"}",
    b"{}}",
    b"{]",
    b'{"event_type":"purchase"',
    b"{'event_type':'purchase'}",
    b'{"event_type":"purchase",}',
    b'{"a":1}{"b":2}',
    b'{"a":01}',
    b'{"a":1.}',
    b'{"a":.5}',
    b'{"a":+5}',
    b'{"a":NaN}',
    b'{"a":-Infinity}',
    b'{"a":"\t"}',
    b'{"a":"\x00"}',
    b'{"a":"\\x41"}',
    b'{"a":"\\u12"}',
    b'{"a":"\\ud800"}',
    b'{"\\udc00":1}',
    b'{"a":"\\ud800","a":1}',
    b'"\\ud83d"',
    b"{} // no comments",
    b"\x0c{}",
    b"{}\x0b",
    b"\xc2\xa0{}",
    b"\xef\xbb\xbf{}",
    b"\x00",
    b"\\",
    b'"',
)
NOT_OBJECTS = (
    b"[]",
    b"null",
    b"true",
    b"12",
    b"1e400",
    b'"purchase"',
    b'[{"event_type":"befriend","id1":"1","id2":"2"}]',
    b' [1, {"a": "\\ud83d\\ude00"}] ',
    b"[" * 1024 + b"]" * 1024,
    LONGER_THAN_PYTHON_READS.encode(),
)
NOT_UTF8 = (b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80")
BAD_EVENT_TYPES = ('"Purchase"', '"purchase "', '""', '"refund"', "null", "5", "[]", '{"a":1}')
EXTRA_VALUES = (
    "null",
    "true",
    "-12.50e+3",
    '"text, with } and \\" in it"',
    '{"mean": 1, "sd": [2, {"mean": 3}]}',
    '["a,b", {"}": "]"}]',
    "{}",
    "[ ]",
    '"\\ud83d\\ude00"',
    '"\N{GRINNING FACE}"',
    "1e400",
    LONGER_THAN_PYTHON_READS,
    "[" * 1023 + "]" * 1023,  # with the event's own braces, the deepest that is allowed
    "[" * 1024 + "]" * 1024,  # too deep
)
# The last four are long or make a line invalid, so they are rarer.
EXTRA_WEIGHTS = (6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 1, 1, 1, 1)
OLD_STATISTICS = (
    '"mean": "1.00"',
    '"sd": 2',
    '"mean":{"sd":[1,2,"}"]}',
    '"m\\u0065an" : null',
    '"\\u0073\\u0064":"a,\\"b"',
    '"\\u006DEAN": 1',  # not one of them: the name is mEAN
)
FAR_TIMESTAMPS = (
    "0001-01-01T00:00:00+23:59",
    "0001-01-01 00:00:00",
    "9999-12-31 23:59:59.999999-23:59",
    "1969-12-31T23:59:59.999999Z",
    "2016-02-29 23:59:59",
)
OFFSETS = (0, 0, 60, -60, 330, -570, 23 * 60 + 59, -(23 * 60 + 59))
BLANKS = (b"", b" ", b"\t \t", b"\r", b"  \r")


@dataclass
class Logs:
    """Two logs, and the parameters to replay them with."""

    batch: bytes
    stream: bytes
    degree: int
    tracked: int
    sigmas: str
    max_line: int
    options: dict

    @property
    def arguments(self):
        """The keyword arguments that `detect` needs for these logs."""
        return {"sigmas": self.sigmas, "max_line": self.max_line, **self.options}

    @property
    def command_line(self):
        """The same as options of the command."""
        return [
            f"--{name.replace('_', '-')}={value}" for name, value in self.arguments.items()
        ]


def random_logs(seed):
    """Return the logs of a seed: the same seed gives the same logs."""
    return Generator(Random(seed)).logs()


# Spellings


@cache
def json_text(text, ascii_only):
    """Return a string in JSON, with only the necessary escapes, or in ASCII."""
    return json.dumps(text, ensure_ascii=ascii_only)


def escaped_text(rng, text):
    r"""Return a string in JSON with many unnecessary \uXXXX escapes."""
    spelled = []
    for character in text:
        if rng.random() < 0.5:
            spelled.append(json_text(character, True)[1:-1])
            continue
        utf16 = character.encode("utf-16-be").hex()
        codes = [utf16[at : at + 4] for at in range(0, len(utf16), 4)]
        spelled += [f"\\u{code.upper() if rng.random() < 0.5 else code}" for code in codes]
    return '"' + "".join(spelled) + '"'


def spell_text(rng, text):
    """Return a string in JSON, in one of its spellings."""
    chance = rng.random()
    if chance < 0.1 and len(text) < 50:
        return escaped_text(rng, text)
    return json_text(text, chance < 0.5)


@cache
def is_integer_text(user):
    """Return whether an id can also be written as a JSON integer."""
    digits = user.removeprefix("-")
    canonical = digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
    return canonical and user != "-0"


def spell_id(rng, user):
    """Return an id in JSON: a string, or an integer if it is the decimal text of one."""
    if is_integer_text(user) and rng.random() < 0.4:
        return "-0" if user == "0" and rng.random() < 0.5 else user
    return spell_text(rng, user)


@cache
def days_and_time(seconds):
    """Return the date and the time of day of seconds since 2017-06-13."""
    days, seconds = divmod(seconds, 86400)  # always in June
    minutes, second = divmod(seconds, 60)
    return f"2017-06-{13 + days:02d}", f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"


def spell_time(rng, time_us):
    """Return an instant, in microseconds since 2017-06-13, in one of its spellings."""
    offset = rng.choice(OFFSETS) if rng.random() < 0.3 else None
    seconds, fraction = divmod(time_us, 10**6)
    day, time = days_and_time(seconds + (offset or 0) * 60)
    text = day + ("T" if rng.random() < 0.3 else " ") + time
    if fraction or rng.random() < 0.1:
        digits = f"{fraction:06d}"
        needed = max(1, len(digits.rstrip("0")))
        text += "." + digits[: rng.randint(needed, 6)]
    if offset is None:
        return text + ("Z" if rng.random() < 0.2 else "")
    sign = rng.choice("+-") if offset == 0 else "-" if offset < 0 else "+"
    hours, minutes = divmod(abs(offset), 60)
    if minutes == 0 and rng.random() < 0.4:
        return f"{text}{sign}{hours:02d}"
    return f"{text}{sign}{hours:02d}{rng.choice((':', ''))}{minutes:02d}"


def spell_amount(rng, units):
    """Return an amount, in millionths, in one of its JSON spellings."""
    whole, millionths = divmod(units, 10**6)
    decimals = f"{millionths:06d}".rstrip("0")
    chance = rng.random()
    if chance < 0.45 and len(decimals) <= 2:
        return f'"{whole}.{decimals.ljust(2, "0")}"'
    plain = f"{whole}.{decimals}" if decimals else str(whole)
    if chance < 0.7:
        return plain if rng.random() < 0.5 else f'"{plain}"'
    dotted = f"{whole}.{decimals or '0'}"
    shift = rng.randint(0, 25)
    spellings = [  # six JSON numbers, then spellings that need a string
        dotted + "0" * rng.randint(0, 30),
        f"{units}e-6",
        f"{units}{'0' * shift}E-{shift + 6:02d}" if units else "0E-09",
        f"{dotted}e+0",
        f"0.{'0' * shift}{units:06d}e{shift}" if units < 10**6 else f"{dotted}E-0",
        f"0.{units:018d}e12",
        "+" + plain,
        "0" * rng.randint(1, 30) + plain,
        f"{whole}." + decimals,
        f".{decimals or '0'}" if whole == 0 else f"+{dotted}e00",
        f".{units:018d}E+12",
    ]
    if units == 0:
        spellings += ["-0", "-.0", "0e999999999999999999999999", "-0.000e-99999"]
    number = rng.randrange(len(spellings))
    return spellings[number] if number < 6 else f'"{spellings[number]}"'


# The generator


class Generator:
    """Generates one pair of logs."""

    def __init__(self, rng):
        self.rng = rng
        self.degree = rng.choice((1, 1, 2, 2, 2, 3, 3, 4, 5, 6, MAX_PARAMETER))
        self.tracked = rng.choice((2, 2, 3, 4, 4, 5, 6, 7, 8, 50, 10**6, MAX_PARAMETER))
        self.sigmas = rng.choice(SIGMAS)
        self.max_line = rng.randint(90, 200) if rng.random() < 0.1 else DEFAULT_MAX_LINE
        count = rng.randint(3, 14)
        odd_count = sum(rng.random() < rng.choice((0, 0.1, 0.6)) for _ in range(count))
        self.users = rng.sample(PLAIN_IDS, count - odd_count) + rng.sample(ODD_IDS, odd_count)
        if rng.random() < 0.02:
            self.users[0] = HUGE_INTEGER_ID
        self.style = rng.choice(STYLES)
        self.dirt = rng.choice((0, 0.05, 0.05, 0.15, 0.3))
        self.time_mode = rng.choice(("one", "rising", "rising", "jitter", "random"))
        self.time_step = rng.choice((1, 250_000, 10**6))
        self.clock = 11 * 3600 * 10**6
        self.palette = self.amount_palette()
        self.detector = ReferenceDetector(self.degree, self.tracked, self.sigmas)

    def logs(self):
        """Return both logs and their options."""
        rng = self.rng
        options, first_lines = self.parameters()
        batch = [self.event(judged=False) for _ in range(rng.randint(20, 60))]
        stream = [self.event(judged=True) for _ in range(rng.randint(5, 30))]
        return Logs(
            self.joined(first_lines + batch),
            self.joined(stream),
            self.degree,
            self.tracked,
            self.sigmas,
            self.max_line,
            options,
        )

    def joined(self, lines):
        """Return a log with line ends, blank lines and perhaps a byte order mark."""
        rng = self.rng
        crlf = rng.choice((0, 0, 0, 1, 0.5))
        blanks = rng.choice((0, 0, 0, 0.1))
        parts = [b"\xef\xbb\xbf"] if rng.random() < 0.1 else []
        for line in lines:
            while rng.random() < blanks:
                parts += (rng.choice(BLANKS), b"\n")
            parts += (line, b"\r\n" if rng.random() < crlf else b"\n")
        chance = rng.random()
        if chance < 0.3 and parts[-1:] in ([b"\n"], [b"\r\n"]):
            parts[-1] = b"\r" if chance < 0.05 else b""
        elif chance < 0.4:
            parts.append(rng.choice(BLANKS))
        return b"".join(parts)

    def parameters(self):
        """Return the parameters given as options, and the first lines of the batch log."""
        rng = self.rng
        from_file = {"D": self.degree, "T": self.tracked}
        options = {}
        chance = rng.random()
        if chance < 0.1:
            options = {"degree": self.degree, "tracked": self.tracked}
            if rng.random() < 0.5:
                return options, []
            for name in rng.sample(("D", "T"), rng.randint(1, 2)):
                from_file[name] = rng.choice((0, "x", None, 7, "2", [], -1))
            if rng.random() < 0.3:
                del from_file[rng.choice("DT")]
        elif chance < 0.15:
            options = {"degree": self.degree}
            from_file["D"] = rng.choice(("nine", 0, 3, None))
        elif chance < 0.2:
            options = {"tracked": self.tracked}
            del from_file["T"]
        members = []
        for name, value in from_file.items():
            if type(value) is int and value >= 0 and rng.random() < 0.6:
                zeros = "0" * rng.choice((0, 0, 0, 1, 12))
                members.append((json_text(name, True), f'"{zeros}{value}"'))
            else:
                members.append((json_text(name, True), json.dumps(value)))
        if rng.random() < 0.2:
            rng.shuffle(members)
        if self.max_line == DEFAULT_MAX_LINE:
            if rng.random() < 0.1:
                members.insert(0, ('"D"', '"overruled"'))
            if rng.random() < 0.1:
                members.append(('"comment"', rng.choice(EXTRA_VALUES[:10])))
            return options, [self.laid_out(members)]
        return options, [self.laid_out(members, "published")]

    # Lines

    def event(self, judged):
        """Return the next line of a log, valid or dirty."""
        rng = self.rng
        if rng.random() < self.dirt:
            return self.dirty_line()
        chance = rng.random()
        if chance < (0.75 if judged else 0.6):
            return self.purchase(judged)
        return self.friendship("befriend" if chance < 0.93 else "unfriend")

    def laid_out(self, members, style=None):
        """Return an object with the spacing of a style."""
        style = style or self.style
        if style == "mixed":
            style = self.rng.choice(STYLES[:3])
        if style == "published":
            name, value = members[0]
            rest = "".join(f", {name}: {value}" for name, value in members[1:])
            return f"{{{name}:{value}{rest}}}".encode()
        if style == "compact":
            body = ",".join([f"{name}:{value}" for name, value in members])
            return f"{{{body}}}".encode()
        space = self.rng.choice((" ", "  ", "\t", " \r "))
        body = ",".join([f"{space}{name}{space}:{value}{space}" for name, value in members])
        around = self.rng.choice(("", space))
        return f"{around}{{{body}}}{around}".encode()

    def members(self, event_type, fields):
        """Return the members of an event in any order, often with additional ones."""
        rng = self.rng
        members = [('"event_type"', f'"{event_type}"')]
        members += [(f'"{name}"', value) for name, value in fields.items()]
        if rng.random() < 0.7:
            return members
        if rng.random() < 0.5:
            rng.shuffle(members)
        if rng.random() < 0.3:  # names and event types may have escapes too
            at = rng.randrange(len(members))
            name, value = members[at]
            if name == '"event_type"':
                value = escaped_text(rng, event_type)
            members[at] = (escaped_text(rng, name[1:-1]), value)
        if rng.random() < 0.3:  # the last of two members with the same name counts
            at = rng.randrange(len(members))
            stale = (members[at][0], rng.choice(('"stale"', "null", '"1"', "7", '""')))
            members.insert(rng.randint(0, at), stale)
        if rng.random() < 0.3:
            extra = rng.choices(EXTRA_VALUES, EXTRA_WEIGHTS)[0]
            members.insert(rng.randint(0, len(members)), ('"extra, field"', extra))
        if event_type == "purchase":
            while rng.random() < 0.3:
                name, value = rng.choice(OLD_STATISTICS).split(":", 1)
                members.insert(rng.randint(0, len(members)), (name.strip(), value.strip()))
        return members

    def user(self):
        """Return a user, the first ones more often, so that networks overlap."""
        return self.users[int(len(self.users) * self.rng.random() ** 1.3)]

    def time(self):
        """Return the next timestamp as text, by the time mode of the log."""
        rng = self.rng
        if rng.random() < 0.01:
            return rng.choice(FAR_TIMESTAMPS)
        time_us = self.clock
        if self.time_mode == "random":
            time_us += rng.randint(0, 6) * self.time_step
        elif self.time_mode != "one":
            if rng.random() < 0.4:
                self.clock += rng.randint(0, 2) * self.time_step
            if self.time_mode == "jitter" and rng.random() < 0.3:
                time_us -= rng.randint(0, 5) * self.time_step
        return spell_time(rng, time_us)

    def friendship(self, event_type):
        """Return a befriend or unfriend; users may be repeated, unknown or the same."""
        rng = self.rng
        a, b = self.user(), self.user()
        if a == b and event_type == "befriend":
            a, b = rng.sample(self.users, 2)
        fields = {"timestamp": None, "id1": spell_id(rng, a), "id2": spell_id(rng, b)}
        if rng.random() < 0.9:
            fields["timestamp"] = f'"{self.time()}"'
        else:  # it is not used, so it may be invalid or missing
            fields["timestamp"] = rng.choice(('"yesterday"', "null", "5"))
            if rng.random() < 0.5:
                del fields["timestamp"]
        line = self.laid_out(self.members(event_type, fields))
        if len(line) <= self.max_line:
            getattr(self.detector, event_type)(a, b)
        return line

    def purchase(self, judged):
        """Return a purchase; in the stream log its amount is often near the threshold."""
        rng = self.rng
        buyer = self.user()
        units = self.aimed_units(buyer) if judged and rng.random() < 0.5 else None
        if units is None:
            units = rng.choice(self.palette) if rng.random() < 0.9 else self.outlier()
        time = self.time()
        fields = {
            "timestamp": spell_text(rng, time) if rng.random() < 0.05 else f'"{time}"',
            "id": spell_id(rng, buyer),
            "amount": spell_amount(rng, units),
        }
        line = self.laid_out(self.members("purchase", fields))
        if len(line) <= self.max_line:
            self.detector.record(buyer, Fraction(units, 10**6), parse_timestamp(time))
        return line

    # Amounts, in millionths

    def amount_palette(self):
        """Return the amounts of a log: so few that windows are often constant."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.2:
            return [rng.choice((0, 1, 10_000_000, 16_830_000, LARGEST_UNITS))]
        if kind < 0.55:
            low = rng.randint(0, 5000) * 10_000
            return [low, low + rng.choice((1, 2, 160_000, 2_000_000, 80_000_000))]
        if kind < 0.65:
            return [LARGEST_UNITS - rng.choice((0, 1, 16, 10**15)) for _ in range(3)]
        if kind < 0.75:
            return [rng.randint(0, 20) for _ in range(5)]
        if kind < 0.8:
            return [0, 0, 0, LARGEST_UNITS, LARGEST_UNITS - 1]
        step = rng.choice((1, 10_000, 1_000_000))
        return [rng.randint(0, 10_000) * step for _ in range(12)]

    def outlier(self):
        """Return an amount far above the others, or the largest amount."""
        factor = self.rng.choice((2, 5, 10, 10**9))
        return min(LARGEST_UNITS, max(self.palette) * factor + 1)

    def aimed_units(self, buyer):
        """Return an amount at or near the buyer's threshold; None if there is none."""
        units = [int(purchase[3] * 10**6) for purchase in self.detector.window(buyer)]
        n = len(units)
        if n < 2:
            return None
        total = sum(units)
        spread = n * sum(x * x for x in units) - total * total  # n^2 times the variance
        k = self.detector.sigmas.numerator
        scale = self.detector.sigmas.denominator
        # The threshold rounded down; it is exact where the division has no remainder.
        threshold = (total * scale + isqrt(k * k * spread)) // (n * scale)
        aimed = threshold + self.rng.choice((0, 0, 0, 1, 1, -1, 2, 10_000, 10**9))
        return aimed if 0 <= aimed <= LARGEST_UNITS else None

    # Dirty lines

    def dirty_line(self):
        """Return a line that is nearly always rejected, for any of the reasons."""
        rng = self.rng
        event_type = rng.choice(("purchase", "purchase", "befriend", "unfriend"))
        if event_type == "purchase":
            fields = {
                "timestamp": f'"{self.time()}"',
                "id": spell_id(rng, self.user()),
                "amount": spell_amount(rng, rng.choice(self.palette)),
            }
        else:
            fields = {"id1": spell_id(rng, self.user()), "id2": spell_id(rng, self.user())}
        return getattr(self, "dirty_" + rng.choice(DIRT))(event_type, fields)

    def dirty_garbage(self, _event_type, _fields):
        return self.rng.choice(GARBAGE)

    def dirty_not_object(self, _event_type, _fields):
        return self.rng.choice(NOT_OBJECTS)

    def dirty_not_utf8(self, event_type, fields):
        line = self.laid_out(self.members(event_type, fields))
        at = self.rng.randint(0, len(line))
        return line[:at] + self.rng.choice(NOT_UTF8) + line[at:]

    def dirty_truncated(self, event_type, fields):
        line = self.laid_out(self.members(event_type, fields))
        return line[: self.rng.randrange(1, len(line))]

    def dirty_damaged(self, event_type, fields):
        """Return a line with one byte changed; it may still be valid."""
        line = bytearray(self.laid_out(self.members(event_type, fields)))
        line[self.rng.randrange(len(line))] = self.rng.choice(b' ",:{}[]\\0159aeZ-+.\x00\xe9')
        return bytes(line)

    def dirty_event_type(self, event_type, fields):
        members = self.members(event_type, fields)
        members = [member for member in members if member[1] != f'"{event_type}"']
        name = self.rng.choice(('"event_type"', '"event_type"', '"event-type"'))
        members.append((name, self.rng.choice(BAD_EVENT_TYPES)))
        return self.laid_out(members)

    def dirty_parameters(self, _event_type, _fields):
        return self.rng.choice((b'{"D":"2", "T":"50"}', b'{"D":1,"T":2}'))

    def dirty_missing(self, event_type, fields):
        del fields[self.rng.choice(list(fields))]
        return self.laid_out(self.members(event_type, fields))

    def dirty_fields(self, event_type, fields):
        """Return a line with wrong fields, often several, so the order of checks matters."""
        rng = self.rng
        for name in rng.sample(list(fields), rng.choice((1, 1, 2, len(fields)))):
            kind = name.rstrip("12")
            chance = rng.random()
            if chance < 0.4:
                fields[name] = rng.choice(WRONG_TYPES[kind])
            elif chance < 0.5:
                del fields[name]
            elif kind == "timestamp":
                fields[name] = spell_text(rng, rng.choice(BAD_TIMESTAMPS))
            elif kind == "amount":
                fields[name] = rng.choice(BAD_AMOUNTS)
            else:
                fields[name] = '""'
        return self.laid_out(self.members(event_type, fields))

    def dirty_value(self, _event_type, _fields):
        """Return a purchase with an invalid timestamp or amount of the right type."""
        rng = self.rng
        time = json_text(self.time(), True)
        amount = spell_amount(rng, rng.choice(self.palette))
        if rng.random() < 0.5:
            time = json_text(rng.choice(BAD_TIMESTAMPS), True)
        else:
            amount = rng.choice(BAD_AMOUNTS)
        fields = {"timestamp": time, "id": spell_id(rng, self.user()), "amount": amount}
        return self.laid_out(self.members("purchase", fields))

    def dirty_self_friendship(self, _event_type, fields):
        user = self.user()
        fields = {"id1": spell_id(self.rng, user), "id2": spell_id(self.rng, user)}
        return self.laid_out(self.members("befriend", fields))

    def dirty_too_long(self, event_type, fields):
        """Return a line about as long as a small limit, else a valid event."""
        line = self.laid_out(self.members(event_type, fields))
        if self.max_line == DEFAULT_MAX_LINE:
            return line
        excess = self.rng.choice((0, 1, 1, 50))  # at the limit it is valid
        return line + b" " * (self.max_line + excess - len(line))


DIRT = (
    "garbage",
    "not_object",
    "not_utf8",
    "truncated",
    "damaged",
    "event_type",
    "parameters",
    "missing",
    "fields",
    "fields",
    "value",
    "value",
    "self_friendship",
    "too_long",
)
