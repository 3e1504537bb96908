"""`melfusion generate`: a picture, a caption, or both, to an audio file that carries its recipe."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import secrets
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melfusion_core.cli import options
from melfusion_core.cli.directing import FLAGS, add_direction_arguments, direction_of
from melfusion_core.cli.models import add_memory_arguments, add_model_arguments, model_folder, prepare_pipeline
from melfusion_core.cli.options import CommandError
from melfusion_core.cli.reworking import add_rework_arguments
from melfusion_core.recipe import (
    Recipe,
    checkpoint_sha256,
    file_stem,
    image_sha256,
    library_versions,
    read_from_file,
)
from melfusion_core.take import KNOBS, TakeSettings
from melfusion_core.terminal import plain_line

if TYPE_CHECKING:
    from PIL import Image

    from melfusion_core.engines.base import Rendered
    from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline

SUFFIXES = (".wav", ".flac", ".mp3")
# What a recipe settles: flags that may not be given beside --recipe.
SETTLED = ("prompt", "text_only", "compare", *FLAGS)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser(
        "generate",
        help="make music from a picture and a caption",
        description="Make music from a picture, a caption, or both. The file carries its recipe in its tags, and has "
        "it beside it as JSON; either one, or a sound or video of the studio, gives the same samples again with "
        "--recipe.",
    )
    parser.add_argument("--image", type=Path, help="picture: JPEG, PNG, WebP, GIF ...")
    parser.add_argument("--prompt", type=options.caption, help="caption, such as 'slow solo piano in a minor key'")
    options.add_settings(parser, filled=False)
    add_direction_arguments(parser)
    add_rework_arguments(parser)
    parser.add_argument(
        "--out",
        type=Path,
        help="file to write: .wav or .flac (16 bit) or .mp3; named after caption and seed if not given",
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there already")
    parser.add_argument(
        "--text-only", action="store_true", default=None, help="leave the picture out, as if --image were not given"
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        default=None,
        help="write the take with the picture, its twin from the caption alone and the same noise, and one "
        "figure of both spectrograms and their difference",
    )
    parser.add_argument(
        "--midi", action="store_true", help="write the notes as a MIDI file too, where the model makes notes"
    )
    parser.add_argument(
        "--stems", action="store_true", help="write the sound of every part too, where the model makes notes"
    )
    parser.add_argument(
        "--recipe",
        type=Path,
        help="make again, sample for sample, what a .json file or a .wav, .flac, .mp3 or .mp4 file of ours describes",
    )
    add_model_arguments(parser)
    add_memory_arguments(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    """Make what the command line asks for."""
    folder = model_folder(args.model)
    _check_target(args)
    # Everything that can be refused is refused before the model is loaded.
    if args.recipe is None:
        settings, image = _from_flags(args, folder)
    else:
        recipe, image = _from_recipe(args, folder)

    from melfusion_core.cli import takes

    pipe = prepare_pipeline(takes.load_pipeline(folder, args.device), args)
    if (args.midi or args.stems) and not pipe.engine.makes_notes:
        raise CommandError("--midi and --stems need a model that makes notes; this one paints spectrograms.")
    if args.recipe is None:
        sounds = pipe.engine.sounds_sha256
        recipe = Recipe(**settings, sample_rate=pipe.sample_rate, device=str(pipe.device), sounds_sha256=sounds)
    elif recipe.sample_rate != pipe.sample_rate:
        raise CommandError(f"The recipe asks for {recipe.sample_rate} Hz; {folder} gives {pipe.sample_rate} Hz.")
    elif recipe.sounds_sha256 != pipe.engine.sounds_sha256:
        raise CommandError("The recipe was played by other sampled instruments than those of this version.")
    else:
        _warn_of_changes(recipe, str(pipe.device))

    made = _render(pipe, recipe, image)
    if not all(take.audio.isfinite().all() for take in made.values()):
        raise CommandError(f"The model in {folder} gave samples that are not numbers: nothing was written.", code=1)
    if args.recipe is None:
        recipe = dataclasses.replace(recipe, gain_db=takes.safe_gain_db([take.audio for take in made.values()]))
    waveforms = {name: takes.apply_gain(take.audio, recipe.gain_db) for name, take in made.items()}

    out = args.out or _unused_name(args, file_stem(recipe))
    files = {"compare:with_image": out, "compare:text_only": _twin(out)} if args.compare else {recipe.render: out}
    written = []
    with takes.placing(out) as folder:
        for render, path in files.items():
            take, part = made[render], folder / path.name
            cover = None if render == "compare:text_only" else image
            written += takes.write_take(part, waveforms[render], _placed(args, recipe, path, render), cover)
            if args.midi:
                written.append(takes.write_midi(part.with_suffix(".mid"), take))
            if args.stems:
                written += takes.write_stems(part, take, recipe.gain_db)
        if args.compare:
            written.append(takes.write_figure(folder / _figure(out).name, *made.values()))
    for path in written:
        print(out.parent / path.name)
    return 0


def _twin(out: Path) -> Path:
    return out.with_stem(f"{out.stem}-text-only")


def _figure(out: Path) -> Path:
    return out.with_name(f"{out.stem}-spectrogram.png")


def _targets(args: argparse.Namespace, out: Path) -> list[Path]:
    """All files that may be written."""
    paths = [_figure(out)] * bool(args.compare)
    for path in (out, _twin(out)) if args.compare else (out,):
        paths += [path, path.with_suffix(".json"), *[path.with_suffix(".mid")] * args.midi]
        if args.stems:
            from melfusion_core.cli.takes import stem_path
            from melfusion_core.engines.score.layout import PARTS

            paths += [stem_path(path, role) for role in PARTS]
    return paths


def _check_target(args: argparse.Namespace) -> None:
    """Refuse before the work what could not be written after it."""
    if args.out is None:
        options.check_folder(Path())
        return
    if args.out.suffix.lower() not in SUFFIXES:
        raise CommandError(f"--out must end in {', '.join(SUFFIXES)}, and {args.out.name!r} does not.")
    options.check_folder(args.out.parent)
    for path in _targets(args, args.out):
        if path.is_dir():
            raise CommandError(f"{path} is a folder.")
        if path.exists() and not args.force:
            raise CommandError(f"{path} exists already; --force replaces it.")


def _unused_name(args: argparse.Namespace, stem: str) -> Path:
    """A name that none of the files has yet: the stem, or the first with "-2", "-3" ... after it."""
    names = (f"{stem}{'' if count == 1 else f'-{count}'}.wav" for count in itertools.count(1))
    return next(out for out in map(Path, names) if not any(path.exists() for path in _targets(args, out)))


def _model_digest(folder: Path) -> str:
    try:
        return checkpoint_sha256(folder)
    except FileNotFoundError as error:
        raise CommandError(f"{error} Name another folder with --model.") from error


def _from_flags(args: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], Image.Image | None]:
    from melfusion_core.image import load_image

    prompt = args.prompt or ""
    if args.compare and (args.text_only or args.image is None):
        raise CommandError("--compare needs a picture: give --image, and not --text-only.")
    image_path = None if args.text_only else args.image
    if not prompt and image_path is None:
        raise CommandError("There is nothing to make music from: give --image, --prompt, or both.")
    image = load_image(image_path) if image_path is not None else None
    digest = _model_digest(folder)
    settings = TakeSettings(**options.given_settings(args))
    if settings.seed is None:
        settings = settings.changed(seed=secrets.randbelow(2**31))
        print(f"Seed {settings.seed}", file=sys.stderr)
    direction = direction_of(args, settings)
    values = dataclasses.asdict(settings) | {
        "prompt": prompt,
        "direction": {} if direction is None else direction.as_dict(),
        "image_name": image_path.name if image_path is not None else None,
        "image_sha256": image_sha256(image) if image is not None else None,
        "render": "compare:with_image" if args.compare else "single",
        "model_name": folder.resolve().name,
        "model_sha256": digest,
        "library_versions": library_versions(),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return values, image


def _from_recipe(args: argparse.Namespace, folder: Path) -> tuple[Recipe, Image.Image | None]:
    from melfusion_core.image import load_image

    given = [f"--{name.replace('_', '-')}" for name in SETTLED if getattr(args, name) is not None]
    given += [f"--{KNOBS[name].flags[0]}" for name in options.given_settings(args)]
    if given:
        raise CommandError(f"--recipe settles everything; leave out {', '.join(given)}.")
    recipe = read_from_file(args.recipe)
    digest = _model_digest(folder)
    if digest != recipe.model_sha256:
        raise CommandError(
            f"The recipe was made with another model, {recipe.model_name} ({recipe.model_sha256[:12]}…); "
            f"{folder} is {digest[:12]}…. Name the right one with --model."
        )
    if recipe.image_sha256 is None:
        if args.image is not None:
            raise CommandError("The recipe has no picture; leave out --image.")
        return recipe, None
    path = args.image or _recorded_image(recipe, args.recipe.parent)
    image = load_image(path)
    if image_sha256(image) != recipe.image_sha256:
        raise CommandError(f"{path} is not {_picture_of(recipe).rstrip(',')}: its pixels differ.")
    return recipe, image


def _recorded_image(recipe: Recipe, folder: Path) -> Path:
    for recorded in (recipe.image_path, recipe.image_name):
        if recorded and (folder / recorded).is_file():
            return folder / recorded
    raise CommandError(f"T{_picture_of(recipe)[1:]} is not where it was; give it with --image.")


def _picture_of(recipe: Recipe) -> str:
    return f"the picture of the recipe, {recipe.image_name}," if recipe.image_name else "the picture of the recipe"


def _placed(args: argparse.Namespace, recipe: Recipe, path: Path, render: str) -> Recipe:
    """The recipe for one file: which render it is, and where its picture lies as seen from it."""
    image_path = recipe.image_path
    if recipe.image_sha256 is not None and args.image is not None:
        try:
            image_path = Path(os.path.relpath(args.image.resolve(), path.resolve().parent)).as_posix()
        except ValueError:  # another drive: there is no relative path
            image_path = None
    return dataclasses.replace(recipe, render=render, image_path=image_path)


def _warn_of_changes(recipe: Recipe, device: str) -> None:
    changes = [
        f"{name} {then} then, {library_versions().get(name, 'none')} now"
        for name, then in recipe.library_versions.items()
        if library_versions().get(name) != then
    ]
    if recipe.device != device:
        changes.append(f"device {recipe.device} then, {device} now")
    if changes:
        print(plain_line(f"The samples may differ in their last bits: {'; '.join(changes)}."), file=sys.stderr)


def _render(pipe: MelFusionPipeline, recipe: Recipe, image: Image.Image | None) -> dict[str, Rendered]:
    from tqdm import tqdm

    from melfusion_core.cli import takes

    # `disable=None`: no bar where stderr is not a terminal.
    with (
        warnings.catch_warnings(record=True) as notes,
        tqdm(total=recipe.num_inference_steps, desc="Composing", unit="step", disable=None, leave=False) as bar,
    ):
        warnings.simplefilter("always", UserWarning)

        made = takes.render(pipe, recipe, image, lambda _: bar.update(1))
    for note in dict.fromkeys(str(warning.message) for warning in notes):
        print(plain_line(note), file=sys.stderr)
    return made
