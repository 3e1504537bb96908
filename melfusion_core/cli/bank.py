"""`melfusion bank`: cut the sounds from a larger SoundFont, measure their levels, and time the renderer."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from melfusion_core.cli import options
from melfusion_core.cli.bench import cpu_name, peak_memory_bytes
from melfusion_core.cli.options import CommandError

if TYPE_CHECKING:
    from melfusion_core.score.score import Score
    from melfusion_core.score.soundfont import SoundFont

BENCH_S = 60.0
BENCH_BPM = 120.0
DENSE = (
    ("lead", "flute", 0.5, 1), ("counter", "violin", 1.0, 1), ("chords", "piano", 0.5, 4), ("chords", "harp", 0.25, 1),
    ("chords", "brass section", 4.0, 4), ("pad", "warm pad", 4.0, 4), ("bass", "electric bass", 0.5, 1),
    ("drums", "drums", 0.5, 3),
)  # fmt: skip
SPARSE = (("lead", "piano", 2.0, 1), ("pad", "strings", 8.0, 3))
"""Parts of the minutes that are timed: role, instrument, length of the notes in beats, and how many sound at once."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser("bank", help="the sampled sounds: cut them from a SoundFont, measure them, time them")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    cut = actions.add_parser(
        "cut",
        help="write General MIDI and the usual percussion kits of a SoundFont into files of at most 9 MB",
        description="Write General MIDI and the usual percussion kits of a SoundFont into files of at most 9 MB, each "
        "a SoundFont itself, with the source's licence beside them. Samples are copied as they are.",
    )
    cut.add_argument("source", type=Path, help="an .sf2 or .sf3 file")
    cut.add_argument("--out", type=options.out_folder, required=True, help="folder for the files")
    cut.set_defaults(run=_run_cut)
    levels = actions.add_parser("levels", help="measure how loud each instrument is, for the balance of ensembles")
    levels.set_defaults(run=_run_levels)
    bench = actions.add_parser(
        "bench",
        help="time the rendering of a dense and a sparse minute",
        description="Time the rendering of a minute with eight parts and 3,000 notes, and of one with two parts. "
        "The report is JSON.",
    )
    bench.add_argument("--repeats", type=options.whole_number(1, 100), default=3, help="(default 3)")
    bench.set_defaults(run=_run_bench)
    for action in (levels, bench):
        action.add_argument("--soundfont", type=Path, action="append", help="instead of the sounds of the package")


def _run_cut(args: argparse.Namespace) -> int:
    """Cut a bank."""
    from melfusion_core.score.bank import cut_bank
    from melfusion_core.score.riff import SoundFontError
    from melfusion_core.score.soundfont import SoundFont

    try:
        paths = cut_bank(args.source, args.out)
    except SoundFontError as error:
        raise CommandError(str(error)) from error
    for path in paths:
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    print(f"sha256 {SoundFont(paths).sha256}")
    return 0


def _run_levels(args: argparse.Namespace) -> int:
    """Measure the instruments, and print the table of `score/mixing.py`."""
    from melfusion_core.score.levels import measure_levels

    for name, level_db in measure_levels(_soundfont(args)).items():
        print(f'"{name}": {level_db:.1f},')
    return 0


def _run_bench(args: argparse.Namespace) -> int:
    """Time the renderer, and print the report."""
    from melfusion_core.score.synth import loudness_gain, render_score

    started = time.perf_counter()
    soundfont = _soundfont(args)
    report: dict[str, object] = {
        "soundfont_sha256": soundfont.sha256,
        "processor": cpu_name(),
        "loading_s": round(time.perf_counter() - started, 4),
    }
    for name, rows in (("dense", DENSE), ("sparse", SPARSE)):
        score = minute(rows)
        walls, cpus = [], []
        for _ in range(args.repeats + 1):  # the first one decodes the samples
            wall, cpu = time.perf_counter(), time.process_time()
            rendered = render_score(score, soundfont=soundfont)
            loudness_gain(rendered.mix, rendered.sample_rate)
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
            stems = list(rendered.stems)
            del rendered  # its memory is not the next one's
        report[name] = {
            "tracks": len(score.tracks),
            "notes": sum(len(track.notes) for track in score.tracks),
            "stems": stems,
            "first_s": round(walls[0], 3),
            "wall_s": round(min(walls[1:]), 3),
            "times_real_time_cold": round(BENCH_S / cpus[0], 1),
            "times_real_time": round(BENCH_S / min(cpus[1:]), 1),
        }
    report["peak_memory_mb"] = round(peak_memory_bytes("cpu") / 1e6)
    print(json.dumps(report, indent=2))
    return 0


def minute(rows: tuple[tuple[str, str, float, int], ...]) -> Score:
    """Make a minute of chords in C major.

    Args:
        rows: as in `DENSE`.
    """
    from melfusion_core.score.instruments import INSTRUMENTS, fit_register
    from melfusion_core.score.score import Note, Score, Track

    beats = BENCH_S * BENCH_BPM / 60
    tracks = []
    for role, name, length, voices in rows:
        is_drum = name == "drums"
        notes = []
        for i in range(round(beats / length)):
            root = (0, 5, 7, 9)[int(i * length // 4) % 4]
            for voice in range(voices):
                pitch = (42, 36, 38)[voice] if is_drum else 60 + root + (0, 4, 7, 12)[(i + voice) % 4]
                pitch = pitch if is_drum else fit_register(pitch, INSTRUMENTS[name])
                notes.append(Note(i * length, 0.9 * length, pitch, 70 + (i * 7) % 30))
        tracks.append(Track(name, 0 if is_drum else INSTRUMENTS[name].program, notes, is_drum, role))
    return Score(tracks, BENCH_BPM, 4, 0, "major", "", "bench", "", 0)


def _soundfont(args: argparse.Namespace) -> SoundFont:
    from melfusion_core.score.bank import default_soundfont
    from melfusion_core.score.riff import SoundFontError
    from melfusion_core.score.soundfont import SoundFont

    try:
        return SoundFont(args.soundfont) if args.soundfont else default_soundfont()
    except SoundFontError as error:
        raise CommandError(str(error)) from error
