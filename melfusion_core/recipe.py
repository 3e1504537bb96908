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

from melfusion_core.tags import SUFFIXES, TagError, read_text, write_tags
from melfusion_core.take import KNOBS, SettingError, TakeSettings
from melfusion_core.terminal import plain_line

RECIPE_VERSION = 2
VERSION_1 = {
    **{"negative_prompt": "", "guidance_rescale": 0.0, "guidance_stop": 1.0},
    **{"image_name": None, "image_path": None, "image_sha256": None, "render": "single", "gain_db": 0.0},
    **{"device": "cpu", "library_versions": {}, "created_at": None},
}
"""What a recipe of version 1 meant by a field that it left out."""
UNASKED: dict[str, Any] = {
    **{name: getattr(TakeSettings, name) for name in KNOBS if getattr(TakeSettings, name) in (None, "")},
    **{"direction": {}, "sounds_sha256": None},
}
"""Settings that ask for nothing where a recipe leaves them out, as it does when they came later than it."""
VERSION_1_NEEDED = (
    *("version", "prompt", "seed", "duration_s", "num_inference_steps", "sampler", "guidance_scale"),
    *("image_guidance_scale", "synapse_strength", "sample_rate", "model_name", "model_sha256"),
)
RECIPE_TAG = "MELFUSION_RECIPE"
MAX_RECIPE_CHARACTERS = 65_536
MAX_MESSAGE = 300
MAX_GAIN_DB = 200.0
RENDERS = ("single", "compare:with_image", "compare:text_only")
RECORDED_PACKAGES = ("melfusion-studio", "torch", "diffusers", "transformers", "numpy")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RecipeError(ValueError):
    """A recipe that cannot be read, or that does not say what a recipe must.

    Args:
        message: What is wrong; what it quotes of the recipe is made fit to be read.
    """

    def __init__(self, message: str) -> None:
        super().__init__(plain_line(message, MAX_MESSAGE))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(TakeSettings):
    """All settings of one take: those of :class:`TakeSettings`, and what else it was made of.

    Attributes:
        prompt: Caption; empty for a take from the picture alone.
        image_name: File name of the picture; `None` for a take from the caption alone.
        image_path: Where the picture lay, relative to the folder of the recipe; `None` where it was not a file.
        image_sha256: `image_sha256` of the picture.
        render: One of `RENDERS`: alone, or as either half of a comparison, which is one batch of two and so may
            round differently in the last bit.
        gain_db: Gain applied to the model's samples before they were written, in dB.
        direction: What the music was told beside, fact by fact, where the model makes notes.
        sounds_sha256: Hash of the sampled instruments; `None` where the model makes sound itself.
        sample_rate: Of the file, in Hz.
        model_name: Name of the checkpoint's folder.
        model_sha256: `checkpoint_sha256` of the checkpoint.
        device: Device the take was made on, as torch names it.
        library_versions: Releases of the packages that decide the samples.
        created_at: Time of making in ISO 8601; optional.
        version: Version of this schema.
    """

    prompt: str
    sample_rate: int
    model_name: str
    model_sha256: str
    image_name: str | None = None
    image_path: str | None = None
    image_sha256: str | None = None
    render: str = RENDERS[0]
    gain_db: float = 0.0
    direction: dict[str, Any] = dataclasses.field(default_factory=dict)
    sounds_sha256: str | None = None
    device: str = "cpu"
    library_versions: dict[str, str] = dataclasses.field(default_factory=dict)
    created_at: str | None = None
    version: int = RECIPE_VERSION

    def __post_init__(self):
        try:
            super().__post_init__()
        except SettingError as error:
            raise RecipeError(str(error)) from error
        for field in dataclasses.fields(self):
            if field.name not in KNOBS:
                object.__setattr__(self, field.name, _checked(field, getattr(self, field.name)))
        if self.version != RECIPE_VERSION:
            raise RecipeError(_strange_version(self.version))
        if self.seed is None:
            raise RecipeError("A recipe needs a seed.")
        if self.render not in RENDERS:
            raise RecipeError(f"render must be one of {', '.join(RENDERS)}, not {self.render!r}.")
        if abs(self.gain_db) > MAX_GAIN_DB:
            raise RecipeError(f"gain_db must be from {-MAX_GAIN_DB:g} to {MAX_GAIN_DB:g}, not {self.gain_db:g}.")
        if self.sample_rate <= 0:
            raise RecipeError(f"sample_rate must be above 0, not {self.sample_rate}.")
        for name in ("model_sha256", "image_sha256", "sounds_sha256"):
            if getattr(self, name) is not None and not _SHA256.fullmatch(getattr(self, name)):
                raise RecipeError(f"{name} must be 64 hexadecimal digits.")
        if self.image_sha256 is None and (self.image_name or self.image_path):
            raise RecipeError("A recipe that names a picture must also give its image_sha256.")
        if not self.prompt.strip() and self.image_sha256 is None:
            raise RecipeError("A recipe needs a prompt, a picture, or both.")

    @property
    def compares(self) -> bool:
        """Whether the take is half of a comparison."""
        return self.render != RENDERS[0]

    def to_dict(self) -> dict[str, Any]:
        """Give the recipe as a dictionary that JSON can hold, version and caption first."""
        return {"version": self.version, "prompt": self.prompt} | dataclasses.asdict(self)

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
        """Read a recipe from a dictionary, strictly; recipes of earlier versions become ones of this.

        Args:
            values: Field names and values, as `to_dict` gives them.

        Returns:
            The recipe.

        Raises:
            RecipeError: A field is missing, unknown, of the wrong type or out of range.
        """
        if not isinstance(values, dict):
            raise RecipeError("A recipe is a JSON object.")
        version = values.get("version")
        if version not in (1, RECIPE_VERSION) or isinstance(version, bool):
            raise RecipeError(_strange_version(version))
        names = [field.name for field in dataclasses.fields(cls)]
        known = names if version > 1 else (*VERSION_1, *VERSION_1_NEEDED)
        unknown = sorted(str(name) for name in set(values) - set(known))
        if unknown:
            raise RecipeError(f"The recipe has fields that version {version} does not know: {_listed(unknown)}.")
        if version == 1:
            values = VERSION_1 | values | {"version": RECIPE_VERSION}
        values = UNASKED | values
        missing = [name for name in names if name not in values]
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


def _strange_version(version: Any) -> str:
    return f"This recipe has version {version!r}; this program reads versions 1 and {RECIPE_VERSION}."


def _listed(names: list[str], most: int = 5) -> str:
    shown = ", ".join(name[:40] for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


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
    if base == "dict[str, Any]" and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return dict(value)
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
