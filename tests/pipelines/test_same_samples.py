"""The same wish gives the same take: bit by bit in another process, in a batch beside others up to rounding."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from melfusion_core.cli import main
from melfusion_core.recipe import image_sha256, read_from_file
from tests.test_imports import ROOT

FAST = {"num_inference_steps": 3, "duration_s": 1.28, "guidance_scale": 3.0, "image_guidance_scale": 1.5}
CAPTION, OTHER = "a calm piano", "loud metal guitars"


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def same(batched: np.ndarray, alone: np.ndarray) -> None:
    """One take: a processor sums a batch in another order, and an untrained vocoder makes the most of that."""
    assert level(batched - alone) < 0.02 * level(alone)


def level(sound: np.ndarray) -> float:
    return float(np.sqrt(np.square(sound, dtype=np.float64).mean()))


def test_batches_of_one_and_four_give_the_same_samples(shared_pipeline, sunset):
    four = shared_pipeline([CAPTION] * 4, sunset, generator=seeded(1, 2, 3, 4), **FAST).audios
    for row, seed in enumerate((1, 2, 3, 4)):
        same(four[row], shared_pipeline(CAPTION, sunset, generator=seeded(seed), **FAST).audios[0])
    assert level(four[0] - four[1]) > 0.2 * level(four[0]), "another seed is another take"


def test_two_captions_of_two_takes_each_are_their_solo_runs(shared_pipeline, sunset):
    made = shared_pipeline(
        [CAPTION, OTHER], sunset, num_waveforms_per_prompt=2, generator=seeded(1, 2, 3, 4), **FAST
    ).audios
    for row, (caption, seed) in enumerate([(CAPTION, 1), (CAPTION, 2), (OTHER, 3), (OTHER, 4)]):
        same(made[row], shared_pipeline(caption, sunset, generator=seeded(seed), **FAST).audios[0])


def test_two_pictures_of_two_takes_each_are_their_solo_runs(shared_pipeline, sunset, checkers):
    made = shared_pipeline(
        [CAPTION, CAPTION], [sunset, checkers], num_waveforms_per_prompt=2, generator=seeded(1, 2, 3, 4), **FAST
    ).audios
    for row, (picture, seed) in enumerate([(sunset, 1), (sunset, 2), (checkers, 3), (checkers, 4)]):
        same(made[row], shared_pipeline(CAPTION, picture, generator=seeded(seed), **FAST).audios[0])


@pytest.fixture(scope="module")
def folder(make_tiny_pipeline, minilm, tmp_path_factory):
    target = tmp_path_factory.mktemp("models") / "tiny"
    make_tiny_pipeline(text=minilm).save_pretrained(target)
    return target


def test_a_recipe_gives_the_same_file_in_two_processes(folder, sunset, checkers, tmp_path):
    """Two captions and two pictures; each take carries its own recipe, and another process makes it again."""
    for name, picture in (("sunset", sunset), ("checkers", checkers)):
        picture.save(tmp_path / f"{name}.png")
        for caption in (CAPTION, OTHER):
            out = tmp_path / f"{name}-{caption[0]}.wav"
            flags = ["--image", str(tmp_path / f"{name}.png"), "--prompt", caption, "--seed", "5", "--steps", "2"]
            flags += ["--duration", "1.28", "--out", str(out), "--model", str(folder), "--device", "cpu"]
            assert main(["generate", *flags]) == 0
            recipe = read_from_file(out)
            assert recipe.prompt == caption and recipe.image_sha256 == image_sha256(picture)
    made = sorted(tmp_path.glob("*.wav"))
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in made}) == 4
    again = tmp_path / "again.wav"
    command = [sys.executable, "-m", "melfusion_core.cli", "generate", "--recipe", str(made[0])]
    command += ["--out", str(again), "--model", str(folder), "--device", "cpu"]
    # Sums in another order round otherwise: both processes have as many threads.
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=600, env=environment)
    assert again.read_bytes() == made[0].read_bytes()
