"""A first look at a model with one's own pictures: one caption, one seed, one take per picture.

``python -m melfusion_core.research.photographs MODEL PICTURE PICTURE ... --out REPORT``
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from melfusion_core.audio import save_audio
from melfusion_core.cli.takes import load_pipeline
from melfusion_core.evaluation.cues import audio_cues
from melfusion_core.evaluation.listening import listen
from melfusion_core.image import load_image
from melfusion_core.take import TakeSettings

PEAK_CEILING = 0.98
"""All takes of a report are turned down together until the highest peak is here, as `melfusion generate` does."""


def photographs(
    pipeline: Any, pictures: Sequence[Path], out: Path, prompt: str, seed: int, steps: int
) -> dict[str, Any]:
    """Play every picture and compare.

    Args:
        pipeline: A `MelFusionPipeline`, or what can be called like one.
        pictures: At least two picture files.
        out: Folder for the takes and `photographs.json`.
        prompt: Caption of every take.
        seed: Seed of every take.
        steps: Denoising steps.

    Returns:
        The gain; per take the listening check and cues; the mean spectrogram distance in dB between the takes of two
        pictures, and of each from text-only; whether strength 0 gives text-only bit for bit, and a second run the
        same samples.

    Raises:
        ValueError: If there are fewer than two pictures.
    """
    if len(pictures) < 2:
        raise ValueError("at least two pictures are needed, to hear what another picture changes")
    out.mkdir(parents=True, exist_ok=True)
    rate = pipeline.sample_rate

    def play(picture: Path | None, strength: float = 1.0) -> np.ndarray:
        image = load_image(picture) if picture else None
        generator = torch.Generator().manual_seed(seed)
        result = pipeline(
            prompt, image=image, num_inference_steps=steps, synapse_strength=strength, generator=generator
        )
        return np.asarray(result.audios[0], dtype=np.float32)

    def spectrum(waveform: np.ndarray) -> np.ndarray:
        magnitudes = torch.stft(
            torch.from_numpy(waveform), 2048, 512, window=torch.hann_window(2048), return_complex=True
        ).abs()
        return (20 * magnitudes.clamp_min(1e-2).log10()).numpy()

    raw = {path.stem: play(path) for path in pictures}
    raw["text-only"] = play(None)
    highest = max(float(np.abs(waveform).max()) for waveform in raw.values())
    gain = min(1.0, PEAK_CEILING / highest) if highest > 0 else 1.0
    takes = {name: waveform * np.float32(gain) for name, waveform in raw.items()}
    report: dict[str, Any] = {"prompt": prompt, "seed": seed, "steps": steps, "takes": {}}
    report["gain_db"] = round(20 * float(np.log10(gain)), 2)
    for name, waveform in takes.items():
        save_audio(out / f"{name}.flac", torch.from_numpy(waveform), rate)
        check = listen(waveform, rate)
        cues = asdict(audio_cues(waveform, rate))
        report["takes"][name] = {**asdict(check), "problems": check.problems(), "cues": cues}
    spectra = {name: spectrum(waveform) for name, waveform in takes.items()}
    report["distance_db"] = {
        f"{one} / {two}": round(float(np.abs(spectra[one] - spectra[two]).mean()), 2)
        for one, two in combinations(spectra, 2)
    }
    report["strength_0_is_text_only"] = bool(np.array_equal(play(pictures[0], 0.0), raw["text-only"]))
    report["second_run_is_identical"] = bool(np.array_equal(play(pictures[0]), raw[pictures[0].stem]))
    (out / "photographs.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    return report


def main(argv: Sequence[str] | None = None) -> None:
    """Command line.

    Args:
        argv: Arguments; None takes those of the process.
    """
    parser = argparse.ArgumentParser(prog="python -m melfusion_core.research.photographs", description=__doc__)
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("pictures", type=Path, nargs="+", help="picture files, at least two")
    parser.add_argument("--out", type=Path, required=True, help="folder for takes and report")
    parser.add_argument("--prompt", default="a piece of music", help='caption (default "a piece of music")')
    parser.add_argument("--seed", type=int, default=0, help="(default 0)")
    parser.add_argument(
        "--steps", type=int, default=TakeSettings.num_inference_steps, help="denoising steps (default %(default)s)"
    )
    args = parser.parse_args(argv)
    pipeline = load_pipeline(args.model, "cpu")
    report = photographs(pipeline, args.pictures, args.out, args.prompt, args.seed, args.steps)
    for name, take in report["takes"].items():
        verdict = " ".join(take["problems"]) or "no problem"
        print(
            f"{name:20s} peak {take['peak_dbfs']:6.1f} dBFS  RMS {take['rms_dbfs']:6.1f} dBFS  "
            f"{take['onsets']:3d} onsets  tonality {take['tonality']:.2f}  {verdict}"
        )
    shown = ("gain_db", "distance_db", "strength_0_is_text_only", "second_run_is_identical")
    print(json.dumps({key: report[key] for key in shown}))


if __name__ == "__main__":
    main()
