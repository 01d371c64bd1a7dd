"""What user turns are about: openings that the model finishes itself, and whole questions from word lists.

Hand-written, so that the data holds what a class would type. `draw` mixes them with turns the model makes up alone.
"""

import random

OPENINGS: tuple[str, ...] = (
    "What is the capital of", "What is the largest", "Who wrote", "Who invented", "When did", "Where is the",
    "Why is the", "How does a", "How do you make", "What is the difference between", "What color is", "How many",
    "Which planet", "Explain in one sentence what", "Explain to a child why", "Define the word",
    "What does the word", "Tell me about", "Tell me a fun fact about", "Give me an example of",
    "Give three tips for", "List three", "List five", "Name two", "Name a famous", "Write a short story about",
    "Write a short poem about", "Write one sentence about", "Write a haiku about", "Write a short email to",
    "Write a Python function that", "Write a line of Python that", "Write a for loop that",
    "Rewrite this sentence in the past tense:", "Rewrite this sentence politely:", "Make this sentence shorter:",
    "Correct the spelling:", "Summarize this in one sentence:", "Finish the sentence:", "Is it true that", "Is a",
    "Yes or no:", "True or false:", "Can a", "Do all", "What is the opposite of", "Give a synonym for",
    "What comes after", "If Tom has", "Anna has", "A box holds", "What is the sum of", "What is half of",
    "Count from", "Once upon a time", "I want to learn", "Help me", "Describe a", "Describe the", "Compare",
    "What should I do if", "Suggest a name for",
)  # fmt: skip

