"""How much of a picture's keys and values says what the image model was told of its mood.

``python -m melfusion_core.training.heard --data CORPUS --image-unet RUN/export``

The visual synapse hears what the image model is told only as far as that moves the keys and values. Denoising hardly
needs it, so an image model may nearly ignore it; then the music model learns pictures by heart instead.

Shape legend: ``tellings`` moods told, ``pictures``, ``dim`` channels.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from melfusion_core.models.features import picture_size
from melfusion_core.models.inversion import load_image_scheduler
from melfusion_core.models.picture_encoder import PictureEncoder, load_picture_encoder
from melfusion_core.models.synapse import capture_image_features
from melfusion_core.models.text import encode_text, load_minilm
from melfusion_core.training.data import bytes_to_pixels, load_pictures, read_corpus, select

MOODS = ((0.5, 0.5), (0.8, 0.5), (0.2, 0.5), (0.5, 0.8), (0.5, 0.2), (0.8, 0.8), (0.2, 0.2))
"""Valence and arousal that every picture is told to have, one after the other."""


@torch.no_grad()
def heard_shares(
    unet: UNet2DConditionModel, scheduler: object, pixels: torch.Tensor, timestep: int = 100, num_steps: int = 1
) -> list[tuple[float, float]]:
    """Share of the variance of mean keys and values that what is told makes, over pictures and `MOODS`.

    Args:
        unet: Image UNet that is told moods.
        scheduler: Its scheduler.
        pixels: Pictures of shape ``(pictures, 3, height, width)`` in [-1, 1], at least two.
        timestep: Where keys and values are read.
        num_steps: Steps of the inversion up to there.

    Returns:
        For each connected layer the shares of keys and of values, 0 to 1.
    """
    null = encode_text(*load_minilm(), [""], max_length=2)
    means: list[list[torch.Tensor]] = []
    for mood in MOODS:
        told = PictureEncoder.tell_mood(torch.tensor([mood])).repeat(len(pixels), 1)
        found = capture_image_features(unet, scheduler, pixels, null, (timestep,), num_steps, embedding=told)
        means.append([each.float().mean(dim=1) for pair in found.layers[0] for each in pair])
    shares = []
    for parts in zip(*means, strict=True):
        values = torch.stack(parts).double()  # (tellings, pictures, dim)
        told = values.var(dim=0, correction=0).mean(dim=0).sum()
        shares.append(float(told / values.flatten(0, 1).var(dim=0, correction=0).sum()))
    return list(zip(shares[::2], shares[1::2], strict=True))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print a Markdown table.

    Args:
        argv: Command line; None takes the process's.
    """
    parser = argparse.ArgumentParser(description="Print how much of pictures' keys and values says what was told.")
    parser.add_argument("--data", required=True, help="corpus folder; its validation pictures are used")
    parser.add_argument("--image-unet", required=True, type=Path, help="image model that is told moods")
    parser.add_argument("--pictures", type=int, default=48, help="pictures to measure on (default 48)")
    parser.add_argument("--key-timestep", type=int, default=100, help="where features are read (default 100)")
    parser.add_argument("--num-inversion-steps", type=int, default=1, help="steps up to there (default 1)")
    args = parser.parse_args(argv)
    try:
        if args.pictures < 2:
            raise ValueError("pictures must be at least 2")
        unet = UNet2DConditionModel.from_pretrained(args.image_unet, torch_dtype=torch.float32).eval()
        encoder = load_picture_encoder(args.image_unet, unet)
        if encoder is None or encoder.config.tells != "mood":
            raise ValueError(f"{args.image_unet} is not told moods")
        clips = select(read_corpus(args.data), "validation", args.pictures)
        pixels = bytes_to_pixels(load_pictures(clips, picture_size(unet))[0])
        scheduler = load_image_scheduler(args.image_unet)
        shares = heard_shares(unet, scheduler, pixels, args.key_timestep, args.num_inversion_steps)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print("| layer | keys | values |\n|---|---|---|")
    for layer, (keys, values) in enumerate(shares):
        print(f"| {layer} | {100 * keys:.1f} % | {100 * values:.1f} % |")


if __name__ == "__main__":
    main()
