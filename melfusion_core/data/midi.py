"""Excerpts from real scores: read, cut at a downbeat, re-paced to the tempo grid, transposed and re-orchestrated."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np

from .composer import TONICS, choose_tempo
from .instruments import INSTRUMENTS, LEAD_INSTRUMENTS, Instrument, fit_register
from .score import Note, Score, Track

logger = logging.getLogger(__name__)

MAJOR_PROFILE = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR_PROFILE = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
"""Key profiles of Krumhansl & Kessler (1982)."""

PACK_STYLES = {
    "openscore_lieder": "art song", "openscore_orchestra": "orchestral music", "openscore_quartets": "string quartet",
    "freedoom": "rock", "tanner_helland": "game music", "openewld_pre1931": "old-time song", "mutopia_pd": "classical",
}  # fmt: skip
"""Style word of each score pack."""

PACK_FOLDERS = {
    "ms_OpenScore_Lieder": "openscore_lieder", "ms_MarkGotham_Hauptstimme": "openscore_orchestra",
    "ms_sq": "openscore_quartets", "freedoom": "freedoom", "tanner_helland": "tanner_helland",
    "openewld_pre1931": "openewld_pre1931", "mutopia_pd": "mutopia_pd",
}  # fmt: skip
"""Folder inside each pack's archive -> pack name (drum-only performances are not pieces and stay out)."""

PACK_WEIGHTS = {
    "openscore_lieder": 0.16, "openscore_orchestra": 0.12, "openscore_quartets": 0.08, "freedoom": 0.26,
    "tanner_helland": 0.12, "openewld_pre1931": 0.14, "mutopia_pd": 0.12,
}  # fmt: skip
"""Share of each pack: band packs are repeated, the large classical one is capped."""

COMMON_LEADS = frozenset({
    "piano", "electric piano", "harpsichord", "music box", "vibraphone", "organ", "church organ", "accordion",
    "acoustic guitar", "electric guitar", "distorted guitar", "violin", "cello", "harp", "choir", "trumpet",
    "brass section", "saxophone", "clarinet", "flute", "square lead", "saw lead",
})  # fmt: skip
"""Leads drawn five times as often as the others: a small model learns a narrower world better."""


class ScoreError(ValueError):
    """A score file cannot be used; the message says why."""


@dataclass
class Piece:
    """A score read from a file, times in beats.

    Args:
        name: identifier of the work, "<pack>/<file stem>".
        pack: name of the score pack.
        parts: one list of notes per part, percussion excluded.
        programs: General MIDI program of each part.
        drums: percussion notes.
        beats_per_bar: from the first time signature (3 or 4).
        length: last note end, in beats.
    """

    name: str
    pack: str
    parts: list[list[Note]]
    programs: list[int]
    drums: list[Note]
    beats_per_bar: int
    length: float


def krumhansl_key(histogram: np.ndarray) -> tuple[int, str, float]:
    """Key by correlation with the Krumhansl-Kessler profiles.

    Args:
        histogram: (12,) weight of each pitch class.

    Returns:
        Tonic pitch class, "major" or "minor", and the best major minus the best minor correlation (-2 to 2).
    """
    if histogram.max() <= histogram.min():
        return 0, "major", 0.0
    major = [np.corrcoef(np.roll(MAJOR_PROFILE, t), histogram)[0, 1] for t in range(12)]
    minor = [np.corrcoef(np.roll(MINOR_PROFILE, t), histogram)[0, 1] for t in range(12)]
    difference = float(max(major) - max(minor))
    if difference >= 0:
        return int(np.argmax(major)), "major", difference
    return int(np.argmax(minor)), "minor", difference


def find_scores(folder: Path) -> dict[str, list[Path]]:
    """MIDI files of each known pack below a folder.

    Args:
        folder: where the packs were unpacked.
    """
    found: dict[str, list[Path]] = {}
    for directory, pack in PACK_FOLDERS.items():
        files = sorted(p for p in (folder / directory).glob("**/*.mid*") if p.is_file())
        if files:
            found[pack] = files
    return found


