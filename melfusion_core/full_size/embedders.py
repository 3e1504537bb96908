"""The audio networks behind the published figures: VGGish for FAD, PANNs' Cnn14 for FD and KL.

Both are written here from their papers and public descriptions, with the parameter names of their public checkpoints,
and load those strictly. The weights are not part of this project:

* VGGish (Hershey et al., 2017): the PyTorch conversion `vggish-10086976.pth` of harritaylor/torchvggish. As in
  common FAD tools the last rectifier is left out and nothing is whitened or quantised.
* Cnn14 at 16 kHz (Kong et al., 2020): `Cnn14_16k_mAP=0.438.pth` of the PANNs authors' Zenodo record.

Shape legend: `batch` clips, `samples` of a clip, `frames` of a spectrogram, `dim` of an embedding.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from melfusion_core.full_size.strict import WeightsError, load_state

RATE = 16000


class EmbedderError(RuntimeError):
    """An embedder's weights cannot be used; the message says why."""


def load_weights(network: nn.Module, path: Path) -> nn.Module:
    """Load a checkpoint strictly: safetensors, or a pickle through torch's reader that executes nothing.

    Args:
        network: Where to.
        path: The file.

    Returns:
        The network, in evaluation mode and frozen.

    Raises:
        EmbedderError: When there is no such file, it holds something else than weights, or they do not fit.
    """
    if not path.is_file():
        raise EmbedderError(f"There are no weights at {path}.")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
        state = state.get("model", state) if isinstance(state, dict) else state
        if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
            raise EmbedderError(f"{path} holds something else than weights.")
        return load_state(network, state, f"{type(network).__name__} in {path}")
    except WeightsError as error:
        raise EmbedderError(f"{error}.") from error
    except (RuntimeError, ValueError, EOFError, OSError) as error:
        if isinstance(error, EmbedderError):
            raise
        raise EmbedderError(f"{path} could not be read as weights: {str(error).splitlines()[0]}") from error


class VGGish(nn.Module):
    """VGGish: 128 values for every 0.96 s.

    Args:
        width: Channels of the first layer, 64 in the public network; tests take fewer.
        hidden: Width of the two hidden dense layers, 4096 in the public network.
    """

    name = "VGGish"
    example_frames = 96

    def __init__(self, width: int = 64, hidden: int = 4096) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        previous = 1
        for channels in (width, 0, 2 * width, 0, 4 * width, 4 * width, 0, 8 * width, 8 * width, 0):
            if not channels:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers += [nn.Conv2d(previous, channels, 3, padding=1), nn.ReLU()]
            previous = channels
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(previous * 6 * 4, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 128),
        )

    def examples(self, waveform: torch.Tensor) -> torch.Tensor:
        """Log-mel examples as VGGish was trained on.

        Args:
            waveform: At 16 kHz, of shape `(samples,)`.

        Returns:
            Of shape `(examples, 1, 96, 64)`; a last part shorter than 0.96 s is left out.

        Raises:
            ValueError: When the clip is shorter than 0.975 s.
        """
        window = torch.hann_window(400, device=waveform.device)
        if len(waveform) < 400 + 160 * (self.example_frames - 1):
            raise ValueError(f"VGGish needs 15600 samples at 16 kHz, got {len(waveform)}")
        frames = waveform.unfold(0, 400, 160) * window
        magnitude = torch.fft.rfft(frames, n=512).abs()
        mel = (magnitude @ vggish_filters().to(waveform.device) + 0.01).log()
        count = len(mel) // self.example_frames
        return mel[: count * self.example_frames].view(count, 1, self.example_frames, 64)

    @torch.no_grad()
    def embed(self, waveform: torch.Tensor) -> np.ndarray:
        """Embed a clip.

        Args:
            waveform: At 16 kHz, of shape `(samples,)`.

        Returns:
            Of shape `(examples, 128)`.
        """
        hidden = self.features(self.examples(waveform.to(self.embeddings[0].weight.device)))
        return self.embeddings(hidden.permute(0, 2, 3, 1).flatten(1)).cpu().double().numpy()


