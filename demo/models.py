"""The models that a visitor may choose from: loaded when first asked for, one besides the first kept in memory."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence

from demo import words
from demo.service import StudioService
from demo.takes import Engine, Limits, StudioError

MAX_NAME = 200


class ModelShelf:
    """Gives the service for a model's name.

    Args:
        first: The model that is loaded already.
        load: Loads an engine by the name of a folder or of a repository on the Hugging Face Hub.
        others: Names of more models to offer.
        any_name: Whether visitors may also name a folder or a repository themselves; only for trusted visitors.
    """

    def __init__(
        self, first: Engine, load: Callable[[str], Engine], others: Sequence[str] = (), any_name: bool = False
    ) -> None:
        self.first = StudioService(first)
        self.names = [first.model_name, *others]
        self.any_name = any_name
        self._load = load
        self._second: tuple[str, StudioService] | None = None
        self._lock = threading.Lock()

    @property
    def limits(self) -> Limits:
        """What a request may ask for, whichever the model."""
        return self.first.limits

    @property
    def offers_choice(self) -> bool:
        """Whether there is more than one model to choose from."""
        return self.any_name or len(self.names) > 1

    def is_loaded(self, name: str | None) -> bool:
        """Whether a model answers at once.

        Args:
            name: Of the model; ``None`` for the first.

        Returns:
            Whether it is in memory.
        """
        return not name or name == self.names[0] or (self._second is not None and self._second[0] == name)

    def service(self, name: str | None) -> StudioService:
        """Get a model's service, loading it where necessary.

        Args:
            name: Of the model; ``None`` for the first.

        Returns:
            The service.

        Raises:
            StudioError: When the model is not offered, or cannot be loaded; the message says why.
        """
        name = (name or "").strip()
        if not name or name == self.names[0]:
            return self.first
        if len(name) > MAX_NAME or not (self.any_name or name in self.names):
            raise StudioError(words.MODEL_NOT_OFFERED)
        with self._lock:
            if self._second is None or self._second[0] != name:
                self._second = None  # its memory is needed before the next one comes
                try:
                    self._second = name, StudioService(self._load(name), self.limits, self.first.pictures)
                except (OSError, ValueError, RuntimeError) as error:
                    print(f"{name}: {error}", file=sys.stderr)
                    reason = error if self.any_name else words.MODEL_ASK
                    raise StudioError(words.MODEL_UNREACHABLE.format(name=name, reason=reason)) from error
            return self._second[1]
