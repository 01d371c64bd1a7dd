"""Tasks with words: opposites, plurals, upper case, copying."""

import random

import inflect

from dllm.training.tasks.task import Operand, Question, Skill, Solved
from dllm.training.tasks.vocabulary import ADJECTIVES, CATEGORIES, NOUNS, PLACES, THINGS, sentence

# word:opposite, and after "/" what is right as well
_OPPOSITES_TEXT = """\
hot:cold big/large:small/little fast/quick:slow happy:sad/unhappy old:young/new dark:light/bright strong:weak
rich:poor early:late full:empty hard:soft/easy open:closed/shut/close up:down left:right in:out on:off yes:no good:bad
black:white day:night high:low long:short tall:short wide:narrow thick:thin heavy:light deep:shallow near:far
clean:dirty wet:dry loud:quiet/soft brave:cowardly/afraid/fearful first:last start/begin:end/finish/stop push:pull
win:lose love:hate buy:sell give:take/receive remember:forget arrive:leave/depart laugh:cry above:below before:after
inside:outside north:south east:west true:false safe:dangerous/unsafe cheap:expensive
simple:complex/complicated/difficult beautiful:ugly polite:rude smart:stupid/dumb rough:smooth sharp:dull/blunt
sweet:sour/bitter alive:dead asleep:awake present:absent/past future:past public:private ancient:modern major:minor
maximum:minimum positive:negative possible:impossible legal:illegal visible:invisible patient:impatient
correct:incorrect/wrong equal:unequal fair:unfair kind:unkind/cruel/mean lucky:unlucky usual:unusual success:failure
victory:defeat war:peace friend:enemy hero:villain question:answer summer:winter morning:evening sunrise:sunset
top:bottom front:back entrance:exit heaven:hell increase:decrease attack:defend accept:refuse/reject
appear:disappear/vanish ascend:descend create:destroy expand:contract/shrink float:sink freeze:melt/thaw import:export
lend:borrow lock:unlock pass:fail praise:criticize raise:lower rise:fall save:spend send:receive stand:sit tie:untie
whisper:shout always:never everything:nothing many:few more:less most:least often:rarely/seldom together:apart
over:under forward:backward/backwards generous:selfish/stingy/greedy guilty:innocent humble:proud/arrogant
lazy:hardworking/active noisy:quiet/silent optimistic:pessimistic tight:loose straight:crooked/curved/bent
temporary:permanent tiny:huge/giant/enormous wild:tame wise:foolish solid:liquid male:female odd:even"""
_OPPOSITE_PAIRS = tuple(tuple(side.split("/") for side in pair.split(":")) for pair in _OPPOSITES_TEXT.split())
_OPPOSITES: dict[str, list[str]] = {}  # word → its opposites, the one to say first
for _both in _OPPOSITE_PAIRS:
    for _same, _others in (_both, _both[::-1]):
        _OPPOSITES.setdefault(_same[0], list(_others))

ENGINE = inflect.engine()
_PHRASES = (
    "good morning", "open the door", "happy birthday", "thank you", "see you soon", "welcome home", "do not enter",
    "stop the car", "the end", "keep out", "no smoking", "well done", "best friends", "once upon a time", "hello world",
)  # fmt: skip


def _singular(word: str) -> bool:
    return " " not in word and word.islower() and ENGINE.singular_noun(word) is False


_SINGULARS = tuple(
    word
    for word in dict.fromkeys((
        *NOUNS, "child", "man", "woman", "mouse", "tooth", "foot", "leaf", "knife", "wife", "life", "city", "baby",
        "box", "bus", "class", "dish", "watch", "glass", "potato", "tomato", "hero", "country", "party", "story",
        "lady",
        "family", "berry", "cherry", "wolf", "shelf", "half", "loaf", "thief", "person", "goose", "ox", "brush",
        "peach",
        "bench", "branch", "church", "dress", "kiss", "boss", "match", "lunch", "wish", "tax", "fox", "girl", "boy",
        "house", "tree", "car", "day", "key", "toy", "monkey", "river", "friend", "teacher", "student", "animal",
        "idea",
    ))
    if _singular(word) and ENGINE.plural_noun(word) != word
)  # fmt: skip


def _opposite(operand: Operand) -> Solved:
    word, opposite = operand
    return Solved({"word": word}, f"The opposite of {word} is {opposite}.", {"any": _OPPOSITES[word]})


def _plural(operand: Operand) -> Solved:
    many = ENGINE.plural_noun(operand[0])
    return Solved({"word": operand[0]}, f"The plural of {operand[0]} is {many}.", {"any": [many]})


def _one(operand: Operand) -> Solved:
    many = ENGINE.plural_noun(operand[0])
    return Solved({"word": many}, f"The singular of {many} is {operand[0]}.", {"any": [operand[0]]})


def _two(operand: Operand) -> Solved:
    many = ENGINE.plural_noun(operand[0])
    return Solved({"word": operand[0]}, f"One {operand[0]}, two {many}.", {"any": [many]})


