"""The left side of the page: the picture, the words and everything else that a take is made from."""

from __future__ import annotations

import html
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from demo import words
from demo.api import NEW_SEED
from demo.examples import Example
from demo.service import SMALLEST_REGION
from demo.takes import MAX_SEED, WHOLE_PICTURE, Limits
from demo.uploads import uploaded_path
from melfusion_core.recipe import Recipe
from melfusion_core.take import SAMPLERS, TakeSettings

STEP_PRESETS = {"Draft": 10, "Balanced": TakeSettings.num_inference_steps, "Best": 50}
QUIET = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}

# Adds the tapped word to the caption, or takes it away, without asking the server.
CHIP_JS = """(chip, caption) => {
  const parts = (caption || '').split(',').map((part) => part.trim()).filter(Boolean);
  const index = parts.findIndex((part) => part.toLowerCase() === chip.toLowerCase());
  if (index >= 0) parts.splice(index, 1); else parts.push(chip);
  return parts.join(', ');
}"""
CHIPS_ON_LOAD = """
const caption = () => document.querySelector('#caption textarea')?.value ?? '';
const mark = () => {
  const parts = caption().toLowerCase().split(',').map((part) => part.trim());
  element.querySelectorAll('button').forEach((chip) => {
    chip.setAttribute('aria-pressed', String(parts.includes(chip.dataset.chip.toLowerCase())));
  });
};
element.addEventListener('click', (event) => {
  const chip = event.target.closest('[data-chip]');
  if (!chip) return;
  props.value = chip.dataset.chip;
  trigger('select');
  setTimeout(mark, 150);
});
document.addEventListener('input', (event) => { if (event.target.closest('#caption')) mark(); });
mark();
"""
REGION_JS = """(picture, size, x, y) => {
  const holder = document.querySelector('#region-view');
  const source = picture?.url;
  if (!holder) return; // the drawer has not been opened yet; opening it does this again
  const image = holder.querySelector('img');
  holder.classList.toggle('is-empty', !source);
  if (!source) return;
  if (image.getAttribute('src') !== source) image.src = source;
  const place = () => {
    const width = image.naturalWidth, height = image.naturalHeight, side = size / 100 * Math.min(width, height);
    const whole = size === 100 && x === 50 && y === 50;
    Object.assign(holder.querySelector('i').style, whole
      ? {left: '0%', top: '0%', width: '100%', height: '100%'}
      : {left: `${(width - side) * x / width}%`, top: `${(height - side) * y / height}%`,
         width: `${100 * side / width}%`, height: `${100 * side / height}%`});
  };
  if (image.complete && image.naturalWidth) place(); else image.onload = place;
}"""


@dataclass(frozen=True)
class Controls:
    """The components that a take is made from, in the order of :func:`demo.api.to_request`.

    Attributes:
        image: Picture.
        caption: Words.
        synapse: Strength in percent.
        steps: Denoising steps.
        seed: Seed.
        duration: Length in seconds.
        guidance: Guidance by the text.
        image_guidance: Guidance by the picture.
        sampler: Sampler.
        negative: Words to steer away from.
        region_size: Side of the square that sounds, in percent.
        region_x: Its place from left to right, in percent.
        region_y: Its place from top to bottom, in percent.
        guidance_stop: How far guidance goes from noise to music, in percent.
        guidance_rescale: How much guided takes are softened, in percent.
    """

    image: gr.Image
    caption: gr.Textbox
    synapse: gr.Slider
    steps: gr.Slider
    seed: gr.Number
    duration: gr.Slider
    guidance: gr.Slider
    image_guidance: gr.Slider
    sampler: gr.Radio
    negative: gr.Textbox
    region_size: gr.Slider
    region_x: gr.Slider
    region_y: gr.Slider
    guidance_stop: gr.Slider
    guidance_rescale: gr.Slider

    @property
    def all(self) -> list[gr.components.Component]:
        """All of them, in order."""
        return [getattr(self, field.name) for field in fields(self)]


def picture_input() -> gr.Image:
    """Build the hero drop zone.

    Returns:
        The component; its value is a file, which nothing but the service opens.
    """
    image = gr.Image(
        **words.PICTURE,
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard", "webcam"],
        height=220,
        buttons=["fullscreen"],
        elem_id="picture",
    )
    # Gradio would open the file itself and fail in its own words; the service does it in ours.
    image.preprocess = uploaded_path
    return image


