from __future__ import annotations

import numpy as np
import pytest
import torch

from melfusion_core.research import gain
from melfusion_core.training import music
from tests.training.conftest import TINY


def test_gains_by_noise_level(trained, tmp_path, capsys):
    settings = {"crop_frames": 4, "validation_clips": 2, "sample_steps": 2, **TINY}
    run = tmp_path / "music"
    music.train(music.MusicConfig(data=str(trained / "prepared"), out=str(run), max_steps=1, **settings))
    shared = ["--data", str(trained / "prepared"), "--model", str(run / "export"), "--clips", "2"]
    gain.main([*shared, "--timesteps", "999", "100", "--threads", "1"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 999", "| 100"]
    gain.main([*shared, "--timesteps", "999", "--split", "train"])
    (train,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("| 999"))
    assert train != lines[2]
    config = music.MusicConfig(data=str(trained / "prepared"), out="none", max_steps=1, init=str(run / "export"))
    errors = gain.errors_at(music.MusicTask(config, torch.device("cpu")), 999)
    assert errors.keys() == {"nothing", *gain.CASES} and all(len(each) == 2 for each in errors.values())
    assert not np.array_equal(errors["nothing"], errors["caption"])
    assert not np.array_equal(errors["picture"], errors["another clip's picture"])
    with pytest.raises(SystemExit):
        gain.main([*shared, "--timesteps", "1000"])
    assert "from 0 to 999" in capsys.readouterr().err