def read_piece(path: Path, pack: str) -> Piece:
    """Read a MIDI file.

    Args:
        path: the file.
        pack: name of its pack.

    Raises:
        ScoreError: the file is broken, not in three or four, or has too few notes.
    """
    try:
        midi = mido.MidiFile(path, clip=True)
    except (OSError, ValueError, EOFError, IndexError, KeyError, mido.KeySignatureError) as error:
        raise ScoreError(f"{path.name}: not a readable MIDI file ({error})") from error
    tpb = midi.ticks_per_beat
    if not 24 <= tpb <= 4096:
        raise ScoreError(f"{path.name}: odd time base {tpb}")
    metre = None
    parts: dict[tuple[int, int], list[Note]] = {}
    programs: dict[tuple[int, int], int] = {}
    drums: list[Note] = []
    for index, track in enumerate(midi.tracks):
        ticks = 0
        program = dict.fromkeys(range(16), 0)
        sounding: dict[tuple[int, int], tuple[float, int]] = {}
        for message in track:
            ticks += message.time
            beat = ticks / tpb
            if message.type == "time_signature" and metre is None:
                metre = message.numerator * 4 / message.denominator
            elif message.type == "program_change":
                program[message.channel] = message.program
            elif message.type in ("note_on", "note_off"):
                key = (message.channel, message.note)
                if key in sounding:
                    start, velocity = sounding.pop(key)
                    note = Note(start, max(beat - start, 0.05), message.note, velocity)
                    if message.channel == 9:
                        drums.append(note)
                    else:
                        part = (index, message.channel)
                        parts.setdefault(part, []).append(note)
                        programs.setdefault(part, program[message.channel])
                if message.type == "note_on" and message.velocity > 0:
                    sounding[key] = (beat, message.velocity)
    beats = int(metre) if metre in (2.0, 3.0, 4.0) else None
    if metre == 6.0:
        beats = 3
    if beats is None:
        raise ScoreError(f"{path.name}: time signature of {metre} beats")
    kept = [(notes, programs[key]) for key, notes in parts.items() if len(notes) >= 4]
    if sum(len(notes) for notes, _ in kept) < 32:
        raise ScoreError(f"{path.name}: too few notes")
    length = max(note.start + note.duration for notes, _ in kept for note in notes)
    name = f"{pack}/{path.stem}"
    return Piece(name, pack, [n for n, _ in kept], [p for _, p in kept], drums, 4 if beats == 2 else beats, length)


def _lead_candidates(average_pitch: float, arousal: float, rng: np.random.Generator) -> Instrument:
    """An instrument whose range holds the melody and whose sound fits the arousal."""
    rows = [INSTRUMENTS[name] for name in LEAD_INSTRUMENTS]
    fits = np.array([1.0 if row.low <= average_pitch <= row.high else 0.05 for row in rows])
    mood = np.exp(-0.5 * ((np.array([row.arousal for row in rows]) - (2 * arousal - 1)) / 0.5) ** 2)
    common = np.array([5.0 if row.name in COMMON_LEADS else 1.0 for row in rows])
    weights = common * fits * (mood + 0.05)
    return rows[int(rng.choice(len(rows), p=weights / weights.sum()))]


_BACKING = {
    "calm": ("piano", "acoustic guitar", "harp", "strings", "electric piano", "warm pad"),
    "middle": ("piano", "steel guitar", "strings", "organ", "accordion", "pizzicato strings"),
    "excited": ("electric guitar", "organ", "brass section", "strings", "polysynth", "distorted guitar"),
}