def example_gallery(examples: Sequence[Example], elem_id: str) -> gr.Gallery:
    """Build a row of pictures, one tap each.

    Args:
        examples: The pictures.
        elem_id: Name on the page.

    Returns:
        The component.
    """
    return gr.Gallery(
        [(example.image_path, example.title) for example in examples],
        label=words.EXAMPLE_PICTURES,
        show_label=False,
        columns=min(6, len(examples)),
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id=elem_id,
        elem_classes="pictures",
    )


def caption_input(limits: Limits) -> tuple[gr.Textbox, gr.HTML]:
    """Build the field for the words and the chips below it.

    Args:
        limits: What a request may ask for.

    Returns:
        The field and the chips.
    """
    caption = gr.Textbox(
        "", **words.CAPTION, lines=2, max_lines=4, max_length=limits.max_caption_characters, elem_id="caption"
    )
    rows = []
    for name, chips in words.CHIPS.items():
        buttons = "".join(
            f'<button type="button" data-chip="{chip}" aria-pressed="false">{chip}</button>' for chip in chips
        )
        rows.append(f'<div role="group" aria-label="{name}"><span>{name}</span>{buttons}</div>')
    with gr.Accordion(words.CHIPS_TITLE, open=False, elem_id="chips-box"):
        chips = gr.HTML(
            "", html_template="".join(rows), js_on_load=CHIPS_ON_LOAD, apply_default_css=False, elem_id="chips"
        )
    chips.select(None, [chips, caption], caption, js=CHIP_JS, **QUIET)
    return caption, chips


def region_inputs() -> tuple[gr.Accordion, gr.Slider, gr.Slider, gr.Slider]:
    """Build the choice of the part of the picture that sounds.

    Returns:
        Its drawer, its size, its place from left to right, and from top to bottom.
    """
    with gr.Accordion(words.REGION, open=False, elem_id="region") as drawer:
        gr.HTML(
            f'<div id="region-view" class="is-empty"><p>{words.REGION_EMPTY}</p>'
            f'<div><img alt="{words.REGION_ALT}"><i></i></div></div>'
        )
        smallest = round(100 * SMALLEST_REGION)
        size = gr.Slider(
            smallest, 100, value=100, step=5, **words.REGION_SIZE, buttons=["reset"], elem_id="region-size"
        )
        with gr.Row():
            x, y = (
                gr.Slider(0, 100, value=50, step=5, **text, buttons=["reset"], min_width=140, elem_id=name)
                for text, name in ((words.REGION_X, "region-x"), (words.REGION_Y, "region-y"))
            )
    return drawer, size, x, y


def strength_inputs(limits: Limits) -> tuple[gr.Slider, gr.Radio]:
    """Build the synapse and the presets.

    Args:
        limits: What a request may ask for.

    Returns:
        The strength in percent and the preset.
    """
    most = round(limits.max_synapse_strength * 100)
    synapse = gr.Slider(
        0,
        most,
        value=100 * TakeSettings.synapse_strength,
        step=5,
        **words.SYNAPSE,
        buttons=["reset"],
        elem_id="synapse",
    )
    presets = [(f"{name} · {count}", count) for name, count in STEP_PRESETS.items()]
    quality = gr.Radio(presets, value=STEP_PRESETS["Balanced"], label=words.QUALITY, elem_id="quality")
    return synapse, quality