TEMPLATES: tuple[str, ...] = (
    "What is the capital of {country}?", "Where is {country}?", "Which language do people speak in {country}?",
    "What is the opposite of {adjective}?", "Give a word that means the same as {adjective}.",
    "What is {a} + {b}?", "What is {a} plus {b}?", "What is {c} - {b}?", "What is {b} times {b2}?",
    "Is {a} greater than {c}?", "Count from {b} to {c}.",
    "If I have {a} {thing}s and get {b} more, how many {thing}s do I have?",
    "{name} has {c} {thing}s and gives away {b}. How many are left?", "Name three {group}.", "List five {group}.",
    "List some {group}.", "Write a short story about a {adjective} {animal}.",
    "Write a short story about {name} and a {animal}.", "Write a short poem about the {place}.",
    "Write one sentence about a {animal}.", "What do {animal}s eat?", "Where do {animal}s live?",
    "What sound does a {animal} make?", "Is a {animal} a {group1}?", "What is a {thing} used for?",
    "Describe a {thing} in one sentence.", "Tell me about the {place}.", "What can I see at the {place}?",
    "What color is a {fruit}?", "Is a {fruit} a fruit or a vegetable?", "How do I cook a {fruit}?",
    "Rewrite in the past tense: {name} walks to the {place}.", "Rewrite politely: Give me the {thing}.",
    "Rewrite in uppercase: {adjective} {animal}", "Spell the word {animal}.",
    "What letter does {animal} start with?", "Repeat after me: the {adjective} {animal}",
    "Use the word {adjective} in a sentence.", "Say hello to {name}.", "Write a Python function that {task}.",
    "Write one line of Python that {task}.", "What does {keyword} do in Python?", "What is {science}?",
    "Explain {science} in one sentence.", "Who was {person}?", "What is {person} known for?",
    "What day comes after {day}?", "What month comes before {month}?", "What are you?", "Who are you?", "Hello!",
    "Can you help me with {science}?", "Give me three tips for {activity}.", "Why is {activity} good for you?",
    "Name the capital of {country}.", "Which city is the capital of {country}?", "Which continent is {country} in?",
    "What is the capital city of {country}?", "What is the currency of {country}?", "Is {country} a country?",
    "What food is {country} known for?", "Write one sentence about {country}.", "Tell me about {country}.",
    "Give the opposite of {adjective}.", "What is the opposite of the word {adjective}?",
    "What does {adjective} mean?", "Write a sentence with the words {adjective} and {thing}.",
    "What is {a} minus {b}?", "What is {c} minus {b}?", "Add {a} and {b}.", "Subtract {b} from {c}.",
    "What is {b} multiplied by {b2}?", "What is {b} plus {b2}?", "What is {b} + {b2}?", "What is double {b}?",
    "Which number comes after {a}?", "Which number comes before {a}?", "Count from 1 to {b}.", "Count to {b}.",
    "Which number is larger, {a} or {c}?", "Is {a} an even number?", "Is {a} bigger than {b}?",
    "{name} has {a} {thing}s and buys {b} more. How many {thing}s does {name} have now?",
    "There are {c} {animal}s and {b} run away. How many are left?", "{name} reads {b} pages a day. How many in a week?",
    "Repeat the word {animal}.", "Repeat this sentence: The {animal} is {adjective}.",
    "Copy this text: {adjective} {thing}", "Say the word {thing}.", "Write the word {animal} in uppercase.",
    "Write {thing} in capital letters.", "Write the word {animal} backwards.",
    "Put these words in order: {thing}, {animal}",
    "Yes or no: can a {animal} fly?", "Yes or no: is a {animal} an animal?", "Yes or no: is {fruit} a fruit?",
    "Is the {thing} alive?", "Is a {animal} an animal?", "Is a {fruit} an animal?", "Can a {animal} swim?",
    "Does a {animal} have legs?", "Is {activity} good for your health?", "Is {person} a real person?",
    "Which of these is a fruit: {fruit}, {animal} or {thing}?",
    "Which of these is an animal: {thing}, {animal} or {fruit}?",
    "Which one is an animal, a {thing} or a {animal}?", "Is {fruit} in this list: {thing}, {fruit}, {animal}?",
    "Pick the animal from this list: {thing}, {fruit}, {animal}", "Name one of the {group}.", "Name two {group}.",
    "What is a {animal}?", "What is a {thing}?", "Describe a {animal} in one sentence.", "What is the {place} like?",
    "Write a short story about a {animal} and a {thing}.", "Write a short story about {name} at the {place}.",
    "Write a two-sentence story about a {adjective} {thing}.", "Write a poem about a {animal}.",
    "Write a short message to {name} about {activity}.", "Write a slogan for a {thing}.",
    "Give me a fact about {country}.",
    "Give me a fun fact about {animal}s.", "How does {science} work?", "Why is {science} important?",
    "What is the difference between a {thing} and a {animal}?", "How can I get better at {activity}?",
    "Write Python code that {task}.", "Write a Python lambda that {task}.", "Show me a Python function that {task}.",
    "How do I use {keyword} in Python?", "Rewrite in the past tense: {name} sees a {adjective} {animal}.",
    "Rewrite as a question: {name} likes the {place}.", "Make this plural: one {thing}",
    "Fill in the missing word: The {animal} is very ___.", "Correct this sentence: {name} have a {thing}.",
    "Finish this sentence: The {adjective} {animal} went to the {place} and",
    "Name the capital city of {country}.", "{country}: what is its capital?", "I am in {country}. Where am I?",
    "Name the antonym of {adjective}.", "The opposite of {adjective} is what?", "Name a synonym of {adjective}.",
    "What word means the opposite of {adjective}?", "Give the opposite of the word {adjective}.",
    "{b} x {b2} = ?", "What is {b} x {b2}?", "{a} + {b} = ?", "{c} - {b} = ?", "What is {a} divided by 2?",
    "{name} has {b} {thing}s and finds {b2} more. How many {thing}s does {name} have?",
    "How many legs do {b} {animal}s have?", "A {thing} costs {b} dollars. How much do {b2} {thing}s cost?",
    "List the numbers from {b} to {c}.", "Write the numbers from 1 to {b2}.", "Count from {b} to {c}.",
    "Write the numbers from {b} to {c}, separated by commas.", "Count from 10 to {a}.",
    "Change this word to uppercase: {thing}", "Convert to uppercase: {animal}", "Reverse the word {thing}.",
    "Spell {animal} backwards.", "Write this in capital letters: the {adjective} {animal}",
    "Is a {thing} an animal? Begin your answer with Yes or No.", "Is {a} greater than {c}? Answer yes or no.",
    "Answer with yes or no: is a {animal} a {group1}?", "Answer with yes or no: can a {animal} swim?",
    "Is the {animal} {adjective}? Answer yes or no.", "Can you eat a {fruit}? Begin your answer with Yes or No.",
    "Find the animal in this list: {fruit}, {thing}, {animal}",
    "Find the country in this list: {thing}, {country}, {fruit}",
    "Which word is a fruit: {thing}, {fruit}, {animal}?", "Which word is a name: {thing}, {name}, {animal}?",
    "Which of these is a day: {thing}, {day} or {animal}?",
    "Yes or no: is {fruit} one of these: {thing}, {fruit}, {animal}?",
    "Name one example of a {group1}.", "Name an animal that lives near the {place}.", "Name a famous person.",
    "Write a one-line Python function that {task}.", "Write a short Python function that {task}.",
    "Write a Python function named {function} that {task}.", "Write a Python function called {function} that {task}.",
    "Write a Python function named {function} that {task}. Only code, no explanation.",
    "Tell me a short story about a {adjective} {thing}.", "Tell a story in three sentences about the {place}.",
    "Write a bedtime story about a {animal}.", "Write a haiku about the {place}.", "Write four lines about a {thing}.",
    "List five things to bring to the {place}.", "List three things to do in {country}.",
    "Suggest five names for a {animal}.",
    "List four reasons to try {activity}.", "Explain {science} to a child.",
    "Explain in simple words how {science} works.",
    "What is {science}? Explain it in two sentences.", "I want to start {activity}. What do you advise?",
    "How should I prepare for {activity}?", "Describe a {adjective} {place}.", "Describe a {thing} to a child.",
    "Describe a {animal} in three sentences.", "Write a short email to {name} about a {thing}.",
    "Write an email to {name}: I cannot come to the {place}.", "Write a polite email about a {thing} that is broken.",
    "Turn this into a question: {name} has a {adjective} {thing}.", "Rewrite this politely: Bring me the {thing} now.",
    "Say this in simpler words: {name} purchased a {adjective} {thing}.",
    *(before + sentence + after for before, after in (
        ("Repeat this sentence exactly: \"", "\""), ("Repeat after me: ", ""), ("Say this back to me: ", ""),
        ("Repeat this sentence word for word: \"", "\""), ("Repeat exactly what I write: ", ""),
    ) for sentence in (
        "{name} has a {adjective} {thing}.", "The {animal} is at the {place}.", "We like {activity}.",
        "On {day} it is {adjective}.", "{name} and {animal}s are friends.",
    )),
)  # fmt: skip

