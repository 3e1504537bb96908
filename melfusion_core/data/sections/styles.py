"""Styles of sections: the composer's own, those of the ensembles that play scores, and some of both in three."""

from __future__ import annotations

from dataclasses import replace

from melfusion_core.data.ensembles import STYLE_WORDS
from melfusion_core.data.phrases import MelodyCharacter
from melfusion_core.data.styles import STYLES, Style


def _style(name: str, arousal: float, valence: float, tempo: tuple[float, float], family: str, leads: tuple[str, ...],
           chords: tuple[str, ...], bass: tuple[str, ...] = (), **rest: object) -> Style:  # fmt: skip
    return Style(name, STYLE_WORDS[name][1:], arousal, valence, tempo, family, leads, chords, bass, **rest)  # type: ignore[arg-type]


def _sing(**values: object) -> MelodyCharacter:
    return MelodyCharacter(**values)  # type: ignore[arg-type]


_ENSEMBLES = (
    _style("piano piece", 0.38, 0.0, (55, 140), "functional", ("piano",), ("piano",), ("piano",),
           comp=("alberti", "broken tens", "arpeggio", "block and rise", "rolling", "triplet arp"),
           bassline=("root", "two", "root-fifth"), legato=0.4, melody=_sing(syncopation=0.1, leaps=0.3), solo=0.25),
    _style("art song", 0.35, -0.1, (55, 120), "functional",
           ("violin", "cello", "flute", "clarinet", "oboe", "viola", "english horn", "choir", "french horn"),
           ("piano",), ("piano",), comp=("triplet arp", "broken tens", "arpeggio", "block", "pop eighths"),
           bassline=("root", "two"), legato=0.6, melody=_sing(syncopation=0.05, leaps=0.3), solo=0.0),
    _style("string ensemble", 0.45, -0.1, (60, 140), "functional", ("violin",), ("viola", "violin"), ("cello",),
           comp=("eighths", "block", "sustain", "offbeat", "quarters"), bassline=("root", "two", "walking", "pulse"),
           melody=_sing(syncopation=0.05, leaps=0.3), solo=0.0),
    _style("woodwind ensemble", 0.45, 0.2, (65, 140), "functional",
           ("flute", "oboe", "clarinet", "recorder", "piccolo"), ("clarinet", "oboe", "french horn", "english horn"),
           ("bassoon",), comp=("block", "offbeat", "quarters", "sustain"), bassline=("two", "root", "walking"),
           legato=-0.1, melody=_sing(syncopation=0.05, leaps=0.3), solo=0.0),
    _style("brass ensemble", 0.72, 0.1, (75, 145), "march", ("trumpet", "trombone", "french horn", "brass section"),
           ("french horn", "trombone"), ("tuba",), comp=("hymn", "afterbeat", "marcato", "sustain"),
           bassline=("two", "root", "pulse"), legato=-0.2, melody=_sing(syncopation=0.05, leaps=0.4), solo=0.0),
    _style("orchestral music", 0.6, -0.1, (60, 150), "functional",
           ("violin", "strings", "flute", "oboe", "french horn", "trumpet", "clarinet"),
           ("strings", "tremolo strings", "pizzicato strings", "french horn"), ("contrabass", "cello"),
           pads=("strings", "french horn"), comp=("ostinato", "tremolo", "block", "eighths", "sustain", "offbeat"),
           bassline=("root", "pulse", "two", "pedal"), drums=("pulse", "epic"),
           melody=_sing(syncopation=0.0, leaps=0.35), solo=0.0),
    _style("organ piece", 0.4, -0.25, (55, 110), "functional", ("church organ",), ("church organ",),
           ("church organ",), comp=("hymn", "sustain", "quarters", "arpeggio"), bassline=("root", "walking", "two"),
           legato=0.8, melody=_sing(syncopation=0.0, leaps=0.15), solo=0.15),
    _style("guitar piece", 0.3, 0.1, (60, 120), "folk", ("acoustic guitar", "steel guitar"),
           ("acoustic guitar",), ("acoustic guitar",), comp=("travis", "arpeggio", "strum", "slow arpeggio"),
           bassline=("root", "two", "root-fifth"), legato=0.4, melody=_sing(syncopation=0.2, leaps=0.25), solo=0.3),
    _style("harpsichord piece", 0.52, 0.0, (65, 130), "functional", ("harpsichord",), ("harpsichord",),
           ("harpsichord",), comp=("arpeggio", "rolling", "quarters", "alberti"), bassline=("walking", "two"),
           legato=-0.2, melody=_sing(syncopation=0.0, leaps=0.25), solo=0.2),
    _style("music box tune", 0.08, 0.4, (55, 100), "folk", ("music box", "celesta", "kalimba"), ("music box",
           "celesta", "kalimba"), comp=("arpeggio", "slow arpeggio", "alberti"), legato=0.4,
           melody=_sing(syncopation=0.0, leaps=0.25), solo=0.1),
    _style("synth music", 0.6, -0.1, (75, 140), "dance", ("saw lead", "square lead", "synth brass", "crystal"),
           ("polysynth", "synth strings", "synth brass"), ("synth bass", "deep synth bass"),
           pads=("warm pad", "synth strings"), comp=("synth arp", "eighths", "gate", "pop eighths", "tresillo"),
           bassline=("octave", "pulse", "root"), drums=("synthwave", "chip", "four"), human_drums=("rock", "pop"),
           melody=_sing(syncopation=0.4), solo=0.0),
    _style("old-time song", 0.5, 0.4, (75, 150), "jazz",
           ("saxophone", "trumpet", "clarinet", "piano", "muted trumpet", "alto sax", "honky-tonk piano", "harmonica"),
           ("piano", "jazz guitar"), ("acoustic bass",), comp=("oompah", "charleston", "freddie", "block and rise"),
           bassline=("two", "walking"), drums=("brushes", "swing"), swing=0.62,
           melody=_sing(syncopation=0.35, chromatic=0.2, leaps=0.3), solo=0.0),
)  # fmt: skip
"""Styles named like the ensembles of score excerpts, with the instruments that make the name true."""

