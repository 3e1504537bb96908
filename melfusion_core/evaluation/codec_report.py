"""The codec's report: how near its reconstructions are to held-out clips, in sound, pitch, onsets and speed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from tqdm.auto import tqdm

from melfusion_core.audio import save_audio
from melfusion_core.engines.base import Rendered
from melfusion_core.engines.spectrogram.distances import stft_distances
from melfusion_core.evaluation.codec import STAGES, CodecUnderTest, codec_speed
from melfusion_core.evaluation.metrics import bootstrap, half_frechet, mean_interval, paired_frechet
from melfusion_core.evaluation.notes import GROSS_CENTS, REGISTERS, KnownPiece, onset_score, pitch_errors
from melfusion_core.spectrogram import plot_pair, save_figure

SHOWN_CLIPS = 4


class Embedder(Protocol):
    """What the Frechet distances need."""

    name: str

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Embed clips.

        Args:
            waveforms: Mono clips of one length at the codec's sample rate.
        """
        ...


def distances(
    codec: CodecUnderTest, embedder: Embedder, originals: Sequence[np.ndarray], progress: bool, seed: int = 0
) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    """Measure reconstructions of real clips.

    Args:
        codec: What to measure.
        embedder: Gives the embeddings of the Frechet distances.
        originals: Held-out clips, cut to the codec's grid.
        progress: Show progress bars.
        seed: Seed of halves and resamples.

    Returns:
        By stage ("codec", "vocoder") and for the "floor" the figures; and the rebuilt clips by stage.
    """
    real = embedder.embed(originals)
    result: dict[str, Any] = {"floor": {"frechet_halves": half_frechet(real, real, seed).to_dict()}}
    rebuilt: dict[str, list[np.ndarray]] = {}
    for stage in STAGES:
        rebuilt[stage] = codec.rebuild(originals, stage, progress=progress)
        made = embedder.embed(rebuilt[stage])
        pairs = list(zip(originals, rebuilt[stage], strict=True))
        mel = np.array([codec.mel_distance(one, other) for one, other in pairs])
        stft = np.array([stft_distances(torch.from_numpy(one), torch.from_numpy(other)) for one, other in pairs])
        result[stage] = {
            "frechet_paired": paired_frechet(made, real, seed).to_dict(),
            "frechet_halves": half_frechet(made, real, seed).to_dict(),
            "mel_l1_nats": mean_interval(mel, seed).to_dict(),
            "stft_convergence": mean_interval(stft[:, 0], seed).to_dict(),
            "stft_log_l1_nats": mean_interval(stft[:, 1], seed).to_dict(),
        }
        floor = result["floor"]["frechet_halves"]["value"]
        for name in ("paired", "halves"):
            value = result[stage][f"frechet_{name}"]["value"]
            result[stage][f"{name}_over_floor"] = round(value / floor, 3) if floor else None
    return result, rebuilt


def _pitch_figures(codec: CodecUnderTest, pieces: Sequence[KnownPiece], progress: bool) -> dict[str, Any]:
    """Pitch error on monophonic pieces, by stage and register."""
    result: dict[str, Any] = {}
    for stage in STAGES:
        rebuilt = codec.rebuild([piece.waveform for piece in pieces], stage)
        bar = tqdm(zip(pieces, rebuilt, strict=True), total=len(pieces), desc=f"pitch, {stage}", disable=not progress)
        by_piece = [pitch_errors(piece, clip, codec.sample_rate) for piece, clip in bar]
        every = np.concatenate(by_piece)
        rows = {"all": every[:, 1]}
        for name, low, high in REGISTERS:
            rows[name] = every[(every[:, 0] >= low) & (every[:, 0] < high), 1]
        rows |= {piece.name: errors[:, 1] for piece, errors in zip(pieces, by_piece, strict=True)}
        result[stage] = {name: _cents(errors) for name, errors in rows.items()}
    return result


