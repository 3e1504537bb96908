"""Flags that direct the music of a model that makes notes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from melfusion_core.cli import reworking
from melfusion_core.cli.options import CommandError
from melfusion_core.cli.reworking import source_of

if TYPE_CHECKING:
    from melfusion_core.engines.score.direction import Direction
    from melfusion_core.take import TakeSettings

CURVES = {"valence": "valence", "arousal": "arousal", "loudness": "level", "density": "density"}
"""Flags of curves, and what each is called in a direction."""
FLAGS = ("metre", "swing", "style", "part", "chords", *CURVES, *reworking.FLAGS)


def add_direction_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags.

    Args:
        parser: Of the command.
    """
    group = parser.add_argument_group(
        "direction",
        "for models that make notes; what is not told follows caption and picture. Curves are one number, or points "
        "BEAT:VALUE with commas, such as 0:0.2,16:0.9.",
    )
    group.add_argument("--metre", type=int, choices=(3, 4), help="beats of a bar")
    group.add_argument("--swing", type=float, help="where the off-beat falls: 0.5 straight, 0.67 triplets")
    group.add_argument("--style", help="such as jazz, waltz, techno")
    group.add_argument(
        "--part",
        action="append",
        metavar="ROLE=INSTRUMENT",
        help="lead, counter, chords, pad or bass as an instrument or off; drums on or off; may be given several times",
    )
    group.add_argument("--chords", help='such as "Am F C G", "ii-V-I", "Dm7 | G7 | Cmaj7 A7"; they begin anew')
    group.add_argument("--valence", metavar="CURVE", help="mood from 0 (unpleasant) to 1 (pleasant)")
    group.add_argument("--arousal", metavar="CURVE", help="mood from 0 (calm) to 1 (excited)")
    group.add_argument("--loudness", metavar="CURVE", help="MIDI velocity, 1 to 127")
    group.add_argument("--density", metavar="CURVE", help="onsets a beat, 0 to 12")


def direction_of(args: argparse.Namespace, settings: TakeSettings) -> Direction | None:
    """What the flags tell.

    Args:
        args: Parsed command line.
        settings: The take's settings: chords in numerals are read in their key.

    Returns:
        The direction; None where nothing is told.

    Raises:
        CommandError: A flag cannot be read.
    """
    reworked = source_of(args, settings)
    if reworked is None and all(getattr(args, name) is None for name in FLAGS):
        return None
    from melfusion_core.engines.score.direction import MAX_BARS, Direction, DirectionError, parse_key
    from melfusion_core.score.chord_text import ChordTextError, chords_by_beat, parse_progression

    told = {name: getattr(args, flag) for flag, name in (("metre", "beats_per_bar"), ("swing", "swing"))}
    told["style"] = args.style
    told |= {name: parse_curve(flag, getattr(args, flag)) for flag, name in CURVES.items()}
    told["parts"] = dict(_part(text) for text in args.part or ())
    try:
        if args.chords is not None:
            tonic, mode = parse_key(settings.key) if settings.key else (0, None)
            bars = parse_progression(args.chords, tonic, mode or "major")
            told["chords"] = chords_by_beat(bars, args.metre or 4, settings.bars or MAX_BARS)
            told["beats_per_bar"] = args.metre or 4
        if reworked is not None:
            told["source"], bars_then = reworked
            told["bars"] = settings.bars or bars_then
        return Direction(**told)
    except (DirectionError, ChordTextError) as error:
        raise CommandError(f"{str(error).rstrip('.')}.") from error


def parse_curve(flag: str, text: str | None) -> tuple[tuple[float, float], ...]:
    """Read a curve.

    Args:
        flag: Its flag, for messages.
        text: One number, or points such as ``0:0.2,16:0.9``; None for no curve.

    Returns:
        Its points as beat and value.

    Raises:
        CommandError: It is something else.
    """
    if text is None:
        return ()
    points = []
    for part in text.split(","):
        beat, _, value = part.rpartition(":")
        try:
            points.append((float(beat or 0.0), float(value)))
        except ValueError as error:
            raise CommandError(
                f"--{flag} {text!r} is no curve; write a number such as 0.7, or points such as 0:0.2,16:0.9."
            ) from error
    return tuple(points)


def _part(text: str) -> tuple[str, str]:
    role, equals, what = text.partition("=")
    if not equals or not what.strip():
        raise CommandError(f"--part {text!r} is not understood; write ROLE=INSTRUMENT, such as lead=flute.")
    return role.strip().lower(), what.strip().lower()
