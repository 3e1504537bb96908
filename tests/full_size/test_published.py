"""The paper's figures on closed-form cases and tiny networks of the public classes; no weights, no network."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.torch import save_file

from melfusion_core.cli import main
from melfusion_core.full_size.embedders import Cnn14, EmbedderError, VGGish, load_weights, vggish_filters
from melfusion_core.full_size.imsm import imsm, released_matrix
from melfusion_core.full_size.joint_embedders import Clap
from melfusion_core.full_size.published import Embedders, PublishedError, find_pairs, markdown, measure
from melfusion_core.full_size.published_takes import render_takes
from tests.full_size.tiny_embedders import make_clap, make_clip

RATE = 16000


@pytest.fixture(scope="module")
def vggish() -> VGGish:
    torch.manual_seed(0)
    return VGGish(width=2, hidden=8).eval()


@pytest.fixture(scope="module")
def panns() -> Cnn14:
    torch.manual_seed(0)
    return Cnn14(width=2).eval()


@pytest.fixture(scope="module")
def clap(tmp_path_factory) -> Clap:
    return make_clap(tmp_path_factory.mktemp("clap"))


def tone(hertz: float, seconds: float = 1.2) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    rows = []
    for folder, shift in (("generated", 1.1), ("reference", 1.0)):
        (root / folder).mkdir()
        for number in range(4):
            soundfile.write(root / folder / f"{number}.wav", tone(200 * (number + 1) * shift), RATE)
    for number in range(4):
        Image.new("RGB", (32, 32), (60 * number, 90, 10)).save(root / f"{number}.png")
        rows.append(
            json.dumps({"location": f"x/{number}.wav", "img_path": f"{number}.png", "captions": f"tone {number}"})
        )
    (root / "table.json").write_text("\n".join(rows))
    return root


def test_the_public_networks_have_their_published_sizes():
    with torch.device("meta"):
        whole = VGGish()
    assert sum(weight.numel() for weight in whole.parameters()) == 72_141_184  # TensorFlow's VGGish
    keys = set(whole.state_dict())
    assert {"features.0.weight", "features.13.bias", "embeddings.4.weight"} < keys and len(keys) == 18
    names = set(Cnn14(width=1).state_dict())
    for name in (
        "spectrogram_extractor.stft.conv_real.weight", "logmel_extractor.melW", "bn0.running_var",
        "conv_block6.conv2.weight", "conv_block1.bn1.num_batches_tracked", "fc1.bias", "fc_audioset.weight",
    ):  # fmt: skip
        assert name in names


def test_vggish_sees_log_mels_of_its_own(vggish):
    filters = vggish_filters()
    assert filters.shape == (257, 64) and (filters >= 0).all() and filters[0].sum() == 0
    frequencies = torch.linspace(0, 8000, 257)
    assert filters[frequencies < 125].sum() == 0 and filters[frequencies > 7500].sum() == 0
    examples = vggish.examples(torch.from_numpy(tone(1000.0, 2.0)))
    assert examples.shape == (2, 1, 96, 64)
    loudest = examples.mean(dim=(0, 1, 2)).argmax()
    assert abs(float(frequencies[filters[:, loudest].argmax()]) - 1000) < 100
    silent = vggish.examples(torch.zeros(RATE))
    torch.testing.assert_close(silent, torch.full_like(silent, math.log(0.01)))
    assert vggish.embed(torch.from_numpy(tone(500.0))).shape == (1, 128)
    with pytest.raises(ValueError, match="15600"):
        vggish.embed(torch.zeros(1000))


def test_panns_spectrogram_is_the_fourier_transform(panns):
    waveform = torch.from_numpy(tone(700.0, 0.5))
    power = panns.spectrogram_extractor["stft"](waveform[None])[0]
    expected = torch.stft(waveform, 512, 160, window=torch.hann_window(512), return_complex=True).abs().square().T
    torch.testing.assert_close(power, expected, atol=1e-2, rtol=1e-3)
    vector, classes = panns.embed(waveform)
    assert vector.shape == (64,) and classes.shape == (527,) and math.isclose(classes.sum(), 1.0, rel_tol=1e-9)


def test_weights_are_loaded_strictly(vggish, tmp_path):
    state = vggish.state_dict()
    save_file(state, tmp_path / "good.safetensors")
    torch.save({"model": state}, tmp_path / "good.pth")
    for name in ("good.safetensors", "good.pth"):
        loaded = load_weights(VGGish(width=2, hidden=8), tmp_path / name)
        assert torch.equal(loaded.features[0].weight, vggish.features[0].weight)
    lost = {name: value for name, value in state.items() if name != "features.3.bias"}
    save_file(lost, tmp_path / "bad.safetensors")
    with pytest.raises(EmbedderError, match=r"features\.3\.bias"):
        load_weights(VGGish(width=2, hidden=8), tmp_path / "bad.safetensors")
    torch.save([1, 2], tmp_path / "odd.pth")
    with pytest.raises(EmbedderError, match="something else"):
        load_weights(vggish, tmp_path / "odd.pth")
    with pytest.raises(EmbedderError, match="no weights"):
        load_weights(vggish, tmp_path / "none.pth")


def test_released_imsm_in_closed_form():
    """Perfect agreement: P = Q = identity, so the matrix is softmax(I) with diagonal e / (e + n - 1)."""
    for n in (2, 5):
        matrix, product = released_matrix(1000.0 * np.eye(n), 1000.0 * np.eye(n))
        np.testing.assert_allclose(product, np.eye(n), atol=1e-12)
        np.testing.assert_allclose(np.diagonal(matrix), math.e / (math.e + n - 1))
        scores = imsm(np.eye(n), np.eye(n), np.eye(n), np.eye(n), 1000.0, 1000.0)
        assert math.isclose(scores.released, scores.ceiling) and math.isclose(scores.before, 1.0)
        assert math.isclose(scores.per_pair, 1.0)
    matrix, product = released_matrix(np.zeros((3, 3)), np.zeros((3, 3)))  # nothing known: all equal
    np.testing.assert_allclose(matrix, np.full((3, 3), 1 / 3))
    np.testing.assert_allclose(product, np.full((3, 3), 1 / 3))


def test_imsm_by_hand_and_in_batches():
    turned = np.array([[math.cos(1.0), math.sin(1.0)], [-math.sin(1.0), math.cos(1.0)]])
    scores = imsm(turned, np.eye(2), np.eye(2), np.eye(2), 2.0, 3.0)
    p = np.exp(2.0 * turned) / np.exp(2.0 * turned).sum(1, keepdims=True)
    q = np.exp(3.0 * np.eye(2)) / np.exp(3.0 * np.eye(2)).sum(1, keepdims=True)
    product = p @ q.T
    last = np.exp(product) / np.exp(product).sum(1, keepdims=True)
    assert math.isclose(scores.released, np.diagonal(last).mean())
    assert math.isclose(scores.before, np.diagonal(product).mean())
    assert math.isclose(scores.per_pair, math.sqrt(math.cos(1.0)))
    parts = imsm(*([np.eye(4)] * 4), 1000.0, 1000.0, batch=2)
    assert math.isclose(parts.released, math.e / (math.e + 1)) and parts.batch == 2
    with pytest.raises(ValueError, match="two triplets"):
        imsm(np.eye(1), np.eye(1), np.eye(1), np.eye(1), 1.0, 1.0)
    with pytest.raises(ValueError, match="square"):
        released_matrix(np.zeros((2, 3)), np.zeros((2, 3)))


def test_every_figure_with_tiny_networks(clips, vggish, panns, clap):
    clip = make_clip()
    pairs = find_pairs(clips / "generated", clips / "reference", clips / "table.json")
    assert [pair.row.caption for pair in pairs] == ["tone 0", "tone 1", "tone 2", "tone 3"]
    report = measure(pairs, Embedders(vggish, panns, clap, clip), batch=2)
    figures = report["figures"]
    assert set(figures) == {"FAD", "FAD_CLAP", "FD", "KL", "IMSM"} and not report["left_out"]
    assert all(figure["value"] >= 0 and figure["embedder"] for figure in figures.values())
    assert figures["IMSM"]["batch"] == 2 and figures["IMSM"]["value"] <= figures["IMSM"]["ceiling"]
    same = find_pairs(clips / "reference", clips / "reference")
    itself = measure(same, Embedders(vggish, panns, clap))["figures"]
    assert all(abs(itself[name]["value"]) < 1e-4 for name in ("FAD", "FAD_CLAP", "FD", "KL"))
    text = markdown(report, "mine")
    assert "| mine |" in text and "| MeLFusion (paper), MeLBench | 1.050 | - | 0.720 | 20.490 | 0.830 |" in text
    assert "VGGish" in text and "PANNs Cnn14 16 kHz" in text and "per pair" in text


class FakePipe:
    """A tone whose height is the picture's brightness; it remembers how it was called."""

    sample_rate = RATE

    def __init__(self):
        self.calls = []

    def __call__(self, caption, image, **options):
        self.calls.append((caption, options))
        level = np.asarray(image).mean()
        return SimpleNamespace(audios=[4.0 * tone(100 + level, options["duration_s"])])


