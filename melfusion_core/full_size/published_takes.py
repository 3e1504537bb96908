"""Takes of a table's captions and pictures, for the published figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from melfusion_core.audio import save_audio
from melfusion_core.full_size.published import PublishedError, read_rows
from melfusion_core.take import TakeSettings

STEPS = 200  # of the released script, as its guidance scale of 3
GUIDANCE = 3.0


def render_takes(
    pipe: Any,
    table: Path,
    folder: Path,
    split: str = "",
    steps: int = STEPS,
    guidance_scale: float = GUIDANCE,
    duration_s: float = TakeSettings.duration_s,
    limit: int = 0,
    seed: int = 0,
    progress: bool = False,
) -> int:
    """Render one take for each row of a table; takes that are there already are kept.

    Caption and picture have the same guidance scale, so the prediction is `e + g (e_text,image - e)` as in the
    paper; the sampler is DDIM. Row n has seed `seed + n`, so that a take does not depend on which others were made.

    Args:
        pipe: A MelFusionPipeline.
        table: JSON lines, see `melfusion_core.data.corpus`.
        folder: Where to write `NAME.wav`, NAME being that of the row's clip.
        split: Split whose rows count; empty for all.
        steps: Denoising steps.
        guidance_scale: Weight of caption and picture.
        duration_s: Length of a take in seconds.
        limit: At most so many rows, from the first; 0 for all.
        seed: Of the first row.
        progress: Show a progress bar.

    Returns:
        Number of takes that were made now.

    Raises:
        PublishedError: When no row is left.
    """
    rows = read_rows(table, split)
    rows = rows[:limit] if limit else rows
    if not rows:
        raise PublishedError(f"{table} has no row" + (f" of the split {split}." if split else "."))
    folder.mkdir(parents=True, exist_ok=True)
    made = 0
    for number, row in enumerate(tqdm(rows, desc="takes", disable=not progress)):
        file = folder / f"{row.audio.stem}.wav"
        if file.is_file():
            continue
        take = pipe(
            row.caption,
            row.read_image(),
            duration_s=duration_s,
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            image_guidance_scale=guidance_scale,
            guidance_rescale=0.0,  # the paper has none
            sampler="ddim",
            generator=torch.Generator().manual_seed(seed + number),
        ).audios[0]
        part = file.with_suffix(".part.wav")
        save_audio(part, take, pipe.sample_rate, subtype="FLOAT")  # full scale may be passed: nothing is clipped
        part.replace(file)
        made += 1
    return made
