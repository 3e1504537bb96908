"""The recipe of a take: every setting that made it, as one versioned schema shared by all front ends.

A recipe travels in the tags of the sound or video file (see `melfusion_core.tags`) and beside it as JSON. Read back,
it renders the same samples again on the same machine with the same packages, or says why not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import math
import re
import unicodedata
from pathlib import Path
from typing import Any

from PIL import Image

from melfusion_core import defaults
from melfusion_core.tags import SUFFIXES, TagError, read_text, write_tags

RECIPE_VERSION = 1
RECIPE_TAG = "MELFUSION_RECIPE"
MAX_RECIPE_CHARACTERS = 65_536
MAX_SEED = 2**63 - 1
RENDERS = ("single", "compare:with_image", "compare:text_only")
RECORDED_PACKAGES = ("melfusion-studio", "torch", "diffusers", "transformers", "numpy")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RecipeError(ValueError):
    """A recipe that cannot be read, or that does not say what a recipe must."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All settings of one take.

    Attributes:
        prompt: Caption; empty for a take from the picture alone.
        negative_prompt: Caption to steer away from.
        image_name: File name of the picture; `None` for a take from the caption alone.
        image_path: Where the picture lay, relative to the folder of the recipe; `None` where it was not a file.
        image_sha256: `image_sha256` of the picture.
        duration_s: Length in seconds.
        num_inference_steps: Denoising steps.
        sampler: One of `defaults.SAMPLERS`.
        guidance_scale: Guidance by the caption.
        image_guidance_scale: Guidance by the picture.
        guidance_rescale: Rescaling of the guided prediction, from 0 to 1.
        guidance_stop: Share of the way from noise to music after which guidance stops, from 0 to 1.
        synapse_strength: Multiplier of the synapse's gates.
        seed: Seed of the initial noise.
        render: One of `RENDERS`: alone, or as either half of a comparison, which is one batch of two and so may
            round differently in the last bit.
        gain_db: Gain applied to the model's samples before they were written, in dB.
        sample_rate: Of the file, in Hz.
        model_name: Name of the checkpoint's folder.
        model_sha256: `checkpoint_sha256` of the checkpoint.
        device: Device the take was made on, as torch names it.
        library_versions: Releases of the packages that decide the samples.
        created_at: Time of making in ISO 8601; optional.
        version: Version of this schema.
    """

    prompt: str
    seed: int
    duration_s: float
    num_inference_steps: int
    sampler: str
    guidance_scale: float
    image_guidance_scale: float
    synapse_strength: float
    sample_rate: int
    model_name: str
    model_sha256: str
    negative_prompt: str = ""
    guidance_rescale: float = 0.0
    guidance_stop: float = 1.0
    image_name: str | None = None
    image_path: str | None = None
    image_sha256: str | None = None
    render: str = "single"
    gain_db: float = 0.0
    device: str = "cpu"
    library_versions: dict[str, str] = dataclasses.field(default_factory=dict)
    created_at: str | None = None
    version: int = RECIPE_VERSION

    def __post_init__(self):
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field, getattr(self, field.name)))
        _check_version(self.version)
        for name, choices in (("sampler", defaults.SAMPLERS), ("render", RENDERS)):
            if getattr(self, name) not in choices:
                raise RecipeError(f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}.")
        for name in ("duration_s", "num_inference_steps", "sample_rate"):
            if getattr(self, name) <= 0:
                raise RecipeError(f"{name} must be above 0, not {getattr(self, name)}.")
        for name in ("guidance_scale", "image_guidance_scale", "guidance_rescale", "synapse_strength"):
            if getattr(self, name) < 0:
                raise RecipeError(f"{name} must not be negative, and is {getattr(self, name)}.")
        if not 0 <= self.guidance_stop <= 1:
            raise RecipeError(f"guidance_stop must be from 0 to 1, and is {self.guidance_stop}.")
        if not 0 <= self.seed <= MAX_SEED:
            raise RecipeError(f"seed must be from 0 to {MAX_SEED}, not {self.seed}.")
        for name in ("model_sha256", "image_sha256"):
            if getattr(self, name) is not None and not _SHA256.fullmatch(getattr(self, name)):
                raise RecipeError(f"{name} must be 64 hexadecimal digits.")
        if self.image_sha256 is None and (self.image_name or self.image_path):
            raise RecipeError("A recipe that names a picture must also give its image_sha256.")
        if not self.prompt.strip() and self.image_sha256 is None:
            raise RecipeError("A recipe needs a prompt, a picture, or both.")

    def to_dict(self) -> dict[str, Any]:
        """Give the recipe as a dictionary that JSON can hold, in the order of the fields, version first."""
        return {"version": self.version} | dataclasses.asdict(self)

    def to_json(self, indent: int | None = 2) -> str:
        """Write the recipe as JSON.

        Args:
            indent: Spaces per level; `None` for one line.

        Returns:
            The text.
        """
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Read a recipe from a dictionary, strictly.

        Args:
            values: Field names and values, as `to_dict` gives them.

        Returns:
            The recipe.

        Raises:
            RecipeError: A field is missing, unknown, of the wrong type or out of range.
        """
        if not isinstance(values, dict):
            raise RecipeError("A recipe is a JSON object.")
        _check_version(values.get("version"))
        fields = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(str(name) for name in set(values) - set(fields))
        if unknown:
            raise RecipeError(
                f"The recipe has fields that version {RECIPE_VERSION} does not know: {_listed(unknown)}."
            )
        missing = [name for name, field in fields.items() if name not in values and _is_required(field)]
        if missing:
            raise RecipeError(f"The recipe lacks {_listed(missing)}.")
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read a recipe from JSON, strictly.

        Args:
            text: As `to_json` gives it.

        Returns:
            The recipe.

        Raises:
            RecipeError: The text is no JSON, or no valid recipe.
        """
        if len(text) > MAX_RECIPE_CHARACTERS:
            raise RecipeError(f"The recipe is longer than {MAX_RECIPE_CHARACTERS:,} characters.")
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RecipeError(f"The recipe is not valid JSON: {error}.") from error
        return cls.from_dict(values)


def _check_version(version: Any) -> None:
    if version != RECIPE_VERSION:
        raise RecipeError(f"This recipe has version {version!r}; this program reads version {RECIPE_VERSION}.")


def _listed(names: list[str], most: int = 5) -> str:
    shown = ", ".join(name[:40] for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _checked(field: dataclasses.Field, value: Any) -> Any:
    base = str(field.type).removesuffix(" | None")
    if value is None and base != field.type:
        return None
    if base == "str" and isinstance(value, str):
        return value
    if base == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if base == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) > 1e9 or not math.isfinite(value):
            raise RecipeError(f"{field.name} must be a finite number, not {value}.")
        return float(value)
    if base == "dict[str, str]" and isinstance(value, dict):
        if all(isinstance(key, str) and isinstance(item, str) for key, item in value.items()):
            return dict(value)
    wanted = {"str": "a text", "int": "a whole number", "float": "a number"}.get(base, "an object of texts")
    raise RecipeError(f"{field.name} must be {wanted}, not {type(value).__name__}.")


def image_sha256(image: Image.Image) -> str:
    """Hash what a picture shows: its size and RGB pixels, whatever file format or metadata it came with.

    Args:
        image: Picture as `melfusion_core.image.load_image` gives it.

    Returns:
        64 hexadecimal digits.
    """
    rgb = image.convert("RGB")
    digest = hashlib.sha256(f"RGB {rgb.width}x{rgb.height}\n".encode())
    digest.update(rgb.tobytes())
    return digest.hexdigest()


def checkpoint_sha256(folder: str | Path) -> str:
    """Hash a checkpoint: names and contents of its safetensors and JSON files. Callers keep the answer.

    Args:
        folder: Folder in diffusers format.

    Returns:
        64 hexadecimal digits.

    Raises:
        FileNotFoundError: The folder holds no such file.
    """
    folder = Path(folder)
    paths = [path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json")]
    files = sorted((path.relative_to(folder).as_posix(), path) for path in paths)
    if not files:
        raise FileNotFoundError(f"There is no model in {folder}.")
    digest = hashlib.sha256()
    for name, path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()


def library_versions() -> dict[str, str]:
    """List the installed releases of the packages that decide the samples.

    Returns:
        Release by package name; packages that are not installed are left out.
    """
    installed = {name: next(iter(importlib.metadata.distributions(name=name)), None) for name in RECORDED_PACKAGES}
    return {name: distribution.version for name, distribution in installed.items() if distribution is not None}


def slug(text: str, max_length: int = 48) -> str:
    """Make a text fit for a file name: lower-case ASCII letters, digits and hyphens.

    Args:
        text: Any text.
        max_length: Longest result, in characters; cut between words where that is possible.

    Returns:
        The slug; "untitled" where nothing is left of the text.
    """
    ascii_text = unicodedata.normalize("NFKD", text[:1000]).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")
    if len(words) > max_length:
        words = words[: max_length + 1].rpartition("-")[0] or words[:max_length]
    return words or "untitled"


def file_stem(recipe: Recipe) -> str:
    """Name a take after its caption, or its picture, and its seed.

    Args:
        recipe: Of the take.

    Returns:
        File name without suffix, such as "slow-piano-in-the-rain-seed7".
    """
    subject = recipe.prompt if recipe.prompt.strip() else Path(recipe.image_name or "picture").stem
    return f"{slug(subject)}-seed{recipe.seed}"


def write_sidecar(path: str | Path, recipe: Recipe) -> Path:
    """Write a recipe as JSON beside its audio file, whole or not at all.

    Args:
        path: Of the audio file, or of the JSON file itself.
        recipe: To write.

    Returns:
        Path of the JSON file: that of the audio file with the suffix ".json".
    """
    target = Path(path).with_suffix(".json")
    part = target.with_name(f".{target.name}.part")
    try:
        part.write_text(recipe.to_json() + "\n", encoding="utf-8")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def embed_in_file(path: str | Path, recipe: Recipe, cover: Image.Image | None = None) -> None:
    """Write a recipe into the tags of a sound or video file, with its caption as title; the sound stays as it is.

    Args:
        path: A .wav, .flac, .mp3 or .mp4 file.
        recipe: To embed.
        cover: Picture to embed as cover art, reduced to at most 512 pixels a side; `None` for none.

    Raises:
        RecipeError: The file is of another kind, or not readable as what its suffix says.
    """
    title = recipe.prompt.strip()[:200] or f"After {recipe.image_name or 'a picture'}"
    _check_suffix(Path(path))
    try:
        write_tags(path, RECIPE_TAG, recipe.to_json(indent=None), title, cover)
    except TagError as error:
        raise RecipeError(str(error)) from error


def read_from_file(path: str | Path) -> Recipe:
    """Read the recipe of a take from its sound or video file or its JSON file.

    Args:
        path: A .json, .wav, .flac, .mp3 or .mp4 file.

    Returns:
        The recipe.

    Raises:
        RecipeError: There is no recipe in the file, or not a valid one.
        FileNotFoundError: There is no such file.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        if path.stat().st_size > 4 * MAX_RECIPE_CHARACTERS:
            raise RecipeError(f"{path.name} is too large to be a recipe.")
        try:
            return Recipe.from_json(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise RecipeError(f"{path.name} is not a text file.") from error
    _check_suffix(path)
    try:
        text = read_text(path, RECIPE_TAG)
    except TagError as error:
        raise RecipeError(str(error)) from error
    if text is None:
        raise RecipeError(f"{path.name} carries no recipe of this program.")
    return Recipe.from_json(text)


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise RecipeError(f"Recipes are kept in {', '.join(SUFFIXES)} and .json files, not in {path.name!r}.")
