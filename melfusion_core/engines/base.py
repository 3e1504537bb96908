"""What an engine is: the meaning of latents.

UNet, synapse, captions, guidance and sampler work on latents and know nothing of music. An engine says how many there
are for a length, what the UNet is told beside them, how music becomes latents and latents music, and what there is to
see while they form.

Shape legend: ``batch`` samples, ``channels`` of a latent, ``time`` and ``height`` its positions (up a spectrogram
go frequencies, up a score parts and octaves), ``samples`` of a waveform.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from melfusion_core.models.parts import PartedModel
from melfusion_core.take import TakeSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from melfusion_core.engines.score.direction import Direction
    from melfusion_core.score.score import Score


class View(Protocol):
    """A picture of music for people; every engine has a class of its own."""

    @property
    def duration_s(self) -> float:
        """Length of what it shows, in seconds."""
        ...

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        ...

    def figure(self, title: str = "", other: Any = None, other_title: str = "") -> Figure:
        """Draw it with axes, alone or beside another one and with what sets them apart.

        Args:
            title: Heading.
            other: Another view of the same class and shape, or None.
            other_title: Its heading.
        """
        ...


@dataclass(frozen=True)
class Rendered:
    """One finished piece of music.

    Args:
        audio: Of shape ``(channels, samples)``, float32.
        sample_rate: In Hz.
        view: What it looks like; None where nobody looked.
        stems: Waveforms of its parts by their roles, each like ``audio``; they add up to it. None where the music was
            not made of parts.
        score: Its notes; None where it was not made of notes.
    """

    audio: torch.Tensor
    sample_rate: int
    view: View | None = None
    stems: dict[str, torch.Tensor] | None = None
    score: Score | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.audio.shape[-1] / self.sample_rate


@dataclass(frozen=True)
class Known:
    """The settled part of latents; the rest is composed around it.

    Args:
        values: Clean normalised latents of shape ``(batch, channels, time, height)``; they count where the mask is
            True.
        mask: Same shape, bool.

    Raises:
        ValueError: When the shapes differ.
    """

    values: torch.Tensor
    mask: torch.Tensor

    def __post_init__(self) -> None:
        if self.values.shape != self.mask.shape or self.mask.dtype != torch.bool:
            raise ValueError(
                f"known values of shape {tuple(self.values.shape)} need a mask of bools of the same shape, got "
                f"{tuple(self.mask.shape)} of {self.mask.dtype}"
            )

    def to(self, device: torch.device | str) -> Known:
        """Move to a device.

        Args:
            device: Target device.

        Returns:
            The same on that device.
        """
        return Known(self.values.to(device), self.mask.to(device))

    def index(self, rows: torch.Tensor | Sequence[int]) -> Known:
        """Pick or repeat samples.

        Args:
            rows: Indices along the batch axis.

        Returns:
            Those of these samples.
        """
        return Known(self.values[rows], self.mask[rows])

    def over(self, other: Known | None) -> Known:
        """What this and another one know; where both do, this one counts.

        Args:
            other: Of the same shape; None for nothing.

        Returns:
            Both.
        """
        if other is None:
            return self
        return Known(torch.where(self.mask, self.values, other.values), self.mask | other.mask)

    def paste(self, latents: torch.Tensor) -> torch.Tensor:
        """Put what is known over what was composed, so that it comes back exactly.

        Args:
            latents: Of shape ``(batch, channels, time, height)``.

        Returns:
            Same shape.
        """
        return torch.where(self.mask, self.values.to(latents.dtype), latents)


@dataclass(frozen=True)
class Plan:
    """What is settled of some takes before they are composed.

    Args:
        settings: How they are made.
        shape: Of each one's latents, ``(channels, time, height)``.
        known: The settled part of their latents; None for nothing.
        look: What is known of a first look, where the length follows from the music itself: short latents to compose
            and show to :meth:`Engine.settled` before the takes. None where there is nothing to find out.
    """

    settings: TakeSettings
    shape: tuple[int, int, int]
    known: Known | None = None
    look: Known | None = None


class Composes(Protocol):
    """What guidance and trainers need of an engine, for which it needs no weights: an engine, or its class."""

    @staticmethod
    def model_input(
        latents: torch.Tensor,
        channels: int,
        start: torch.Tensor | int = 0,
        known: Known | None = None,
        alpha_cumprod: float = 1.0,
    ) -> torch.Tensor:
        """See :meth:`Engine.model_input`.

        Args:
            latents: See there.
            channels: See there.
            start: See there.
            known: See there.
            alpha_cumprod: See there.
        """
        ...

    @staticmethod
    def model_output(output: torch.Tensor, latents: torch.Tensor, alpha_cumprod: float) -> torch.Tensor:
        """See :meth:`Engine.model_output`.

        Args:
            output: See there.
            latents: See there.
            alpha_cumprod: See there.
        """
        ...


class Engine(PartedModel):
    """The meaning of latents; see the module. Its parts and settings are its configuration in the model folder."""

    accepts_known = False
    """Whether parts of the latents may be given."""
    makes_notes = False
    """Whether its music comes with a score and stems."""

    @property
    @abstractmethod
    def sample_rate(self) -> int:
        """Of the sound, in Hz."""

    @property
    def sounds_sha256(self) -> str | None:
        """Hash of the sampled instruments that play its notes; None where it makes sound itself."""
        return None

    @property
    @abstractmethod
    def latent_channels(self) -> int:
        """Channels of the latents."""

    @abstractmethod
    def plan(
        self,
        captions: Sequence[str],
        settings: TakeSettings,
        multiple: int = 1,
        directions: Sequence[Direction] | None = None,
    ) -> Plan:
        """Settle length and what else is told before composing.

        Args:
            captions: Caption of each take; an engine may read facts in them.
            settings: How they are made; their length counts.
            multiple: The time axis is a multiple of this, so that the UNet can halve it.
            directions: What each take is told beside; None for nothing.

        Returns:
            The plan; it may ask for a look first.

        Raises:
            ValueError: When it makes no music of that length, or cannot follow a direction.
        """

    def settled(self, plan: Plan, looked: torch.Tensor, multiple: int = 1) -> Plan:
        """The plan of takes after the look that it asked for.

        Args:
            plan: A plan with a look.
            looked: What was composed for it, of shape ``(batch, channels, time, height)``.
            multiple: The time axis is a multiple of this.

        Returns:
            A plan without one.

        Raises:
            ValueError: When this engine asks for none.
        """
        raise ValueError(f"{type(self).__name__} does not look before it composes")

    @abstractmethod
    def check_channels(self, channels: int) -> None:
        """Check that a UNet fits.

        Args:
            channels: Channels of its input.

        Raises:
            ValueError: When :meth:`model_input` does not make as many.
        """

    @staticmethod
    @abstractmethod
    def model_input(
        latents: torch.Tensor,
        channels: int,
        start: torch.Tensor | int = 0,
        known: Known | None = None,
        alpha_cumprod: float = 1.0,
    ) -> torch.Tensor:
        """What the UNet sees of noisy latents: they, where their positions lie, and what is known.

        Args:
            latents: Of shape ``(batch, latent_channels, time, height)``.
            channels: Channels of the UNet's input.
            start: Position in its piece at which each sample starts, a number or of shape ``(batch,)``.
            known: What is settled; None for nothing.
            alpha_cumprod: Cumulative product of the noise schedule at this step.

        Returns:
            Tensor of shape ``(batch, channels, time, height)``.

        Raises:
            ValueError: When it cannot make so many channels, or cannot be told what is known.
        """

    @staticmethod
    @abstractmethod
    def model_output(output: torch.Tensor, latents: torch.Tensor, alpha_cumprod: float) -> torch.Tensor:
        """What the UNet's output predicts.

        Args:
            output: What the UNet gave, of shape ``(batch, its output channels, time, height)``.
            latents: Noisy latents of shape ``(batch, latent_channels, time, height)``.
            alpha_cumprod: Cumulative product of the noise schedule at this step.

        Returns:
            The prediction, of the scheduler's prediction type and the latents' shape.
        """

    def snapped(self, clean: torch.Tensor, alpha_cumprod: float) -> torch.Tensor:
        """Move an estimate of the clean latents nearer to what latents of music can be.

        Args:
            clean: Of shape ``(batch, latent_channels, time, height)``.
            alpha_cumprod: Cumulative product of the noise schedule at this step.

        Returns:
            Same shape; here as it is.
        """
        return clean

    @abstractmethod
    def encode(self, music: Sequence[Rendered]) -> torch.Tensor:
        """Turn music into latents.

        Args:
            music: Pieces of one length.

        Returns:
            Normalised latents of shape ``(batch, channels, time, height)``.

        Raises:
            ValueError: When they lack what it encodes.
        """

    @abstractmethod
    def decode(self, latents: torch.Tensor, plan: Plan) -> list[Rendered]:
        """Turn latents into music.

        Args:
            latents: Normalised latents of shape ``(batch, channels, time, height)``.
            plan: The takes' plan; their length counts.

        Returns:
            One piece per sample, on the latents' device; their views are on the CPU.
        """

    @abstractmethod
    def view(self, latents: torch.Tensor, plan: Plan | None = None) -> list[View]:
        """Draw latents, for instance while they form.

        Args:
            latents: Normalised latents of shape ``(batch, channels, time, height)``.
            plan: The takes' plan; None for all of the latents.

        Returns:
            One view per sample.
        """