def test_takes_are_made_for_the_rows_of_a_split(clips, tmp_path):
    lines = [json.loads(line) for line in (clips / "table.json").read_text().splitlines()]
    for number, line in enumerate(lines):
        line |= {"split": "test" if number % 2 else "train", "img_path": str(clips / line["img_path"])}
    table = tmp_path / "table.jsonl"
    table.write_text("\n".join(json.dumps(line) for line in lines))
    pipe, folder = FakePipe(), tmp_path / "takes"
    assert render_takes(pipe, table, folder, "test", duration_s=1.2, seed=7) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["1.wav", "3.wav"]
    caption, options = pipe.calls[1]
    assert caption == "tone 3" and options["guidance_scale"] == options["image_guidance_scale"] == 3.0
    assert options["num_inference_steps"] == 200 and options["generator"].initial_seed() == 8
    loud = soundfile.read(folder / "1.wav")[0]
    assert np.abs(loud).max() > 1.0  # kept as it is
    assert render_takes(pipe, table, folder, "test", duration_s=1.2) == 0 and len(pipe.calls) == 2
    assert len(find_pairs(folder, clips / "reference", table)) == 2
    with pytest.raises(PublishedError, match="no row of the split validation"):
        render_takes(pipe, table, folder, "validation")


def test_pairs_are_checked(clips, tmp_path):
    with pytest.raises(PublishedError, match="does not exist"):
        find_pairs(tmp_path / "none", clips / "reference")
    soundfile.write(tmp_path / "9.wav", tone(100.0), RATE)
    with pytest.raises(PublishedError, match="no reference of their name, such as 9"):
        find_pairs(tmp_path, clips / "reference")
    (tmp_path / "table.json").write_text('{"audio": "0.wav"}')
    with pytest.raises(PublishedError, match="table.json:1 has no image"):
        find_pairs(clips / "generated", clips / "reference", tmp_path / "table.json")


