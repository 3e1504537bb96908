"""Generating the takes that are measured: with picture and without, from the same noise, kept on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from tqdm.auto import tqdm

from melfusion_core.audio import load_audio, save_audio
from melfusion_core.data.corpus import Triplet
from melfusion_core.evaluation.shares import WHOLE, Part
from melfusion_core.take import TakeSettings

NEUTRAL_CAPTION = "a piece of music"
PARTS = ("neutral", "described")
VARIANTS = ("with_image", "text_only")
DOSES = (0.0, 0.5, 1.0, 1.5)
"""Synapse strengths of the dose curves; 0 is text-only, 1 the take with the picture."""


class MeasuredPipeline(Protocol):
    """What evaluation needs of a pipeline; `MelFusionPipeline` has it."""

    sample_rate: int

    def compare(self, **settings: Any) -> Any:
        """Generate with the picture and from the caption alone, from the same noise.

        Args:
            settings: `prompt`, `image` and `generator` as lists, and the fields of `SamplingSettings`.
        """

    def __call__(self, **settings: Any) -> Any:
        """Generate with the picture only.

        Args:
            settings: As for `compare`.
        """


HEADROOM = 4.0
"""Takes are stored 12 dB lower and read back at their level, because guided takes may pass full scale."""


@dataclass(frozen=True, kw_only=True)
class SamplingSettings(TakeSettings):
    """How takes are generated; a folder of takes belongs to one of these.

    Attributes:
        seed: Take i of a part starts from noise of a seed made of this, the part and i.
        model: Name or hash of the model, so that takes of two models never mix.
    """

    seed: int = 0
    model: str = ""


def caption_for(triplet: Triplet, part: str) -> str:
    """Caption of a take.

    Args:
        triplet: Whose picture and attributes are used.
        part: "neutral" says nothing of the music; "described" names style, lead instrument, mode and tempo word, as
            far as the corpus knows them, in one fixed sentence.

    Returns:
        The caption.

    Raises:
        ValueError: If `part` is unknown.
    """
    if part not in PARTS:
        raise ValueError(f"unknown part {part!r}; choose from {', '.join(PARTS)}")
    if part == "neutral":
        return NEUTRAL_CAPTION
    kind = triplet.style or "piece"
    words = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}{' piece' if triplet.style else ''} with {triplet.lead}"
    words += f" in a {triplet.mode} key" if triplet.mode else ""
    return words + (f", at a {triplet.tempo_word} tempo" if triplet.tempo_word else "")


def dose_variant(strength: float) -> str:
    """Name of the takes at a synapse strength.

    Args:
        strength: One of `DOSES`.

    Returns:
        "text_only" for 0, "with_image" for 1, else such as "dose_0.5".
    """
    return {0.0: "text_only", 1.0: "with_image"}.get(strength, f"dose_{strength:g}")


def take_path(out: Path, part: str, variant: str, triplet: Triplet) -> Path:
    """Where a take is kept.

    Args:
        out: Folder of the evaluation.
        part: "neutral" or "described".
        variant: "with_image", "text_only" or a dose.
        triplet: Whose picture is used.

    Returns:
        Path of a FLAC file.
    """
    return out / "takes" / part / variant / f"{triplet.id}.flac"


def generate_takes(
    pipeline: MeasuredPipeline,
    triplets: Sequence[Triplet],
    part: str,
    out: Path,
    settings: SamplingSettings,
    batch_size: int = 4,
    progress: bool = True,
    dose: float | None = None,
    part_made: Part = WHOLE,
) -> None:
    """Generate the takes that are not on disk yet, several pictures per call.

    Args:
        pipeline: What generates.
        triplets: Whose pictures and attributes are used; the seed of a take follows from its place here.
        part: "neutral" or "described".
        out: Folder of the evaluation.
        settings: How to generate.
        batch_size: Pictures per call.
        progress: Show a progress bar.
        dose: Synapse strength of takes with the picture only; None for both takes at the settings' strength.
        part_made: The share to generate.

    Raises:
        ValueError: If `out` holds takes made with other settings.
    """
    claim_folder(out, settings)
    variants = VARIANTS if dose is None else (dose_variant(dose),)
    places = {triplet.id: index for index, triplet in enumerate(triplets)}
    mine = [triplet for number, triplet in enumerate(triplets) if part_made.holds(number)]
    missing = [t for t in mine if not all(take_path(out, part, v, t).is_file() for v in variants)]
    label = f"takes, {part}" if dose is None else f"takes, strength {dose:g}"
    bar = tqdm(total=len(mine), initial=len(mine) - len(missing), desc=label, disable=not progress)
    doses = {} if dose is None else {"synapse_strength": dose}
    sampling = asdict(settings.changed(seed=None, **doses))
    for start in range(0, len(missing), batch_size):
        batch = missing[start : start + batch_size]
        seeds = [take_seed(settings.seed, part, places[triplet.id]) for triplet in batch]
        made = (pipeline.compare if dose is None else pipeline)(
            prompt=[caption_for(triplet, part) for triplet in batch],
            image=[triplet.read_image() for triplet in batch],
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            output_type="np",
            **sampling,
        )
        for variant in variants:
            waveforms = getattr(made, variant) if dose is None else made.audios
            for triplet, waveform in zip(batch, waveforms, strict=True):
                path = take_path(out, part, variant, triplet)
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_name(f"partial-{path.name}")
                save_audio(partial, np.asarray(waveform) / HEADROOM, pipeline.sample_rate, subtype="PCM_24")
                partial.rename(path)
        bar.update(len(batch))
    bar.close()


def load_take(out: Path, part: str, variant: str, triplet: Triplet, sample_rate: int) -> np.ndarray:
    """Read a take.

    Args:
        out: Folder of the evaluation.
        part: "neutral" or "described".
        variant: "with_image", "text_only" or a dose.
        triplet: Whose take to read.
        sample_rate: Wanted sample rate in Hz.

    Returns:
        Waveform of shape `(samples,)`.
    """
    return load_audio(take_path(out, part, variant, triplet), sample_rate).numpy() * HEADROOM


def take_seed(seed: int, part: str, index: int) -> int:
    """Seed of one take's noise.

    Args:
        seed: Seed of the evaluation.
        part: "neutral" or "described".
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
