"""Words that the tasks are made of, hand-written: what a class would type."""

import random
from collections.abc import Sequence

PERSONS = (
    "Tom", "Anna", "Lily", "Sam", "Maria", "Ben", "Mia", "Jack", "Sara", "Leo", "Emma", "Max", "Peter", "Lucy",
    "Omar", "Ella", "Noah", "Nina", "Paul", "Kate", "Rosa", "David", "Amir", "Grace", "Oscar", "Julia", "Hugo",
    "Clara", "Felix", "Ruby", "Adam", "Zoe", "Lena", "Mark", "Eva", "Simon", "Alice", "Henry", "Ivy", "Daniel",
)  # fmt: skip

ADJECTIVES = (
    "happy", "old", "small", "big", "quiet", "clever", "lazy", "young", "brave", "tired", "friendly", "hungry",
    "green", "red", "blue", "brown", "white", "black", "clean", "new", "strong", "kind", "funny", "slow",
)  # fmt: skip

THINGS = (
    "apple", "book", "coin", "pencil", "ball", "card", "cookie", "key", "clock", "lamp", "chair", "hammer", "candle",
    "bottle", "map", "mirror", "radio", "ladder", "phone", "spoon", "window", "shoe", "hat", "bag", "guitar",
    "letter", "kite", "rope", "stamp", "cup", "basket", "blanket", "stone", "marble", "toy", "flower", "ticket",
)  # fmt: skip

PLACES = (
    "park", "school", "market", "river", "garden", "library", "station", "beach", "forest", "museum", "bakery",
    "office", "farm", "lake", "church", "hospital", "castle", "kitchen", "village", "bridge",
)  # fmt: skip

_OUTDOORS = ("river", "beach", "farm", "lake", "bridge")  # one is at these, or on them
INSIDE = tuple(place for place in PLACES if place not in _OUTDOORS)