WORDS: dict[str, tuple[str, ...]] = {
    "country": (
        "France", "Germany", "Italy", "Spain", "Japan", "China", "India", "Brazil", "Canada", "Mexico", "Egypt",
        "Kenya", "Australia", "Greece", "Norway", "Sweden", "Poland", "Turkey", "Peru", "Chile", "Cuba", "Ireland",
        "Portugal", "Russia", "Austria", "Denmark", "Finland", "Thailand", "Vietnam", "England", "Argentina",
        "Nigeria", "Belgium", "Switzerland", "Hungary", "Iran", "Iraq", "Morocco", "Ghana", "Nepal", "Pakistan",
        "Indonesia", "Scotland", "Wales", "Iceland", "Colombia", "Venezuela", "Ethiopia", "Saudi Arabia", "Israel",
        "the United States", "South Korea", "New Zealand", "the Netherlands", "Ukraine", "Romania", "Bulgaria",
    ),
    "adjective": (
        "hot", "big", "fast", "happy", "old", "dark", "strong", "rich", "early", "full", "hard", "brave", "quiet",
        "clean", "cheap", "wet", "kind", "tall", "open", "lucky", "angry", "clever", "lonely", "tiny", "empty",
        "young", "bright", "small", "slow", "sad", "new", "light", "weak", "poor", "late", "soft", "easy", "loud",
        "dirty", "expensive", "dry", "cruel", "short", "closed", "cold", "warm", "good", "bad", "long", "heavy", "thin",
        "thick", "sweet", "bitter", "near", "wide", "deep", "safe", "true", "rough", "smooth", "polite", "wild",
    ),
    "thing": (
        "apple", "book", "coin", "pencil", "ball", "card", "cookie", "key", "clock", "lamp", "chair", "hammer",
        "candle", "bottle", "map", "mirror", "bicycle", "radio", "ladder", "phone", "table", "spoon", "window", "boat",
        "train", "shoe", "hat", "bag", "guitar", "piano", "camera", "letter", "kite", "bridge", "rope", "brush",
        "stamp", "cup", "basket", "blanket", "stone", "sticker", "marble", "toy", "knife", "door", "flower", "ticket",
    ),
    "animal": (
        "dog", "cat", "lion", "rabbit", "horse", "cow", "fox", "owl", "bear", "duck", "frog", "mouse", "tiger",
        "whale", "elephant", "penguin", "dragon", "turtle", "snake", "bee", "monkey", "wolf", "sheep", "goat", "pig",
        "chicken", "eagle", "parrot", "shark", "dolphin", "spider", "butterfly", "kangaroo", "camel", "deer",
        "squirrel", "hamster", "crocodile", "giraffe", "zebra", "lizard", "bat", "crab", "ant", "robin", "salmon",
    ),
    "group": (
        "fruits", "colors", "animals", "countries", "planets", "vegetables", "musical instruments", "sports",
        "birds", "European cities", "things in a kitchen", "types of music", "programming languages", "oceans",
        "school subjects", "reasons to read", "healthy snacks", "jobs", "kinds of weather", "famous scientists",
    ),
    "group1": ("mammal", "bird", "fish", "reptile", "pet"),
    "place": (
        "sea", "forest", "moon", "school", "park", "city", "desert", "library", "market",
        "mountain", "river", "zoo",
    ),
    "fruit": ("banana", "tomato", "carrot", "lemon", "potato", "strawberry", "cucumber", "grape", "pumpkin", "pear"),
    "name": (
        "Tom", "Anna", "Lily", "Sam", "Maria", "Ben", "Mia", "Jack", "Sara", "Leo", "Emma", "Max", "Peter", "Lucy",
        "Omar", "Ella", "Noah", "Nina", "Paul", "Kate", "Rosa", "David", "Amir", "Grace",
    ),
    "task": (
        "adds two numbers", "reverses a string", "prints hello world", "returns the largest number in a list",
        "checks if a number is even", "counts the vowels in a word", "squares a number", "sorts a list",
        "computes the factorial of n", "sums a list", "returns the length of a string",
        "prints the numbers from 1 to 10", "returns the smaller of two numbers", "returns the first element of a list",
        "converts a string to lowercase", "checks if a string is empty", "multiplies two numbers", "doubles a number",
        "returns the average of a list", "removes spaces from a string", "returns the last character of a string",
        "checks if a number is positive", "subtracts b from a", "returns the absolute value of a number",
        "joins a list of words", "counts how often a letter occurs in a word", "returns the sum of three numbers",
        "checks if a list contains a value", "reverses a list", "returns the perimeter of a rectangle",
    ),
    "function": (
        "add", "solve", "compute", "check", "helper", "convert", "find", "get_value", "my_function", "process", "f",
        "calculate", "transform", "is_valid", "combine", "measure",
    ),
    "keyword": ("print", "len", "a for loop", "def", "import", "range", "if", "a list", "append", "return"),
    "science": (
        "gravity", "photosynthesis", "an atom", "energy", "evolution", "a volcano", "the water cycle",
        "electricity", "DNA", "a black hole", "climate change", "magnetism", "the internet", "a computer",
        "an algorithm", "machine learning",
    ),
    "person": (
        "Albert Einstein", "Marie Curie", "Isaac Newton", "William Shakespeare", "Leonardo da Vinci",
        "Charles Darwin", "Ada Lovelace", "Galileo", "Mozart", "Cleopatra", "Alan Turing", "Abraham Lincoln",
    ),
    "activity": ("reading", "running", "sleeping well", "cooking", "studying", "swimming", "saving money", "walking"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "month": ("January", "March", "April", "June", "July", "September", "October", "December"),
}  # fmt: skip


def draw(rng: random.Random) -> tuple[str, bool]:
    """The start of a user turn and whether it is whole: a quarter made up, a quarter opened, half written out."""
    kind = rng.randrange(4)
    if kind == 0:
        return "", False
    if kind == 1:
        return rng.choice(OPENINGS), False
    small, more = rng.randint(1, 9), rng.randint(1, 9)
    numbers = {"a": rng.randint(2, 30), "b": small, "b2": more, "c": small + rng.randint(1, 12)}
    words = {name: rng.choice(choices) for name, choices in WORDS.items()}
    return rng.choice(TEMPLATES).format(**words, **numbers), True
