"""`melfusion assemble`: what the trainers exported, as one checkpoint that the pipeline loads."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from melfusion_core.cli import options
from melfusion_core.cli.options import CommandError, number

if TYPE_CHECKING:
    from melfusion_core.engines.base import Engine
    from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline

MAX_SHARD_SIZE = "8900KB"
EIGHT_BIT = ("image_unet", "vocoder")
"""Components whose matrices may be stored in 8-bit floats (e4m3): frozen ones, where it costs least. They load as any
other weights. Measured: 13 % error of the picture features, 0.008 nats of the vocoder's log-magnitudes."""
KEPT = ("README.md",)
PARTS = ("vae", "vocoder", "image", "music", "prepared")
NOTE_PARTS = ("cells", "image", "music")
"""What a model that makes notes is made of."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser(
        "assemble",
        help="make a checkpoint of trained components",
        description="Put the exports of the trainers (RUN/export) together into a checkpoint in diffusers format: "
        f"half precision, shards of at most {MAX_SHARD_SIZE}. A model card already there is kept.",
    )
    parser.add_argument("--vae", type=Path, help="export of `melfusion train codec`")
    for name in PARTS[1:4]:
        parser.add_argument(f"--{name}", type=Path, help=f"export of `melfusion train {name}`")
    parser.add_argument("--prepared", type=Path, help="folder of `melfusion train prepare`")
    parser.add_argument(
        "--cells",
        type=Path,
        help="export of `melfusion train score-codec`, for a model that makes notes; then --music is an export of "
        "`melfusion train score-music`, and neither --vae, --vocoder nor --prepared is needed",
    )
    parser.add_argument(
        "--timestep-shift",
        type=number(1.0, 100.0),
        help="how much the sampler's steps crowd towards the noise (default as the trainer's)",
    )
    parser.add_argument("--scenes", type=Path, help="export of `melfusion train scenes`, for the studio's suggestions")
    parser.add_argument(
        "--eight-bit", nargs="+", choices=EIGHT_BIT, default=[], help="store these in 8-bit floats (default none)"
    )
    parser.add_argument(
        "--out", type=options.out_folder, required=True, help="checkpoint folder; an older checkpoint is replaced"
    )
    parser.set_defaults(run=assemble)


def assemble(args: argparse.Namespace) -> int:
    """Assemble and write a checkpoint of the trainers' exports.

    Args:
        args: Parsed command line.

    Returns:
        Exit code.

    Raises:
        CommandError: A component is missing, the output folder is not a checkpoint, or a weight does not fit half
            precision.
    """
    check_out(args.out)
    parts = NOTE_PARTS if args.cells else PARTS
    missing = [f"--{name}" for name in parts if getattr(args, name) is None]
    if missing:
        raise CommandError(f"{', '.join(missing)} must be given.")
    useless = [f"--{name}" for name in PARTS if args.cells and name not in parts and getattr(args, name) is not None]
    if useless:
        raise CommandError(f"A model that makes notes has no {', '.join(useless)}; leave it out.")
    for folder in [getattr(args, name) for name in parts] + ([args.scenes] if args.scenes else []):
        if not folder.is_dir():
            raise CommandError(f"The folder {folder} does not exist.")
    from melfusion_core.models.scenes import SCENE_FOLDER

    def add_scenes(part: Path) -> None:
        if args.scenes:
            shutil.copytree(args.scenes, part / SCENE_FOLDER)

    write_checkpoint(_load_parts(args), args.out, "float16", MAX_SHARD_SIZE, add_scenes, args.eight_bit)
    print(args.out)
    return 0


def check_out(out: Path) -> None:
    """Refuse to replace what is no checkpoint.

    Args:
        out: Folder to write.

    Raises:
        CommandError: It holds something else.
    """
    if out.exists() and any(out.iterdir()) and not (out / "model_index.json").is_file():
        raise CommandError(f"{out} holds something else than a checkpoint; it is left alone.")


def _load_parts(args: argparse.Namespace) -> MelFusionPipeline:
    from diffusers import DDIMScheduler, UNet2DConditionModel

    from melfusion_core.models.inversion import load_image_scheduler
    from melfusion_core.models.picture_encoder import load_picture_encoder
    from melfusion_core.models.synapse import VisualSynapse
    from melfusion_core.models.text import load_minilm
    from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline

    engine, timestep_shift = _score_engine(args) if args.cells else _spectrogram_engine(args)
    tokenizer, text_encoder = load_minilm()
    image_unet = UNet2DConditionModel.from_pretrained(args.image)
    return MelFusionPipeline(
        engine=engine,
        unet=UNet2DConditionModel.from_pretrained(args.music / "unet"),
        image_unet=image_unet,
        synapse=VisualSynapse.from_pretrained(args.music / "synapse"),
        scheduler=DDIMScheduler.from_pretrained(args.music / "scheduler"),
        image_scheduler=load_image_scheduler(args.image),
        image_encoder=load_picture_encoder(args.image, image_unet),
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        timestep_shift=timestep_shift if args.timestep_shift is None else args.timestep_shift,
    )


def _spectrogram_engine(args: argparse.Namespace) -> tuple[Engine, float]:
    """The engine, and how much its trainer's noise levels crowd."""
    from melfusion_core.engines.spectrogram.engine import SpectrogramEngine
    from melfusion_core.engines.spectrogram.latents import load_codec
    from melfusion_core.engines.spectrogram.vocoder import ISTFTVocoder
    from melfusion_core.training.music_config import MusicConfig
    from melfusion_core.training.prepare import PreparedData

    data = PreparedData.load(args.prepared)
    codec = load_codec(args.vae)
    codec.register_to_config(latents_mean=list(data.latents_mean), latents_std=list(data.latents_std))
    return SpectrogramEngine(codec, ISTFTVocoder.from_pretrained(args.vocoder)), MusicConfig.timestep_shift


