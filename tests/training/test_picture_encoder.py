"""Picture encoders made of classifiers, and pictures gathered and read for training."""

from __future__ import annotations

import csv
import json

import numpy as np
import open_clip
import pytest
import timm
import torch
from PIL import Image

from melfusion_core.cli.parser import main
from melfusion_core.models.picture_encoder import PictureEncoder
from melfusion_core.models.picture_words import describe
from melfusion_core.training import encoder_examples, eyes, image, picture_bank, spoken_words
from melfusion_core.training.encoder_fit import fit_moods, kernel, text_embedder
from melfusion_core.training.picture_encoder import EncoderConfig, theme_folds
from tests.conftest import make_picture_encoder
from tests.models.test_picture_encoder import CLIP

THEMES = ("cat", "dog", "beach", "cliff", "car", "street", "flowers", "bird", "lake", "cemetery")
SIZE = {"width": 48, "height": 40}


@pytest.fixture(scope="module", autouse=True)
def small_scenes():
    """Painting is what takes long: 64 pixels are enough for a tiny classifier."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (encoder_examples, picture_bank):
            patch.setattr(module, "SCENE_SIZE", 64)
        yield


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Three bright or dark pictures of each theme; bright ones are rated pleasant, red ones exciting."""
    root = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    rows = []
    for theme in THEMES:
        for number in range(3):
            light, red = rng.uniform(40, 220), rng.uniform(0, 1)
            noise = rng.normal(0, 8, (SIZE["height"], SIZE["width"], 3))
            colour = light * np.array([1.0, 1.0 - 0.8 * red, 1.0 - 0.8 * red])
            file = f"{theme}_{number}.png"
            Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8)).save(root / file)
            rows.append([file, theme.title(), "Scene", 1 + light / 40, 1 + 6 * red, 0, "made"])
    rows.append([rows[0][0], "Budgie extra", "Scene", "", "", 0, "made"])  # one without ratings
    with (root / "pictures.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["file", "theme", "category", "valence_1_7", "arousal_1_7", "person", "source"], *rows]
        )
    return root


@pytest.fixture(scope="module")
def made(photographs, small_scenes, tmp_path_factory):
    """An encoder of a classifier with random weights, made by the command."""
    root = tmp_path_factory.mktemp("encoder")
    (root / "words.txt").write_text("\n".join(THEMES))
    torch.manual_seed(0)
    torch.save(timm.create_model("test_efficientnet", num_classes=len(THEMES)).state_dict(), root / "eye.pth")
    flags = {
        "pictures": photographs, "out": root / "run", "eyes": "timm:test_efficientnet", "weights": root / "eye.pth",
        "words": root / "words.txt", "scenes": 4, "codes": 4, "folds": 5, "seeds": 1,
    }  # fmt: skip
    arguments = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    assert main(["train", "encoder", *arguments]) == 0
    return root / "run"


def test_an_encoder_is_made_of_a_classifier(made, photographs):
    summary = json.loads((made / "summary.json").read_text())
    assert summary["photographs"] == 31 and summary["scenes"] == 4 * 34
    folds = summary["folds over themes"]
    assert folds["kernel"]["valence"]["value"] > 0.6 and folds["kernel"]["valence"]["n"] == 30
    assert set(folds) == {"kernel", "ridge", "colour and texture"}
    assert folds["colour and texture"]["arousal"]["value"] > 0.6  # redness is one of those
    assert summary["held-out scenes"]["n"] == 34
    encoder = PictureEncoder.from_pretrained(made / "export", torch_dtype=torch.float32).eval()
    assert encoder.dim == 6 and list(encoder.config.words) == list(THEMES)
    bright, dark = (Image.new("RGB", (64, 64), (level, level, level)) for level in (215, 45))
    moods = encoder.read([bright, dark]).moods
    assert moods[0, 0] > moods[1, 0] + 0.5
    assert describe(encoder, encoder.read([bright]))[0].text
    embed = text_embedder()
    meanings = encoder.meaning_of(torch.from_numpy(embed(["kitten", "cat", "street"])).float())
    near, far = ((meanings[1] * meanings[row]).sum() / meanings[row].norm() for row in (0, 2))
    assert near > far


def test_pictures_are_gathered_read_and_trained_on(made, photographs, tmp_path, monkeypatch):
    out = tmp_path / "bank"
    config = picture_bank.PictureBankConfig(
        str(made / "export"), str(photographs), str(out), scenes=10, scenes_read=1, side=16
    )
    counts = picture_bank.train(config)
    assert counts == {"photographs": 31, "scenes": 340, "told": 6}
    bank = picture_bank.PictureBank.load(out)
    encoder = PictureEncoder.from_pretrained(made / "export", torch_dtype=torch.float32).eval()
    read = encoder.read([Image.open(photographs / "cat_0.png").convert("RGB")])
    torch.testing.assert_close(bank.told[:1], encoder.tell(read.moods, read.meanings), rtol=1e-3, atol=1e-3)
    assert bank.rated[30].isnan().all() and bank.rated[:30].isfinite().all()
    torch.testing.assert_close(bank.moods[31 + 34 :], bank.rated[31 + 34 :])  # scenes that were not read
    assert {split: len(bank.part(split)) for split in ("train", "validation", "test")}["test"] > 20
    for theme in THEMES:  # themes of photographs stay together
        rows = [row for row in range(31) if bank.themes[row] == theme]
        assert len({bank.splits[row] for row in rows}) == 1
    pixels, rows = bank.draw(400, 8, 0.7, torch.Generator().manual_seed(0))
    assert pixels.shape == (400, 3, 8, 8) and 0.35 < float(bank.photographs[rows].float().mean()) < 0.65
    with pytest.raises(ValueError, match="no picture in split"):
        bank.part("train").part("test")

    words = [scene for row in picture_bank.ASSOCIATIONS for scene in row.scenes]
    told, said = picture_bank.simulate(encoder, bank, 50, lambda texts: np.eye(len(texts), 384), 3)
    assert told.shape == (50, 6) and set(said) <= set(words) and len(set(said)) > 20
    assert float(told[:, :2].std()) > 0.4

    small = {"size": "tiny", "max_steps": 2, "batch_size": 2, "device": "cpu", "log_steps": 1, "sample_steps": 1}
    run = tmp_path / "run"
    image.train(image.ImageConfig(data=str(out), out=str(run), encoder=str(made / "export"), **small))
    _, found = image.image_networks("mini", str(run / "export"), "")
    assert found.dim == 6
    make_picture_encoder().save_pretrained(tmp_path / "other")
    with pytest.raises(ValueError, match="bank tells 6 numbers, and the encoder 5"):
        image.train(
            image.ImageConfig(data=str(out), out=str(tmp_path / "no"), encoder=str(tmp_path / "other"), **small)
        )


