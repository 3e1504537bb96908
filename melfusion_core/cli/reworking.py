"""Flags that work on a piece that exists: keep some of it, and compose the rest anew."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from melfusion_core.cli.options import CommandError
from melfusion_core.score.keys import PITCH_CLASSES

if TYPE_CHECKING:
    from melfusion_core.engines.score.source import Source
    from melfusion_core.score.score import Score
    from melfusion_core.take import TakeSettings

LONGEST_RECORDING_S = 120.0

RECORDINGS = (".wav", ".flac", ".ogg", ".mp3")
NEEDS_PIECE = ("keep", "redo", "redo_bars", "keep_chords", "before", "after")
FLAGS = ("piece", "melody", *NEEDS_PIECE)


def add_rework_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags.

    Args:
        parser: Of the command.
    """
    group = parser.add_argument_group(
        "rework",
        "for models that make notes: keep some of a piece, and compose the rest around it. What is kept comes back "
        "note for note. Tempo, metre, key and length stay, too, unless you say otherwise.",
    )
    group.add_argument("--piece", type=Path, metavar="FILE.mid", help="a MIDI file, ours (--midi) or any other")
    group.add_argument(
        "--melody",
        type=Path,
        metavar="FILE",
        help="a tune to accompany: a MIDI file, or a recording of one voice that hums, sings or whistles; --tempo "
        "says how fast it was",
    )
    group.add_argument("--keep", metavar="PARTS", help="such as lead or lead,drums; all others are composed anew")
    group.add_argument("--redo", metavar="PARTS", help="such as bass,drums; all others stay")
    group.add_argument("--redo-bars", metavar="FIRST-LAST", help="such as 5-8; all other bars stay")
    group.add_argument("--keep-chords", action="store_true", default=None, help="keep the harmony of what is redone")
    group.add_argument("--before", type=int, metavar="BARS", help="new bars before it")
    group.add_argument("--after", type=int, metavar="BARS", help="new bars after it")


def source_of(args: argparse.Namespace, settings: TakeSettings) -> tuple[Source, int] | None:
    """What the flags say.

    Args:
        args: Parsed command line.
        settings: The take's settings; a recording is read at their tempo.

    Returns:
        The piece with what stays of it, and the bars of the new piece; None without a piece.

    Raises:
        CommandError: A flag cannot be read or followed, or the file cannot be used.
    """
    if args.piece is not None and args.melody is not None:
        raise CommandError("Give --piece or --melody, not both.")
    given = [f"--{name.replace('_', '-')}" for name in NEEDS_PIECE if getattr(args, name) is not None]
    if args.piece is None and given:
        raise CommandError(f"{' and '.join(given)} need a piece to work on: give --piece.")
    if args.melody is not None:
        return _melody(args.melody, settings.tempo_bpm, args.metre or 4)
    return None if args.piece is None else _piece(args)


def _melody(path: Path, tempo_bpm: float | None, beats_per_bar: int) -> tuple[Source, int]:
    from melfusion_core.engines.score.source import Source, source_bars

    score = _hummed(path, tempo_bpm, beats_per_bar) if path.suffix.lower() in RECORDINGS else _read(path)
    lead = [track for track in score.tracks if track.role == "lead"]
    if not lead:
        raise CommandError(f"{path} has no tune.")
    names = " ".join(f"{PITCH_CLASSES[note.pitch % 12]}{note.pitch // 12 - 1}" for note in lead[0].notes[:24])
    more = " ..." if len(lead[0].notes) > 24 else ""
    print(f"The tune, {score.tempo_bpm:.0f} BPM in {score.key_name}: {names}{more}", file=sys.stderr)
    bars = source_bars(score)
    return Source(replace(score, tracks=lead), bars, ("lead",), instruments=False), bars


def _hummed(path: Path, tempo_bpm: float | None, beats_per_bar: int) -> Score:
    from melfusion_core.audio import AudioError, load_audio
    from melfusion_core.score.humming import SAMPLE_RATE, HummingError, melody_score, sung_notes

    try:
        wave = load_audio(path, SAMPLE_RATE, duration_s=LONGEST_RECORDING_S + 1.0).numpy()
        if len(wave) > LONGEST_RECORDING_S * SAMPLE_RATE:
            raise HummingError(f"a recording of a tune lasts at most {LONGEST_RECORDING_S:g} seconds")
        return melody_score(sung_notes(wave), tempo_bpm, beats_per_bar)
    except (AudioError, HummingError) as error:
        raise CommandError(f"{path}: {str(error).rstrip('.')}.") from error


def _read(path: Path) -> Score:
    from melfusion_core.score.midi import MidiError, read_song, song_to_score
    from melfusion_core.score.roles import one_track_a_role

    try:
        score = one_track_a_role(song_to_score(read_song(path), path.stem))
    except (MidiError, OSError) as error:
        raise CommandError(f"{str(error).rstrip('.')}.") from error
    if not score.tracks:
        raise CommandError(f"{path} has no notes.")
    return score


def _piece(args: argparse.Namespace) -> tuple[Source, int]:
    from melfusion_core.engines.score.grid import GridError
    from melfusion_core.engines.score.layout import PARTS
    from melfusion_core.engines.score.source import Source, SourceError, source_bars

    if min(args.before or 0, args.after or 0) < 0:
        raise CommandError("--before and --after count new bars, 0 or more.")
    if args.keep is not None and args.redo is not None:
        raise CommandError("Give --keep or --redo, not both: each says what the other one leaves.")
    score = _read(args.piece)
    bars, before, after = source_bars(score), args.before or 0, args.after or 0
    redone, kept = _parts(args.redo), _parts(args.keep)
    if args.redo is not None:
        kept = tuple(part for part in PARTS if part not in redone)
    span = _span(args.redo_bars)
    if span is None and (before or after) and args.keep is None and args.redo is None:
        span = (0, 0)  # only what is new is composed
    if args.keep_chords and span == (0, 0):
        raise CommandError("--keep-chords is for bars or parts that are composed anew; here all of them stay.")
    if span is None and not (kept if args.redo is None else redone):
        raise CommandError("Say what to compose anew: --keep, --redo, --redo-bars, --before or --after.")
    try:
        unknown = set(redone) - set(PARTS)
        if unknown:
            raise SourceError(f"there is no part {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}")
        source = Source(score, bars, kept, span, bool(args.keep_chords), before)
    except (SourceError, GridError) as error:
        raise CommandError(f"{str(error).rstrip('.')}.") from error
    return source, before + bars + after


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in (text or "").split(",") if part.strip())


def _span(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", text)
    if not found or not 1 <= int(found[1]) <= int(found[2] or found[1]):
        raise CommandError(f"--redo-bars {text!r} is no span of bars; write one such as 5-8.")
    return int(found[1]) - 1, int(found[2] or found[1])
