"""What the image model's features say of a picture: linear probes of the decoder's self-attention keys and values.

For every layer and key timestep the features of a picture are the mean and the standard deviation over the tokens of
its keys and values along the DDIM inversion: just what the visual synapse can pass on. Ridge regressions read valence,
arousal, the kind of picture and its theme off them, with penalties chosen by folds over themes.

Shape legend: `n` pictures, `d` features.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from melfusion_core.data.picture_affect import picture_features
from melfusion_core.evaluation.figures import format_estimate, save_heat_map
from melfusion_core.evaluation.metrics import mean_interval, spearman_interval
from melfusion_core.evaluation.ridge import class_groups, ridge_cross_predict, ridge_predict
from melfusion_core.image import image_to_tensor, load_image
from melfusion_core.models.features import (
    ImageFeatures,
    capture_image_features,
    fold_pixels,
    picture_size,
    unfold_pixels,
)
from melfusion_core.models.inversion import clean_and_noise, ddim_invert, first_timestep, inversion_timesteps
from melfusion_core.models.picture_encoder import PictureEncoder, embed_pictures
from melfusion_core.models.scenes import layer_statistics
from melfusion_core.models.text import TextCondition

DEFAULT_TIMESTEPS = (20, 100, 250, 500, 800)
LEAST_CLASS = 4
AXES = ("valence", "arousal")
SHOWN = 8


@dataclass(frozen=True)
class ProbePicture:
    """A picture with what is known of it.

    Args:
        path: The file.
        theme: What it shows; the unit that is held out.
        kind: Coarse class, such as "scene" or a category of photographs.
        valence: Its valence, in any unit.
        arousal: Its arousal, in any unit.
        held_out: Whether it is tested on, where there is one fixed split.
    """

    path: Path
    theme: str
    kind: str
    valence: float
    arousal: float
    held_out: bool = False


@dataclass(frozen=True)
class ImageModel:
    """The frozen image model and what its inversion needs.

    Args:
        unet: The UNet.
        scheduler: Its scheduler.
        null_text: The empty caption, batch 1.
        encoder: Tells it what a picture shows, where it takes an embedding.
    """

    unet: Any
    scheduler: Any
    null_text: TextCondition
    encoder: PictureEncoder | None = None


def token_statistics(features: ImageFeatures) -> dict[tuple[int, int], np.ndarray]:
    """Mean and standard deviation over tokens of keys and values.

    Args:
        features: Features of a batch of pictures.

    Returns:
        By timestep and layer an array of shape `(batch, 4 * dim)`.
    """
    result = {}
    for timestep, layers in zip(features.timesteps, features.layers, strict=True):
        for number, pair in enumerate(layers):
            result[timestep, number] = layer_statistics(pair).cpu().numpy()
    return result


def collect(
    model: ImageModel, pictures: Sequence[ProbePicture], timesteps: Sequence[int], steps: int, progress: bool = True
) -> tuple[dict[str, np.ndarray], float]:
    """Take the features of pictures.

    Args:
        model: The image model.
        pictures: The pictures.
        timesteps: Key timesteps.
        steps: Even steps of the inversion.
        progress: Show a progress bar.

    Returns:
        Features of shape `(n, d)` by name, "t 100, layer 2" and, where the image model is told what pictures show,
        "told"; and the mean seconds per picture.
    """
    parts: dict[str, list[np.ndarray]] = {}
    seconds = 0.0
    bar = tqdm(total=len(pictures), desc="image features", disable=not progress)
    for start in range(0, len(pictures), 8):
        batch = pictures[start : start + 8]
        pixels = _read_pixels(model, batch)
        started = time.perf_counter()
        embedding = embed_pictures(model.encoder, [load_image(picture.path) for picture in batch])
        captured = capture_image_features(
            model.unet,
            model.scheduler,
            pixels,
            model.null_text,
            timesteps,
            steps,
            torch.float32,
            embedding,
        )
        seconds += time.perf_counter() - started
        if embedding is not None:
            parts.setdefault("told", []).append(embedding.cpu().numpy())
        for (timestep, layer), values in token_statistics(captured).items():
            parts.setdefault(f"t {timestep}, layer {layer}", []).append(values)
        bar.update(len(batch))
    bar.close()
    return {name: np.concatenate(values) for name, values in parts.items()}, seconds / max(len(pictures), 1)


def _read_pixels(model: ImageModel, pictures: Sequence[ProbePicture]) -> torch.Tensor:
    """Read pictures as the image model sees them."""
    size = picture_size(model.unet)
    return torch.stack([image_to_tensor(load_image(picture.path), size) for picture in pictures])


def _baselines(pictures: Sequence[ProbePicture]) -> dict[str, np.ndarray]:
    """Features that need no network: "mean colour" of shape `(n, 3)` and "colour and texture" of shape `(n, d)`."""
    means, rows = [], []
    for picture in pictures:
        image = load_image(picture.path)
        means.append(image_to_tensor(image, 16).mean((1, 2)).numpy())
        rows.append(astuple(picture_features(image)))
    return {"mean colour": np.array(means), "colour and texture": np.array(rows, dtype=np.float64)}


def score(
    features: np.ndarray, pictures: Sequence[ProbePicture], crossed: bool, classes: str, seed: int = 0
) -> dict[str, Any]:
    """Probe one set of features.

    Args:
        features: Of shape `(n, d)`.
        pictures: The pictures.
        crossed: Test every picture by folds over themes, instead of the held-out pictures only.
        classes: "kind" or "theme": what is told apart beside the mood. Themes are told apart by folds over pictures,
            since a theme that is held out has no name.
        seed: Seed of the bootstrap.

    Returns:
        Rank correlation of valence and arousal and accuracy of the class, each with a 95 % interval over themes, with
        the share of the commonest class.
    """
    themes = np.array([picture.theme for picture in pictures])
    mood = np.array([[getattr(picture, axis) for axis in AXES] for picture in pictures])
    labels = np.array([getattr(picture, classes) for picture in pictures])
    counts = Counter(labels.tolist())
    known = sorted(name for name, count in counts.items() if count >= LEAST_CLASS)
    targets = np.concatenate([mood, (labels[:, None] == np.array(known)[None]).astype(float)], axis=1)
    held = np.ones(len(pictures), dtype=bool) if crossed else np.array([picture.held_out for picture in pictures])
    groups = class_groups(labels, themes)
    if crossed:
        mood_said = ridge_cross_predict(features, mood, themes)
        class_said = ridge_cross_predict(features, targets[:, 2:], groups)
        predicted = np.concatenate([mood_said, class_said], axis=1)
    else:
        predicted = np.zeros(targets.shape)
        for columns, parts in ((slice(2), themes), (slice(2, None), groups)):
            predicted[held, columns] = ridge_predict(
                features[~held], targets[~held, columns], parts[~held], features[held]
            )
    result: dict[str, Any] = {"n": int(held.sum()), "themes": len(set(themes[held].tolist()))}
    for column, axis in enumerate(AXES):
        estimate = spearman_interval(mood[held, column], predicted[held, column], seed, groups=themes[held])
        result[axis] = estimate.to_dict()
    counted = held & np.isin(labels, known)
    if len(known) > 1 and counted.any():
        said = np.array(known)[predicted[counted, 2:].argmax(1)]
        right = (said == labels[counted]).astype(float)
        result[classes] = mean_interval(right, seed, groups=themes[counted]).to_dict()
        result[classes]["chance"] = round(max(Counter(labels[counted].tolist()).values()) / int(counted.sum()), 4)
        result[classes]["classes"] = len(known)
    return result


@torch.no_grad()
def reconstruct(
    model: ImageModel, pixels: torch.Tensor, steps: int, last: int, embedding: torch.Tensor | None = None
) -> torch.Tensor:
    """Invert pictures up to a timestep and denoise them again: what the inversion keeps.

    Args:
        model: The image model.
        pixels: Of shape `(n, 3, size, size)`.
        steps: Steps each way.
        last: Timestep up to which the pictures are inverted.
        embedding: What the image model is told of them, of shape `(n, dim)`, where it is told anything.

    Returns:
        Pixels of the same shape.
    """
    unet, scheduler = model.unet, model.scheduler
    parameter = next(unet.parameters())
    sample = fold_pixels(unet, pixels.to(parameter.device, parameter.dtype))
    text = model.null_text.to(parameter.device, parameter.dtype).index([0] * len(pixels))
    alphas = scheduler.alphas_cumprod

    def predict(noisy: torch.Tensor, timestep: int) -> torch.Tensor:
        return unet(
            noisy,
            timestep,
            encoder_hidden_states=text.states,
            encoder_attention_mask=text.mask,
            class_labels=embedding,
            return_dict=False,
        )[0]

    timesteps = inversion_timesteps((last,), steps, first_timestep(scheduler))
    sample = ddim_invert(predict, sample, scheduler, timesteps)
    for timestep, following in zip(timesteps[::-1], [*timesteps[::-1][1:], None], strict=True):
        output, alpha = predict(sample, timestep), float(alphas[timestep])
        clean, epsilon = clean_and_noise(sample, output, alpha, scheduler.config.prediction_type)
        if following is None and scheduler.config.prediction_type == "sample":
            break  # the picture was taken to be at this timestep
        after = 1.0 if following is None else float(alphas[following])
        sample = math.sqrt(after) * clean + math.sqrt(1 - after) * epsilon
    return unfold_pixels(unet, sample).float().cpu()


def _save_grid(path: Path, rows: Sequence[torch.Tensor]) -> None:
    """Write rows of pictures."""
    lines = [torch.cat(list(row.clamp(-1, 1)), dim=-1) for row in rows]
    grid = ((torch.cat(lines, dim=-2) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(grid).save(path)


def probe(
    model: ImageModel,
    sets: dict[str, Sequence[ProbePicture]],
    out: Path | str,
    timesteps: Sequence[int] = DEFAULT_TIMESTEPS,
    steps: int = 8,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Probe the image model and write `probe.json`, `probe.md`, heat maps and the grid of reconstructions.

    Args:
        model: The image model.
        sets: Pictures by name; a set with held-out pictures is tested on those, any other by folds over themes.
        out: Folder to write.
        timesteps: Key timesteps.
        steps: Even steps of the inversion.
        seed: Seed of the bootstrap.
        progress: Show progress bars.

    Returns:
        The report, as in `probe.json`.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"timesteps": list(timesteps), "inversion_steps": steps, "sets": {}}
    for name, pictures in sets.items():
        crossed = not any(picture.held_out for picture in pictures)
        classes = "kind" if len({picture.kind for picture in pictures}) > 1 else "theme"
        features, seconds = collect(model, pictures, timesteps, steps, progress)
        rows = _baselines(pictures) | features
        bar = tqdm(rows.items(), desc=f"probes, {name}", disable=not progress)
        scores = {label: score(values, pictures, crossed, classes, seed) for label, values in bar}
        report["sets"][name] = {
            "tested": "folds over themes" if crossed else "held-out pictures",
            "pictures": len(pictures),
            "classes": classes,
            "seconds_per_picture_all_timesteps": round(seconds, 4),
            "probes": scores,
        }
        _heat_map(out / f"probe-{name.replace(' ', '-')}.png", scores, timesteps, classes)
    first = next(iter(sets.values()))
    shown = [picture for picture in first if picture.held_out][:SHOWN] or list(first)[:SHOWN]
    report["reconstruction"] = _reconstructions(model, shown, out / "reconstructions.png")
    (out / "probe.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (out / "probe.md").write_text(_format_probe(report), encoding="utf-8")
    return report


def _reconstructions(model: ImageModel, pictures: Sequence[ProbePicture], path: Path) -> dict[str, Any]:
    pixels = _read_pixels(model, pictures)
    embedding = embed_pictures(model.encoder, [load_image(picture.path) for picture in pictures])
    rows, result = [pixels], {}
    for steps, last in ((10, 500), (25, 900)):
        started = time.perf_counter()
        made = reconstruct(model, pixels, steps, last, embedding)
        rows.append(made)
        result[f"{steps} steps to {last}"] = {
            "mean_absolute_error": round(float((made - pixels).abs().mean()) / 2, 4),
            "seconds_per_picture": round((time.perf_counter() - started) / len(pictures), 3),
        }
    _save_grid(path, rows)
    return result


def _heat_map(path: Path, scores: dict[str, dict[str, Any]], timesteps: Sequence[int], classes: str) -> None:
    places = [label for label in scores if label.startswith("t ")]
    layers = sorted({int(label.rsplit(" ", 1)[1]) for label in places})
    names = [*AXES, classes]
    table = np.full((len(names), len(timesteps), len(layers)), np.nan)
    for row, timestep in enumerate(timesteps):
        for column, layer in enumerate(layers):
            cell = scores.get(f"t {timestep}, layer {layer}", {})
            for index, name in enumerate(names):
                value = cell.get(name, {}).get("value")
                table[index, row, column] = np.nan if value is None else value
    columns, rows = [f"layer {layer}" for layer in layers], [f"t {timestep}" for timestep in timesteps]
    save_heat_map(path, table, rows, columns, names)


def _format_probe(report: dict[str, Any]) -> str:
    """Write the probes as Markdown."""
    lines = ["# Probes of the image model", "", "Brackets are 95 % intervals over themes.", ""]
    for name, part in report["sets"].items():
        classes = part["classes"]
        lines += [
            f"## {name}: {part['pictures']} pictures, tested on {part['tested']}",
            "",
            f"Features of all {len(report['timesteps'])} timesteps take {part['seconds_per_picture_all_timesteps']} s "
            "per picture.",
            "",
            f"| features | valence | arousal | {classes} |",
            "|---|---|---|---|",
        ]
        chance = next((row[classes] for row in part["probes"].values() if classes in row), None)
        share = f"{100 * chance['chance']:.0f} % ({chance['classes']} classes)" if chance else ""
        lines.append(f"| chance | 0 | 0 | {share} |")
        for label, row in part["probes"].items():
            moods = " | ".join(format_estimate(row[axis]) for axis in AXES)
            lines.append(f"| {label} | {moods} | {format_estimate(row[classes], True) if classes in row else ''} |")
        lines.append("")
    lines += [
        "## Reconstruction by inversion",
        "",
        "| inversion | mean absolute error, of the range | s per picture |",
    ]
    lines.append("|---|---|---|")
    for name, row in report["reconstruction"].items():
        lines.append(f"| {name} | {row['mean_absolute_error']} | {row['seconds_per_picture']} |")
    return "\n".join(lines) + "\n"