def test_an_eye_of_clip_knows_the_words_it_is_asked(tmp_path):
    config = tmp_path / "tiny-clip.json"
    config.write_text(json.dumps(CLIP))
    open_clip.add_model_config(config)
    torch.manual_seed(1)
    model = open_clip.create_model("tiny-clip", load_weights=False).eval()
    torch.save(model.state_dict(), tmp_path / "clip.pt")
    name, words = "open_clip:tiny-clip", ["cat", "dog", "beach"]
    settings = eyes.eye_settings(name)
    assert settings["size"] == 32
    encoder = PictureEncoder([settings], words).eval()
    eyes.fill_eye(encoder.networks[0], name, str(tmp_path / "clip.pt"), words)
    pixels = torch.rand(2, 3, 32, 32) * 2 - 1
    _, logits = encoder.networks[0](pixels)
    tokens = open_clip.get_tokenizer("tiny-clip")([eyes.PROMPT.format(word) for word in words])
    mean, std = (torch.tensor(settings[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        expected = model.get_logits(((pixels + 1) / 2 - mean) / std, tokens)[0]
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)


def test_a_classifier_is_taken_under_its_own_or_other_names():
    torch.manual_seed(3)
    weights = timm.create_model("test_efficientnet", num_classes=4).state_dict()
    others = {f"layer_{number}": value for number, value in enumerate(weights.values()) if value.ndim}
    for given in (weights, others):
        network = timm.create_model("test_efficientnet", num_classes=4)
        eyes.load_classifier(network, given, "it")
        torch.testing.assert_close(network.state_dict(), weights)
    for wrong in (dict(list(others.items())[1:]), timm.create_model("test_efficientnet", num_classes=5).state_dict()):
        with pytest.raises(ValueError, match="not those of it"):
            eyes.load_classifier(timm.create_model("test_efficientnet", num_classes=4), wrong, "it")


def test_what_cannot_be_made_is_refused(photographs, tmp_path):
    for name, match in (("keras:x", "an eye is named"), ("timm:x", "timm does not know"), ("timm", "an eye is named"),
                        ("open_clip:x", "open_clip does not know")):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            eyes.eye_settings(name)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="holds no weights"):
        eyes.read_weights(tmp_path / "list.pth")
    with pytest.raises(ValueError, match="must name folders"):
        EncoderConfig()
    with pytest.raises(ValueError, match="for each eye"):
        EncoderConfig("a", "b", weights=("one",))


def test_folds_keep_themes_together():
    groups = np.repeat([f"theme {number}" for number in range(12)], 4)
    for draw in theme_folds(groups, 5, 2, 0):
        assert sorted(np.concatenate([asked for _, asked in draw]).tolist()) == list(range(48))
        for known, asked in draw:
            assert not set(groups[known]) & set(groups[asked])


def test_moods_are_learned():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(80, 3))
    moods = np.stack([np.sin(features[:, 0]), features[:, 1] * features[:, 2]], axis=1)
    gram = kernel(features, features, 0.3)
    dual = fit_moods(gram[:60, :60], moods[:60], np.ones(60), (10.0, 10.0))
    said = gram[60:, :60] @ dual[:-1] + dual[-1]
    assert np.corrcoef(said[:, 0], moods[60:, 0])[0, 1] > 0.9
    assert np.corrcoef(said[:, 1], moods[60:, 1])[0, 1] > 0.7


def test_what_is_said_is_as_sure_as_it_is_true():
    spoken = spoken_words.candidates(eyes.imagenet_words(), spoken_words.GROUPS)
    names = [word for word, _ in spoken]
    assert len(names) == len(set(names)) or "missile" in names  # ImageNet has some words twice
    true = {word for words in spoken_words.TRUE_WORDS.values() for word in words}
    assert true <= set(names), true - set(names)
    rng = np.random.default_rng(2)
    cat = dict(spoken)["a cat"][0]
    chances = np.zeros((400, 1000))
    chances[:, cat] = rng.uniform(0.1, 0.9, 400)
    themes = ["cat" if rng.random() < chance else "car" for chance in chances[:, cat]]
    slope, offset = spoken_words.fit_confidence(chances, themes, spoken)
    assert slope == pytest.approx(1.0, abs=0.4) and offset == pytest.approx(0.0, abs=0.4)
    assert spoken_words.fit_confidence(chances[:5], themes[:5], spoken) is None
