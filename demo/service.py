"""What the page asks for and gets back: limits, seeds, the engine's steps, files at one loudness, recipes.

Nothing here knows the page, and nothing but the engine knows the model.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import secrets
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from demo import words
from demo.caption_notes import caption_notes
from demo.pictures import PictureReader
from demo.take_files import tag_take
from demo.takes import (
    COMPARE,
    DOSE,
    LETTERS,
    MAX_SEED,
    MODES,
    TAKES,
    WHOLE_PICTURE,
    Engine,
    Limits,
    Progress,
    Request,
    Result,
    Settings,
    StudioError,
    Take,
)
from melfusion_core.audio import integrated_lufs, match_loudness_together, save_audio
from melfusion_core.engines.base import Rendered
from melfusion_core.image import ImageError
from melfusion_core.pipelines.rendering import TEXT_ONLY, WITH_IMAGE, Finished
from melfusion_core.recipe import Recipe, file_stem, image_sha256, library_versions, write_sidecar
from melfusion_core.spectrogram import save_figure
from melfusion_core.take import KNOBS, Knob, SettingError

NUMBER = Knob(float, "", ())
FIELDS = {"synapse_strength": "synapse", "negative_prompt": "negative"}
"""Controls of the page that have another name than the setting's flag."""
DOSES = (0.0, 0.5, 1.0, 1.5)
SMALLEST_REGION = 0.1


@dataclasses.dataclass(frozen=True)
class Variant:
    """One run of the engine within a request.

    Attributes:
        settings: What the engine makes.
        titles: Heading for each sound that it gives, by the sound's name.
    """

    settings: Settings
    titles: dict[str, str]