def _cents(errors: np.ndarray) -> dict[str, float | int | None]:
    if not len(errors):
        return {"median_cents": None, "p90_cents": None, "gross_share": None, "frames": 0}
    return {
        "median_cents": round(float(np.median(errors)), 2),
        "p90_cents": round(float(np.quantile(errors, 0.9)), 2),
        "gross_share": round(float(np.mean(errors > GROSS_CENTS)), 4),
        "frames": len(errors),
    }


def _onset_figures(
    codec: CodecUnderTest, pieces: Sequence[KnownPiece], progress: bool, seed: int = 0
) -> dict[str, Any]:
    """Onset F-measure against the score, of the originals and of the reconstructions."""
    bar = tqdm(pieces, desc="onsets, original", disable=not progress)
    before = np.array([onset_score(piece, piece.waveform, codec.sample_rate) for piece in bar])
    result: dict[str, Any] = {"original": mean_interval(before, seed).to_dict()}
    for stage in STAGES:
        rebuilt = codec.rebuild([piece.waveform for piece in pieces], stage)
        bar = tqdm(zip(pieces, rebuilt, strict=True), total=len(pieces), desc=f"onsets, {stage}", disable=not progress)
        after = np.array([onset_score(piece, clip, codec.sample_rate) for piece, clip in bar])
        share = bootstrap(_ratio_of_means(after, before), len(before), seed)
        result[stage] = mean_interval(after, seed).to_dict() | {"of_original": share.to_dict()}
    return result


def _ratio_of_means(above: np.ndarray, below: np.ndarray):
    return lambda rows: above[rows].mean(1) / np.maximum(below[rows].mean(1), 1e-9)