def _score_engine(args: argparse.Namespace) -> tuple[Engine, float]:
    from melfusion_core.engines.score.cells import CellCodec
    from melfusion_core.engines.score.engine import ScoreEngine
    from melfusion_core.training.score_music import ENGINE_FILE, ScoreMusicConfig

    settings = json.loads((args.music / ENGINE_FILE).read_text(encoding="utf-8"))
    return ScoreEngine(CellCodec.from_pretrained(args.cells), **settings), ScoreMusicConfig.timestep_shift


def write_checkpoint(
    pipe: MelFusionPipeline,
    out: Path,
    dtype: str,
    max_shard_size: str,
    add: Callable[[Path], object],
    eight_bit: Sequence[str] = (),
) -> None:
    """Write a checkpoint whole or not at all, in place of an older one whose model card stays.

    Args:
        pipe: Pipeline; it has that dtype afterwards.
        out: Checkpoint folder.
        dtype: Name of a torch dtype.
        max_shard_size: Size of the largest weight file, as diffusers reads it.
        add: Called with the folder when the pipeline is in it, to add to it.
        eight_bit: Components, or parts of the engine, whose matrices are stored in 8-bit floats, of `EIGHT_BIT`.

    Raises:
        CommandError: A weight is not finite in that dtype.
    """
    import torch

    for name, component in pipe.components.items():
        if isinstance(component, torch.nn.Module):
            torch.nn.Module.to(component, getattr(torch, dtype))  # diffusers' own warns of what is not the case here
            if not all(torch.isfinite(weight).all() for weight in component.state_dict().values()):
                raise CommandError(f"A weight of {name} is not finite in {dtype}.", code=1)
    for name in eight_bit:
        for weight in (pipe.components | pipe.engine.parts)[name].parameters():
            if weight.ndim > 1:
                weight.data = weight.data.to(torch.float8_e4m3fn)
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        pipe.save_pretrained(part, max_shard_size=max_shard_size)
        for path in part.rglob("*config.json"):  # where a component was loaded from is nobody's business
            config = json.loads(path.read_text(encoding="utf-8"))
            if config.pop("_name_or_path", None) is not None:
                path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        add(part)
        for name in KEPT:
            if (out / name).is_file():
                shutil.copy2(out / name, part / name)
        if out.exists():
            shutil.rmtree(out)
        os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