def _upper(operand: Operand) -> Solved:
    return Solved({"text": operand[0]}, operand[0].upper(), {"exactly": operand[0].upper()})


def _lower(operand: Operand) -> Solved:
    return Solved({"text": operand[0].upper()}, operand[0], {"exactly": operand[0]})


def _capital(operand: Operand) -> Solved:
    return Solved({"text": operand[0]}, operand[0].capitalize(), {"exactly": operand[0].capitalize()})


def _copied(operand: Operand) -> Solved:
    return Solved({"text": operand[0]}, operand[0], {"equal": operand[0]})


def _words(operand: Operand) -> Solved:
    text = ", ".join(operand)
    return Solved({"text": text}, text, {"equal": text})


def _text(rng: random.Random) -> Operand:
    """A word, or a phrase of two to four."""
    word, adjective, place = rng.choice(NOUNS), rng.choice(ADJECTIVES), rng.choice(PLACES)
    return (
        rng.choice((word, word, f"{adjective} {word}", f"the {adjective} {word}", f"{word} and {place}", *_PHRASES[:2],
                    rng.choice(_PHRASES), f"the {word} in the {place}")),
    )  # fmt: skip


def _sampled(rng: random.Random) -> Operand:
    words = (*THINGS, *PLACES, *CATEGORIES["animals"][1], *CATEGORIES["colors"][1])
    return tuple(rng.sample(words, rng.randint(3, 6)))


OPPOSITE_TASKS = Skill("opposites", (
    Question((
        "What is the opposite of {word}?", "What is the opposite of the word {word}?", "Give the opposite of {word}.",
        "Which word says the opposite of {word}?", "Name the opposite of {word}.",
        "What word means the opposite of {word}?",
        "Which word is the opposite of {word}?", "Tell me the opposite of {word}.", "What is the antonym of {word}?",
        "Opposite of {word}?", "Find the opposite of the word {word}.", "Can you tell me the opposite of {word}?",
    ), lambda rng: ((word := rng.choice(tuple(_OPPOSITES))), _OPPOSITES[word][0]), _opposite),
))  # fmt: skip

PLURAL_TASKS = Skill("plurals", (
    Question((
        "What is the plural of {word}?", "Give the plural of {word}.", "What is the plural form of {word}?",
        "Tell me the plural of {word}.", "Write the plural of the word {word}.", "The plural of {word} is what?",
        "Name the plural of {word}.", "Which word is the plural of {word}?", "Make the word {word} plural.",
    ), lambda rng: (rng.choice(_SINGULARS),), _plural, weight=2),
    Question((
        "What is the singular of {word}?", "Give the singular of {word}.", "What is the singular form of {word}?",
        "Tell me the singular of {word}.", "Write the singular of the word {word}.",
    ), lambda rng: (rng.choice(_SINGULARS),), _one),
    Question((
        "Complete: one {word}, two ...", "One {word}, but two what?", "Finish: one {word}, two ___",
        "Fill in the gap: one {word}, two ___", "I have one {word}. You have two. Say it as: one ..., two ...",
    ), lambda rng: (rng.choice(_SINGULARS),), _two),
))  # fmt: skip

UPPER = Skill("uppercase", (
    Question((
        "Change this to uppercase: {text}", "Write this in capital letters: {text}", "Convert to uppercase: {text}",
        "Rewrite in uppercase: {text}", "Put this in upper case: {text}", "Write in all capitals: {text}",
        "Make this uppercase: {text}", "Turn this into capital letters: {text}", "Uppercase this text: {text}",
        "Write \"{text}\" in capital letters.",
    ), _text, _upper, weight=3),
    Question((
        "Change this to lowercase: {text}", "Write this in small letters: {text}", "Convert to lowercase: {text}",
        "Rewrite in lowercase: {text}", "Put this in lower case: {text}",
    ), _text, _lower),
    Question((
        "Write this with a capital first letter: {text}", "Make the first letter a capital: {text}",
        "Capitalize only the first letter: {text}", "Start this with a capital letter: {text}",
    ), _text, _capital),
))  # fmt: skip

COPYING = Skill("copying", (
    Question((
        "Repeat after me: {text}", "Repeat this sentence: {text}", "Repeat this sentence exactly: \"{text}\"",
        "Say this back to me: {text}", "Copy this sentence: {text}", "Write this sentence again: {text}",
        "Repeat exactly what I write: {text}", "Repeat word for word: {text}", "Please repeat: {text}",
        "Copy this text exactly: {text}", "Say exactly this: {text}", "Repeat the following sentence: {text}",
    ), lambda rng: (sentence(rng),), _copied, weight=3),
    Question((
        "Copy these words: {text}", "Repeat these words: {text}", "Write these words again: {text}",
        "Say these words back to me: {text}", "Repeat this list: {text}", "Copy this list exactly: {text}",
    ), _sampled, _words),
))  # fmt: skip
