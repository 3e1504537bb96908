"""Generating the takes that are measured: with picture and without, from the same noise, kept on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from melfusion_core.audio import load_audio, save_audio

from .triplets import Triplet

NEUTRAL_CAPTION = "a piece of music"
PARTS = ("neutral", "named")
VARIANTS = ("with_image", "text_only")


class ComparingPipeline(Protocol):
    """What evaluation needs of a pipeline; `MelFusionPipeline` has it."""

    sample_rate: int

    def compare(self, **settings: Any) -> Any:
        """Generate with the picture and from the caption alone, from the same noise.

        Args:
            settings: `prompt`, `image` and `generator` as lists, and the fields of `SamplingSettings`.
        """


HEADROOM = 4.0
"""Takes are stored 12 dB lower and read back at their level, because guided takes may pass full scale."""


@dataclass(frozen=True)
class SamplingSettings:
    """How takes are generated; a folder of takes belongs to one of these.

    Args:
        seed: Take i of a part starts from noise of a seed made of this, the part and i.
        num_inference_steps: Denoising steps.
        guidance_scale: Weight of the caption.
        image_guidance_scale: Weight of the picture.
        synapse_strength: Strength of the picture.
        duration_s: Length in seconds.
        sampler: Name of the sampler.
        model: Name or hash of the model, so that takes of two models never mix.
    """

    seed: int = 0
    num_inference_steps: int = 25
    guidance_scale: float = 3.0
    image_guidance_scale: float = 4.0
    synapse_strength: float = 1.0
    duration_s: float = 10.24
    sampler: str = "dpm++"
    model: str = ""


def caption_for(triplet: Triplet, part: str) -> str:
    """Caption of a take.

    Args:
        triplet: Whose picture and lead instrument are used.
        part: "neutral" says nothing of the music, "named" names the lead instrument only.

    Returns:
        The caption.

    Raises:
        ValueError: If `part` is unknown.
    """
    if part not in PARTS:
        raise ValueError(f"unknown part {part!r}; choose from {', '.join(PARTS)}")
    return NEUTRAL_CAPTION if part == "neutral" else f"a piece with {triplet.lead}"


def take_path(out: Path, part: str, variant: str, triplet: Triplet) -> Path:
    """Where a take is kept.

    Args:
        out: Folder of the evaluation.
        part: "neutral" or "named".
        variant: "with_image" or "text_only".
        triplet: Whose picture is used.

    Returns:
        Path of a FLAC file.
    """
    return out / "takes" / part / variant / f"{triplet.id}.flac"


def generate_takes(
    pipeline: ComparingPipeline,
    triplets: Sequence[Triplet],
    part: str,
    out: Path,
    settings: SamplingSettings,
    batch_size: int = 4,
    progress: bool = True,
) -> None:
    """Generate the takes that are not on disk yet, several pictures per call.

    Args:
        pipeline: What generates.
        triplets: Whose pictures and lead instruments are used.
        part: "neutral" or "named".
        out: Folder of the evaluation.
        settings: How to generate.
        batch_size: Pictures per call.
        progress: Show a progress bar.

    Raises:
        ValueError: If `out` holds takes made with other settings.
    """
    claim_folder(out, settings)
    places = {triplet.id: index for index, triplet in enumerate(triplets)}
    missing = [t for t in triplets if not all(take_path(out, part, v, t).is_file() for v in VARIANTS)]
    bar = tqdm(total=len(triplets), initial=len(triplets) - len(missing), desc=f"takes, {part}", disable=not progress)
    sampling = {key: value for key, value in asdict(settings).items() if key not in ("seed", "model")}
    for start in range(0, len(missing), batch_size):
        batch = missing[start : start + batch_size]
        seeds = [take_seed(settings.seed, part, places[triplet.id]) for triplet in batch]
        output = pipeline.compare(
            prompt=[caption_for(triplet, part) for triplet in batch],
            image=[_open(triplet.image) for triplet in batch],
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            output_type="np",
            **sampling,
        )
        for variant in VARIANTS:
            for triplet, waveform in zip(batch, getattr(output, variant), strict=True):
                path = take_path(out, part, variant, triplet)
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_name(f"partial-{path.name}")
                save_audio(partial, np.asarray(waveform) / HEADROOM, pipeline.sample_rate, subtype="PCM_24")
                partial.rename(path)
        bar.update(len(batch))
    bar.close()


def load_takes(out: Path, part: str, variant: str, triplets: Sequence[Triplet], sample_rate: int) -> list[np.ndarray]:
    """Read takes.

    Args:
        out: Folder of the evaluation.
        part: "neutral" or "named".
        variant: "with_image" or "text_only".
        triplets: Whose takes to read.
        sample_rate: Wanted sample rate in Hz.

    Returns:
        Waveforms of shape `(samples,)`.
    """
    paths = [take_path(out, part, variant, triplet) for triplet in triplets]
    return [load_audio(path, sample_rate).numpy() * HEADROOM for path in paths]


def take_seed(seed: int, part: str, index: int) -> int:
    """Seed of one take's noise.

    Args:
        seed: Seed of the evaluation.
        part: "neutral" or "named".
        index: Place of the triplet in the evaluation.

    Returns:
        A 63-bit seed.
    """
    return int(
        np.random.SeedSequence([seed, PARTS.index(part), index]).generate_state(1, np.uint64)[0] >> np.uint64(1)
    )


def claim_folder(out: Path, settings: SamplingSettings) -> None:
    """Tie a folder to sampling settings.

    Args:
        out: Folder of the evaluation; made when missing.
        settings: How its takes are generated.

    Raises:
        ValueError: If the folder belongs to other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    marker = out / "settings.json"
    wanted = asdict(settings)
    if marker.is_file():
        known = json.loads(marker.read_text(encoding="utf-8"))
        if known != wanted:
            changed = ", ".join(sorted(key for key in wanted if known.get(key) != wanted[key]))
            raise ValueError(f"{out} holds takes made with other settings ({changed}); choose another folder")
        return
    marker.write_text(json.dumps(wanted, indent=1), encoding="utf-8")


def _open(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
