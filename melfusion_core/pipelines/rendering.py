"""From a folder to a pipeline, and from settings to takes: what the command line and the studio run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers.utils import logging as diffusers_logging
from PIL import Image
from transformers.utils import logging as transformers_logging

from melfusion_core.engines.base import Rendered, View
from melfusion_core.engines.score.direction import Direction
from melfusion_core.models.text import TextEncoderError
from melfusion_core.pipelines.checking import ModelFolderError, check_folder, explain
from melfusion_core.pipelines.inputs import GenerationRequest
from melfusion_core.pipelines.outputs import ComparisonOutput, StepInfo
from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline
from melfusion_core.take import TakeSettings

WITH_IMAGE, TEXT_ONLY = "with_image", "text_only"


@dataclass(frozen=True)
class Step:
    """One denoising step done.

    Args:
        step: Steps done so far, from 1.
        num_steps: Steps in all.
        view: What the take looks like so far; None where nobody looked.
    """

    step: int
    num_steps: int
    view: View | None = None


@dataclass(frozen=True)
class Finished:
    """The work is done.

    Args:
        takes: What was made, on the CPU, by ``WITH_IMAGE`` and ``TEXT_ONLY``: one of them, or for a comparison both.
    """

    takes: dict[str, Rendered]


def open_pipeline(folder: Path, device: str = "auto") -> MelFusionPipeline:
    """Load a pipeline for rendering.

    Args:
        folder: Folder in diffusers format.
        device: "auto" for CUDA where there is one and else the CPU, or a name that torch knows.

    Returns:
        The pipeline, in float32, without progress bars of its own.

    Raises:
        ModelFolderError: When it is damaged; the message names the file or component.
        TextEncoderError: When the text encoder's package is not installed, or not the expected one.
        ValueError: When the device cannot be used.
    """
    check_folder(folder)
    with quiet_loading():
        try:
            pipe = MelFusionPipeline.from_pretrained(folder)
        except (ModelFolderError, TextEncoderError):
            raise
        except Exception as error:  # noqa: BLE001  (diffusers and transformers raise whatever a configuration brings)
            raise explain(folder, error) from error
    pipe.set_progress_bar_config(disable=True)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return pipe.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"The device {device!r} cannot be used: {str(error).splitlines()[0]}") from error


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Without the bars of diffusers and transformers, one a network and gone at once; the Hub's are shown."""
    shown = [module for module in (diffusers_logging, transformers_logging) if module.is_progress_bar_enabled()]
    for module in shown:
        module.disable_progress_bar()
    try:
        yield
    finally:
        for module in shown:
            module.enable_progress_bar()


def render_takes(
    pipe: MelFusionPipeline,
    prompt: str,
    image: Image.Image | None,
    settings: TakeSettings,
    compare: bool = False,
    previews: int = 0,
    direction: Direction | None = None,
) -> Iterator[Step | Finished]:
    """Make one take, or one and its twin from the caption alone; closing the iterator stops after the step it is in.

    Args:
        pipe: The pipeline.
        prompt: Caption; may be empty where there is a picture.
        image: Picture, or None.
        settings: How it is made.
        compare: Whether to make the twin as well, from the same noise and in the same batch.
        previews: About how often to look at the first take while it forms.
        direction: What the music is told beside, where the model takes it; None for nothing.

    Yields:
        Each step, and last what was made.

    Raises:
        ValueError: When the pipeline does not accept something.
        ImageError: When the picture cannot be used.
        GenerationInterrupted: When :meth:`MelFusionPipeline.interrupt` stopped it.
    """
    told = None if direction is None else [direction]
    request = GenerationRequest(prompt or None, image, settings.changed(), directions=told, output_type="pt")
    every = max(1, settings.num_inference_steps // previews) if previews else 0
    with closing(pipe.stream(request, compare)) as events:
        for event in events:
            if isinstance(event, StepInfo):
                looks = every and (event.step == 1 or event.step % every == 0) and event.step < event.num_steps
                view = pipe.engine.view(event.clean_latents[:1], event.plan)[0] if looks else None
                yield Step(event.step, event.num_steps, view)
            elif isinstance(event, ComparisonOutput):
                yield Finished({WITH_IMAGE: _kept(event.with_image_takes), TEXT_ONLY: _kept(event.text_only_takes)})
            else:
                yield Finished({TEXT_ONLY if image is None else WITH_IMAGE: _kept(event.takes)})


def _kept(takes: list[Rendered] | None) -> Rendered:
    [take] = takes or []
    stems = None if take.stems is None else {role: _on_cpu(stem) for role, stem in take.stems.items()}
    return Rendered(_on_cpu(take.audio), take.sample_rate, take.view, stems, take.score)


def _on_cpu(audio: torch.Tensor) -> torch.Tensor:
    return audio.float().cpu()
