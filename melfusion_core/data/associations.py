"""What a picture may sound like: a table from what is shown to styles and lead instruments, and the rule beside it.

The table names what most people would expect (a church: organ and choir; a city at night: synthesizers or jazz). What
it does not name is decided by likeness of words: a scene goes with the rows whose words it is near to, and a little
with styles whose own words it is near to, in the space of the caption encoder. Where nothing is near, every style is
about as likely.

Shape legend: ``scenes`` meanings to be judged, ``dim`` of the space of words, ``styles`` of :data:`STYLE_WORDS`,
``leads`` of ``LEAD_INSTRUMENTS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from melfusion_core.data.ensembles import ENSEMBLES
from melfusion_core.data.styles import STYLES
from melfusion_core.score.instruments import LEAD_INSTRUMENTS

STYLE_WORDS: tuple[str, ...] = tuple(dict.fromkeys([each.style for each in ENSEMBLES] + [s.name for s in STYLES]))
"""Every style that a piece of the corpus may have."""
NEARNESS = 0.07
"""Likeness of words at which a row counts e times less."""
FADE = 0.75
"""Weight of a row's second style or instrument relative to its first, and so on."""
GENERAL = 0.15
"""Share of the rule that goes by the styles' and instruments' own words."""
FLOOR = 0.05
"""Share that is spread evenly: nothing is impossible."""


@dataclass(frozen=True)
class Association:
    """What some scenes sound like.

    Args:
        scenes: Words for what is shown.
        styles: Styles that go with it, the likeliest first.
        leads: Instruments that may carry the tune, the likeliest first.
    """

    scenes: tuple[str, ...]
    styles: tuple[str, ...]
    leads: tuple[str, ...]


def _row(scenes: str, styles: str, leads: str) -> Association:
    return Association(*(tuple(part.strip() for part in text.split(",")) for text in (scenes, styles, leads)))


