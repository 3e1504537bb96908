"""Networks that put captions beside music (CLAP) or beside pictures (CLIP): loading code for IMSM and FAD.

Shape legend: `n` clips, pictures or captions, `dim` of the joint space.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from melfusion_core.full_size.embedders import EmbedderError

CLAP_REPO = "laion/clap-htsat-unfused"  # that of the paper's released IMSM
CLIP_ARCHITECTURE = "ViT-B-32-quickgelu"  # openai/clip-vit-base-patch32, likewise
CLIP_WEIGHTS = "openai"


class Clap:
    """CLAP of transformers.

    Args:
        source: Repository on the Hub, or a folder.
        device: Where it runs.

    Raises:
        EmbedderError: When it cannot be had, or its weights are incomplete.
    """

    def __init__(self, source: str | Path = CLAP_REPO, device: str = "cpu") -> None:
        from transformers import AutoFeatureExtractor, AutoTokenizer, ClapModel

        self.name, self.device = f"CLAP ({Path(source).name})", torch.device(device)
        try:
            model, report = ClapModel.from_pretrained(
                source, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
            self.extractor = AutoFeatureExtractor.from_pretrained(source)
            self.tokenizer = AutoTokenizer.from_pretrained(source)
        except (OSError, ValueError) as error:
            raise EmbedderError(f"CLAP could not be loaded from {source}: {str(error).splitlines()[0]}") from error
        if report["missing_keys"] or report["mismatched_keys"]:
            lost = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))[:5]
            raise EmbedderError(f"CLAP in {source} lacks weights: {', '.join(lost)}")
        self.model = model.to(self.device).eval().requires_grad_(False)

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz that clips must have."""
        return int(self.extractor.sampling_rate)

    @property
    def logit_scale(self) -> float:
        """Factor of cosines in audio-to-text logits."""
        return float(self.model.logit_scale_a.detach().exp())

    @torch.no_grad()
    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Embed clips.

        Args:
            waveforms: Mono clips at the network's sample rate.

        Returns:
            Unit vectors of shape `(n, dim)`.
        """
        rows = []
        for waveform in waveforms:
            inputs = self.extractor(np.asarray(waveform), sampling_rate=self.sample_rate, return_tensors="pt")
            inputs = {name: value.to(self.device) for name, value in inputs.items()}
            rows.append(_unit(self.model.get_audio_features(**inputs)))
        return np.concatenate(rows)

    @torch.no_grad()
    def embed_text(self, captions: Sequence[str]) -> np.ndarray:
        """Embed captions.

        Args:
            captions: The captions.

        Returns:
            Unit vectors of shape `(n, dim)`.
        """
        length = min(self.tokenizer.model_max_length, self.model.config.text_config.max_position_embeddings - 2)
        tokens = self.tokenizer(list(captions), padding=True, truncation=True, max_length=length, return_tensors="pt")
        tokens = tokens.to(self.device)
        return _unit(self.model.get_text_features(tokens.input_ids, attention_mask=tokens.attention_mask))


class OpenClip:
    """CLIP through open_clip.

    Args:
        architecture: Name of the architecture in open_clip.
        weights: Name of pretrained weights in open_clip (downloaded), or a file.
        device: Where it runs.

    Raises:
        EmbedderError: When it cannot be had.
    """

    def __init__(
        self, architecture: str = CLIP_ARCHITECTURE, weights: str | None = CLIP_WEIGHTS, device: str = "cpu"
    ) -> None:
        import open_clip

        self.name, self.device = f"CLIP {architecture} ({Path(weights or 'untrained').name})", torch.device(device)
        try:
            self.model, _, self.transform = open_clip.create_model_and_transforms(
                architecture, pretrained=weights, device=self.device
            )
            self.tokenizer = open_clip.get_tokenizer(architecture)
        except (OSError, RuntimeError, ValueError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise EmbedderError(f"CLIP {architecture} could not be loaded with {weights}: {first}") from error
        self.model.eval().requires_grad_(False)

    @property
    def logit_scale(self) -> float:
        """Factor of cosines in image-to-text logits."""
        return float(self.model.logit_scale.detach().exp())

    @torch.no_grad()
    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embed pictures.

        Args:
            images: RGB pictures.

        Returns:
            Unit vectors of shape `(n, dim)`.
        """
        rows = [_unit(self.model.encode_image(self.transform(image)[None].to(self.device))) for image in images]
        return np.concatenate(rows)

    @torch.no_grad()
    def embed_text(self, captions: Sequence[str]) -> np.ndarray:
        """Embed captions.

        Args:
            captions: The captions.

        Returns:
            Unit vectors of shape `(n, dim)`.
        """
        return _unit(self.model.encode_text(self.tokenizer(list(captions)).to(self.device)))


def _unit(features: torch.Tensor) -> np.ndarray:
    features = getattr(features, "pooler_output", features)
    return F.normalize(features.float(), dim=-1).cpu().double().numpy()
