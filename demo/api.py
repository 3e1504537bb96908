"""The page's controls as a request, and the endpoint for programs that takes the same."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from demo.service import NUMBER, StudioService, write_figure
from demo.takes import MAX_SEED, Request, Result, StudioError
from demo.visitors import anybody_listens
from melfusion_core.take import SAMPLERS, SettingError, TakeSettings

NEW_SEED = -1


def to_request(
    image: str | None,
    caption: str | None,
    synapse_percent: float,
    steps: float,
    seed: float | None,
    duration_s: float,
    guidance: float,
    image_guidance: float,
    sampler: str,
    negative: str | None = "",
    region_percent: float = 100,
    region_x: float = 50,
    region_y: float = 50,
    guidance_percent: float = 100 * TakeSettings.guidance_stop,
    rescale_percent: float = 100 * TakeSettings.guidance_rescale,
    **experiment: Any,
) -> Request:
    """Read the values of the page's controls.

    Args:
        image: File of the picture, or ``None``.
        caption: Words, or ``None``.
        synapse_percent: Strength of the synapse; 100 is as trained.
        steps: Denoising steps.
        seed: Seed, or ``NEW_SEED`` for a new one.
        duration_s: Length in seconds.
        guidance: Guidance by the text.
        image_guidance: Guidance by the picture.
        sampler: Name of the sampler.
        negative: What the music should not be, or ``None``.
        region_percent: Side of the square that should sound, in percent of the picture's shorter side.
        region_x: Its place from left (0) to right (100).
        region_y: Its place from top (0) to bottom (100).
        guidance_percent: How far guidance goes from noise to music.
        rescale_percent: How much guided takes are softened.
        experiment: More of :class:`demo.takes.Request`: ``mode``, ``num_takes``, ``other_image_path``.

    Returns:
        The request, not yet checked.
    """
    knobs = {
        "seed": None if seed == NEW_SEED else seed,
        "duration_s": duration_s,
        "num_inference_steps": steps,
        "guidance_scale": guidance,
        "image_guidance_scale": image_guidance,
        "synapse_strength": _share(synapse_percent),
        "sampler": sampler,
        "negative_prompt": negative or "",
        "guidance_stop": _share(guidance_percent),
        "guidance_rescale": _share(rescale_percent),
    }
    region = (_share(region_percent), _share(region_x), _share(region_y))
    return Request(image, caption or "", knobs, region, **experiment)


def _share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100.0


def _within(slider: gr.Slider, payload: float | None) -> float | None:
    """Check a slider's number. Gradio's own words would not say which of the numbers is beyond its bounds."""
    if payload is None or payload != payload:  # nothing, and what is not a number, the service refuses
        return payload
    try:
        return NUMBER.check(slider.label, payload, slider.minimum, slider.maximum)
    except SettingError as error:
        raise gr.Error(str(error), print_exception=False) from error


class Endpoints:
    """What programs and agents may call.

    Args:
        service: What turns requests into files.
    """

    def __init__(self, service: StudioService) -> None:
        self._service = service

    # Gradio reads a tool's description from the docstring, and of each argument only the first line.
    def generate(
        self,
        image: str | None = None,
        caption: str = "",
        synapse_percent: float = 100 * TakeSettings.synapse_strength,
        steps: float = TakeSettings.num_inference_steps,
        seed: float = NEW_SEED,
        duration_s: float = TakeSettings.duration_s,
        guidance: float = TakeSettings.guidance_scale,
        image_guidance: float = TakeSettings.image_guidance_scale,
        sampler: str = TakeSettings.sampler,
        negative: str = "",
        region_percent: float = 100,
        region_x: float = 50,
        region_y: float = 50,
        guidance_percent: float = 100 * TakeSettings.guidance_stop,
        rescale_percent: float = 100 * TakeSettings.guidance_rescale,
    ) -> Iterator[tuple[Any, ...]]:
        """Make music from a picture, a caption, or both.

        The answer is, in this order: the music (WAV); the same from the caption alone, when there were both; the
        spectrograms (PNG); the recipe, which is every setting with the seed; and notes.

        Args:
            image: Picture (JPEG, PNG, WebP or GIF); agents give a public web address or a data URL, or leave it out.
            caption: What the music should be, at most 400 characters; may be empty when there is a picture.
            synapse_percent: How much the picture is heard, from 0 (not at all) to 200; 100 is as trained.
            steps: Denoising steps, from 1 to 100.
            seed: From 0 to 4294967295, or -1 for a new one; the recipe tells which.
            duration_s: Length in seconds, from 2.56 to 20.48.
            guidance: Guidance by the caption, from 0 to 12.
            image_guidance: Guidance by the picture, from 0 to 12.
            sampler: "dpm++" or "ddim".
            negative: What the music should not be, at most 400 characters.
            region_percent: Side of the square that sounds, from 10 to 100 % of the shorter side; 100 at 50, 50 is all.
            region_x: Place of the square, from left (0) to right (100).
            region_y: Place of the square, from top (0) to bottom (100).
            guidance_percent: How far guidance goes, from 0 to 100 % of the way from noise to music.
            rescale_percent: How much guided takes are softened, from 0 to 100 %.
        """
        values = (image, caption, synapse_percent, steps, seed, duration_s, guidance, image_guidance, sampler)
        last = (region_percent, region_x, region_y, guidance_percent, rescale_percent)
        try:
            with contextlib.closing(self._service.compose(to_request(*values, negative, *last))) as work:
                for event in work:
                    if not anybody_listens():
                        return
                    if isinstance(event, Result):
                        twin = event.text_only.path if event.with_image and event.text_only else None
                        recipe = event.main.recipe.to_dict()
                        with tempfile.TemporaryDirectory(prefix="melfusion-") as folder:
                            figure = str(write_figure(event, folder))
                            yield event.main.path, twin, figure, recipe, list(event.notes)
        except StudioError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def capabilities(self) -> dict[str, Any]:
        """Tell which model answers here and what may be asked of it: limits, samplers, sample rate.

        Returns:
            Names and values.
        """
        engine, limits = self._service.engine, dataclasses.asdict(self._service.limits)
        return {
            "model_name": engine.model_name,
            "model_sha256": engine.model_sha256,
            "device": engine.device,
            "sample_rate_hz": engine.sample_rate,
            "samplers": list(SAMPLERS),
            "max_seed": MAX_SEED,
            **limits,
        }


def add_endpoints(service: StudioService, inputs: list[gr.components.Component], **turn: Any) -> None:
    """Offer ``generate`` and ``capabilities`` to programs and agents; the page itself does not use them.

    Args:
        service: What turns requests into files.
        inputs: Components in the order of :func:`to_request`, which give the endpoint its types and bounds; from
            now on the sliders among them refuse what is beyond theirs in the studio's words.
        turn: Whose turn it is at the engine: the concurrency settings of the event.
    """
    for component in inputs:
        if isinstance(component, gr.Slider):
            component.preprocess = partial(_within, component)
    outputs = [
        gr.Audio(visible=False, label="Music from picture and words, or from the one that was given", type="filepath"),
        gr.Audio(visible=False, label="Music from the words alone, when both were given", type="filepath"),
        gr.Image(visible=False, label="Spectrograms", type="filepath", format="png"),
        gr.JSON(visible=False, label="Recipe of the first"),
        gr.JSON(visible=False, label="Notes"),
    ]
    endpoints = Endpoints(service)
    gr.Button(visible=False).click(endpoints.generate, inputs, outputs, api_name="generate", **turn)
    gr.api(endpoints.capabilities, api_name="capabilities")