def evaluate_codec(
    codec: CodecUnderTest,
    embedder: Embedder,
    originals: Sequence[np.ndarray],
    solos: Sequence[KnownPiece],
    pieces: Sequence[KnownPiece],
    out: Path | str,
    notes: dict[str, Any] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Measure a codec and write `codec.json`, `codec.md`, and a few reconstructions to listen to.

    Args:
        codec: What to measure.
        embedder: Gives the embeddings of the Frechet distances.
        originals: Held-out clips of one length.
        solos: Monophonic pieces with known notes, of one length.
        pieces: Pieces with known onsets, of one length.
        out: Folder to write.
        notes: What the report should tell of its inputs (names, counts).
        seed: Seed of halves and resamples.
        progress: Show progress bars.

    Returns:
        The report, as in `codec.json`.

    Raises:
        ValueError: If there are fewer than four originals.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    originals = [codec.cut(clip) for clip in originals]
    figures, rebuilt = distances(codec, embedder, originals, progress, seed)
    report: dict[str, Any] = {**(notes or {}), "seed": seed, "embedder": embedder.name, "clips": len(originals)}
    report["latent_positions_per_s"] = round(_positions_per_second(codec, originals[0]), 1)
    report["distances"] = figures
    report["speed"] = codec_speed(codec)
    if solos:
        report["pitch"] = _pitch_figures(codec, [_cut_piece(codec, piece) for piece in solos], progress)
    if pieces:
        report["onsets"] = _onset_figures(codec, [_cut_piece(codec, piece) for piece in pieces], progress, seed)
    for index in range(min(SHOWN_CLIPS, len(originals))):
        _show(codec, out, index, originals[index], rebuilt["codec"][index])
    (out / "codec.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (out / "codec.md").write_text(_format_codec(report), encoding="utf-8")
    return report


def _cut_piece(codec: CodecUnderTest, piece: KnownPiece) -> KnownPiece:
    return KnownPiece(piece.name, codec.cut(piece.waveform), piece.notes, piece.monophonic)


def _positions_per_second(codec: CodecUnderTest, clip: np.ndarray) -> float:
    sound = Rendered(torch.from_numpy(clip)[None], codec.sample_rate)
    latents = codec.engine.encode([sound])
    return latents.shape[-1] * latents.shape[-2] / sound.duration_s


def _show(codec: CodecUnderTest, out: Path, index: int, original: np.ndarray, rebuilt: np.ndarray) -> None:
    from melfusion_core.mel import mel_to_db

    pair = torch.from_numpy(np.stack([original, rebuilt])).to(codec.device)
    mels = [mel_to_db(mel[0], codec.mel_config) for mel in codec.spectrogram(pair)]
    save_figure(plot_pair(mels[0], mels[1], codec.mel_config, ("Original", "Reconstruction")), out / f"{index}.png")
    for name, clip in (("original", original), ("rebuilt", rebuilt)):
        save_audio(out / f"{index}_{name}.flac", clip, codec.sample_rate)


def _format_codec(report: dict[str, Any]) -> str:
    """Write the codec's report as Markdown."""

    def cell(estimate: dict[str, Any], digits: int = 3) -> str:
        if estimate["value"] is None:
            return "not defined"
        ends = ", ".join("?" if estimate[end] is None else f"{estimate[end]:.{digits}f}" for end in ("low", "high"))
        return f"{estimate['value']:.{digits}f} [{ends}]"

    figures = report["distances"]
    lines = [
        "# Codec",
        "",
        f"{report['clips']} held-out clips; embedder of the Frechet distances: {report['embedder']}, not comparable "
        "with other embedders. Brackets are 95 % intervals. 'Vocoder alone' starts from the exact spectrogram.",
        "",
        "| | codec | vocoder alone | floor |",
        "|---|---|---|---|",
    ]
    rows = (
        ("Frechet distance, same clips", "frechet_paired", 4),
        ("Frechet distance, other half", "frechet_halves", 4),
        ("log-mel L1 (nats)", "mel_l1_nats", 3),
        ("multi-resolution STFT, convergence", "stft_convergence", 3),
        ("multi-resolution STFT, log L1 (nats)", "stft_log_l1_nats", 3),
    )
    for label, key, digits in rows:
        cells = [cell(figures[stage][key], digits) for stage in STAGES]
        cells.append(cell(figures["floor"][key], digits) if key in figures["floor"] else "")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    for name, label in (("paired", "same clips"), ("halves", "other half")):
        cells = " | ".join(f"{figures[stage][f'{name}_over_floor']}" for stage in STAGES)
        lines.append(f"| {label}: times the floor | {cells} | 1 |")
    lines += ["", "The floor is the distance between two random halves of the originals."]
    if "pitch" in report:
        lines += [
            "",
            "## Pitch of monophonic clips",
            "",
            "YIN on original and reconstruction, steady part of every note.",
            "",
            "| | codec: median cents | 90 % | wrong by > 50 cents | vocoder alone: median | 90 % | frames |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, row in report["pitch"]["codec"].items():
            other = report["pitch"]["vocoder"][name]
            if row["frames"]:
                lines.append(
                    f"| {name} | {row['median_cents']} | {row['p90_cents']} | {100 * row['gross_share']:.1f} % | "
                    f"{other['median_cents']} | {other['p90_cents']} | {row['frames']} |"
                )
    if "onsets" in report:
        onsets = report["onsets"]
        lines += [
            "",
            "## Onsets against the score (F-measure at 50 ms)",
            "",
            "| | F | share of the original's |",
            "|---|---|---|",
            f"| original | {cell(onsets['original'])} | 1 |",
        ]
        lines += [f"| {s} | {cell(onsets[s])} | {cell(onsets[s]['of_original'])} |" for s in STAGES]
    speed = report["speed"]
    lines += [
        "",
        f"Speed on {speed['device']} with {speed['threads']} thread(s): encoding {speed['encode_times_real_time']}, "
        f"decoding {speed['decode_times_real_time']} times real time; {report['latent_positions_per_s']} latent "
        "positions per second.",
    ]
    return "\n".join(lines) + "\n"