ASSOCIATIONS: tuple[Association, ...] = (
    # Places of faith and of death.
    _row("church, cathedral, altar, monastery, chapel, priest", "organ piece, choral, baroque", "church organ, choir"),
    _row("mosque, temple, stupa, palace in India, bazaar, spices", "world", "sitar, dulcimer, shakuhachi"),
    _row("cemetery, grave, funeral, memorial, war memorial", "choral, string ensemble, organ piece, art song",
         "choir, cello, church organ, violin"),
    _row("ruin, ancient stones, megalith, colosseum", "orchestral music, cinematic, choral",
         "french horn, strings, choir, oboe"),
    # Land.
    _row("desert, sand dunes, camel, dry canyon", "world", "sitar, dulcimer, shakuhachi, oboe"),
    _row("mountains, alps, valley, cliff, eagle", "orchestral music, cinematic, brass ensemble, celtic",
         "french horn, strings, pan flute, trumpet"),
    _row("forest, woods, trees, path through a forest, tree bark", "woodwind ensemble, folk, celtic, new age",
         "flute, clarinet, oboe, recorder, pan flute"),
    _row("jungle, rain forest, waterfall", "world, new age", "kalimba, marimba, pan flute"),
    _row("meadow, flowers, garden, butterfly, grass, spring", "folk, classical, waltz, bossa nova",
         "flute, violin, acoustic guitar, clarinet, harp"),
    _row("farm, barn, hay field, tractor, cowboy, horse, horse racing", "country, folk, blues",
         "banjo, harmonica, steel guitar, honky-tonk piano"),
    _row("camping, tent, campfire, picnic, hiking", "folk, guitar piece, country",
         "acoustic guitar, harmonica, steel guitar"),
    _row("green hills, sheep, lamb, highlands", "celtic, folk", "bagpipes, whistle, harp, violin"),
    _row("savanna, lion, tiger, elephant, zebra, giraffe", "world, cinematic, samba", "kalimba, marimba, french horn"),
    # Water.
    _row("beach, seashore, palm trees, lagoon, summer holiday", "bossa nova, reggae, guitar piece",
         "acoustic guitar, steel drums, flute, vibraphone, marimba"),
    _row("tropical island, parrot, carnival", "samba, reggae, ska", "steel drums, flute, alto sax, trombone"),
    _row("stormy sea, ocean waves, shipwreck, pirate ship", "cinematic, orchestral music, celtic",
         "strings, french horn, brass section, violin"),
    _row("harbour, sailing boat, lighthouse, fishing, dock, pier", "folk, celtic, waltz",
         "accordion, whistle, harmonica, violin"),
    _row("under water, coral reef, fish, jellyfish, whale, diving", "ambient, new age, lo-fi",
         "crystal, vibraphone, celesta, warm pad"),
    _row("shark, danger in the water", "cinematic, orchestral music", "cello, strings, brass section"),
    _row("lake, river, pond, canoe, swan", "new age, classical, woodwind ensemble, piano piece",
         "harp, flute, piano, clarinet"),
    _row("rain, rainy street, umbrella, rainy window", "lo-fi, piano piece, ballad, jazz",
         "piano, electric piano, vibraphone, muted trumpet"),
    _row("flood, muddy water", "blues, art song, string ensemble", "harmonica, cello, steel guitar"),
    # Sky and season.
    _row("snow, ice, winter, skiing, polar bear, penguin", "music box tune, classical, ambient, waltz",
         "celesta, glockenspiel, music box, crystal, harp"),
    _row("Christmas, presents, candles", "choral, music box tune, brass ensemble", "choir, glockenspiel, music box"),
    _row("sunset, dusk, evening sky", "ballad, guitar piece, lo-fi, bossa nova",
         "acoustic guitar, saxophone, electric piano, piano"),
    _row("sunrise, morning, blue sky with clouds, rainbow", "new age, classical, orchestral music",
         "flute, harp, oboe, strings"),
    _row("night sky, stars, moon, northern lights", "ambient, new age, piano piece",
         "warm pad, crystal, celesta, pan flute"),
    _row("space, galaxy, planet, nebula, satellite, astronaut", "ambient, synth music, synthwave",
         "warm pad, crystal, saw lead, choir"),
    _row("grey sky, fog, bare tree, autumn, desolation", "string ensemble, art song, piano piece, ambient",
         "cello, english horn, viola, piano"),
    _row("thunderstorm, lightning, tornado, hurricane", "cinematic, metal, orchestral music",
         "strings, brass section, distorted guitar, choir"),
    _row("volcano, lava, fire, explosion, burning house", "metal, rock, cinematic",
         "distorted guitar, brass section, saw lead"),
    # Cities and machines.
    _row("city at night, skyline, neon lights, tower", "synthwave, jazz, lo-fi, house",
         "saw lead, saxophone, muted trumpet, electric piano"),
    _row("busy street, traffic, tram, taxi, shops, market", "funk, jazz, ska, hip hop",
         "saxophone, trumpet, organ, electric guitar"),
    _row("modern building, glass architecture, office", "house, synth music, lo-fi",
         "piano, vibraphone, saw lead, electric piano"),
    _row("graffiti, alley, basketball, skateboard", "hip hop, funk", "electric piano, synth brass, vibraphone"),
    _row("factory, machine, industry, robot, power lines, pollution", "techno, synth music, metal",
         "saw lead, square lead, distorted guitar"),
    _row("computer, laptop, keyboard, circuit, screen", "chiptune, synth music, house", "square lead, saw lead"),
    _row("video game, arcade, pixel art", "chiptune", "square lead"),
    _row("sports car, race car, motorcycle, speed", "rock, synthwave, metal",
         "distorted guitar, electric guitar, saw lead"),
    _row("parachuting, skydiving, mountain bike, extreme sport", "rock, techno, house",
         "electric guitar, distorted guitar, saw lead"),
    _row("train, railway, steam locomotive, old truck", "blues, country", "harmonica, steel guitar, banjo"),
    _row("ambulance, fire engine, police, emergency", "techno, rock, hip hop",
         "saw lead, distorted guitar, synth brass"),
    # People and what they do.
    _row("party, festival, dance floor, night club, crowd of dancers", "techno, house, disco, samba",
         "saw lead, synth brass, piano, brass section"),
    _row("confetti, balloons, birthday, celebration, fireworks", "disco, samba, ska, brass ensemble",
         "brass section, trumpet, synth brass, steel drums"),
    _row("concert, stage, rock band, electric guitar", "rock, funk, metal",
         "electric guitar, distorted guitar, saxophone"),
    _row("parade, marching band, flags, soldiers in uniform", "march, brass ensemble",
         "trumpet, brass section, trombone, piccolo"),
    _row("battlefield, war, cannon, tank, missile", "march, cinematic, metal",
         "brass section, trumpet, french horn, distorted guitar"),
    _row("stadium, soccer, football, sport, boxing", "rock, march, funk, hip hop",
         "electric guitar, brass section, trumpet, distorted guitar"),
    _row("castle, knight, armour, throne, palace", "baroque, harpsichord piece, brass ensemble, celtic",
         "harpsichord, trumpet, recorder, french horn"),
    _row("ballroom, wedding, gown, bride", "waltz, string ensemble, ballad", "violin, strings, harp, piano"),
    _row("dancing couple, flamenco, passion", "tango, waltz, samba", "bandoneon, violin, accordion"),
    _row("ballet, theatre, opera, cello, orchestra", "orchestral music, classical, string ensemble",
         "strings, violin, cello, flute"),
    _row("cafe, restaurant, wine, dinner table", "jazz, bossa nova, tango",
         "jazz guitar, accordion, saxophone, piano"),
    _row("bar, pub, beer, whiskey", "blues, jazz, celtic", "harmonica, saxophone, honky-tonk piano"),
    _row("circus, carousel, clown, amusement park", "waltz, march, ska",
         "accordion, piccolo, glockenspiel, xylophone"),
    _row("cradle, baby, mother and child, teddy bear, bed", "lullaby, music box tune",
         "music box, celesta, harp, kalimba"),
    _row("school, children playing, playground, toys", "folk, music box tune, ska",
         "recorder, glockenspiel, xylophone, ocarina"),
    _row("library, books, letter, paper, desk", "piano piece, harpsichord piece, classical",
         "piano, harpsichord, viola, clarinet"),
    _row("old photograph, gramophone, typewriter, antique clock", "old-time song, jazz, waltz",
         "honky-tonk piano, clarinet, muted trumpet"),
    _row("hospital, doctor, surgery, laboratory", "ambient, piano piece, synth music",
         "electric piano, piano, warm pad, crystal"),
    _row("portrait, face of a person, woman, man", "ballad, piano piece, art song", "piano, violin, saxophone"),
    _row("sad person, tears, loneliness, depression", "art song, ballad, string ensemble, piano piece",
         "cello, piano, violin, english horn"),
    _row("smiling person, laughing friends", "funk, folk, disco, ska", "acoustic guitar, piano, trumpet, harmonica"),
    _row("angry person, scream, fear", "metal, hip hop, cinematic", "distorted guitar, strings, synth brass"),
    _row("yoga, meditation, sitting still", "new age, ambient", "pan flute, shakuhachi, harp, koto"),
    # Animals and things.
    _row("dog, puppy, pet", "folk, country, ska", "whistle, acoustic guitar, harmonica, clarinet"),
    _row("cat, kitten", "lo-fi, jazz, waltz", "clarinet, vibraphone, electric piano, pizzicato strings"),
    _row("bird, songbird, pigeon", "woodwind ensemble, classical", "flute, piccolo, recorder, ocarina"),
    _row("insect, spider, bee, snail", "classical, chiptune", "pizzicato strings, xylophone, bassoon"),
    _row("monkey, snake, lizard", "world, samba", "marimba, oboe, sitar, bassoon"),
    _row("cake, dessert, fruit, candy, food", "bossa nova, waltz, disco",
         "vibraphone, flute, xylophone, acoustic guitar"),
    _row("japanese garden, kimono, pagoda, tea ceremony", "world, new age", "koto, shakuhachi"),
    _row("dark corridor, prison, cave, skull, haunted house", "cinematic, ambient, hip hop",
         "cello, bassoon, choir, warm pad"),
    _row("abstract shapes, pattern, stripes, geometry", "synth music, lo-fi, techno, chiptune",
         "vibraphone, marimba, crystal, square lead"),
    _row("colours, paint, splashes of colour", "lo-fi, funk, bossa nova", "electric piano, vibraphone, marimba"),
)  # fmt: skip
"""The table, checked by its test: every style and instrument is one of the corpus."""


