"""MeLFusion: music from a picture and a caption."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from melfusion_core.engines.spectrogram.patch_codec import PatchCodec
    from melfusion_core.engines.spectrogram.vocoder import ISTFTVocoder
    from melfusion_core.mel import MelConfig, MelSpectrogram
    from melfusion_core.models.synapse import VisualSynapse
    from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline

__version__ = "0.1.0"

# Loaded on first use, so that `import melfusion_core` stays cheap.
_EXPORTS = {
    "MelConfig": "melfusion_core.mel",
    "MelSpectrogram": "melfusion_core.mel",
    "PatchCodec": "melfusion_core.engines.spectrogram.patch_codec",
    "VisualSynapse": "melfusion_core.models.synapse",
    "ISTFTVocoder": "melfusion_core.engines.spectrogram.vocoder",
    "MelFusionPipeline": "melfusion_core.pipelines.pipeline_melfusion",
}

__all__ = [
    "ISTFTVocoder",
    "MelConfig",
    "MelFusionPipeline",
    "MelSpectrogram",
    "PatchCodec",
    "VisualSynapse",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