_THREE: dict[str, dict[str, object]] = {
    "classical": {"comp": ("alberti3", "waltz", "eighths3", "waltz block"), "bassline": ("root", "two")},
    "baroque": {"comp": ("hymn3", "jig arpeggio", "waltz arpeggio"), "bassline": ("walking", "two")},
    "folk": {"comp": ("waltz strum", "waltz arpeggio"), "bassline": ("waltz", "two"), "drums": ()},
    "jazz": {"comp": ("jazz waltz", "waltz block"), "bassline": ("walking", "root-fifth"), "drums": ("waltz ride",)},
    "ballad": {"comp": ("waltz arpeggio", "rolling3", "waltz block"), "bassline": ("root",), "drums": ()},
    "choral": {"comp": ("hymn3", "sustain")},
    "piano piece": {"comp": ("waltz", "alberti3", "rolling3", "waltz arpeggio"), "bassline": ("root", "waltz")},
    "art song": {"comp": ("waltz arpeggio", "eighths3", "waltz block"), "bassline": ("root",)},
    "string ensemble": {"comp": ("eighths3", "waltz", "sustain"), "bassline": ("root", "two", "walking")},
    "woodwind ensemble": {"comp": ("waltz", "hymn3", "sustain"), "bassline": ("two", "root")},
    "orchestral music": {"comp": ("waltz", "ostinato3", "eighths3"), "bassline": ("root", "pulse"), "drums": ()},
    "guitar piece": {"comp": ("waltz arpeggio", "waltz strum"), "bassline": ("root",)},
    "harpsichord piece": {"comp": ("jig arpeggio", "alberti3", "hymn3"), "bassline": ("walking", "two")},
    "organ piece": {"comp": ("hymn3", "sustain"), "bassline": ("root", "walking")},
    "cinematic": {"comp": ("ostinato3", "eighths3", "sustain"), "bassline": ("root", "pulse", "pedal"), "drums": ()},
    "ambient": {"comp": ("sustain", "slow waltz")},
    "world": {"comp": ("waltz arpeggio", "slow waltz"), "drums": ()},
    "music box tune": {"comp": ("waltz arpeggio", "slow waltz", "jig arpeggio")},
    "old-time song": {"comp": ("waltz", "waltz block"), "bassline": ("waltz", "two"), "drums": ("waltz",),
                      "swing": 0.5},
    "metal": {"comp": ("power3",), "bassline": ("gallop", "pulse"), "drums": (), "human_drums": ()},
}  # fmt: skip
"""What changes where a style is in three."""

_MORE_COMP: dict[str, tuple[str, ...]] = {
    "ballad": ("broken tens", "pop eighths"), "bossa nova": ("push",), "samba": ("montuno",), "house": ("tresillo",),
    "jazz": ("push",), "synthwave": ("pop eighths",), "disco": ("pop eighths",), "tango": ("tresillo",),
    "lo-fi": ("push", "slow hits"), "hip hop": ("slow hits",), "cinematic": ("triplet arp",),
    "new age": ("broken tens",), "country": ("freddie",), "rock": ("half ring",), "ambient": ("slow hits",),
    "blues": ("triplet arp",),
}  # fmt: skip
"""Accompaniment patterns that sections add to a style's own."""

_FOURS = tuple(replace(style, comp=(*style.comp, *_MORE_COMP.get(style.name, ()))) for style in (*STYLES, *_ENSEMBLES))

SECTION_STYLES: tuple[Style, ...] = (
    *_FOURS,
    *(replace(style, beats_per_bar=3, **_THREE[style.name]) for style in _FOURS if style.name in _THREE),
)
"""All styles of sections; a name may stand here twice, in four and in three."""

IN_THREE_SHARE = 0.3
"""How likely the version in three of a style is against the one in four."""


def style_weights(rows: tuple[Style, ...] | list[Style]) -> list[float]:
    """How likely each style is before any mood: versions in three are rarer.

    Args:
        rows: some of `SECTION_STYLES`.
    """
    return [IN_THREE_SHARE if style.beats_per_bar == 3 and style.name in _THREE else 1.0 for style in rows]
