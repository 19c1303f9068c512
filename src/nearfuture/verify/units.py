"""The unit of a value: `12\\,\\mathrm{cm}^2`, `30^\\circ`, `$18.90`, `3 apples`.

Either side may leave its unit out. If both have one, the units must measure the same thing: 5 cm is 50 mm, 5 cm is not
5 m, and 12 m^2 is neither 12 m nor 144.

Not here: the value (`numbers`), percent, which belongs to the number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

Dimension = tuple[tuple[str, int], ...]

_TABLE = """
m: m meter meters metre metres = 1; mm millimeter millimeters millimetre millimetres = 1/1000
m: cm centimeter centimeters centimetre centimetres = 1/100; dm decimeter decimeters = 1/10
m: km kilometer kilometers kilometre kilometres = 1000; mile miles mi = 1609.344; um micrometers = 1/1000000
m: nm nanometers = 1/1000000000; ft foot feet = 0.3048; inch inches in = 0.0254; yd yard yards = 0.9144
g: g gram grams = 1; kg kilogram kilograms = 1000; mg milligram milligrams = 1/1000; ton tons tonnes = 1000000
g: lb lbs pound pounds = 453.59237; oz ounce ounces = 28.349523125
s: s sec secs second seconds = 1; min mins minute minutes = 60; h hr hrs hour hours = 3600; ms milliseconds = 1/1000
s: day days = 86400; week weeks = 604800
m/s: mph = 0.44704; kmph kmh kph = 5/18
month: month months = 1; year years yr yrs = 12
deg: degree degrees deg = 1
rad: rad radian radians = 1
L: L l liter liters litre litres = 1; mL ml milliliter milliliters = 1/1000
$: $ dollar dollars usd = 1; cent cents = 1/100
eur: euro euros eur = 1
cup: cup cups = 1
yen: yen jpy = 1
won: won krw = 1
N: N newton newtons = 1; kN = 1000
J: J joule joules = 1; kJ = 1000; MJ = 1000000
W: W watt watts = 1; mW = 1/1000; kW = 1000; MW = 1000000
V: V volt volts = 1; mV = 1/1000; kV = 1000
A: A amp amps ampere amperes = 1; mA = 1/1000
ohm: ohm ohms Omega = 1; kohm kiloohm kiloohms = 1000; Mohm megaohm megaohms = 1000000
Pa: Pa pascal pascals = 1; kPa = 1000; MPa = 1000000; atm = 101325
Hz: Hz hertz = 1; kHz = 1000; MHz = 1000000; GHz = 1000000000
K: K kelvin = 1
C: celsius C coulomb coulombs = 1
F: fahrenheit F farad farads = 1
mol: mol mols mole moles = 1
"""
_NOT_NOUNS = frozenset(
    "or and not is are be was no nor but to the a an of approximately about around approx roughly nearly almost plus "
    "minus times over divided if when where for with pi sin cos tan log ln exp sqrt maybe either neither otherwise "
    "than less more greater none all any true false yes wrong incorrect right correct each".split()
)
_FILLERS = frozenset(("unit", "units"))
MAX_NAMES, MIN_NOUN = 4, 4
_TAIL = re.compile(
    r"(?P<core>.*?(?:[\d})|.!%]|\\(?:pi|infty)|[\s}][a-z]))\s?(?!\^)"
    r"(?P<unit>(?:\\(?:degree|unit\{[A-Za-z]\}|cdot|Omega|mu)|[A-Za-z$/ ]|\^\s?\{?-?\d\}?)*)"
)
_TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")
_FACTOR = re.compile(
    r"\s*(?:(?P<over>/|per\b)|\\cdot)?\s*(?:(?P<before>square|sq|cubic|cu)\s+)?"
    r"(?P<name>\\degree|\\Omega|\\unit\{[A-Za-z]\}|[A-Za-z]+|\$)"
    r"\s*(?:\^\s?\{?(?P<power>-?\d)\}?|(?P<after>squared|cubed)\b)?\s*"
)
_POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
_FIRST = re.compile(r"\\[A-Za-z]+|[A-Za-z]+|\$|/|\^")
_MONEY = re.compile(r"([+-]?)\s?(\$|€|£|¥|USD|EUR)\s?(?=[\d.\\(])")
_MONEY_BEHIND = re.compile(r"([+-]?)(.*[\d.)}])\s?(€|£|¥|USD|EUR)", re.DOTALL)
_SINGLE = frozenset("mgshLlNJWVAKCF")
"""Units of one letter, where the text marks them as such; C is a degree Celsius or a coulomb, F likewise."""


_UNIT_FRACTION = re.compile(r"(?<=\d)\s?\\frac\s?\{\s?([A-Za-z]{1,4})\s?\}\s?\{\s?([A-Za-z]{1,4})\s?\}$")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_COMPOUND = re.compile(rf"{_PART.pattern}(?:,?\s*(?:and\s+)?{_PART.pattern}){{1,2}}")


@dataclass(frozen=True, slots=True)
class Unit:
    """What a unit measures, and its size in the base unit."""

    dimension: Dimension
    factor: Fraction


def _read_table() -> dict[str, tuple[str, Fraction]]:
    names: dict[str, tuple[str, Fraction]] = {}
    for line in _TABLE.strip().splitlines():
        base, _, entries = line.partition(": ")
        for entry in entries.split(";"):
            words, _, factor = entry.partition("=")
            names |= {word: (base, Fraction(factor.strip())) for word in words.split()}
    return names


_NAMES = _read_table()
_LOWER = {name.lower(): value for name, value in _NAMES.items() if len(name) > 2}


@lru_cache(maxsize=4096)
def split_unit(text: str) -> tuple[str, Unit | None]:
    """Split a normalised answer into its value and its unit (None if there is none).

    Example:
        >>> split_unit("12 cm ^{2}")
        ('12', Unit(dimension=(('m', 2),), factor=Fraction(1, 10000)))
        >>> split_unit("2x"), split_unit("5 or so")
        (('2x', None), ('5 or so', None))
    """
    behind = _MONEY_BEHIND.fullmatch(text)
    text = f"{behind[1]}{behind[3]}{behind[2]}" if behind is not None and not _MONEY.match(text) else text
    money = _MONEY.match(text)
    if money is not None:
        base = {"$": "$", "USD": "$", "EUR": "eur", "€": "eur", "¥": "yen"}.get(money[2], money[2])
        rest = text[money.end() :].strip()
        inner, unit = split_unit(rest)
        own = Unit(((base, 1),), Fraction(1))
        return f"{money[1]}{inner if unit == own else rest}", own
    text = _UNIT_FRACTION.sub(_as_quotient, text)
    match = _TAIL.fullmatch(text)
    if match is None or not match["unit"].strip() or len(match["unit"]) > 60:
        return text, None
    tail = match["unit"].strip()
    if not _stands_apart(match["core"], text, tail):
        return text, None
    is_unit, unit = _read(tail.replace("\\mu ", "u"))
    return (match["core"].strip(), unit) if is_unit else (text, None)


def _as_quotient(mark: re.Match[str]) -> str:
    """Write 5 \\frac{km}{h} as 5 km/h; one letter over another stays a fraction of names."""
    top, bottom = mark[1], mark[2]
    is_unit = top in _NAMES and bottom in _NAMES and len(top + bottom) > 2
    return f" {top}/{bottom}" if is_unit else mark.group()


def _stands_apart(core: str, text: str, tail: str) -> bool:
    """True if the tail is set off from the value, so that `5m` stays a product and `5 m` and `5cm` are lengths."""
    has_space = text[len(core) : len(core) + 1] == " "
    first = _FIRST.match(tail)
    word = first.group() if first else ""
    if word == "\\degree" and _TRIGONOMETRIC.search(core):
        return False
    if word.startswith("\\") or word in ("$", "/"):
        return word not in ("/", "\\cdot", "\\Omega") or has_space
    return has_space or (core[-1:].isdigit() and len(word) >= 2 and word in _NAMES)


def _read(tail: str) -> tuple[bool, Unit | None]:
    """Read a unit: products, quotients and powers of names. False if it is not a unit; None if it says nothing."""
    powers: dict[str, int] = {}
    factor, sign, position, num_names = Fraction(1), 1, 0, 0
    while position < len(tail):
        match = _FACTOR.match(tail, position)
        num_names += 1
        if match is None or num_names > MAX_NAMES:
            return False, None
        position = match.end()
        sign = -1 if match["over"] else sign
        if match["name"].lower() in _FILLERS:
            continue
        known = _lookup(match["name"])
        if known is None:
            return False, None
        power = sign * (_POWERS.get(match["before"] or match["after"] or "", 1) * int(match["power"] or 1))
        for base, direction in zip(known[0].split("/"), (1, -1), strict=False):
            powers[base] = powers.get(base, 0) + power * direction
        factor *= known[1] ** power
    dimension = tuple(sorted((base, power) for base, power in powers.items() if power))
    return True, Unit(dimension, factor) if dimension else None


def _lookup(name: str) -> tuple[str, Fraction] | None:
    """Look up a name; a word of four letters or more that is not a function word is a unit of its own."""
    word = name.removeprefix("\\unit{").removesuffix("}").lstrip("\\")
    if len(word) == 1 and word == name and word not in _SINGLE and word != "$":
        return None
    known = _NAMES.get(word) or _LOWER.get(word.lower())
    if known is not None or word.lower() in _NOT_NOUNS or len(word) < MIN_NOUN:
        return known
    return word.lower().rstrip("s"), Fraction(1)


def sum_of_units(text: str) -> tuple[str, Unit] | None:
    """Add up "1 hour 30 minutes" in its first unit; None unless the units are of one dimension and ever smaller.

    Example:
        >>> sum_of_units("1 hour and 30 minutes")
        ('3/2', Unit(dimension=(('s', 1),), factor=Fraction(3600, 1)))
    """
    if _COMPOUND.fullmatch(text) is None:
        return None
    units = [(Fraction(number), split_unit(f"{number} {name}")[1]) for number, name in _PART.findall(text)]
    known = [(number, unit) for number, unit in units if unit is not None]
    if len(known) < len(units) or len({unit.dimension for _, unit in known}) > 1:
        return None
    if any(one.factor <= next_one.factor for (_, one), (_, next_one) in pairwise(known)):
        return None
    first = known[0][1]
    return str(sum(number * unit.factor for number, unit in known) / first.factor), first
