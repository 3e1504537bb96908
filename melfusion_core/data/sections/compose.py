"""Composes a section: whole bars in a style, for a mood, that come home or lead on."""

from __future__ import annotations

import numpy as np

from melfusion_core.data.composer import choose_tempo
from melfusion_core.data.ensembles import exact_style
from melfusion_core.data.grooves import Grooves
from melfusion_core.data.sections.arrange import arrange
from melfusion_core.data.sections.form import draw_energy, draw_form, draw_rests
from melfusion_core.data.sections.plan import Plan
from melfusion_core.data.sections.progressions import section_slots
from melfusion_core.data.sections.styles import SECTION_STYLES, style_weights
from melfusion_core.data.styles import Style
from melfusion_core.score.chords import chord_names
from melfusion_core.score.keys import FLAVOURS, SCALES
from melfusion_core.score.mixing import balance
from melfusion_core.score.score import Score

SECTION_BARS = (4, 16)
"""Fewest and most bars of a section."""

_LOOPS = frozenset({"dance", "funk"})


def choose_section_style(
    rng: np.random.Generator,
    valence: float,
    arousal: float,
    beats_per_bar: int | None = None,
    name: str | None = None,
) -> Style:
    """Draw a style whose usual mood is near the target.

    Args:
        rng: source of randomness.
        valence: target, 0 to 1.
        arousal: target, 0 to 1.
        beats_per_bar: only styles in this metre, or None for any.
        name: only the style of this name, or None for any.

    Raises:
        ValueError: there is no such style, or not in that metre.
    """
    named = [style for style in SECTION_STYLES if name in (None, style.name)]
    if not named:
        raise ValueError(f"unknown style {name!r}")
    rows = [style for style in named if beats_per_bar in (None, style.beats_per_bar)]
    if not rows and name is None:
        raise ValueError(f"no style has {beats_per_bar} beats a bar; it must be 3 or 4")
    if not rows:
        raise ValueError(f"{name} is in {named[0].beats_per_bar}, not in {beats_per_bar}")
    gap = (np.array([style.arousal for style in rows]) - arousal) / 0.16
    lean = (np.array([style.valence for style in rows]) - (2 * valence - 1)) / 0.8
    weights = (np.exp(-0.5 * gap**2 - 0.5 * lean**2) + 1e-3) * style_weights(rows)
    return rows[int(rng.choice(len(rows), p=weights / weights.sum()))]


def _swing_of(rng: np.random.Generator, style: Style) -> str:
    """Swing as the grid has it: triplets, where the style swings enough."""
    if style.swing >= 0.6:
        return "eighths" if style.swing_unit == 0.5 else "sixteenths"
    if style.swing > 0.52 and style.swing_unit == 0.25:
        return "sixteenths" if rng.random() < (style.swing - 0.5) * 7 else ""
    return ""


def _mode(rng: np.random.Generator, style: Style, valence: float) -> str:
    chance = np.clip(0.5 + 2.6 * (valence - 0.5) + 0.15 * style.valence, 0.03, 0.97)
    return "major" if rng.random() < chance else "minor"


def _chords_a_bar(rng: np.random.Generator, style: Style, tempo: float) -> float:
    """Harmonic rhythm: two chords a bar where bars are long, one every other bar where they fly by."""
    seconds = style.beats_per_bar * 60 / tempo
    if style.beats_per_bar == 4 and seconds > 3.0 and style.family != "ambient" and rng.random() < 0.4:
        return 2.0
    if style.family == "functional" and style.beats_per_bar == 4 and seconds > 2.0 and rng.random() < 0.35:
        return 2.0
    if seconds < 1.7 and style.family in ("dance", "metal", "epic", "celtic", "funk") and rng.random() < 0.35:
        return 0.5
    return 0.5 if style.family == "ambient" and rng.random() < 0.3 else 1.0


def _flavour(rng: np.random.Generator, style: Style, mode: str) -> tuple[int, ...]:
    """The scale of the melody: plain, or one time in three a church mode of the style."""
    major = {"ionian", "lydian", "mixolydian"}
    fitting = [name for name in style.flavours if (name in major) == (mode == "major")]
    return FLAVOURS[str(rng.choice(fitting))] if fitting and rng.random() < 0.33 else SCALES[mode]


def _plan(rng: np.random.Generator, style: Style, valence: float, arousal: float, bars: int, closing: bool) -> Plan:
    tempo = choose_tempo(rng, arousal, limits=style.tempo, core=False)
    mode = _mode(rng, style, valence)
    tonic = int(rng.integers(12))
    beats = style.beats_per_bar
    phrases = draw_form(rng, bars, style.melody.form, closing)
    per_bar = _chords_a_bar(rng, style, tempo)
    loop = style.family in _LOOPS
    slots = section_slots(rng, style.family, mode, tonic, valence, phrases, beats, per_bar, loop)
    shape, energy = draw_energy(rng, bars)
    rests = draw_rests(rng, phrases, shape, loop or style.melody.form == "riff")
    velocity = float(np.clip(50 + 50 * arousal + rng.normal(0, 4), 42, 104))
    legato = float(np.clip(1.0 - 0.45 * arousal + 0.2 * style.legato + rng.normal(0, 0.06), 0.35, 1.0))
    return Plan(style, valence, arousal, tempo, tonic, mode, _flavour(rng, style, mode), bars, beats, phrases, slots,
                shape, energy, velocity, legato, _swing_of(rng, style), closing, rests)  # fmt: skip


def compose_section(
    rng: np.random.Generator,
    valence: float,
    arousal: float,
    piece: str,
    bars: int = 8,
    closing: bool = True,
    style: str | None = None,
    beats_per_bar: int | None = None,
    grooves: Grooves | None = None,
) -> Score:
    """Compose a section of whole bars for a mood, every note on the grid of twelve ticks a beat.

    Args:
        rng: source of randomness; the same state gives the same section.
        valence: 0 (negative) to 1 (positive).
        arousal: 0 (calm) to 1 (excited).
        piece: identifier of the piece.
        bars: whole bars, 4 to 16.
        closing: whether the last bar comes home; otherwise it leads on.
        style: name of a style, or None to draw one that suits the mood.
        beats_per_bar: metre wanted, 3 or 4, or None for the style's own.
        grooves: human drum performances to use where they fit, or None for patterns only.

    Returns:
        A score whose tracks have different roles and which knows the chord of every beat.

    Raises:
        ValueError: the bars, the style or the metre are not possible.
    """
    if not SECTION_BARS[0] <= bars <= SECTION_BARS[1]:
        raise ValueError(f"a section has {SECTION_BARS[0]} to {SECTION_BARS[1]} bars, got {bars}")
    if not (0 <= valence <= 1 and 0 <= arousal <= 1):
        raise ValueError(f"valence and arousal must lie in [0, 1], got {valence} and {arousal}")
    chosen = choose_section_style(rng, valence, arousal, beats_per_bar, style)
    plan = _plan(rng, chosen, valence, arousal, bars, closing)
    tracks = arrange(rng, plan, grooves)
    balance(tracks)
    harmony, word = plan.harmony(), exact_style(chosen.name, len(tracks))
    return Score(
        tracks, plan.tempo, plan.beats, plan.tonic, plan.mode, word, piece, "composer",
        int(rng.integers(2**31)), "full", chord_names(harmony), 0.006, harmony,
        2 / 3 if plan.swing == "eighths" else 0.5,
    )  # fmt: skip
