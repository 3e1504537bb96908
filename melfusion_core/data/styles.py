"""Styles of the procedural composer: what each one plays, how fast, and how it grooves."""

from __future__ import annotations

from dataclasses import dataclass

BEAT_FRAMES = (8.0, 7.0, 6.0, 5.0, 4.0, 3.5, 3.0)
"""Beat lengths in latent frames of 0.128 s. Beats that fall on the latent grid are far easier to learn."""

GRID_TEMPI = tuple(60.0 / (0.128 * frames) for frames in BEAT_FRAMES)
"""Tempi in BPM: 58.6, 67.0, 78.1, 93.8, 117.2, 133.9 and 156.3."""


@dataclass(frozen=True)
class Style:
    """A way of arranging.

    Args:
        name: word used in captions.
        words: synonyms for captions.
        arousal: centre of the style on the arousal axis, 0 (calm) to 1 (excited).
        valence: shift of the chance of a major key, -1 to 1.
        leads: instruments that may carry the melody.
        chords: instruments for the accompaniment.
        bass: instruments for the bass line (empty: none).
        pads: instruments for sustained harmony (empty: none).
        comp: accompaniment patterns.
        bassline: bass patterns.
        drums: drum patterns (empty: none).
        beats_per_bar: 3 or 4.
    """

    name: str
    words: tuple[str, ...]
    arousal: float
    valence: float
    leads: tuple[str, ...]
    chords: tuple[str, ...]
    bass: tuple[str, ...] = ()
    pads: tuple[str, ...] = ()
    comp: tuple[str, ...] = ("block",)
    bassline: tuple[str, ...] = ("root",)
    drums: tuple[str, ...] = ()
    beats_per_bar: int = 4


STYLES = (
    Style("ambient", ("ambient soundscape", "drone", "atmospheric piece"), 0.05, -0.1,
          ("celesta", "vibraphone", "electric piano", "pan flute", "warm pad", "choir"), ("warm pad", "halo pad"),
          pads=("bowed pad", "slow strings", "choir pad"), comp=("sustain",)),
    Style("lullaby", ("cradle song", "bedtime tune"), 0.1, 0.5,
          ("music box", "celesta", "harp", "flute", "kalimba"), ("harp", "music box", "acoustic guitar"),
          pads=("slow strings",), comp=("arpeggio",), beats_per_bar=3),
    Style("ballad", ("slow ballad", "love song"), 0.25, 0.1,
          ("piano", "saxophone", "violin", "electric piano", "cello"), ("piano", "acoustic guitar", "electric piano"),
          ("acoustic bass", "electric bass"), ("strings",), ("arpeggio", "block"), ("root", "root-fifth"),
          ("brushes", "")),
    Style("classical", ("chamber music", "classical piece"), 0.35, 0.2,
          ("piano", "violin", "flute", "clarinet", "oboe", "harpsichord"), ("piano", "harpsichord", "strings"),
          ("cello", "contrabass"), (), ("alberti", "block"), ("root",)),
    Style("lo-fi", ("lo-fi beat", "chillhop"), 0.3, 0.0,
          ("electric piano", "vibraphone", "electric guitar", "saxophone"), ("electric piano", "electric guitar"),
          ("electric bass",), (), ("block", "offbeat"), ("root-fifth",), ("lofi",)),
    Style("bossa nova", ("bossa", "Brazilian groove"), 0.45, 0.5,
          ("acoustic guitar", "flute", "saxophone", "piano"), ("acoustic guitar", "piano"),
          ("acoustic bass",), (), ("bossa",), ("root-fifth",), ("bossa",)),
    Style("waltz", ("waltz in three",), 0.45, 0.3,
          ("violin", "accordion", "piano", "clarinet", "harp"), ("accordion", "strings", "piano"),
          ("contrabass", "acoustic bass"), (), ("waltz",), ("root",), (), 3),
    Style("folk", ("folk tune", "country dance"), 0.55, 0.5,
          ("steel guitar", "harmonica", "accordion", "violin", "banjo", "flute"), ("steel guitar", "acoustic guitar"),
          ("acoustic bass",), (), ("strum", "arpeggio"), ("root-fifth",), ("shaker", "")),
    Style("choral", ("choir piece", "hymn"), 0.2, 0.0,
          ("choir", "church organ"), ("church organ", "choir"), (), (), ("hymn",)),
    Style("cinematic", ("film score", "epic orchestral piece"), 0.65, -0.4,
          ("french horn", "strings", "brass section", "choir", "trumpet", "cello"), ("strings", "tremolo strings"),
          ("contrabass", "tuba"), ("choir", "strings"), ("ostinato", "sustain"), ("root", "pulse"), ("epic", "")),
    Style("march", ("marching band piece", "parade music"), 0.7, 0.5,
          ("trumpet", "brass section", "clarinet", "trombone"), ("brass section", "trombone"),
          ("tuba",), (), ("offbeat",), ("root-fifth",), ("march",)),
    Style("jazz", ("swing tune", "jazz combo"), 0.6, 0.3,
          ("saxophone", "trumpet", "piano", "clarinet", "vibraphone"), ("piano", "electric guitar"),
          ("acoustic bass",), (), ("charleston",), ("walking",), ("swing",)),
    Style("funk", ("funky groove", "disco"), 0.75, 0.4,
          ("saxophone", "brass section", "electric guitar", "organ"), ("electric guitar", "organ"),
          ("electric bass",), (), ("sixteenth", "offbeat"), ("octave",), ("funk",)),
    Style("chiptune", ("8-bit game music", "video game tune"), 0.8, 0.3,
          ("square lead",), ("square lead",), ("synth bass",), (), ("fastarp",), ("octave",), ("chip",)),
    Style("techno", ("electronic dance track", "house beat"), 0.9, -0.1,
          ("saw lead", "square lead"), ("polysynth", "saw lead"), ("synth bass",), ("warm pad",),
          ("offbeat", "sixteenth"), ("pulse", "octave"), ("four",)),
    Style("rock", ("driving rock", "hard rock"), 0.92, -0.2,
          ("distorted guitar", "electric guitar", "organ"), ("distorted guitar",),
          ("electric bass",), (), ("power",), ("pulse",), ("rock",)),
    Style("metal", ("heavy metal", "aggressive metal"), 1.0, -0.8,
          ("distorted guitar",), ("distorted guitar",), ("electric bass",), (), ("power",), ("pulse",), ("double",)),
)  # fmt: skip
"""All styles, roughly from calm to excited."""

