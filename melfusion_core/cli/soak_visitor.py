"""A visitor of a running studio, over HTTP: loads the page as a browser does, asks for takes, and checks them."""

from __future__ import annotations

import hashlib
import io
import json
import math
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import soundfile
from PIL import Image

from melfusion_core.image import load_image
from melfusion_core.recipe import RecipeError, image_sha256, read_from_file

PATIENCE_S = 1800.0
WISHES = 2
LOAD, TAKE, ALONE, REFUSAL, LEAVE = "page load", "take", "the same take, alone", "nonsense", "left early"
WAYS = (TAKE, TAKE, TAKE, REFUSAL, LEAVE)
# Seen from outside, all ends in one of these ways.
DONE, REFUSED, TURNED_AWAY = "done", "refused in a sentence", "turned away for want of room"
LOST, MIXED_UP, UNCLEAR = "lost", "mixed up", "refused in no sentence"


@dataclass(frozen=True)
class Wish:
    """What a visitor wants, each a seed and a picture of its own.

    Args:
        prompt: Caption.
        seed: Seed of the noise.
        picture: The picture as a PNG file.
        steps: Denoising steps.
        duration_s: Length in seconds.
    """

    prompt: str
    seed: int
    picture: bytes
    steps: int
    duration_s: float


@dataclass
class Diary:
    """What happened to all visitors; each appends to it.

    Args:
        outcomes: How often which kind of visit ended how.
        waits_s: Seconds from asking for a take to having it.
        troubles: What should not have happened, in words.
        samples: Hash of the samples by the wish, of the first take that was made for it.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    samples: dict[Wish, str] = field(default_factory=dict)

    def note(self, kind: str, outcome: str, trouble: str = "") -> None:
        """Write down how something ended.

        Args:
            kind: What was tried.
            outcome: How it ended.
            trouble: What was wrong, where something was.
        """
        self.outcomes[kind, outcome] += 1
        if trouble:
            self.troubles.append(f"{kind}: {trouble}")

    def count(self, outcome: str) -> int:
        """Count what ended in one way.

        Args:
            outcome: The way.

        Returns:
            How often, whatever was tried.
        """
        return sum(times for (_, how), times in self.outcomes.items() if how == outcome)


class Refused(Exception):
    """What the studio said to a request that it does not fulfil."""


class Busy(Refused):
    """What the studio said when there was no room."""


class Visitor:
    """Somebody with a network address, wishes and habits of their own.

    Args:
        number: Which visitor; decides address, wishes and habits.
        url: Of the studio, with a slash at its end.
        diary: Where everything is written.
        steps: Denoising steps of the takes.
        duration_s: Their length in seconds.
    """

    def __init__(self, number: int, url: str, diary: Diary, steps: int, duration_s: float) -> None:
        self._url, self._diary = url, diary
        self._draw = random.Random(number)
        # All of 127.0.0.0/8 is this machine on Linux, so that visitors differ for the studio's fair queue too.
        address = f"127.0.{1 + number // 200}.{1 + number % 200}" if sys.platform == "linux" else None
        # Idle connections are not used again: the studio closes them after some seconds, which may be just then.
        limits = httpx.Limits(max_keepalive_connections=0)
        transport = httpx.HTTPTransport(local_address=address, limits=limits)
        self._client = httpx.Client(transport=transport, timeout=PATIENCE_S)
        self.wishes = [
            Wish(f"Calm piano for visitor {number}", 1000 * number + n, _picture(number, n), steps, duration_s)
            for n in range(WISHES)
        ]
        self._names: list[str] = []
        self._usual: list[Any] = []

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def come_by(self) -> None:
        """Load the page, and do one of the things that visitors do there."""
        way = self._draw.choice(WAYS)
        try:
            doing = LOAD
            self.load_page()
            doing = way
            if way == TAKE:
                self.ask(self._draw.choice(self.wishes))
            elif way == REFUSAL:
                self._ask_for_nonsense()
            else:
                self._leave_early()
        except (httpx.HTTPError, ValueError, KeyError, StopIteration) as error:
            self._diary.note(doing, LOST, f"{type(error).__name__}: {error}")

    def load_page(self) -> None:
        """Load the page and what it asks for by itself, as a browser of a new visitor does."""
        self._client.get(self._url).raise_for_status()
        config = self._client.get(f"{self._url}config").raise_for_status().json()
        session = secrets.token_hex(5)
        for event in config["dependencies"]:
            if not event["backend_fn"] or not any(target[1] == "load" for target in event["targets"]):
                continue
            body = {"data": [None] * len(event["inputs"]), "fn_index": event["id"], "session_hash": session}
            if not event["queue"]:
                self._client.post(f"{self._url}gradio_api/run/predict", json=body).raise_for_status()
                continue
            self._client.post(f"{self._url}gradio_api/queue/join", json=body).raise_for_status()
            where = f"{self._url}gradio_api/queue/data"
            with self._client.stream("GET", where, params={"session_hash": session}) as stream:
                line = next(line for line in stream.iter_lines() if "process_completed" in line)
            if not json.loads(line.removeprefix("data:"))["success"]:
                raise ValueError("an event of loading the page failed")
        self._diary.note(LOAD, DONE)

    def ask(self, wish: Wish, kind: str = TAKE) -> None:
        """Ask for a take, wait for it, and check that it is the one that was wished for.

        Args:
            wish: What to ask for.
            kind: What to call it in the diary; the wait for a `TAKE` is written down too.
        """
        begun = time.monotonic()
        try:
            answer = self._generate(**self._values(wish))
        except Busy:
            self._diary.note(kind, TURNED_AWAY)
            return
        except Refused as error:
            self._diary.note(kind, LOST, f"refused: {error}")
            return
        if kind == TAKE:
            self._diary.waits_s.append(time.monotonic() - begun)
        wrong = self._check(answer, wish)
        self._diary.note(kind, MIXED_UP if wrong else DONE, wrong)

    def _check(self, answer: list[Any], wish: Wish) -> str:
        sound = self._client.get(answer[0]["url"]).raise_for_status().content
        with tempfile.TemporaryDirectory(prefix="melfusion-soak-") as folder:
            path = Path(folder) / "take.wav"
            path.write_bytes(sound)
            try:
                recipe = read_from_file(path)
            except RecipeError as error:
                return str(error)
        told = recipe.prompt, recipe.seed, recipe.num_inference_steps, recipe.duration_s, recipe.image_sha256
        wished = wish.prompt, wish.seed, wish.steps, wish.duration_s, image_sha256(load_image(wish.picture))
        if told != wished or recipe.to_dict() != answer[3]:
            return f"asked for {wished}, got {told}"
        samples, _ = soundfile.read(io.BytesIO(sound), dtype="int16")
        digest = hashlib.sha256(samples.tobytes()).hexdigest()
        if self._diary.samples.setdefault(wish, digest) != digest:
            return f"seed {wish.seed}: other samples than the first take of the same wish"
        return ""

    def _values(self, wish: Wish) -> dict[str, Any]:
        return {
            "image": self._upload(wish.picture),
            "caption": wish.prompt,
            "seed": wish.seed,
            "steps": wish.steps,
            "duration_s": wish.duration_s,
        }

    def _ask_for_nonsense(self) -> None:
        wish, draw = self.wishes[0], self._draw
        values = self._values(wish)
        torn = wish.picture[: draw.randrange(20, len(wish.picture) // 2)]
        nonsense = draw.choice((
            {"image": None, "caption": ""}, {"caption": "la " * 500}, {"seed": "x"}, {"steps": 1e9},
            {"duration_s": math.nan}, {"image": {"path": "/etc/hostname"}}, {"image": self._upload(torn)},
            {"caption": ["a"]}, {"sampler": "none"},
        ))  # fmt: skip
        try:
            self._generate(**values | nonsense)
        except Busy:
            self._diary.note(REFUSAL, TURNED_AWAY)
        except Refused as error:
            words = str(error)
            clear = words[-1:] in (".", "?") and words.isprintable() and len(words) < 400
            self._diary.note(REFUSAL, REFUSED if clear else UNCLEAR, "" if clear else repr(words[:200]))
        else:
            self._diary.note(REFUSAL, LOST, f"{list(nonsense)} was accepted")

    def _leave_early(self) -> None:
        try:
            event = self._join(self._values(self.wishes[0]))
        except Busy:
            self._diary.note(LEAVE, TURNED_AWAY)
            return
        with self._client.stream("GET", f"{self._url}gradio_api/call/generate/{event}"):
            pass
        self._diary.note(LEAVE, DONE)

    def _upload(self, picture: bytes) -> dict[str, Any]:
        files = {"files": ("my picture.png", picture)}
        reply = self._client.post(f"{self._url}gradio_api/upload", files=files).raise_for_status()
        return {"path": reply.json()[0], "meta": {"_type": "gradio.FileData"}}

    def _join(self, values: dict[str, Any]) -> str:
        if not self._names:
            described = self._client.get(f"{self._url}gradio_api/info").raise_for_status().json()
            parameters = described["named_endpoints"]["/generate"]["parameters"]
            self._names = [parameter["parameter_name"] for parameter in parameters]
            self._usual = [parameter.get("parameter_default") for parameter in parameters]
        data = [values.get(name, usual) for name, usual in zip(self._names, self._usual, strict=True)]
        # Not `json=`, which refuses NaN: a studio has to bear it.
        headers = {"Content-Type": "application/json"}
        body = json.dumps({"data": data})
        asked = self._client.post(f"{self._url}gradio_api/call/generate", content=body, headers=headers)
        if asked.status_code != 200:
            raise (Busy if asked.status_code == 429 else Refused)(str(asked.json().get("detail")))
        return asked.json()["event_id"]

    def _generate(self, **values: Any) -> list[Any]:
        event, kind = self._join(values), ""
        with self._client.stream("GET", f"{self._url}gradio_api/call/generate/{event}") as stream:
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif kind == "error":
                    raise Refused((json.loads(line.removeprefix("data: ")) or {}).get("error") or "")
                elif kind == "complete":
                    return json.loads(line.removeprefix("data: "))
        raise ValueError("the answer broke off")


def _picture(number: int, index: int) -> bytes:
    """A picture unlike those of all others."""
    shifts, file = (37 * number % 256, 101 * index % 256, 59 * number % 256), io.BytesIO()
    grey = Image.linear_gradient("L").rotate(45 * index).resize((320, 240))
    bands = [grey.point([(value + shift) % 256 for value in range(256)]) for shift in shifts]
    Image.merge("RGB", bands).save(file, "PNG")
    return file.getvalue()
