"""`melfusion probe`: what the image model's features say of pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from melfusion_core.cli import options
from melfusion_core.cli.options import CommandError

DEFAULT_TIMESTEPS = (20, 100, 250, 500, 800)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser(
        "probe",
        help="probe the image model for mood and subject",
        description="Linear probes of the image model's decoder self-attention along the inversion, for valence, "
        "arousal and kind of picture: trained on the corpus' train themes and tested on held-out themes; and with "
        "--pictures by folds over themes on human-rated photographs. Baselines: mean colour, colour and texture.",
    )
    parser.add_argument("image", type=Path, help="export of `melfusion train image`")
    parser.add_argument("corpus", type=Path, help="folder of the corpus")
    parser.add_argument("--out", type=options.out_folder, required=True, help="folder for the report")
    parser.add_argument("--pictures", type=Path, help="folder with pictures.csv: photographs with human ratings")
    counts = options.whole_number(20, 1_000_000)
    parser.add_argument("--n", type=counts, default=1200, help="training pictures of the corpus (default 1200)")
    parser.add_argument("--held-out", type=counts, default=400, help="held-out pictures of the corpus (default 400)")
    parser.add_argument(
        "--timesteps",
        type=options.whole_number(0, 999),
        nargs="+",
        default=list(DEFAULT_TIMESTEPS),
        help="key timesteps (default 20 100 250 500 800)",
    )
    parser.add_argument("--steps", type=options.whole_number(1, 100), default=8, help="inversion steps (default 8)")
    parser.add_argument("--seed", type=options.seed, default=0, help="(default 0)")
    parser.add_argument("--threads", type=options.whole_number(1, 1024), help="CPU threads (default PyTorch's choice)")
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda" (default cpu)')
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    for folder in (args.image, args.corpus, *([args.pictures] if args.pictures else [])):
        if not folder.is_dir():
            raise CommandError(f"The folder {folder} does not exist.")
    import torch
    from diffusers import UNet2DConditionModel

    from melfusion_core.models.inversion import load_image_scheduler
    from melfusion_core.models.picture_encoder import load_picture_encoder
    from melfusion_core.models.text import encode_text, load_minilm
    from melfusion_core.research.probe import ImageModel, probe

    if args.threads:
        torch.set_num_threads(args.threads)
    unet = UNet2DConditionModel.from_pretrained(args.image).float().eval().to(args.device)
    encoder = load_picture_encoder(args.image, unet)
    model = ImageModel(unet, load_image_scheduler(args.image), encode_text(*load_minilm(), [""]), encoder)
    try:
        sets: dict[str, Any] = {"corpus": _corpus_pictures(args.corpus, args.n, args.held_out, args.seed)}
        if args.pictures:
            sets["rated photographs"] = _rated_photographs(args.pictures)
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    probe(model, sets, args.out, sorted(set(args.timesteps)), args.steps, args.seed)
    print((args.out / "probe.md").read_text(encoding="utf-8"))
    return 0


def _corpus_pictures(corpus: Path, train: int, held_out: int, seed: int) -> list[Any]:
    """Draw pictures of a corpus."""
    import numpy as np

    from melfusion_core.evaluation.judging import load_triplets
    from melfusion_core.research.probe import ProbePicture

    rng = np.random.default_rng(seed)
    pictures = []
    for split, count in (("train", train), ("test", held_out)):
        triplets = load_triplets(corpus, split)
        for index in rng.permutation(len(triplets))[:count]:
            each = triplets[index]
            kind = each.theme if each.kind == "scene" else "photograph"
            theme, mood = each.theme or each.id, (each.image_valence, each.image_arousal)
            pictures.append(ProbePicture(each.image, theme, kind, *mood, held_out=split == "test"))
    return pictures


def _rated_photographs(folder: Path) -> list[Any]:
    """Read the photographs with human ratings."""
    from melfusion_core.data.pictures import load_rated_pictures
    from melfusion_core.research.probe import ProbePicture

    return [
        ProbePicture(each.path, each.theme, each.category, each.valence, each.arousal)
        for each in load_rated_pictures(folder)
        if each.valence is not None and each.arousal is not None
    ]