# Drum patterns: per bar of 16 (or 12) sixteenth steps, (GM drum note, steps, accent).
KICK, SNARE, RIM, CLAP, HAT, PEDAL, OPEN, CRASH, RIDE, TAMB, SHAKER, TOM = (
    36,
    38,
    37,
    39,
    42,
    44,
    46,
    49,
    51,
    54,
    82,
    45,
)
DRUMS: dict[str, tuple[tuple[int, tuple[int, ...], int], ...]] = {
    "brushes": ((KICK, (0, 8), -14), (RIM, (4, 12), -10), (PEDAL, (0, 4, 8, 12), -25)),
    "lofi": ((KICK, (0, 7, 10), 0), (SNARE, (4, 12), -8), (HAT, (0, 2, 4, 6, 8, 10, 12, 14), -22)),
    "bossa": ((KICK, (0, 6, 8, 14), -6), (RIM, (0, 3, 6, 10, 13), -4), (SHAKER, tuple(range(0, 16, 2)), -18)),
    "shaker": ((SHAKER, tuple(range(0, 16, 2)), -12), (KICK, (0, 8), -6), (TAMB, (4, 12), -12)),
    "epic": ((TOM, (0, 3, 6, 8, 11, 14), 6), (KICK, (0, 8), 8), (CRASH, (0,), -10)),
    "march": ((SNARE, (0, 3, 4, 6, 8, 11, 12, 14), -4), (KICK, (0, 8), 4), (CRASH, (4, 12), -22)),
    "swing": ((RIDE, (0, 4, 7, 8, 12, 15), -10), (PEDAL, (4, 12), -12), (KICK, (0,), -14), (SNARE, (11,), -18)),
    "funk": ((KICK, (0, 3, 10), 4), (SNARE, (4, 12), 6), (HAT, tuple(range(16)), -16), (OPEN, (14,), -10)),
    "chip": ((KICK, (0, 8), 2), (SNARE, (4, 12), 2), (HAT, tuple(range(0, 16, 2)), -12)),
    "four": ((KICK, (0, 4, 8, 12), 10), (CLAP, (4, 12), 2), (OPEN, (2, 6, 10, 14), -8), (HAT, tuple(range(16)), -20)),
    "rock": ((KICK, (0, 2, 8, 10), 8), (SNARE, (4, 12), 10), (HAT, tuple(range(0, 16, 2)), -2), (CRASH, (0,), -10)),
    "double": ((KICK, tuple(range(16)), 4), (SNARE, (4, 12), 12), (RIDE, tuple(range(0, 16, 4)), 0), (CRASH, (0,), 0)),
}  # fmt: skip
"""Drum patterns by name: (General MIDI percussion note, sixteenth steps, velocity offset)."""
