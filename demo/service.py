"""What the page asks for and gets back: limits, seeds, the engine's steps, files at one loudness, recipes.

Nothing here knows the page, and nothing but the engine knows the model.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from demo.takes import (
    TEXT_ONLY,
    WITH_IMAGE,
    Engine,
    Limits,
    Progress,
    Request,
    Result,
    Settings,
    Sound,
    StudioError,
    Take,
)
from melfusion_core.audio import integrated_lufs, match_loudness_together, save_audio
from melfusion_core.image import ImageError, load_image
from melfusion_core.mel import MelConfig
from melfusion_core.recipe import (
    SAMPLERS,
    Recipe,
    embed_in_file,
    file_stem,
    image_sha256,
    library_versions,
    write_sidecar,
)
from melfusion_core.spectrogram import plot_mel, plot_pair, save_figure

MAX_SEED = 2**32 - 1
TITLES = {WITH_IMAGE: "Picture and words", TEXT_ONLY: "Words alone"}
PICTURE_ONLY_TITLE = "Picture alone"


class StudioService:
    """Turns requests into files.

    Args:
        engine: What makes the music.
        limits: What a request may ask for; ``None`` takes the usual ones.
    """

    def __init__(self, engine: Engine, limits: Limits | None = None) -> None:
        self.engine = engine
        self.limits = limits or Limits()

    @property
    def mel_config(self) -> MelConfig:
        """Settings of the mels in progress and results."""
        return self.engine.mel_config

    def check(self, request: Request) -> Settings:
        """Check a request, read its picture and draw the seed where none is given.

        Args:
            request: As it comes from the page.

        Returns:
            What the engine needs.

        Raises:
            StudioError: When something is missing, unreadable or beyond the limits.
        """
        limits = self.limits
        caption = " ".join((request.caption or "").split())
        if not request.image_path and not caption:
            raise StudioError("Give a picture, a few words, or both: there is nothing to make music from yet.")
        if len(caption) > limits.max_caption_characters:
            raise StudioError(
                f"The words are too long: {len(caption)} characters, and at most {limits.max_caption_characters} fit."
            )
        _between("The length in seconds", request.duration_s, limits.min_duration_s, limits.max_duration_s)
        _between("The number of steps", request.num_inference_steps, 1, limits.max_steps)
        _between("Text guidance", request.guidance_scale, 0, limits.max_guidance_scale)
        _between("Image guidance", request.image_guidance_scale, 0, limits.max_guidance_scale)
        _between("Synapse strength", request.synapse_strength, 0, limits.max_synapse_strength)
        if request.sampler not in SAMPLERS:
            raise StudioError(f"The sampler must be one of {', '.join(SAMPLERS)}, not {request.sampler}.")
        if request.seed is not None:
            _between("The seed", request.seed, 0, MAX_SEED)
        try:
            image = load_image(request.image_path) if request.image_path else None
        except ImageError as error:
            raise StudioError(str(error)) from error
        return Settings(
            caption=caption,
            image=image,
            seed=secrets.randbelow(MAX_SEED + 1) if request.seed is None else int(request.seed),
            duration_s=float(request.duration_s),
            num_inference_steps=int(request.num_inference_steps),
            guidance_scale=float(request.guidance_scale),
            image_guidance_scale=float(request.image_guidance_scale),
            synapse_strength=float(request.synapse_strength),
            sampler=request.sampler,
        )

    def compose(self, request: Request) -> Iterator[Progress | Result]:
        """Make the music for a request; closing the generator stops the work within a step.

        Args:
            request: As it comes from the page.

        Yields:
            Progress after each step, and last the result.

        Raises:
            StudioError: When the request cannot be fulfilled.
        """
        settings = self.check(request)
        yield Progress(0, settings.num_inference_steps)
        sounds: dict[str, Sound] = {}
        first_step_at: float | None = None
        with contextlib.closing(self.engine.render(settings)) as work:
            for event in work:
                if isinstance(event, dict):
                    sounds = event
                    break
                now = time.monotonic()
                seconds_left = None
                if first_step_at is None:
                    first_step_at = now
                else:
                    seconds_left = (now - first_step_at) / (event.step - 1) * (event.num_steps - event.step)
                yield Progress(event.step, event.num_steps, seconds_left, event.mel_db)
        if not sounds:
            raise StudioError("The model finished without any sound. Please try again.")
        with tempfile.TemporaryDirectory(prefix="melfusion-") as folder:
            yield self._write(Path(folder), request, settings, sounds)

    def _write(self, folder: Path, request: Request, settings: Settings, sounds: dict[str, Sound]) -> Result:
        sample_rate = self.mel_config.sample_rate
        waveforms = [torch.from_numpy(np.asarray(sound.waveform, dtype=np.float32)) for sound in sounds.values()]
        if not all(torch.isfinite(waveform).all() for waveform in waveforms):
            raise StudioError("The model gave samples that are not numbers. Lower the guidance and try again.")
        # Rounded gains: whoever applies the recipe's figure to the model's samples gets this file, bit by bit.
        levelled = match_loudness_together(waveforms, sample_rate)
        gains_db = [round(_gain_db(*pair), 3) for pair in zip(waveforms, levelled, strict=True)]
        takes, silent = {}, False
        for (name, sound), waveform, gain_db in zip(sounds.items(), waveforms, gains_db, strict=True):
            silent = silent or not math.isfinite(integrated_lufs(waveform, sample_rate))
            recipe = self._recipe(name, request, settings, gain_db)
            exact = waveform * 10.0 ** (gain_db / 20.0)
            suffix = f"-{name.replace('_', '-')}" if settings.compares else ""
            path = folder / f"{file_stem(recipe)}{suffix}.wav"
            save_audio(path, exact, sample_rate)
            embed_in_file(path, recipe, settings.image if name == WITH_IMAGE else None)
            title = PICTURE_ONLY_TITLE if name == WITH_IMAGE and not settings.caption else TITLES[name]
            takes[name] = Take(title, str(path), sound.mel_db, recipe)
        main = takes.get(WITH_IMAGE) or takes[TEXT_ONLY]
        figure_path = Path(main.path).with_suffix(".png")
        if len(takes) == 2:
            pair = (takes[WITH_IMAGE], takes[TEXT_ONLY])
            figure = plot_pair(pair[0].mel_db, pair[1].mel_db, self.mel_config, (pair[0].title, pair[1].title))
        else:
            figure = plot_mel(main.mel_db, self.mel_config, main.title)
        return Result(
            with_image=takes.get(WITH_IMAGE),
            text_only=takes.get(TEXT_ONLY),
            seed=settings.seed,
            notes=_notes(settings, silent),
            recipe_path=str(write_sidecar(main.path, main.recipe)),
            figure_path=str(save_figure(figure, figure_path)),
        )

    def _recipe(self, name: str, request: Request, settings: Settings, gain_db: float) -> Recipe:
        hears_image = settings.image is not None
        return Recipe(
            prompt=settings.caption,
            seed=settings.seed,
            duration_s=settings.duration_s,
            num_inference_steps=settings.num_inference_steps,
            sampler=settings.sampler,
            guidance_scale=settings.guidance_scale,
            image_guidance_scale=settings.image_guidance_scale,
            synapse_strength=settings.synapse_strength,
            sample_rate=self.mel_config.sample_rate,
            model_name=self.engine.model_name,
            model_sha256=self.engine.model_sha256,
            image_name=Path(request.image_path).name if hears_image and request.image_path else None,
            image_sha256=image_sha256(settings.image) if hears_image else None,
            render=f"compare:{name}" if settings.compares else "single",
            gain_db=gain_db,
            device=self.engine.device,
            library_versions=library_versions(),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _between(what: str, value: float | None, low: float, high: float) -> None:
    if value is None or isinstance(value, bool) or not math.isfinite(value) or not low <= value <= high:
        given = "nothing" if value is None else f"{value:g}"
        raise StudioError(f"{what} must be from {low:g} to {high:g}; it is {given}.")


def _gain_db(before: torch.Tensor, after: torch.Tensor) -> float:
    peak = float(before.abs().max())
    return 20.0 * math.log10(float(after.abs().max()) / peak) if peak > 0.0 else 0.0


def _notes(settings: Settings, silent: bool) -> tuple[str, ...]:
    notes = []
    if settings.image is None:
        notes.append("No picture was given, so this was made from the words alone.")
    elif not settings.caption:
        notes.append("No words were given, so this was made from the picture alone.")
    elif settings.synapse_strength == 0.0:
        notes.append("The synapse is at 0 %: the picture is not heard, and both takes are the same, sample by sample.")
    if settings.image is not None and not settings.caption and settings.synapse_strength == 0.0:
        notes.append("The synapse is at 0 %, so the picture was not heard either.")
    if silent:
        notes.append("A take came out silent; another seed will do better.")
    elif settings.compares:
        notes.append("Both takes are set to the same loudness, so neither sounds better by being louder.")
    return tuple(notes)