def test_the_command_writes_a_report_and_says_what_it_left_out(clips, tmp_path, capsys, monkeypatch):
    from melfusion_core.full_size import embedders

    whole = VGGish(width=2, hidden=8)
    save_file(whole.state_dict(), tmp_path / "vggish.safetensors")
    monkeypatch.setattr(embedders, "VGGish", lambda: VGGish(width=2, hidden=8))
    command = ["evaluate-published", "--generated", str(clips / "generated"), "--reference", str(clips / "reference")]
    assert main([*command, "--vggish", str(tmp_path / "vggish.safetensors"), "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["figures"]["FAD"]["value"] > 0 and len(report["left_out"]) == 3
    assert "Left out: FD and KL (PANNs)" in capsys.readouterr().out
    assert main([*command, "--panns", str(tmp_path / "none.pth"), "--out", str(tmp_path / "out")]) == 2
    assert "There are no weights at" in capsys.readouterr().err
    out = ["--out", str(tmp_path / "out")]
    for flags, message in (
        (["--steps", "3", "--split", "test"], "--split, --steps only matter with --model"),
        (["--model", str(tmp_path)], "--model needs --table"),
        (["--clip-weights", "openai"], "no effect without --clip"),
        (["--imsm-batch", "4"], "needs --clip, --clap and --table"),
        (["--device", "cuda:99"], "cuda:99"),
    ):
        assert main([*command, *flags, *out]) == 2
        assert message in capsys.readouterr().err