def excerpt(rng: np.random.Generator, piece: Piece, arousal: float, seconds: float = 10.24) -> Score:
    """Cut, re-pace, transpose and re-orchestrate a passage.

    The tempo written in a score says nothing about its arousal, so the passage is re-paced to the grid: faster,
    louder and brighter with the target, as long as its onset rate stays playable.

    Args:
        rng: source of randomness.
        piece: the work.
        arousal: target, 0 to 1.
        seconds: length of the excerpt.

    Raises:
        ScoreError: no passage with enough notes was found.
    """
    tempo = choose_tempo(rng, arousal)
    span = seconds * tempo / 60
    bar = piece.beats_per_bar
    last = int((piece.length - span) // bar)
    if last < 0:
        raise ScoreError(f"{piece.name}: shorter than one excerpt")
    for _ in range(12):
        begin = int(rng.integers(0, last + 1)) * bar
        cut = [
            [
                Note(n.start - begin, n.duration, n.pitch, n.velocity)
                for n in part
                if begin - 1e-3 <= n.start < begin + span
            ]
            for part in piece.parts
        ]
        onsets = {round(max(n.start, 0.0) * 8) for part in cut for n in part}
        rate = len(onsets) / seconds
        first = min((n.start for part in cut for n in part), default=span)
        if 0.7 <= rate <= 9.0 and first < 1.0:
            break
    else:
        raise ScoreError(f"{piece.name}: no passage with a playable number of notes at {tempo:.0f} BPM")
    order = sorted(
        (i for i, part in enumerate(cut) if len(part) >= 3),
        key=lambda i: -float(np.mean([n.pitch for n in cut[i]])) - 0.2 * min(len(cut[i]), 20),
    )
    if not order:
        raise ScoreError(f"{piece.name}: passage without a melody")
    # At most four parts: the top ones and the lowest, so that the ensemble stays clean.
    chosen = order if len(order) <= 4 else order[:3] + order[-1:]
    histogram = np.zeros(12)
    for part in cut:
        for note in part:
            histogram[note.pitch % 12] += min(note.duration, 2.0)
    tonic, mode, _ = krumhansl_key(histogram)
    target = min(TONICS[mode], key=lambda t: abs((t - tonic + 6) % 12 - 6))
    shift = (target - tonic + 6) % 12 - 6
    level = 52 + 52 * arousal + rng.normal(0, 5)
    legato = float(np.clip(1.05 - 0.4 * arousal, 0.55, 1.0))
    group = "calm" if arousal < 0.35 else "middle" if arousal < 0.7 else "excited"
    tracks = []
    mean_all = np.mean([n.velocity for i in chosen for n in cut[i]])
    for rank, index in enumerate(chosen):
        pitch_mean = float(np.mean([n.pitch for n in cut[index]]))
        if rank == 0:
            instrument, role = _lead_candidates(pitch_mean + shift, arousal, rng), "lead"
        elif rank == len(chosen) - 1 and pitch_mean < 52:
            bass = ("cello", "acoustic bass", "contrabass") if group != "excited" else ("electric bass", "synth bass")
            instrument, role = INSTRUMENTS[str(rng.choice(bass))], "bass"
        else:
            instrument, role = INSTRUMENTS[str(rng.choice(_BACKING[group]))], "chords"
        octave = (
            12 * round(((instrument.low + instrument.high) / 2 - pitch_mean - shift) / 12) if role == "lead" else 0
        )
        if instrument.low <= pitch_mean + shift <= instrument.high:
            octave = 0
        offset = 10 if role == "lead" else -8
        notes = [
            Note(
                max(n.start, 0.0),
                n.duration * legato,
                fit_register(n.pitch + shift + octave, instrument),
                int(np.clip(level + offset + 0.6 * (n.velocity - mean_all), 20, 127)),
            )
            for n in cut[index]
        ]
        tracks.append(Track(instrument.name, instrument.program, notes, role=role))
    if piece.drums and arousal > 0.4:
        hits = [n for n in piece.drums if begin - 1e-3 <= n.start < begin + span and 35 <= n.pitch <= 81]
        if hits:
            drums = [Note(max(n.start - begin, 0.0), 0.2, n.pitch, int(np.clip(level, 20, 127))) for n in hits]
            tracks.append(Track("drums", 0, drums, is_drum=True, role="drums"))
    seed = int(rng.integers(2**31))
    style = PACK_STYLES[piece.pack]
    return Score(tracks, tempo, bar, target, mode, style, piece.name, piece.pack, seed).clipped(seconds)
