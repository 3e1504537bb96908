"""What caption and picture are worth at each noise level: paired errors on held-out clips.

`python -m melfusion_core.research.gain --data PREPARED --model checkpoints/melfusion-mini`
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch

from melfusion_core.training.music import MusicTask
from melfusion_core.training.music_config import MusicConfig

TIMESTEPS = (999, 980, 960, 930, 900, 860, 820, 780, 700, 600, 400, 200)
CASES = ("caption and picture", "caption", "picture", "another clip's picture")
BATCH = 16


@torch.no_grad()
def errors_at(task: MusicTask, timestep: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Errors of the task's held-out clips at one noise level, with the same noise whatever is known.

    Args:
        task: The trainer's task; its held-out clips are used, whole.
        timestep: Noise level.
        seed: Seed of the noise.

    Returns:
        Squared errors of the clean latents by what was known, "nothing" and `CASES`, each of shape `(clips,)`.
    """
    clips = [task.data.clips[row] for row in task.held_out]
    captions, none = [clip["captions"][0] for clip in clips], [0] * len(clips)
    right = [clip["picture"] for clip in clips]
    half = len(clips) // 2
    wrong = right[half:] + right[:half]
    given = (
        (none, right, 0.0),
        (captions, right, 1.0),
        (captions, right, 0.0),
        (none, right, 1.0),
        (none, wrong, 1.0),
    )
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("nothing", *CASES)}
    for start in range(0, len(clips), BATCH):
        part = slice(start, start + BATCH)
        stored = torch.from_numpy(task.data.latents[task.held_out[part]].astype("float32"))
        latents = (stored.to(task.device) - task.mean) / task.std
        noise = torch.randn(latents.shape, generator=generator)
        timesteps = torch.full((len(latents),), timestep)
        for name, (texts, pictures, strength) in zip(found, given, strict=True):
            strengths = [strength] * len(latents)
            features = task.data.features_at(pictures[part], timesteps, task.device)
            error = task.errors(latents, noise, timesteps, texts[part], features, strengths)
            found[name].append(error.cpu().numpy())
    task.handle.clear()
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _format_gains(found: dict[int, dict[str, np.ndarray]]) -> str:
    """Write the gains as a Markdown table."""
    lines = ["| timestep | error | " + " | ".join(CASES) + " |", "|---" * (len(CASES) + 2) + "|"]
    for timestep, errors in found.items():
        nothing = errors["nothing"]
        gains = (100 * (nothing - errors[name]) / nothing.mean() for name in CASES)
        cells = [f"{gain.mean():.2f} ± {gain.std(ddof=1) / len(gain) ** 0.5:.2f} %" for gain in gains]
        lines.append(f"| {timestep} | {nothing.mean():.3f} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table.

    Args:
        argv: Command line; None takes the process's.
    """
    parser = argparse.ArgumentParser(description="Print what caption and picture are worth at each noise level.")
    parser.add_argument("--data", required=True, help="folder of `melfusion train prepare`")
    parser.add_argument("--model", required=True, help="folder with `unet` and `synapse`")
    parser.add_argument("--clips", type=int, default=96, help="clips to measure on (default 96)")
    parser.add_argument(
        "--split",
        choices=("validation", "train"),
        default="validation",
        help="whose clips; train shows what was learned by heart (default validation)",
    )
    parser.add_argument("--timesteps", type=int, nargs="+", default=list(TIMESTEPS), help="noise levels, 0 to 999")
    parser.add_argument("--seed", type=int, default=1, help="seed of the noise (default 1)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default PyTorch's choice)")
    args = parser.parse_args(argv)
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    try:
        config = MusicConfig(
            data=args.data, out="unused", max_steps=1, init=args.model, validation_clips=args.clips, pairing_width=0.0
        )
        task = MusicTask(config, torch.device("cpu"))
        if args.split == "train":
            task.held_out = task.rows[:: max(1, len(task.rows) // args.clips)][: args.clips]
        total = task.scheduler.config.num_train_timesteps
        if not all(0 <= timestep < total for timestep in args.timesteps):
            raise ValueError(f"timesteps must be from 0 to {total - 1}")
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(_format_gains({timestep: errors_at(task, timestep, args.seed) for timestep in args.timesteps}))


if __name__ == "__main__":
    main()