def vggish_filters() -> torch.Tensor:
    """VGGish's mel filters: triangles that are straight on the mel axis, from 125 to 7500 Hz.

    Returns:
        Of shape `(257, 64)`.
    """

    def mel(hertz: torch.Tensor) -> torch.Tensor:
        return 1127.0 * torch.log1p(hertz / 700.0)

    bins = mel(torch.linspace(0.0, RATE / 2, 257, dtype=torch.float64))
    edges = torch.linspace(*mel(torch.tensor([125.0, 7500.0], dtype=torch.float64)).tolist(), 66, dtype=torch.float64)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    filters = torch.minimum(rising, falling).clamp_min(0.0)
    filters[0] = 0.0
    return filters.float()


class _ConvBlock(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)

    def forward(self, hidden: torch.Tensor, pool: int) -> torch.Tensor:
        hidden = F.relu(self.bn1(self.conv1(hidden)))
        return F.avg_pool2d(F.relu(self.bn2(self.conv2(hidden))), pool)


class _Fourier(nn.Module):
    """Short-time Fourier transform as convolutions, whose kernels the public checkpoint holds."""

    def __init__(self, n_fft: int, hop_length: int) -> None:
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        angle = 2 * math.pi / n_fft * torch.outer(torch.arange(n_fft // 2 + 1), torch.arange(n_fft)).double()
        window = torch.hann_window(n_fft, dtype=torch.float64)
        bins = n_fft // 2 + 1
        self.conv_real = nn.Conv1d(1, bins, n_fft, stride=hop_length, bias=False)
        self.conv_imag = nn.Conv1d(1, bins, n_fft, stride=hop_length, bias=False)
        self.conv_real.weight.data.copy_((angle.cos() * window)[:, None])
        self.conv_imag.weight.data.copy_((-angle.sin() * window)[:, None])

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        padded = F.pad(waveform[:, None], (self.n_fft // 2,) * 2, mode="reflect")
        return (self.conv_real(padded).square() + self.conv_imag(padded).square()).transpose(1, 2)


class Cnn14(nn.Module):
    """PANNs' Cnn14 for 16 kHz: an embedding of a whole clip, and 527 AudioSet classes.

    Args:
        width: Channels of the first block, 64 in the public network; tests take fewer.
        classes: Number of classes.
    """

    name = "PANNs Cnn14 16 kHz"

    def __init__(self, width: int = 64, classes: int = 527) -> None:
        super().__init__()
        from librosa.filters import mel

        filters = torch.from_numpy(mel(sr=RATE, n_fft=512, n_mels=64, fmin=50.0, fmax=8000.0)).T.contiguous()
        self.spectrogram_extractor = nn.ModuleDict({"stft": _Fourier(512, 160)})
        self.logmel_extractor = nn.ParameterDict({"melW": nn.Parameter(filters.float())})
        self.bn0 = nn.BatchNorm2d(64)
        previous = 1
        for number in range(1, 7):
            channels = width * 2 ** (number - 1)
            self.add_module(f"conv_block{number}", _ConvBlock(previous, channels))
            previous = channels
        self.fc1 = nn.Linear(previous, previous)
        self.fc_audioset = nn.Linear(previous, classes)

    @torch.no_grad()
    def embed(self, waveform: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Embed a clip.

        Args:
            waveform: At 16 kHz, of shape `(samples,)`, at least 0.4 s.

        Returns:
            Embedding of shape `(dim,)`, and class probabilities of shape `(classes,)`: the softmax of the logits,
            as the KL of AudioLDM's evaluation takes it.
        """
        power = self.spectrogram_extractor["stft"](waveform.to(self.fc1.weight.device)[None])
        mel = 10.0 * (power @ self.logmel_extractor["melW"]).clamp_min(1e-10).log10()
        hidden = self.bn0(mel.transpose(1, 2).unsqueeze(-1)).permute(0, 3, 2, 1)  # (batch, 1, frames, mel bins)
        for number in range(1, 7):
            hidden = getattr(self, f"conv_block{number}")(hidden, 1 if number == 6 else 2)
        hidden = hidden.mean(dim=3)
        hidden = F.relu(self.fc1(hidden.max(dim=2).values + hidden.mean(dim=2)))
        probabilities = self.fc_audioset(hidden).double().softmax(dim=1)
        return hidden[0].cpu().double().numpy(), probabilities[0].cpu().numpy()
