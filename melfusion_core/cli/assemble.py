"""`melfusion assemble`: what the trainers exported, as one checkpoint that the pipeline loads."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from melfusion_core.cli.options import CommandError, number
from melfusion_core.full_size import cli_assemble as assemble_full

if TYPE_CHECKING:
    from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline

MAX_SHARD_SIZE = "8900KB"
EIGHT_BIT = ("image_unet", "vocoder")
"""Components whose matrices may be stored in 8-bit floats (e4m3): frozen ones, where it costs least. They load as any
other weights. Measured: 13 % error of the picture features, 0.008 nats of the vocoder's log-magnitudes."""
KEPT = ("README.md",)
PARTS = ("vae", "vocoder", "image", "music", "prepared")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser(
        "assemble",
        help="make a checkpoint of trained components",
        description="Put the exports of the trainers (RUN/export) together into a checkpoint in diffusers format: "
        f"half precision, shards of at most {MAX_SHARD_SIZE}. A model card already there is kept. Or, with --preset, "
        "make a full-size model of public repositories; or, with --base and --trained, put what "
        "`melfusion_core.full_size.synapse_trainer` trained into one.",
    )
    parser.add_argument("--vae", type=Path, help="export of `melfusion train codec`, or of `vae`")
    for name in PARTS[1:4]:
        parser.add_argument(f"--{name}", type=Path, help=f"export of `melfusion train {name}`")
    parser.add_argument("--prepared", type=Path, help="folder of `melfusion train prepare`")
    parser.add_argument(
        "--timestep-shift", type=number(1.0, 100.0),
        help="how much the sampler's steps crowd towards the noise (default as the trainer's)",
    )  # fmt: skip
    parser.add_argument("--scenes", type=Path, help="export of `melfusion train scenes`, for the studio's suggestions")
    parser.add_argument(
        "--eight-bit", nargs="+", choices=EIGHT_BIT, default=[], help="store these in 8-bit floats (default none)"
    )
    assemble_full.add_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder; an older checkpoint is replaced")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Assemble and write a checkpoint.

    Args:
        args: Parsed command line.

    Returns:
        Exit code.

    Raises:
        CommandError: A component is missing, the output folder is not a checkpoint, or a weight does not fit half
            precision.
    """
    if args.out.exists() and any(args.out.iterdir()) and not (args.out / "model_index.json").is_file():
        raise CommandError(f"{args.out} holds something else than a checkpoint; it is left alone.")
    if args.preset is not None or args.base is not None:
        for name in ("scenes", "eight_bit", "timestep_shift"):
            if getattr(args, name):
                raise CommandError(f"--{name.replace('_', '-')} is for the mini's parts, not for --preset or --base.")
        return assemble_full.run(args)
    missing = [f"--{name}" for name in PARTS if getattr(args, name) is None]
    if missing:
        raise CommandError(f"Without --preset or --base, {', '.join(missing)} must be given.")
    assemble_full.refuse(args, (*assemble_full.FROM_PUBLIC, *assemble_full.FROM_TRAINED), "without --preset or --base")
    for folder in (
        args.vae,
        args.vocoder,
        args.image,
        args.music,
        args.prepared,
        *([args.scenes] if args.scenes else []),
    ):
        if not folder.is_dir():
            raise CommandError(f"The folder {folder} does not exist.")
    pipe = assemble(args.vae, args.vocoder, args.image, args.music, args.prepared, args.timestep_shift)
    write_checkpoint(pipe, args.out, args.eight_bit, args.scenes)
    print(args.out)
    return 0


def assemble(
    vae: Path, vocoder: Path, image: Path, music: Path, prepared: Path, timestep_shift: float | None = None
) -> MelFusionPipeline:
    """Build a pipeline of exported components.

    Args:
        vae: Export of the trainer of the codec or of the VAE.
        vocoder: Export of the vocoder's trainer.
        image: Export of the image model's trainer.
        music: Export of the music model's trainer.
        prepared: Folder of the prepare step, for the statistics of the latents.
        timestep_shift: How much the sampler's steps crowd towards the noise; None for the trainer's default.

    Returns:
        The pipeline, in float32.
    """
    from diffusers import DDIMScheduler, UNet2DConditionModel

    from melfusion_core.engines.spectrogram.latents import load_codec
    from melfusion_core.engines.spectrogram.vocoder import ISTFTVocoder
    from melfusion_core.models.inversion import load_image_scheduler
    from melfusion_core.models.picture_encoder import load_picture_encoder
    from melfusion_core.models.synapse import VisualSynapse
    from melfusion_core.models.text import load_minilm
    from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline
    from melfusion_core.training.music_config import MusicConfig
    from melfusion_core.training.prepare import PreparedData

    data = PreparedData.load(prepared)
    codec = load_codec(vae)
    codec.register_to_config(latents_mean=list(data.latents_mean), latents_std=list(data.latents_std))
    tokenizer, text_encoder = load_minilm()
    image_unet = UNet2DConditionModel.from_pretrained(image)
    return MelFusionPipeline(
        vae=codec,
        unet=UNet2DConditionModel.from_pretrained(music / "unet"),
        image_unet=image_unet,
        synapse=VisualSynapse.from_pretrained(music / "synapse"),
        vocoder=ISTFTVocoder.from_pretrained(vocoder),
        scheduler=DDIMScheduler.from_pretrained(music / "scheduler"),
        image_scheduler=load_image_scheduler(image),
        image_encoder=load_picture_encoder(image, image_unet),
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        timestep_shift=MusicConfig.timestep_shift if timestep_shift is None else timestep_shift,
    )


def write_checkpoint(
    pipe: MelFusionPipeline, out: Path, eight_bit: Sequence[str] = (), scenes: Path | None = None
) -> None:
    """Write a pipeline in half precision, in place of an older checkpoint; its model card stays.

    Args:
        pipe: Pipeline; it is in half precision afterwards.
        out: Checkpoint folder.
        eight_bit: Components whose matrices are stored in 8-bit floats, of `EIGHT_BIT`.
        scenes: Export of the scene classifier's trainer; None ships none.

    Raises:
        CommandError: A weight is not finite in half precision.
    """
    import torch

    from melfusion_core.models.scenes import SCENE_FOLDER

    pipe.to(dtype=torch.float16)
    for name, component in pipe.components.items():
        if isinstance(component, torch.nn.Module):
            if not all(torch.isfinite(weight).all() for weight in component.state_dict().values()):
                raise CommandError(f"A weight of {name} is not finite in half precision.", code=1)
        if name in eight_bit:
            for weight in component.parameters():
                if weight.ndim > 1:
                    weight.data = weight.data.to(torch.float8_e4m3fn)
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        pipe.save_pretrained(part, max_shard_size=MAX_SHARD_SIZE)
        for path in part.rglob("*config.json"):  # where a component was loaded from is nobody's business
            config = json.loads(path.read_text(encoding="utf-8"))
            if config.pop("_name_or_path", None) is not None:
                path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        if scenes is not None:
            shutil.copytree(scenes, part / SCENE_FOLDER)
        for name in KEPT:
            if (out / name).is_file():
                shutil.copy2(out / name, part / name)
        if out.exists():
            shutil.rmtree(out)
        part.replace(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
