"""What may be said of a picture in plain words, and how often it is true.

A classifier tells breeds of dogs apart; people say dog, and whether it is one of two hundred breeds nobody here can
check. So classes are put into groups, which are said instead. How often a word of some probability is true is counted
on photographs whose themes are known, and a probability becomes a confidence by logistic regression.

Shape legend: ``n`` pictures, ``words`` of the classifiers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import logit

LEAST = 0.05  # words that are less probable say nothing of how often likely ones are true


def _places(text: str) -> tuple[int, ...]:
    """ "3, 7-9" to (3, 7, 8, 9)."""
    ends = [part.strip().split("-") for part in text.split(",")]
    return tuple(place for part in ends for place in range(int(part[0]), int(part[-1]) + 1))


GROUPS: dict[str, tuple[int, ...]] = {
    word: _places(places)
    for word, places in {
        "a shark": "2-4", "a ray": "5-6", "a fish": "0-6, 389-397", "a bird": "7-24, 80-100, 127-146",
        "a lizard": "38-48", "a snake": "52-68", "a spider": "70, 72-77", "an insect": "300-326",
        "a butterfly": "321-326", "a crab or a lobster": "118-125", "a seal": "149-150", "a dog": "151-268, 273-275",
        "a wolf or a fox": "269-272, 277-280", "a cat": "281-285", "a big cat": "286-293", "a bear": "294-297",
        "a weasel or a polecat": "356-359", "a rabbit": "330-332", "a sheep or a goat": "348-350",
        "cattle": "345-347", "a monkey": "365-384", "an elephant": "101, 385-386",
        "a car": "436, 468, 479, 511, 581, 609, 627, 656, 661, 717, 751, 817", "a truck": "555, 569, 675, 864, 867",
        "a bicycle": "444, 671, 870, 880", "a motorbike": "665, 670", "a train": "466, 547, 565, 705, 820, 829",
        "a boat or a ship": "403, 472, 484, 510, 554, 576, 625, 628, 724, 780, 814, 871, 913, 914",
        "an aircraft": "404, 405, 895, 908", "a bridge": "821, 839, 888", "a pier": "536, 718",
        "the shore": "460, 975-978", "mountains": "970, 972, 979, 980", "flowers": "738, 883, 984-986",
        "a house of prayer": "406, 442, 497, 663, 668, 832, 884, 887", "a castle or a palace": "483, 698",
        "a fence": "489, 716, 912", "a computer": "508, 527, 590, 620, 664, 673, 681, 782, 810, 878",
        "a telephone": "487, 528, 707", "a stage": "818, 819, 854",
        "musical instruments": "401, 402, 420, 432, 486, 513, 541, 546, 558, 566, 579, 593, 594, 641, 642, 683, 684, "
        "687, 699, 776, 822, 875, 881, 889",
        "someone": "399, 400, 411, 433, 445, 452, 457, 459, 474, 501, 515, 529, 560, 568, 578, 601, 608, 610, 614, "
        "617, 618, 638, 639, 643, 652, 655, 689, 691, 697, 735, 775, 793, 796, 808, 823, 824, 830, 834, 836, 837, "
        "841, 842, 869, 887, 903, 906, 981, 982",
        "doctors or nurses": "617, 691, 823, 830", "a game with a ball": "429, 430, 522, 560, 574, 768, 805, 852, "
        "890, 981", "weapons": "413, 456, 471, 657, 744, 763, 764, 847", "food": "923-965",
        "a drink": "440, 441, 504, 572, 737, 907, 966-969", "a baby": "431, 443, 516, 520, 529, 680",
        "a shop or a restaurant": "415, 454, 467, 509, 582, 762, 788, 860, 865",
    }.items()
}  # fmt: skip
"""Plain words for several classes of ImageNet together, by their places among them."""

EXACT = (
    "beach", "lakeshore", "promontory", "sandbar", "breakwater", "pier", "dock", "mountain", "valley", "cliff",
    "volcano", "church", "monastery", "mosque", "altar", "castle", "palace", "electric guitar", "acoustic guitar",
    "cello", "violin", "trombone", "grand piano", "drum", "daisy", "vase", "canoe", "sailboat", "sports car",
    "traffic light", "restaurant", "polar bear", "lion", "tiger", "chain-link fence", "picket fence", "swimming cap",
    "wine bottle", "mountain bike",
)  # fmt: skip
"""Classes that may be said by their own words though they are in a group."""

TRUE_WORDS: dict[str, tuple[str, ...]] = {
    theme: tuple(words.split(", "))
    for theme, words in {
        "alcohol": "a drink, wine bottle, cocktail shaker, restaurant",
        "ambulance": "a truck, a car, ambulance, police van", "archery": "weapons, someone", "astronaut": "someone",
        "band": "musical instruments, someone, electric guitar, a stage, trombone",
        "bar": "a shop or a restaurant, a drink, restaurant, wine bottle", "barrels": "barrel, rain barrel",
        "beach": "the shore, beach, sandbar, lakeshore, a drink, promontory", "bear": "a bear, polar bear",
        "biking": "a bicycle, mountain bike, someone", "billiards": "pool table", "bird": "a bird",
        "boat": "a boat or a ship, canoe, someone, paddle", "boxing": "someone, punching bag", "bubble": "bubble",
        "building": "a house of prayer, a castle or a palace, church, castle, palace, altar, monastery",
        "camping": "tent, a boat or a ship, canoe, someone, sleeping bag", "car": "a car, sports car", "cat": "a cat",
        "cheerleader": "someone", "clean": "lotion", "cold": "a boat or a ship, someone, mountain, mountains, ski",
        "dancing": "someone, a stage", "dessert": "food", "dock": "a pier, pier, dock, boathouse",
        "doctor": "doctors or nurses, someone, gas mask or respirator", "dog": "a dog", "elephant": "an elephant",
        "father": "someone, a baby", "fence": "a fence, chain-link fence, picket fence",
        "ferret": "a weasel or a polecat", "fireman": "someone", "flood": "the shore, a bridge",
        "flowers": "flowers, vase, daisy", "football player": "someone, a game with a ball",
        "goat": "a sheep or a goat",
        "guitar": "musical instruments, acoustic guitar, someone", "horse racing": "someone, common sorrel horse",
        "intensity": "someone", "keyboard": "a computer",
        "lake": "the shore, lakeshore, boathouse, mountains, mountain, valley, a pier, dock",
        "lamb": "a sheep or a goat", "lava": "mountains, volcano", "lion": "a big cat, lion", "meerkat": "meerkat",
        "mother": "someone, a baby", "motocross": "a motorbike, someone, crash helmet",
        "musician": "musical instruments, cello, someone",
        "nature": "the shore, lakeshore, mountains, valley, volcano, mountain", "paper": "envelope",
        "parachuting": "parachute, someone", "parade": "musical instruments, trombone, someone",
        "party": "someone, a stage", "penguins": "a bird", "performance": "a stage, someone", "phone": "a telephone",
        "picnic": "someone", "pigeon": "a bird", "roofing": "tile roof", "rugby": "someone, a game with a ball",
        "running away": "someone", "satellite": "an aircraft, space shuttle", "school": "someone", "seal": "a seal",
        "shark": "a shark, a fish", "skydiving": "parachute, someone, mountains",
        "soccer": "a game with a ball, someone", "soup": "food", "spider": "a spider, spider web",
        "stingray": "a ray, a fish", "street": "a car, traffic light",
        "sunset": "the shore, beach, lakeshore, sandbar",
        "swimming": "someone, swimming cap", "tiger": "a big cat, tiger", "toast": "a drink",
        "volcano": "mountains, volcano, mountain", "yoga": "someone, the shore, beach, sandbar", "zebra": "zebra",
        "oakland zoo otters": "otter", "perched osprey": "a bird", "canyon wren": "a bird",
        "lake sherburne": "mountains, mountain, the shore, lakeshore, valley",
        "the spices of life": "a shop or a restaurant, food", "blue periwinkle": "flowers",
        "waves midnight": "the shore", "surprise": "someone", "socks": "someone", "angry face": "someone",
        "angry pose": "someone", "bored pose": "someone", "depressed face": "someone", "frustrated pose": "someone",
        "miserable face": "someone", "neutral face": "someone", "neutral pose": "someone", "sad face": "someone",
        "sad pose": "someone", "scared face": "someone", "smiling face": "someone", "research": "someone",
    }.items()
}  # fmt: skip
"""Words that are true of the rated photographs, by theme; of others, nothing that is said counts as true."""


def candidates(words: Sequence[str], groups: Mapping[str, Sequence[int]]) -> list[tuple[str, tuple[int, ...]]]:
    """Everything that may be said, the coarse before the exact.

    Args:
        words: The classifiers' words.
        groups: Plain words with the places of the words that they stand for.

    Returns:
        Plain words, each with the places of the classes whose probabilities add up to its own.
    """
    grouped = {place for places in groups.values() for place in places}
    alone = [(word, (place,)) for place, word in enumerate(words) if place not in grouped or word in EXACT]
    return [(word, tuple(places)) for word, places in groups.items()] + alone


def fit_confidence(
    probabilities: np.ndarray, themes: Sequence[str], spoken: Sequence[tuple[str, Sequence[int]]]
) -> tuple[float, float] | None:
    """How a probability becomes a confidence.

    Args:
        probabilities: Of shape ``(n, words)``.
        themes: Theme of each picture, a key of :data:`TRUE_WORDS` where anything true of it is known.
        spoken: As :func:`candidates` gives it.

    Returns:
        Slope and offset of the log odds; ``None`` where too few words were true or false to tell.
    """
    from sklearn.linear_model import LogisticRegression

    odds, true = [], []
    for row, theme in zip(probabilities, themes, strict=True):
        for word, places in spoken:
            chance = float(row[list(places)].sum())
            if chance >= LEAST:
                odds.append(logit(min(chance, 0.999)))
                true.append(word in TRUE_WORDS.get(theme, ()))
    if min(sum(true), len(true) - sum(true)) < 10:
        return None
    line = LogisticRegression(C=1e3).fit(np.array(odds)[:, None], true)
    return float(line.coef_[0, 0]), float(line.intercept_[0])
