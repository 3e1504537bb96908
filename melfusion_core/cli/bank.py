"""`melfusion bank`: cut the sounds from a larger SoundFont, measure their levels, and time the renderer."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from melfusion_core.cli import options
from melfusion_core.cli.bench import cpu_name, peak_memory_bytes
from melfusion_core.cli.options import CommandError

BENCH_S = 60.0
DENSE_SEED, DENSE_AROUSAL = 5, 0.95
SPARSE_SEED, SPARSE_AROUSAL = 3, 0.15


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
    cut.add_argument("--out", type=Path, required=True, help="folder for the files")
    cut.set_defaults(run=run_cut)
    levels = actions.add_parser("levels", help="measure how loud each instrument is, for the balance of ensembles")
    levels.set_defaults(run=run_levels)
    bench = actions.add_parser(
        "bench",
        help="time the rendering of a dense and of a sparse minute",
        description="Time the rendering of a dense and of a sparse minute by the composer. The report is JSON.",
    )
    bench.add_argument("--repeats", type=options.whole_number(1, 100), default=3, help="(default 3)")
    bench.set_defaults(run=run_bench)
    for action in (levels, bench):
        action.add_argument("--soundfont", type=Path, action="append", help="instead of the sounds of the package")


def run_cut(args: argparse.Namespace) -> int:
    """Cut a bank.

    Args:
        args: Parsed command line.

    Returns:
        Exit code.

    Raises:
        CommandError: The source cannot be used.
    """
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


def run_levels(args: argparse.Namespace) -> int:
    """Measure the instruments, and print the table of `score/mixing.py`.

    Args:
        args: Parsed command line.

    Returns:
        Exit code.

    Raises:
        CommandError: The SoundFont cannot be used.
    """
    from melfusion_core.score.levels import measure_levels

    for name, level_db in measure_levels(_soundfont(args)).items():
        print(f'"{name}": {level_db:.1f},')
    return 0


def run_bench(args: argparse.Namespace) -> int:
    """Time the renderer, and print the report.

    Args:
        args: Parsed command line.

    Returns:
        Exit code.

    Raises:
        CommandError: The SoundFont cannot be used.
    """
    import numpy as np

    from melfusion_core.data.composer import compose
    from melfusion_core.score.score import Score
    from melfusion_core.score.synth import loudness_gain, render_score

    def minute(seed: int, arousal: float) -> Score:
        return compose(np.random.default_rng(seed), 0.5, arousal, "bench", BENCH_S, "full")

    started = time.perf_counter()
    soundfont = _soundfont(args)
    report: dict[str, object] = {
        "soundfont_sha256": soundfont.sha256,
        "processor": cpu_name(),
        "loading_s": round(time.perf_counter() - started, 4),
    }
    for name, seed, arousal in (("dense", DENSE_SEED, DENSE_AROUSAL), ("sparse", SPARSE_SEED, SPARSE_AROUSAL)):
        score = minute(seed, arousal)
        walls, cpus = [], []
        for _ in range(args.repeats + 1):  # the first one decodes the samples
            wall, cpu = time.perf_counter(), time.process_time()
            rendered = render_score(score, soundfont=soundfont)
            loudness_gain(rendered.mix, rendered.sample_rate)
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        report[name] = {
            "tracks": len(score.tracks),
            "notes": sum(len(track.notes) for track in score.tracks),
            "stems": list(rendered.stems),
            "first_s": round(walls[0], 3),
            "wall_s": round(min(walls[1:]), 3),
            "times_real_time_cold": round(BENCH_S / cpus[0], 1),
            "times_real_time": round(BENCH_S / min(cpus[1:]), 1),
        }
    report["peak_memory_mb"] = round(peak_memory_bytes("cpu") / 1e6)
    print(json.dumps(report, indent=2))
    return 0


def _soundfont(args: argparse.Namespace):
    from melfusion_core.score.bank import default_soundfont
    from melfusion_core.score.riff import SoundFontError
    from melfusion_core.score.soundfont import SoundFont

    try:
        return SoundFont(args.soundfont) if args.soundfont else default_soundfont()
    except SoundFontError as error:
        raise CommandError(str(error)) from error