def advanced_inputs(limits: Limits, quality: gr.Radio) -> dict[str, Any]:
    """Build the drawer for those who want to know.

    Args:
        limits: What a request may ask for.
        quality: The presets, which follow the steps and are followed by them.

    Returns:
        The components by their names in :class:`Controls`.
    """
    most = limits.max_guidance_scale
    found: dict[str, Any] = {}
    with gr.Accordion(words.ADVANCED, open=False, elem_id="advanced"):
        weights = (
            ("guidance", TakeSettings.guidance_scale, words.GUIDANCE),
            ("image_guidance", TakeSettings.image_guidance_scale, words.IMAGE_GUIDANCE),
        )
        for name, value, text in weights:
            found[name] = gr.Slider(
                0, most, value=value, step=0.5, **text, buttons=["reset"], elem_id=name.replace("_", "-")
            )
        found["guidance_stop"] = gr.Slider(
            0,
            100,
            value=100 * TakeSettings.guidance_stop,
            step=5,
            **words.GUIDANCE_STOP,
            buttons=["reset"],
            elem_id="guidance-stop",
        )
        found["guidance_rescale"] = gr.Slider(
            0,
            100,
            value=100 * TakeSettings.guidance_rescale,
            step=5,
            **words.GUIDANCE_RESCALE,
            buttons=["reset"],
            elem_id="guidance-rescale",
        )
        steps = found["steps"] = gr.Slider(
            1, limits.max_steps, value=STEP_PRESETS["Balanced"], step=1, **words.STEPS, elem_id="steps"
        )
        found["duration"] = gr.Slider(
            limits.min_duration_s,
            limits.max_duration_s,
            value=TakeSettings.duration_s,
            step=1.28,
            **words.DURATION,
            buttons=["reset"],
            elem_id="duration",
        )
        samplers = [(words.SAMPLER_LABELS[name], name) for name in SAMPLERS]
        found["sampler"] = gr.Radio(samplers, value=TakeSettings.sampler, label=words.SAMPLER, elem_id="sampler")
        found["negative"] = gr.Textbox(
            "", **words.NEGATIVE, max_lines=2, max_length=limits.max_caption_characters, elem_id="negative"
        )
        seed = found["seed"] = gr.Number(
            label=words.SEED["label"],
            info=words.SEED["info"].format(new=NEW_SEED),
            value=NEW_SEED,
            precision=0,
            minimum=NEW_SEED,
            maximum=MAX_SEED,
            elem_id="seed",
        )
        # Gradio would refuse a number beyond the bounds in its own words; the service does it at the field.
        seed.preprocess = lambda payload: payload
        with gr.Row():
            dice = gr.Button(words.DICE, size="sm", min_width=110, elem_id="random-seed")
            unlock = gr.Button(words.UNLOCK_SEED, size="sm", min_width=110, elem_id="new-seed")
    quality.input(lambda count: count, quality, steps, **QUIET)
    steps.input(matching_preset, steps, quality, **QUIET)
    dice.click(lambda: secrets.randbelow(MAX_SEED + 1), None, seed, **QUIET)
    unlock.click(lambda: NEW_SEED, None, seed, **QUIET)
    return found


def matching_preset(count: float) -> int | None:
    """Find the preset with a number of steps.

    Args:
        count: Steps.

    Returns:
        The preset's value, or ``None``.
    """
    return int(count) if count in STEP_PRESETS.values() else None


def recipe_values(
    controls: Controls,
    recipe: Recipe,
    image_path: str | None,
    limits: Limits,
    region: tuple[float, float, float] = WHOLE_PICTURE,
) -> dict[Any, Any]:
    """Set every control as a recipe has it.

    Args:
        controls: The components.
        recipe: Of a take.
        image_path: The picture's file, or ``None``.
        limits: Where a recipe from elsewhere goes beyond them, the limit is set.
        region: The part of the picture that was heard; see :class:`demo.takes.Request`.

    Returns:
        Value by component.
    """
    return {
        controls.image: image_path,
        controls.caption: recipe.prompt[: limits.max_caption_characters],
        controls.synapse: round(100 * min(recipe.synapse_strength, limits.max_synapse_strength), 3),
        controls.steps: min(recipe.num_inference_steps, limits.max_steps),
        controls.seed: min(recipe.seed, MAX_SEED),
        controls.duration: min(max(recipe.duration_s, limits.min_duration_s), limits.max_duration_s),
        controls.guidance: min(recipe.guidance_scale, limits.max_guidance_scale),
        controls.image_guidance: min(recipe.image_guidance_scale, limits.max_guidance_scale),
        controls.sampler: recipe.sampler,
        controls.negative: recipe.negative_prompt[: limits.max_caption_characters],
        controls.region_size: round(100 * region[0], 3),
        controls.region_x: round(100 * region[1], 3),
        controls.region_y: round(100 * region[2], 3),
        controls.guidance_stop: round(100 * recipe.guidance_stop, 3),
        controls.guidance_rescale: round(100 * recipe.guidance_rescale, 3),
    }


def heading(text: str, elem_id: str, title: str = "") -> gr.HTML:
    """Write a short line above a group of components.

    Args:
        text: The line.
        elem_id: Name on the page.
        title: What the group is called, before the line.

    Returns:
        The component.
    """
    name = f"<b>{html.escape(title)}</b> " if title else ""
    return gr.HTML(f"<p>{name}{html.escape(text)}</p>", elem_id=elem_id, elem_classes="small-title")
