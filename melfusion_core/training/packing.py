"""Make packs from a corpus and a codec: `melfusion corpus pack`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from melfusion_core.data.corpus import Triplet, read_corpus
from melfusion_core.data.packs import MAX_PART_MB, PackWriter, quantise, write_pictures
from melfusion_core.engines.spectrogram.latents import MelCodec, load_codec
from melfusion_core.models.text import find_minilm, load_minilm
from melfusion_core.training.encode import encode_clips, latent_scales

_FIELDS = ("id", "split", "subset", "theme", "piece", "source")
_FIELDS += ("image_valence", "image_arousal", "music_valence", "music_arousal")
_ATTRIBUTES = ("lead", "instruments", "style", "mode", "key", "tempo_word", "tempo_bpm", "onset_rate_hz")


def pack_corpus(
    root: Path | str,
    vae: Path | str,
    out: Path | str,
    subset: str = "all",
    part_mb: float = MAX_PART_MB,
    with_text_encoder: bool = False,
    batch_size: int = 8,
    device: str = "cpu",
) -> dict:
    """Pack a corpus for a machine without network.

    Args:
        root: Corpus folder with `metadata.jsonl`.
        vae: Folder of the codec.
        out: Folder to write.
        subset: `core`, `full` or `all`.
        part_mb: Largest size of a part in megabytes.
        with_text_encoder: Whether to add the text encoder, in half precision, with its tokenizer.
        batch_size: Clips encoded at a time.
        device: `cpu` or `cuda`.

    Returns:
        The manifest, with the quantisation error in standard deviations of a channel.

    Raises:
        PackError: When `out` already holds packs.
        CorpusError: When the corpus cannot be read or has no clip of the subset.
    """
    writer = PackWriter(out, part_mb)
    clips = read_corpus(root, subset)
    codec = load_codec(vae)
    latents = _write_latents(writer, codec, clips, batch_size, device)
    paths = list(dict.fromkeys(clip.image for clip in clips))
    write_pictures(writer, [path.read_bytes() for path in paths])
    every = (text for clip in clips for text in (*clip.captions, clip.image_caption))
    texts = {text: row for row, text in enumerate(dict.fromkeys(["", *every]))}
    _write_clips(writer, Path(root), clips, texts, {path: row for row, path in enumerate(paths)})
    _copy(writer, Path(vae), "codec", ("config.json", "diffusion_pytorch_model.safetensors"))
    if with_text_encoder:
        _write_text_encoder(writer)
    config = json.loads((Path(vae) / "config.json").read_text(encoding="utf-8"))
    return writer.finish({"clips": len(clips), "subset": subset, "codec": config, "latents": latents})


def _write_latents(writer: PackWriter, codec: MelCodec, clips: list[Triplet], batch_size: int, device: str) -> dict:
    """Encode, quantise and write all clips; returns what the manifest says of them."""
    scales = latent_scales(codec)
    held: list[np.ndarray] = []
    state = {"first": 0, "number": 0, "squares": 0.0, "worst": 0.0}
    shape: tuple[int, ...] = ()

    def flush() -> None:
        values = np.concatenate(held)
        codes, low, step = quantise(values)
        arrays = {"latents": codes, "low": low, "step": step}
        name = f"latents-{state['number']:03d}.safetensors"
        writer.add_arrays(name, "latents", arrays, int(state["first"]), len(values))
        error = low[..., None, None] + step[..., None, None] * codes - values
        state["squares"] = state["squares"] + np.square(error, dtype=np.float64).mean(axis=(2, 3)).sum(axis=0)
        state["worst"] = np.maximum(state["worst"], np.abs(error).max(axis=(0, 2, 3)))
        state["first"] += len(values)
        state["number"] += 1
        held.clear()

    for _, batch in encode_clips(codec, clips, batch_size, device):
        shape = batch.shape[1:]
        per_part = max(1, (writer.limit - 4096) // (int(np.prod(shape)) + 8 * shape[0]))
        for latents in batch:
            held.append(latents[None])
            if len(held) == per_part:
                flush()
    if held:
        flush()
    scale = np.asarray(scales["std"])
    return {
        "shape": list(shape),
        **scales,
        "quantisation": "uint8, one range per clip and channel",
        "rms_error_in_std": round(float(np.sqrt((state["squares"] / len(clips) / scale**2).mean())), 5),
        "largest_error_in_std": round(float((state["worst"] / scale).max()), 5),
    }


def _write_clips(
    writer: PackWriter, root: Path, clips: list[Triplet], texts: dict[str, int], pictures: dict[Path, int]
) -> None:
    """Write what is known of each clip, as the manifest of a corpus says it but for texts and pictures."""
    entries = [
        {
            **{name: getattr(clip, name) for name in _FIELDS},
            "audio": clip.audio.relative_to(root).as_posix(),
            "image": clip.image.relative_to(root).as_posix(),
            "image_kind": clip.kind,
            "attributes": {name: getattr(clip, name) for name in _ATTRIBUTES},
            "captions": [texts[text] for text in clip.captions],
            "image_caption": texts[clip.image_caption],
            "picture": pictures[clip.image],
        }
        for clip in clips
    ]
    text = json.dumps({"texts": list(texts), "clips": entries}, ensure_ascii=False, separators=(",", ":"))
    (writer.folder / "clips.json").write_text(text, encoding="utf-8")
    writer.register("clips.json", "clips")


def _copy(writer: PackWriter, source: Path, name: str, files: tuple[str, ...]) -> None:
    (writer.folder / name).mkdir(exist_ok=True)
    for file in files:
        shutil.copyfile(source / file, writer.folder / name / file)
        writer.register(f"{name}/{file}", name)


def _write_text_encoder(writer: PackWriter) -> None:
    """The text encoder in half precision: about 45 MB."""
    tokenizer, text_encoder = load_minilm()
    folder = writer.folder / "text_encoder"
    text_encoder.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.pop("_name_or_path", None) is not None:
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    settings = folder / "tokenizer_config.json"
    text = settings.read_text(encoding="utf-8").replace(str(find_minilm(verify=False)), "")
    settings.write_text(text, encoding="utf-8")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        writer.register(path.relative_to(writer.folder).as_posix(), "text_encoder")
