"""A procedural composer: functional harmony, motifs, grooves and arrangements that follow a target mood.

Valence moves mode and register, arousal moves tempo, density, dynamics, articulation and style, in the order of
importance of Eerola, Friberg & Bresin 2013 (mode > tempo > register > dynamics > articulation > timbre).
"""

from __future__ import annotations

import numpy as np

from .instruments import INSTRUMENTS, fit_register
from .patterns import accompany, bass_line, drum_part
from .score import Note, Score, Track
from .styles import GRID_TEMPI, STYLES, Style

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
"""Semitones of the diatonic scales."""

TONICS = {"major": (0, 5, 7), "minor": (9, 2, 4)}
"""The few keys used: C, F and G major, A, D and E minor (they share three key signatures)."""

PROGRESSIONS = {
    "major": ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 0), (0, 5, 1, 4), (0, 3, 0, 4), (0, 2, 3, 4), (3, 4, 0, 5)),
    "minor": ((0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 4), (0, 5, 3, 4), (0, 3, 6, 2), (0, 0, 5, 4), (0, 2, 5, 4)),
}
"""Chord roots as scale degrees, one a bar; each ends where it can return to the tonic."""


def degree_pitch(degree: int, tonic: int, mode: str, octave: int) -> int:
    """MIDI pitch of a scale degree.

    Args:
        degree: scale step, 0 is the tonic; may be negative or above 6.
        tonic: pitch class of the key, 0 to 11.
        mode: "major" or "minor".
        octave: octave of degree 0 (4: middle C octave).
    """
    scale = SCALES[mode]
    return 12 * (octave + 1 + degree // 7) + tonic + scale[degree % 7]


def chord_tones(root: int, tonic: int, mode: str) -> list[int]:
    """Pitch classes of the triad on a scale degree; the dominant of a minor key gets its leading note.

    Args:
        root: scale degree of the root, 0 to 6.
        tonic: pitch class of the key.
        mode: "major" or "minor".
    """
    tones = [degree_pitch(root + step, tonic, mode, 4) % 12 for step in (0, 2, 4)]
    if mode == "minor" and root == 4:
        tones[1] = (tones[1] + 1) % 12
    return tones


def voice_lead(tones: list[int], previous: list[int] | None, centre: int) -> list[int]:
    """Voice a chord close to the previous one, so that every voice moves little.

    Args:
        tones: pitch classes of the chord.
        previous: MIDI pitches of the previous voicing, or None.
        centre: MIDI pitch around which the first chord lies.
    """
    target = float(np.mean(previous)) if previous else centre
    best: list[int] = []
    best_cost = np.inf
    for inversion in range(3):
        rotated = tones[inversion:] + tones[:inversion]
        for base_octave in range(2, 7):
            pitches = [12 * base_octave + rotated[0]]
            for tone in rotated[1:]:
                pitches.append(pitches[-1] + ((tone - pitches[-1]) % 12 or 12))
            cost = abs(float(np.mean(pitches)) - target) + 0.3 * abs(float(np.mean(pitches)) - centre)
            if previous:
                cost += sum(abs(a - b) for a, b in zip(pitches, sorted(previous), strict=False)) / 3
            if cost < best_cost:
                best, best_cost = pitches, cost
    return best


def _rhythm(rng: np.random.Generator, beats: int, density: float) -> list[tuple[float, float]]:
    """One bar of melody rhythm as (start, duration) in beats; `density` runs from 0 (long) to 1 (busy)."""
    events, position = [], 0.0
    options = np.array([2.0, 1.0, 0.5, 0.25])
    base = np.array(
        [(1 - density) ** 2 * 2.0 + 0.02, 1.1 - 0.6 * density, 0.25 + 1.3 * density, max(density - 0.45, 0)]
    )
    while position < beats - 1e-6:
        room = beats - position
        weights = np.where(options <= room + 1e-6, base, 0.0)
        length = float(rng.choice(options, p=weights / weights.sum()))
        if length == 0.25:  # sixteenths come in pairs, or they sound like mistakes
            events += [(position, 0.25), (position + 0.25, 0.25)]
            length = 0.5
        elif rng.random() > 0.08 or position == 0.0:
            events.append((position, length))
        position += length
    return events


def melody(
    rng: np.random.Generator, roots: list[int], tonic: int, mode: str, beats: int, density: float, octave: int
) -> list[tuple[float, float, int]]:
    """A tune with a motif, its repeat and an answer (A A' B A'), chord notes on strong beats.

    Args:
        rng: source of randomness.
        roots: scale degree of the chord of each bar.
        tonic: pitch class of the key.
        mode: "major" or "minor".
        beats: beats per bar.
        density: 0 (long notes) to 1 (busy).
        octave: octave of the tonic.
    """
    motifs = {"A": _rhythm(rng, beats, density), "B": _rhythm(rng, beats, min(1.0, density + 0.15))}
    contours = {key: rng.choice([-2, -1, -1, 0, 1, 1, 2], size=len(rhythm)) for key, rhythm in motifs.items()}
    form = ("A", "A", "B", "A")
    degree = int(rng.integers(2, 7))
    out: list[tuple[float, float, int]] = []
    for bar, root in enumerate(roots):
        key = form[bar % 4]
        stable = {(root + step) % 7 for step in (0, 2, 4)}
        for (start, length), step in zip(motifs[key], contours[key], strict=True):
            degree += int(step)
            if degree > 10:
                degree -= 4
            if degree < -2:
                degree += 4
            if start % 1.0 == 0.0 and start % 2.0 == 0.0:
                degree = min(
                    (d for d in range(degree - 3, degree + 4) if d % 7 in stable), key=lambda d: abs(d - degree)
                )
            pitch = degree_pitch(degree, tonic, mode, octave)
            if mode == "minor" and root == 4 and degree % 7 == 6:
                pitch += 1  # leading note over the dominant
            out.append((bar * beats + start, length, pitch))
    return out


def choose_style(rng: np.random.Generator, arousal: float) -> Style:
    """Draw a style whose usual arousal is near the target.

    Args:
        rng: source of randomness.
        arousal: target, 0 to 1.
    """
    weights = np.exp(-0.5 * ((np.array([style.arousal for style in STYLES]) - arousal) / 0.15) ** 2) + 1e-3
    return STYLES[int(rng.choice(len(STYLES), p=weights / weights.sum()))]


def choose_tempo(rng: np.random.Generator, arousal: float, spread: float = 0.12) -> float:
    """Draw a tempo in BPM from the grid, faster with arousal.

    Args:
        rng: source of randomness.
        arousal: target, 0 to 1.
        spread: standard deviation of the draw on the 0 to 1 scale.
    """
    position = np.clip(arousal + rng.normal(0, spread), 0, 0.999)
    return GRID_TEMPI[int(position * len(GRID_TEMPI))]


def compose(rng: np.random.Generator, valence: float, arousal: float, piece: str, seconds: float = 10.24) -> Score:
    """Write a piece for a target mood.

    Args:
        rng: source of randomness; the same state gives the same piece.
        valence: 0 (negative) to 1 (positive).
        arousal: 0 (calm) to 1 (excited).
        piece: identifier of the piece.
        seconds: length to fill.
    """
    style = choose_style(rng, arousal)
    tempo = choose_tempo(rng, arousal)
    mode = (
        "major" if rng.random() < np.clip(0.5 + 1.1 * (valence - 0.5) + 0.12 * style.valence, 0.03, 0.97) else "minor"
    )
    tonic = int(rng.choice(TONICS[mode]))
    beats = style.beats_per_bar
    bars = int(np.ceil(seconds * tempo / 60 / beats)) + 1
    progression = PROGRESSIONS[mode][int(rng.integers(len(PROGRESSIONS[mode])))]
    roots = [progression[bar % 4] for bar in range(bars)]
    velocity = float(np.clip(52 + 52 * arousal + rng.normal(0, 5), 40, 116))
    density = float(np.clip(0.1 + 0.75 * arousal + rng.normal(0, 0.1), 0, 1))
    legato = float(np.clip(1.0 - 0.5 * arousal + rng.normal(0, 0.06), 0.4, 1.0))

    lead = INSTRUMENTS[str(rng.choice(style.leads))]
    octave = 5 if rng.random() < 0.35 + 0.4 * valence else 4
    lead_notes = [
        Note(
            start,
            length * legato,
            fit_register(pitch, lead),
            int(np.clip(velocity + 10 + 6 * (start % beats == 0), 1, 127)),
        )
        for start, length, pitch in melody(rng, roots, tonic, mode, beats, density, octave)
    ]
    tracks = [Track(lead.name, lead.program, lead_notes, role="lead")]
    arrangement = str(rng.choice(["solo", "duo", "full"], p=[0.18, 0.27, 0.55]))
    if arrangement == "solo" and lead.polyphonic:
        arrangement = "duo-self"
    if arrangement != "solo":
        voicings: list[list[int]] = []
        for root in roots:
            voicings.append(voice_lead(chord_tones(root, tonic, mode), voicings[-1] if voicings else None, 58))
        chords = lead if arrangement == "duo-self" else INSTRUMENTS[str(rng.choice(style.chords))]
        comp = str(rng.choice(style.comp))
        tracks.append(
            Track(
                chords.name,
                chords.program,
                accompany(rng, comp, voicings, beats, velocity - 12, legato, chords, density),
            )
        )
        if arrangement == "full":
            bass_roots = [chord_tones(root, tonic, mode) for root in roots]
            if style.bass:
                bass = INSTRUMENTS[str(rng.choice(style.bass))]
                notes = bass_line(rng, str(rng.choice(style.bassline)), bass_roots, beats, velocity - 2, bass)
                tracks.append(Track(bass.name, bass.program, notes, role="bass"))
            if style.pads and rng.random() < 0.75:
                pad = INSTRUMENTS[str(rng.choice(style.pads))]
                tracks.append(
                    Track(
                        pad.name,
                        pad.program,
                        accompany(rng, "sustain", voicings, beats, velocity - 20, 1.0, pad, 0),
                        role="pad",
                    )
                )
            drums = str(rng.choice(style.drums)) if style.drums else ""
            if drums:
                tracks.append(
                    Track("drums", 0, drum_part(rng, drums, bars, beats, velocity - 2), is_drum=True, role="drums")
                )
    seed = int(rng.integers(2**31))
    return Score(tracks, tempo, beats, tonic, mode, style.name, piece, "composer", seed).clipped(seconds)
