"""General MIDI instruments the corpus may use, with ranges and words for captions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Instrument:
    """One General MIDI sound.

    Args:
        name: the class name, used in metadata.
        program: General MIDI program, 0 to 127.
        low: lowest comfortable MIDI pitch.
        high: highest comfortable MIDI pitch.
        family: instrument family.
        words: other ways a caption may name it.
        sustained: whether a held note keeps sounding (bow, breath, organ).
        polyphonic: whether one player can play chords.
        arousal: how exciting the sound is, -1 (soft) to 1 (piercing).
        lead: whether it may carry the melody alone (these are the classes a caption can ask for).
        valence: how cheerful the sound is, -1 (sombre) to 1 (bright and merry).
    """

    name: str
    program: int
    low: int
    high: int
    family: str
    words: tuple[str, ...] = ()
    sustained: bool = False
    polyphonic: bool = False
    arousal: float = 0.0
    lead: bool = True
    valence: float = 0.0


_ROWS = [
    Instrument("piano", 0, 36, 96, "keys", ("grand piano", "pianoforte"), polyphonic=True),
    Instrument("electric piano", 4, 40, 88, "keys", ("Rhodes", "e-piano"), polyphonic=True, arousal=-0.3, valence=0.1),
    Instrument("harpsichord", 6, 41, 86, "keys", ("cembalo",), polyphonic=True, arousal=0.2),
    Instrument("celesta", 8, 60, 100, "mallets", ("celeste",), polyphonic=True, arousal=-0.5, valence=0.3),
    Instrument("music box", 10, 60, 98, "mallets", ("musical box",), polyphonic=True, arousal=-0.7, valence=0.3),
    Instrument("vibraphone", 11, 53, 89, "mallets", ("vibes",), polyphonic=True, arousal=-0.4, valence=0.1),
    Instrument("marimba", 12, 45, 92, "mallets", ("wooden mallets",), polyphonic=True, arousal=0.0, valence=0.4),
    Instrument("xylophone", 13, 65, 100, "mallets", (), polyphonic=True, arousal=0.4, valence=0.6),
    Instrument("tubular bells", 14, 60, 79, "mallets", ("church bells",), polyphonic=True, arousal=0.1, lead=False),
    Instrument("organ", 16, 36, 96, "organ", ("Hammond organ", "electric organ"), True, True, 0.3, valence=0.1),
    Instrument("church organ", 19, 36, 96, "organ", ("pipe organ",), True, True, 0.2, valence=-0.4),
    Instrument("accordion", 21, 53, 89, "organ", ("squeezebox",), True, True, 0.2, valence=0.4),
    Instrument("harmonica", 22, 60, 84, "organ", ("mouth organ",), True, False, 0.1, valence=0.2),
    Instrument(
        "acoustic guitar",
        24,
        40,
        83,
        "guitar",
        ("nylon guitar", "classical guitar"),
        polyphonic=True,
        arousal=-0.4,
        valence=0.2,
    ),
    Instrument(
        "steel guitar",
        25,
        40,
        83,
        "guitar",
        ("steel-string guitar", "folk guitar"),
        polyphonic=True,
        arousal=-0.1,
        valence=0.3,
    ),
    Instrument("electric guitar", 27, 40, 86, "guitar", ("clean electric guitar",), polyphonic=True, arousal=0.1),
    Instrument(
        "distorted guitar", 30, 40, 86, "guitar", ("overdriven guitar", "heavy guitar"), True, True, 1.0, valence=-0.4
    ),
    Instrument("acoustic bass", 32, 28, 55, "bass", ("upright bass", "double bass"), arousal=-0.2, lead=False),
    Instrument("electric bass", 33, 28, 55, "bass", ("bass guitar",), arousal=0.1, lead=False),
    Instrument("synth bass", 38, 28, 55, "bass", (), True, False, 0.5, lead=False),
    Instrument("violin", 40, 55, 96, "strings", ("fiddle",), True, False, 0.2),
    Instrument("viola", 41, 48, 84, "strings", (), True, False, 0.0, valence=-0.3),
    Instrument("cello", 42, 36, 76, "strings", ("violoncello",), True, False, -0.1, valence=-0.5),
    Instrument("contrabass", 43, 28, 55, "strings", (), True, False, -0.1, lead=False, valence=-0.3),
    Instrument(
        "tremolo strings", 44, 40, 90, "strings", ("trembling strings",), True, True, 0.6, lead=False, valence=-0.7
    ),
    Instrument(
        "pizzicato strings", 45, 40, 90, "strings", ("plucked strings",), polyphonic=True, arousal=0.1, valence=0.4
    ),
    Instrument("harp", 46, 36, 96, "strings", (), polyphonic=True, arousal=-0.6, valence=0.3),
    Instrument("timpani", 47, 36, 57, "percussion", ("kettledrums",), arousal=0.6, lead=False),
    Instrument("strings", 48, 36, 92, "strings", ("string ensemble", "string section"), True, True, 0.0, valence=-0.1),
    Instrument("slow strings", 49, 36, 92, "strings", ("warm strings",), True, True, -0.6, lead=False, valence=-0.3),
    Instrument("choir", 52, 48, 80, "voice", ("vocal choir", "choral voices"), True, True, -0.2, valence=-0.3),
    Instrument("voice oohs", 53, 48, 80, "voice", ("humming voices",), True, True, -0.5, lead=False),
    Instrument("orchestra hit", 55, 48, 72, "orchestra", (), arousal=1.0, lead=False),
    Instrument("trumpet", 56, 54, 86, "brass", (), True, False, 0.6, valence=0.4),
    Instrument("trombone", 57, 40, 72, "brass", (), True, False, 0.4),
    Instrument("tuba", 58, 29, 55, "brass", (), True, False, 0.2, lead=False),
    Instrument("muted trumpet", 59, 54, 82, "brass", (), True, False, 0.2, valence=0.1),
    Instrument("french horn", 60, 41, 77, "brass", ("horn",), True, False, 0.1, valence=-0.1),
    Instrument("brass section", 61, 41, 84, "brass", ("brass", "horn section"), True, True, 0.8, valence=0.2),
    Instrument("soprano sax", 64, 56, 87, "reeds", (), True, False, 0.2, valence=0.1),
    Instrument("saxophone", 66, 44, 76, "reeds", ("tenor sax", "sax"), True, False, 0.3),
    Instrument("oboe", 68, 58, 91, "reeds", (), True, False, 0.0, valence=-0.2),
    Instrument("bassoon", 70, 34, 72, "reeds", (), True, False, -0.1, valence=-0.3),
    Instrument("clarinet", 71, 50, 91, "reeds", (), True, False, -0.1, valence=0.2),
    Instrument("piccolo", 72, 74, 102, "pipes", (), True, False, 0.4, valence=0.6),
    Instrument("flute", 73, 60, 96, "pipes", ("transverse flute",), True, False, -0.2, valence=0.5),
    Instrument("pan flute", 75, 60, 96, "pipes", ("panpipes",), True, False, -0.4, valence=0.2),
    Instrument("whistle", 78, 60, 96, "pipes", ("tin whistle",), True, False, 0.0, valence=0.6),
    Instrument("ocarina", 79, 60, 84, "pipes", (), True, False, -0.5, valence=0.4),
    Instrument("square lead", 80, 48, 96, "synth", ("chiptune synth", "8-bit synth"), True, True, 0.5, valence=0.3),
    Instrument("saw lead", 81, 48, 96, "synth", ("synth lead", "sawtooth synth"), True, True, 0.8, valence=-0.1),
    Instrument("warm pad", 89, 36, 90, "synth", ("synth pad", "soft pad"), True, True, -0.8, valence=-0.1),
    Instrument("polysynth", 90, 36, 90, "synth", ("synth chords",), True, True, 0.2, lead=False),
    Instrument("choir pad", 91, 36, 90, "synth", ("space voices",), True, True, -0.5, lead=False),
    Instrument("bowed pad", 92, 36, 90, "synth", ("glass pad",), True, True, -0.6, lead=False, valence=-0.4),
    Instrument("halo pad", 94, 36, 90, "synth", ("airy pad",), True, True, -0.6, lead=False),
    Instrument("crystal", 98, 55, 96, "synth", ("crystal bells",), polyphonic=True, arousal=-0.5, valence=0.1),
    Instrument("sitar", 104, 48, 84, "world", (), polyphonic=True, arousal=0.1, valence=-0.1),
    Instrument("banjo", 105, 48, 84, "world", (), polyphonic=True, arousal=0.3, valence=0.7),
    Instrument("koto", 107, 48, 88, "world", (), polyphonic=True, arousal=-0.1, valence=-0.1),
    Instrument("kalimba", 108, 55, 91, "world", ("thumb piano",), polyphonic=True, arousal=-0.3, valence=0.5),
    Instrument("steel drums", 114, 52, 84, "mallets", ("steelpan",), polyphonic=True, arousal=0.4, valence=0.8),
    Instrument("honky-tonk piano", 3, 40, 91, "keys", ("saloon piano",), polyphonic=True, arousal=0.2, valence=0.5),
    Instrument("clavinet", 7, 40, 84, "keys", ("clavi",), polyphonic=True, arousal=0.3, lead=False, valence=0.2),
    Instrument("glockenspiel", 9, 67, 103, "mallets", ("orchestra bells",), polyphonic=True, arousal=0.0, valence=0.5),
    Instrument("dulcimer", 15, 48, 84, "world", ("hammered dulcimer",), polyphonic=True, arousal=0.1, valence=0.1),
    Instrument("rock organ", 18, 36, 91, "organ", ("overdriven organ",), True, True, 0.6, lead=False),
    Instrument("harmonium", 20, 41, 86, "organ", ("reed organ", "pump organ"), True, True, -0.1, valence=-0.1),
    Instrument("bandoneon", 23, 53, 89, "organ", ("tango accordion",), True, True, 0.1, valence=-0.3),
    Instrument(
        "jazz guitar", 26, 40, 84, "guitar", ("hollow-body guitar",), polyphonic=True, arousal=-0.2, valence=0.1
    ),
    Instrument("muted guitar", 28, 40, 84, "guitar", ("palm-muted guitar",), polyphonic=True, arousal=0.3, lead=False),
    Instrument("overdriven guitar", 29, 40, 86, "guitar", ("crunchy guitar",), True, True, 0.8, lead=False),
    Instrument("picked bass", 34, 28, 55, "bass", ("rock bass",), arousal=0.3, lead=False),
    Instrument("fretless bass", 35, 28, 55, "bass", (), True, False, -0.2, lead=False),
    Instrument("slap bass", 36, 28, 55, "bass", ("funk bass",), arousal=0.4, lead=False),
    Instrument("deep synth bass", 39, 28, 55, "bass", ("sub bass",), True, False, 0.4, lead=False),
    Instrument("synth strings", 50, 36, 92, "synth", ("string synth",), True, True, -0.2, lead=False),
    Instrument("synth brass", 62, 41, 86, "synth", ("analog brass",), True, True, 0.5, valence=0.1),
    Instrument("alto sax", 65, 49, 82, "reeds", ("alto saxophone",), True, False, 0.2, valence=0.1),
    Instrument("baritone sax", 67, 36, 68, "reeds", ("bari sax",), True, False, 0.3, lead=False),
    Instrument("english horn", 69, 52, 81, "reeds", ("cor anglais",), True, False, -0.3, valence=-0.5),
    Instrument("recorder", 74, 60, 91, "pipes", ("block flute",), True, False, -0.2, valence=0.3),
    Instrument("shakuhachi", 77, 55, 84, "pipes", ("bamboo flute",), True, False, -0.4, valence=-0.3),
    Instrument("calliope lead", 82, 53, 96, "synth", ("calliope", "flute synth"), True, True, 0.1, lead=False),
    Instrument("new age pad", 88, 36, 90, "synth", ("bell pad",), True, True, -0.6, lead=False),
    Instrument("sweep pad", 95, 36, 90, "synth", ("filtered pad",), True, True, -0.4, lead=False),
    Instrument("shamisen", 106, 50, 79, "world", (), polyphonic=True, arousal=0.3, lead=False),
    Instrument("bagpipes", 109, 58, 81, "world", ("pipes",), True, False, 0.6, valence=0.2),
    Instrument("fiddle", 110, 55, 93, "strings", ("country fiddle",), True, False, 0.3, lead=False, valence=0.5),
]

INSTRUMENTS: dict[str, Instrument] = {row.name: row for row in _ROWS}
"""All pitched instruments, by class name."""

LEAD_INSTRUMENTS: tuple[str, ...] = tuple(row.name for row in _ROWS if row.lead)
"""Instruments that may carry a melody: the classes a caption can ask for."""


def fit_register(pitch: int, instrument: Instrument) -> int:
    """Move a pitch by octaves into an instrument's range.

    Args:
        pitch: MIDI note number.
        instrument: whose range to respect.
    """
    while pitch < instrument.low:
        pitch += 12
    while pitch > instrument.high:
        pitch -= 12
    return pitch + 12 if pitch < instrument.low else pitch