class Associations:
    """The table and the rule, in a space of words.

    Args:
        embed: Places words in that space: texts to an array of shape ``(texts, dim)``. Likeness is the product with a
            text's direction; for texts as long as one another it is the cosine.
        table: The rows.

    Raises:
        ValueError: When a row names a style or instrument that is none, or the table is empty.
    """

    def __init__(
        self, embed: Callable[[Sequence[str]], np.ndarray], table: Sequence[Association] = ASSOCIATIONS
    ) -> None:
        if not table:
            raise ValueError("the table of associations is empty")
        words = [scene for row in table for scene in row.scenes]
        self._rows = np.repeat(np.arange(len(table)), [len(row.scenes) for row in table])
        self._scenes = _directions(embed(words))
        self._by_style = np.stack([_fading(row.styles, STYLE_WORDS) for row in table])
        self._by_lead = np.stack([_fading(row.leads, LEAD_INSTRUMENTS) for row in table])
        self._styles, self._leads = _directions(embed(STYLE_WORDS)), _directions(embed(LEAD_INSTRUMENTS))

    def chances(self, scenes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What goes with some scenes.

        Args:
            scenes: Their meanings in the space of words, of shape ``(scenes, dim)``.

        Returns:
            Chances of each of :data:`STYLE_WORDS`, of shape ``(scenes, styles)``, and of each of ``LEAD_INSTRUMENTS``,
            of shape ``(scenes, leads)``; rows sum to 1.
        """
        likeness = scenes @ self._scenes.T
        best = np.full((len(scenes), len(self._by_style)), -np.inf)
        for row in range(best.shape[1]):
            best[:, row] = likeness[:, self._rows == row].max(axis=1)
        weights = softmax(best / NEARNESS, axis=1)
        return (
            _blend(weights @ self._by_style, scenes @ self._styles.T),
            _blend(weights @ self._by_lead, scenes @ self._leads.T),
        )


def _directions(points: np.ndarray) -> np.ndarray:
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)


def _fading(named: Sequence[str], known: Sequence[str]) -> np.ndarray:
    unknown = set(named) - set(known)
    if unknown or not named:
        raise ValueError(f"unknown in the table of associations: {', '.join(sorted(unknown)) or 'an empty row'}")
    chances = np.zeros(len(known))
    chances[[known.index(each) for each in named]] = FADE ** np.arange(len(named))
    return chances / chances.sum()


def _blend(by_table: np.ndarray, likeness: np.ndarray) -> np.ndarray:
    by_words = softmax(likeness / NEARNESS, axis=1)
    return (1.0 - GENERAL - FLOOR) * by_table + GENERAL * by_words + FLOOR / by_words.shape[1]