class StudioService:
    """Turns requests into files.

    Args:
        engine: What makes the music.
        limits: What a request may ask for; ``None`` takes the usual ones.
        pictures: What reads pictures; services of one page share it, so that one picture is decoded at a time.
    """

    def __init__(self, engine: Engine, limits: Limits | None = None, pictures: PictureReader | None = None) -> None:
        self.engine = engine
        self.limits = limits or Limits()
        self.pictures = pictures or PictureReader()

    def check(self, request: Request) -> Settings:
        """Check a request, read its picture and draw the seed where none is given.

        Args:
            request: As it comes from the page.

        Returns:
            What the engine needs for the first take.

        Raises:
            StudioError: When something is missing, unreadable or beyond the limits.
        """
        limits = self.limits
        caption = " ".join((request.caption or "").split())
        knobs = dict(request.knobs)
        knobs["negative_prompt"] = " ".join((knobs.get("negative_prompt") or "").split())
        if not request.image_path and not caption:
            raise StudioError(words.NOTHING_GIVEN, "caption")
        for text, field in ((caption, "caption"), (knobs["negative_prompt"], "negative")):
            if len(text) > limits.max_caption_characters:
                raise StudioError(words.TOO_LONG.format(given=len(text), most=limits.max_caption_characters), field)
        if knobs.get("seed") is None:
            knobs["seed"] = secrets.randbelow(MAX_SEED + 1)
        for name, value in knobs.items():
            field = FIELDS.get(name, KNOBS[name].flags[0])
            knobs[name] = _checked(KNOBS[name], field, value, *limits.bounds(name))
        if request.mode not in MODES:
            raise StudioError(words.UNKNOWN_MODE.format(all=", ".join(MODES), given=request.mode))
        image = self._picture(request.image_path, request.region) if request.image_path else None
        return Settings(caption=caption, image=image, twin=request.mode == COMPARE, **knobs)

    def caption_notes(self, caption: str) -> tuple[str, ...]:
        """Say what of a caption the model cannot follow.

        Args:
            caption: As it comes from the page.

        Returns:
            Sentences.
        """
        caption = " ".join((caption or "").split())
        return caption_notes(caption, self.engine.reads(caption))

    def _picture(self, path: str, region: tuple[float, float, float], field: str = "picture") -> Image.Image:
        try:
            image = self.pictures(path)
        except ImageError as error:
            raise StudioError(str(error), field) from error
        return crop_region(image, region)

    def plan(self, request: Request) -> list[Variant]:
        """Say which runs of the engine a request takes.

        Args:
            request: As it comes from the page.

        Returns:
            The runs, in order.

        Raises:
            StudioError: When something is missing, unreadable or beyond the limits.
        """
        first = self.check(request)
        replace = dataclasses.replace
        if request.mode == COMPARE:
            alone = words.TITLE_WITH_IMAGE if first.caption else words.TITLE_PICTURE_ALONE
            return [Variant(first, {WITH_IMAGE: alone, TEXT_ONLY: words.TITLE_TEXT_ONLY})]
        if request.mode == TAKES:
            _between("num-takes", request.num_takes, 2, self.limits.max_takes)
            seeds = [(first.seed + index) % (MAX_SEED + 1) for index in range(int(request.num_takes))]
            if request.fresh:
                seeds[1:] = [secrets.randbelow(MAX_SEED + 1) for _ in seeds[1:]]
            return [_variant(replace(first, seed=seed), words.TITLE_SEED.format(seed=seed)) for seed in seeds]
        if first.image is None:
            raise StudioError(words.NEEDS_PICTURE, "picture")
        if request.mode == DOSE:
            return [
                _variant(replace(first, synapse_strength=dose), words.TITLE_DOSE.format(percent=round(100 * dose)))
                for dose in DOSES
                if dose <= self.limits.max_synapse_strength and (dose > 0.0 or first.caption)
            ]
        if not request.other_image_path:
            raise StudioError(words.NEEDS_OTHER_PICTURE, "explore-swap")
        other = replace(first, image=self._picture(request.other_image_path, WHOLE_PICTURE, "explore-swap"))
        return [_variant(first, words.TITLE_THIS_PICTURE), _variant(other, words.TITLE_OTHER_PICTURE)]

    def compose(self, request: Request) -> Iterator[Progress | Result]:
        """Make the music for a request; closing the generator stops the work within a step.

        Args:
            request: As it comes from the page.

        Yields:
            Progress after each step, and last the result.

        Raises:
            StudioError: When the request cannot be fulfilled.
        """
        variants = self.plan(request)
        num_steps = variants[0].settings.num_inference_steps
        yield Progress(0, num_steps, num_takes=len(variants))
        made: list[tuple[Variant, str, Rendered]] = []
        clock = _Clock(num_steps * len(variants))
        for index, variant in enumerate(variants):
            sounds: dict[str, Rendered] = {}
            with contextlib.closing(self.engine.render(variant.settings)) as work:
                for event in work:
                    if isinstance(event, Finished):
                        sounds = event.takes
                        break
                    left = clock.seconds_left(index * num_steps + event.step)
                    yield Progress(event.step, event.num_steps, left, event.view, index + 1, len(variants))
            if not sounds:
                raise StudioError(words.NO_SOUND)
            names = [name for name in (WITH_IMAGE, TEXT_ONLY) if name in sounds]
            made += [(variant, name, sounds[name]) for name in names]
        with tempfile.TemporaryDirectory(prefix="melfusion-") as folder:
            yield self._write(Path(folder), request, made)

    def _write(self, folder: Path, request: Request, made: list[tuple[Variant, str, Rendered]]) -> Result:
        sample_rate = self.engine.sample_rate
        waveforms = [sound.audio for _, _, sound in made]
        if not all(torch.isfinite(waveform).all() for waveform in waveforms):
            raise StudioError(words.NOT_NUMBERS)
        # Rounded gains: whoever applies the recipe's figure to the model's samples gets this file, bit by bit.
        levelled = match_loudness_together(waveforms, sample_rate)
        gains_db = [round(_gain_db(*pair), 3) for pair in zip(waveforms, levelled, strict=True)]
        takes, silent = [], False
        for (variant, name, sound), waveform, gain_db in zip(made, waveforms, gains_db, strict=True):
            settings = variant.settings
            silent = silent or not math.isfinite(integrated_lufs(waveform, sample_rate))
            recipe = self._recipe(name, variant, gain_db)
            exact = waveform * 10.0 ** (gain_db / 20.0)
            path = folder / f"{take_stem(recipe, request.mode)}.wav"
            if path.exists():
                path = path.with_stem(f"{path.stem}-{LETTERS[len(takes)].lower()}")
            save_audio(path, exact, sample_rate)
            image = settings.image if name == WITH_IMAGE else None
            title = variant.titles[name]
            takes.append(Take(title, str(path), sound.view, recipe, exact.numpy(), image, settings.image))
            tag_take(path, takes[-1])
        main = takes[0]
        return Result(
            takes=tuple(takes),
            mode=request.mode,
            seed=main.recipe.seed,
            notes=(
                *_notes(request, made[0][0].settings, len(takes), silent),
                *self.caption_notes(request.caption),
            ),
            recipe_path=str(write_sidecar(main.path, main.recipe)),
            picture_path=request.image_path,
            region=tuple(request.region),
        )

    def _recipe(self, name: str, variant: Variant, gain_db: float) -> Recipe:
        # The file name of a visitor's picture is nobody's business: the recipe knows the picture by its pixels.
        settings = variant.settings
        hears_image = settings.image is not None
        return Recipe(
            **dataclasses.asdict(settings.changed()),
            prompt=settings.caption,
            sample_rate=self.engine.sample_rate,
            model_name=self.engine.model_name,
            model_sha256=self.engine.model_sha256,
            image_sha256=image_sha256(settings.image) if hears_image else None,
            render=f"compare:{name}" if settings.compares else "single",
            gain_db=gain_db,
            sounds_sha256=self.engine.sounds_sha256,
            device=self.engine.device,
            library_versions=library_versions(),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def write_figure(result: Result, folder: str | Path) -> Path:
    """Draw a result with axes: a pair with its difference, or the main take.

    Args:
        result: From the service.
        folder: Where to write.

    Returns:
        PNG file.
    """
    first, others = result.main, result.takes[1:]
    beside = (others[0].view, others[0].title) if len(others) == 1 else ()
    figure = first.view.figure(first.title, *beside)
    return save_figure(figure, Path(folder) / f"{take_stem(first.recipe, result.mode)}.png")


def take_stem(recipe: Recipe, mode: str = COMPARE) -> str:
    """Name the files of a take.

    Args:
        recipe: Of the take.
        mode: One of ``MODES``.

    Returns:
        File name without suffix: caption, seed and what sets this take apart from the others.
    """
    suffix = ""
    if recipe.render.startswith("compare:"):
        suffix = f"-{recipe.render.partition(':')[2].replace('_', '-')}"
    elif mode == DOSE:
        suffix = f"-synapse{round(100 * recipe.synapse_strength)}"
    return f"{file_stem(recipe)}{suffix}"


class _Clock:
    """Estimates the time left from the steps after the first, which alone pays for warming up."""

    def __init__(self, num_steps: int) -> None:
        self._num_steps = num_steps
        self._first: tuple[int, float] | None = None

    def seconds_left(self, done: int) -> float | None:
        now = time.monotonic()
        if self._first is None:
            self._first = done, now
        steps = done - self._first[0]
        return (now - self._first[1]) / steps * (self._num_steps - done) if steps else None


def _variant(settings: Settings, title: str) -> Variant:
    return Variant(settings, {WITH_IMAGE: title, TEXT_ONLY: title})


def crop_region(image: Image.Image, region: tuple[float, float, float]) -> Image.Image:
    """Cut the square out of a picture that should sound.

    Args:
        image: The picture.
        region: See :class:`demo.takes.Request`; the whole picture comes back as it is.

    Returns:
        The square, or the picture itself.

    Raises:
        StudioError: When the region lies outside the picture.
    """
    size, x, y = region
    for name, value, least in (("size", size, SMALLEST_REGION), ("x", x, 0), ("y", y, 0)):
        _between(f"region-{name}", value, least, 1)
    if tuple(region) == WHOLE_PICTURE:
        return image
    side = max(1, round(size * min(image.size)))
    left, top = round(x * (image.width - side)), round(y * (image.height - side))
    return image.crop((left, top, left + side, top + side))


def _between(field: str, value: float | None, low: float, high: float) -> None:
    _checked(NUMBER, field, value, low, high)


def _checked(knob: Knob, field: str, value: Any, low: float, high: float) -> Any:
    try:
        return knob.check(field, value, low, high)
    except SettingError as error:
        raise StudioError(f"{words.SETTINGS[field]} {error.reason}.", field) from error


def _gain_db(before: torch.Tensor, after: torch.Tensor) -> float:
    peak = float(before.abs().max())
    return 20.0 * math.log10(float(after.abs().max()) / peak) if peak > 0.0 else 0.0


def _notes(request: Request, settings: Settings, num_takes: int, silent: bool) -> tuple[str, ...]:
    notes = []
    nothing_heard = settings.synapse_strength == 0.0 and request.mode in (COMPARE, TAKES)
    if settings.image is None:
        notes.append(words.NOTE_WORDS_ALONE)
    elif not settings.caption:
        notes.append(words.NOTE_PICTURE_ALONE)
    elif nothing_heard and request.mode == COMPARE:
        notes.append(words.NOTE_ZERO)
    if settings.image is not None and nothing_heard and not (settings.caption and request.mode == COMPARE):
        notes.append(words.NOTE_ZERO_UNHEARD)
    if settings.image is not None and tuple(request.region) != WHOLE_PICTURE:
        notes.append(words.NOTE_REGION)
    if silent:
        notes.append(words.NOTE_SILENT)
    elif num_takes > 1:
        notes.append(words.NOTE_LOUDNESS)
    return tuple(notes)
