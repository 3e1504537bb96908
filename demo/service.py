"""What the page asks for and gets back: limits, seeds, the engine's steps, files at one loudness, recipes.

Nothing here knows the page, and nothing but the engine knows the model.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image

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
WITH_IMAGE, TEXT_ONLY = "with_image", "text_only"
TITLES = {WITH_IMAGE: "Picture and words", TEXT_ONLY: "Words alone"}
PICTURE_ONLY_TITLE = "Picture alone"


class StudioError(ValueError):
    """A wish that cannot be fulfilled; the message is meant for the person who made it."""


@dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Attributes:
        max_caption_characters: Longest caption.
        min_duration_s: Shortest take in seconds.
        max_duration_s: Longest take in seconds.
        max_steps: Most denoising steps.
        max_guidance_scale: Strongest guidance, of the text and of the picture.
        max_synapse_strength: Strongest synapse; 1 is as trained.
    """

    max_caption_characters: int = 400
    min_duration_s: float = 2.56
    max_duration_s: float = 20.48
    max_steps: int = 100
    max_guidance_scale: float = 12.0
    max_synapse_strength: float = 2.0


@dataclass(frozen=True)
class Request:
    """One wish, as it comes from the page.

    Attributes:
        image_path: File of the picture; ``None`` for words alone.
        caption: What the music should be; empty for the picture alone.
        seed: Seed of the noise; ``None`` draws one.
        duration_s: Length in seconds.
        num_inference_steps: Denoising steps.
        guidance_scale: Guidance by the text.
        image_guidance_scale: Guidance by the picture.
        synapse_strength: Multiplier of the synapse's gates, from 0 to 2.
        sampler: One of ``melfusion_core.recipe.SAMPLERS``.
    """

    image_path: str | None = None
    caption: str = ""
    seed: int | None = None
    duration_s: float = 10.24
    num_inference_steps: int = 25
    guidance_scale: float = 4.0
    image_guidance_scale: float = 2.0
    synapse_strength: float = 1.0
    sampler: str = SAMPLERS[0]


@dataclass(frozen=True)
class Settings:
    """A checked request, as the engine gets it; it can be pickled.

    Attributes:
        caption: What the music should be; may be empty when there is a picture.
        image: RGB picture, or ``None``.
        seed: Seed of the noise.
        duration_s: Length in seconds.
        num_inference_steps: Denoising steps.
        guidance_scale: Guidance by the text.
        image_guidance_scale: Guidance by the picture.
        synapse_strength: Multiplier of the synapse's gates.
        sampler: Name of the sampler.
    """

    caption: str
    image: Image.Image | None
    seed: int
    duration_s: float
    num_inference_steps: int
    guidance_scale: float
    image_guidance_scale: float
    synapse_strength: float
    sampler: str

    @property
    def compares(self) -> bool:
        """Whether there are a picture and words, so that a twin from the words alone can be made."""
        return self.image is not None and bool(self.caption)


@dataclass(frozen=True)
class Step:
    """One denoising step done.

    Attributes:
        step: Steps done so far, from 1.
        num_steps: Steps in all.
        mel_db: Estimate of the finished mel in dB, ``(frames, n_mels)``; ``None`` where no preview was made.
    """

    step: int
    num_steps: int
    mel_db: np.ndarray | None = None


@dataclass(frozen=True)
class Sound:
    """One finished piece of audio as the model made it.

    Attributes:
        waveform: Samples of shape ``(samples,)``, float32.
        mel_db: Its mel in dB, of shape ``(frames, n_mels)``.
    """

    waveform: np.ndarray
    mel_db: np.ndarray


class Engine(Protocol):
    """What makes the music. ``render`` yields each ``Step`` and last a dictionary of the sounds.

    The keys of that dictionary are ``with_image`` and ``text_only``: both where there are a picture and words, else
    the one that was possible. Closing the generator stops the work.
    """

    mel_config: MelConfig
    model_name: str
    model_sha256: str
    device: str

    def render(self, settings: Settings) -> Generator[Step | dict[str, Sound], None, None]:
        """Make the music step by step.

        Args:
            settings: What to make.
        """


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Attributes:
        step: Steps done; 0 while the picture and the words are being read.
        num_steps: Steps in all.
        seconds_left: Estimate of the time left in seconds; ``None`` before there is one.
        mel_db: Preview of the mel in dB, ``(frames, n_mels)``, or ``None``.
    """

    step: int
    num_steps: int
    seconds_left: float | None = None
    mel_db: np.ndarray | None = None


@dataclass(frozen=True)
class Take:
    """One finished file.

    Attributes:
        title: Heading for people.
        path: WAV file, with the recipe in its tags.
        mel_db: Mel in dB of shape ``(frames, n_mels)``, as the model made it.
        recipe: What made it.
    """

    title: str
    path: str
    mel_db: np.ndarray
    recipe: Recipe


@dataclass(frozen=True)
class Result:
    """Everything a request gave. Its files live until the generator that gave it is advanced or closed.

    Attributes:
        with_image: The take that heard the picture, or ``None``.
        text_only: The take from the words alone, or ``None``.
        seed: Seed of the noise.
        notes: What the listener should know, one sentence each.
        recipe_path: JSON file of the main take's recipe.
        figure_path: PNG of the spectrograms, with axes.
    """

    with_image: Take | None
    text_only: Take | None
    seed: int
    notes: tuple[str, ...]
    recipe_path: str
    figure_path: str

    @property
    def main(self) -> Take:
        """The take that a listener asked for: with the picture where there is one."""
        take = self.with_image or self.text_only
        assert take is not None
        return take


class StudioService:
    """Turns requests into files.

    Args:
        engine: What makes the music.
        limits: What a request may ask for.
    """

    def __init__(self, engine: Engine, limits: Limits = Limits()) -> None:
        self.engine = engine
        self.limits = limits

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
        levelled = match_loudness_together(waveforms, sample_rate)
        takes, silent = {}, False
        for (name, sound), before, after in zip(sounds.items(), waveforms, levelled, strict=True):
            silent = silent or not math.isfinite(integrated_lufs(before, sample_rate))
            recipe = self._recipe(name, request, settings, _gain_db(before, after))
            suffix = f"-{name.replace('_', '-')}" if settings.compares else ""
            path = folder / f"{file_stem(recipe)}{suffix}.wav"
            save_audio(path, after, sample_rate)
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