# Category: its singular, and members; the first are the best known
CATEGORIES: dict[str, tuple[str, tuple[str, ...]]] = {
    name: (single, tuple(members.split(", ")))
    for name, single, members in (
        ("fruits", "fruit", "apple, banana, orange, grape, pear, peach, cherry, lemon, mango, plum, kiwi, strawberry"),
        ("vegetables", "vegetable", "carrot, potato, onion, cabbage, spinach, broccoli, pea, lettuce, celery, radish"),
        ("animals", "animal", "dog, cat, horse, cow, lion, tiger, elephant, rabbit, sheep, bear, fox, wolf, monkey"),
        ("birds", "bird", "eagle, owl, robin, parrot, sparrow, duck, swan, crow, penguin, pigeon, hawk, goose"),
        ("colors", "color", "red, blue, green, yellow, orange, purple, black, white, brown, pink, gray"),
        ("planets", "planet", "Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus, Neptune"),
        ("countries", "country", "France, Germany, Italy, Spain, Japan, China, Brazil, Canada, India, Egypt, Mexico"),
        ("sports", "sport", "soccer, tennis, basketball, hockey, swimming, golf, baseball, rugby, volleyball, boxing"),
        ("musical instruments", "musical instrument",
         "piano, guitar, violin, drums, flute, trumpet, cello, harp, clarinet, saxophone, trombone, accordion"),
        ("jobs", "job", "teacher, doctor, nurse, farmer, cook, driver, pilot, lawyer, baker, engineer, painter"),
        ("metals", "metal", "iron, gold, silver, copper, aluminum, tin, lead, zinc, nickel, steel, platinum"),
        ("drinks", "drink", "water, milk, tea, coffee, juice, lemonade, soda, cocoa, beer, wine"),
        ("clothes", "piece of clothing",
         "shirt, pants, coat, dress, socks, hat, skirt, sweater, jacket, gloves, scarf, shoes"),
        ("shapes", "shape", "circle, square, triangle, rectangle, oval, hexagon, pentagon, star, octagon, diamond"),
        ("trees", "tree", "oak, pine, maple, birch, willow, cedar, elm, ash, palm, beech, spruce, fir"),
        ("flowers", "flower", "rose, tulip, daisy, lily, sunflower, orchid, violet, daffodil, poppy, carnation"),
        ("insects", "insect", "ant, bee, fly, butterfly, beetle, mosquito, wasp, moth, grasshopper, cricket"),
        ("fish", "fish", "salmon, tuna, trout, cod, shark, carp, bass, herring, goldfish, catfish, eel"),
        ("languages", "language",
         "English, French, Spanish, German, Italian, Chinese, Japanese, Arabic, Russian, Portuguese, Hindi, Korean"),
        ("pieces of furniture", "piece of furniture",
         "table, chair, bed, sofa, desk, bookcase, dresser, couch, stool, bench, wardrobe, cabinet"),
        ("body parts", "body part", "head, arm, leg, hand, foot, nose, ear, eye, knee, shoulder, mouth, finger"),
        ("tools", "tool", "hammer, saw, drill, screwdriver, wrench, pliers, axe, shovel, rake, chisel, ladder"),
        ("vehicles", "vehicle", "car, bus, truck, train, bicycle, boat, motorcycle, van, airplane, taxi, ship, tram"),
        ("oceans", "ocean", "Atlantic, Pacific, Indian, Arctic, Southern"),
        ("continents", "continent", "Africa, Asia, Europe, Australia, Antarctica, North America, South America"),
        ("European cities", "European city",
         "Paris, London, Berlin, Rome, Madrid, Vienna, Amsterdam, Prague, Lisbon, Dublin, Athens, Barcelona"),
        ("American cities", "American city",
         "New York, Chicago, Boston, Miami, Seattle, Houston, Denver, Los Angeles, San Francisco, Dallas, Atlanta"),
        ("school subjects", "school subject",
         "math, science, history, art, music, geography, English, biology, chemistry, physics, literature"),
        ("farm animals", "farm animal", "cow, pig, sheep, goat, horse, chicken, duck, goose, donkey, turkey"),
        ("wild animals", "wild animal", "lion, tiger, elephant, bear, wolf, giraffe, zebra, leopard, cheetah, fox"),
        ("sea animals", "sea animal", "whale, dolphin, shark, octopus, seal, crab, squid, lobster, turtle, jellyfish"),
        ("pets", "pet", "dog, cat, hamster, rabbit, goldfish, parrot, turtle, guinea pig, fish, bird"),
        ("desserts", "dessert", "cake, pie, ice cream, pudding, cookies, brownies, cheesecake, chocolate, tiramisu"),
        ("kitchen tools", "kitchen tool", "knife, spoon, fork, pan, pot, bowl, whisk, spatula, ladle, grater, plate"),
        ("spices", "spice", "salt, pepper, cinnamon, ginger, cumin, paprika, turmeric, nutmeg, saffron, cloves"),
        ("seasons", "season", "spring, summer, autumn, winter, fall"),
        ("toys", "toy", "doll, ball, kite, puzzle, yo-yo, teddy bear, train, blocks, top, car, robot"),
        ("board games", "board game", "chess, checkers, Monopoly, Scrabble, Clue, Risk, backgammon, Go, Catan"),
        ("programming languages", "programming language",
         "Python, Java, Ruby, JavaScript, Rust, Swift, PHP, Perl, Kotlin, Go, C, Scala"),
        ("dog breeds", "dog breed",
         "Labrador, Poodle, Beagle, Bulldog, Boxer, German Shepherd, Golden Retriever, Dachshund, Husky, Chihuahua"),
        ("gases", "gas", "oxygen, nitrogen, helium, hydrogen, argon, neon, methane, carbon dioxide, xenon, chlorine"),
        ("rooms", "room", "kitchen, bedroom, bathroom, living room, dining room, attic, basement, office, garage"),
        ("cheeses", "cheese", "cheddar, brie, feta, gouda, mozzarella, parmesan, swiss, camembert, ricotta, provolone"),
        ("dances", "dance", "waltz, tango, salsa, ballet, foxtrot, samba, rumba, polka, flamenco, tap, swing"),
        ("emotions", "emotion", "joy, anger, fear, sadness, love, surprise, disgust, happiness, shame, pride, envy"),
        ("holidays", "holiday",
         "Christmas, Easter, Halloween, Thanksgiving, New Year, Hanukkah, Independence Day, Diwali, Valentine's Day"),
    )
}  # fmt: skip

NOUNS = tuple(dict.fromkeys((*THINGS, *PLACES, *(
    word for name in ("fruits", "animals", "birds", "tools", "vehicles", "insects", "pieces of furniture")
    for word in CATEGORIES[name][1]
))))  # fmt: skip


def article(word: str) -> str:
    """A word with "a" or "an" before it."""
    return f"{'an' if word[0].lower() in 'aeiou' and not word.startswith(('uni', 'Eu')) else 'a'} {word}"


def upper_first(text: str) -> str:
    """A text with its first letter as a capital, the others as they are."""
    return text[:1].upper() + text[1:]


def listed(words: Sequence[str], last: str = "and") -> str:
    """Words with commas and a last "and": a, b and c."""
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else words[0]


def sentence(rng: random.Random) -> str:
    """A short plain sentence, such as: The green lamp is in the garden."""
    name, other = rng.sample(PERSONS, 2)
    thing, place, adjective, animal = (
        rng.choice(words) for words in (THINGS, PLACES, ADJECTIVES, CATEGORIES["animals"][1])
    )
    room, number = rng.choice(INSIDE), rng.randint(2, 20)
    return rng.choice((
        f"{name} has {article(adjective)} {thing}.", f"The {animal} is at the {place}.",
        f"The {adjective} {thing} is in the {room}.", f"{name} and {other} go to the {place}.",
        f"My {thing} is {adjective}.", f"{name} likes the {adjective} {animal}.", f"We saw {number} {thing}s today.",
        f"Please bring the {thing} to {name}.", f"The {animal} sleeps near the {thing}.",
        f"{name} lost {article(thing)} in the {room}.", f"There is {article(animal)} in the {room}.",
        f"I gave {name} my {thing}.", f"Where is the {adjective} {thing}?", f"{name} is {adjective} today.",
    ))  # fmt: skip
