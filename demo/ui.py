"""The page: layout, events and words. It knows the service and nothing of the model."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

import gradio as gr

from demo.api import NEW_SEED, add_endpoint, to_request
from demo.examples import Example
from demo.fragments import (
    DIFFERENCE_TITLE,
    EXAMPLES_TITLE,
    FAILED,
    MASTHEAD,
    NOT_BEGUN,
    STOPPED,
    WAITING,
    error_html,
    head_html,
    idle_html,
    progress_html,
    result_html,
)
from demo.mel_view import difference_html, difference_legend, level_legend, mel_html
from demo.service import MAX_SEED, StudioService
from demo.takes import Progress, Result, StudioError
from demo.theme import studio_css, studio_theme
from melfusion_core.recipe import SAMPLERS

STEP_PRESETS = {"Draft": 10, "Balanced": 25, "Best": 50}
SAMPLER_LABELS = {"dpm++": "DPM++ (fewer steps)", "ddim": "DDIM (plain)"}
QUEUE_SIZE = 16
MAX_FILE_SIZE = "12mb"
CACHE_SECONDS = (600, 3600)

LIVE_STATUS_JS = """() => {
  const status = document.getElementById('status');
  status.setAttribute('role', 'status');
  status.setAttribute('aria-live', 'polite');
}"""
BEGIN_JS = """(status) => {
  if (window.innerWidth < 900) {
    const still = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
    document.getElementById('status').scrollIntoView({behavior: still ? 'auto' : 'smooth', block: 'start'});
  }
  return %r;
}"""
# For what fails before the handler is reached, such as a full queue. Gradio fires this after Stop too, and then a
# handler with the status as its output would now and then undo what Stop says.
NOT_BEGUN_JS = """() => {
  const waiting = document.querySelector('#status .is-waiting');
  if (waiting) { waiting.className = 'status is-error'; waiting.innerHTML = %r; }
}"""
PAUSE_JS = """() => { document.querySelectorAll('#%s audio').forEach((player) => player.pause()); }"""


def build_demo(service: StudioService, examples: list[Example] = ()) -> gr.Blocks:
    """Build the page.

    Args:
        service: What turns requests into files.
        examples: Pictures to begin with.

    Returns:
        The page, with its queue; start it with :func:`launch`.
    """
    limits = service.limits
    with gr.Blocks(title="MeLFusion Studio", delete_cache=CACHE_SECONDS, analytics_enabled=False) as demo:
        gr.HTML(MASTHEAD, elem_id="masthead")
        with gr.Row(equal_height=False, elem_id="studio"):
            with gr.Column(scale=5, min_width=320):
                image = gr.Image(
                    label="Picture",
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "clipboard", "webcam"],
                    height=220,
                    placeholder="Drop a picture here, or tap to choose one",
                    alt_text="The picture that the music is made from",
                    buttons=["fullscreen"],
                    elem_id="picture",
                )
                # Gradio would open the file itself and fail in its own words; the service does it in ours.
                image.preprocess = lambda payload: payload.path if payload else None
                if examples:
                    gr.HTML(EXAMPLES_TITLE, elem_id="examples-title")
                    gallery = gr.Gallery(
                        [(example.image_path, example.title) for example in examples],
                        label="Example pictures",
                        show_label=False,
                        columns=min(6, len(examples)),
                        height="auto",
                        object_fit="cover",
                        allow_preview=False,
                        interactive=False,
                        buttons=[],
                        elem_id="examples",
                    )
                caption = gr.Textbox(
                    label="Words",
                    info="Instruments, tempo, mood, style. Leave them out to hear the picture alone.",
                    placeholder="A slow piano with soft strings",
                    lines=2,
                    max_lines=4,
                    max_length=limits.max_caption_characters,
                    elem_id="caption",
                )
                synapse = gr.Slider(
                    0,
                    round(limits.max_synapse_strength * 100),
                    value=100,
                    step=5,
                    label="Synapse strength (%)",
                    info="How much the picture is heard. 0: words only. 100: as trained. Above: exaggerated.",
                    buttons=["reset"],
                    elem_id="synapse",
                )
                quality = gr.Radio(
                    [(f"{name} · {count}", count) for name, count in STEP_PRESETS.items()],
                    value=STEP_PRESETS["Balanced"],
                    label="Quality (denoising steps)",
                    elem_id="quality",
                )
                with gr.Row(elem_id="buttons"):
                    compose_button = gr.Button("Compose", variant="primary", scale=3, min_width=150, elem_id="compose")
                    stop_button = gr.Button("Stop", scale=1, min_width=80, elem_id="stop")
                with gr.Accordion("Advanced", open=False, elem_id="advanced"):
                    guidance = gr.Slider(
                        0,
                        limits.max_guidance_scale,
                        value=3.0,
                        step=0.5,
                        label="Text guidance",
                        info="Higher follows the words more strictly; too high sounds harsh.",
                        buttons=["reset"],
                    )
                    image_guidance = gr.Slider(
                        0,
                        limits.max_guidance_scale,
                        value=4.0,
                        step=0.5,
                        label="Image guidance",
                        info="Higher follows the picture more strictly.",
                        buttons=["reset"],
                    )
                    steps = gr.Slider(
                        1,
                        limits.max_steps,
                        value=STEP_PRESETS["Balanced"],
                        step=1,
                        label="Steps",
                        info="Time grows with the steps.",
                        elem_id="steps",
                    )
                    duration = gr.Slider(
                        limits.min_duration_s,
                        limits.max_duration_s,
                        value=10.24,
                        step=1.28,
                        label="Length (seconds)",
                        info="The model learned takes of 10.24 s; longer ones may wander.",
                        buttons=["reset"],
                        elem_id="duration",
                    )
                    sampler = gr.Radio(
                        [(SAMPLER_LABELS[name], name) for name in SAMPLERS], value=SAMPLERS[0], label="Sampler"
                    )
                    seed = gr.Number(
                        label="Seed",
                        info=f"Names the noise that the music starts from. {NEW_SEED} draws a new one each time.",
                        value=NEW_SEED,
                        precision=0,
                        minimum=NEW_SEED,
                        maximum=MAX_SEED,
                        elem_id="seed",
                    )
                    with gr.Row():
                        random_seed = gr.Button("Random seed", size="sm", min_width=110, elem_id="random-seed")
                        new_seed = gr.Button("New each time", size="sm", min_width=110, elem_id="new-seed")
            with gr.Column(scale=7, min_width=320):
                status = gr.HTML(idle_html(), elem_id="status")
                preview = gr.HTML(visible=False, elem_id="preview")
                with gr.Column(visible=False, elem_id="results") as results:
                    with gr.Row(equal_height=False, elem_classes="take"):
                        with gr.Column(scale=2, min_width=180):
                            head_a = gr.HTML(elem_id="head-a")
                        with gr.Column(scale=3, min_width=280):
                            audio_a = _player("Take A", "audio-a")
                    mel_a = gr.HTML(elem_id="mel-a")
                    with gr.Column(visible=False, elem_id="take-b") as twin:
                        with gr.Row(equal_height=False, elem_classes="take"):
                            with gr.Column(scale=2, min_width=180):
                                head_b = gr.HTML(elem_id="head-b")
                            with gr.Column(scale=3, min_width=280):
                                audio_b = _player("Take B", "audio-b")
                        mel_b = gr.HTML(elem_id="mel-b")
                    gr.HTML(level_legend())
                    with gr.Column(visible=False, elem_id="changed") as changed:
                        gr.HTML(DIFFERENCE_TITLE)
                        difference = gr.HTML(elem_id="difference")
                        gr.HTML(difference_legend())
                    with gr.Row():
                        keep_seed = gr.Button("Keep this seed", size="sm", min_width=100, elem_id="keep-seed")
                        recipe_file = gr.DownloadButton("Save recipe", size="sm", min_width=100)
                        figure_file = gr.DownloadButton("Save spectrograms", size="sm", min_width=100)
                    with gr.Accordion("Recipe: every setting of this take", open=False):
                        recipe = gr.JSON(show_label=False, elem_id="recipe")
        used_seed = gr.State()

        inputs = [image, caption, synapse, steps, seed, duration, guidance, image_guidance, sampler]
        private = {"api_visibility": "private"}
        demo.load(None, js=LIVE_STATUS_JS, **private)
        quality.input(lambda count: count, quality, steps, queue=False, show_progress="hidden", **private)
        steps.input(_matching_preset, steps, quality, queue=False, show_progress="hidden", **private)
        random_seed.click(_random_seed, None, seed, queue=False, show_progress="hidden", **private)
        new_seed.click(lambda: NEW_SEED, None, seed, queue=False, show_progress="hidden", **private)
        keep_seed.click(lambda value: value, used_seed, seed, queue=False, show_progress="hidden", **private)
        audio_a.play(None, js=PAUSE_JS % "audio-b", **private)
        audio_b.play(None, js=PAUSE_JS % "audio-a", **private)
        if examples:

            def take_example(event: gr.SelectData) -> tuple[str, str]:
                chosen = examples[event.index]
                return chosen.image_path, chosen.caption

            gallery.select(take_example, None, [image, caption], queue=False, show_progress="hidden", **private)

        def show(event: Progress | Result) -> dict[Any, Any]:
            if isinstance(event, Progress):
                shown = {status: progress_html(event)}
                if event.step == 0:
                    shown |= {preview: gr.update(visible=False, value=""), results: gr.update(visible=False)}
                if event.mel_db is not None:
                    alt = f"Spectrogram taking shape, step {event.step} of {event.num_steps}"
                    shown[preview] = gr.update(visible=True, value=mel_html(event.mel_db, service.mel_config, alt))
                return shown
            first, second = event.main, event.text_only if event.with_image else None
            shown = {
                status: result_html(event),
                preview: gr.update(visible=False, value=""),
                results: gr.update(visible=True),
                head_a: head_html("A", first),
                audio_a: first.path,
                mel_a: mel_html(first.mel_db, service.mel_config, f"Mel spectrogram of take A, {first.title.lower()}"),
                twin: gr.update(visible=second is not None),
                changed: gr.update(visible=second is not None),
                recipe: first.recipe.to_dict(),
                recipe_file: event.recipe_path,
                figure_file: event.figure_path,
                used_seed: event.seed,
            }
            if second is not None:
                alt = "Where the two takes differ: red where take A is louder, blue where take B is"
                shown |= {
                    head_b: head_html("B", second),
                    audio_b: second.path,
                    mel_b: mel_html(
                        second.mel_db, service.mel_config, f"Mel spectrogram of take B, {second.title.lower()}"
                    ),
                    difference: difference_html(first.mel_db, second.mel_db, service.mel_config, alt),
                }
            return shown

        def compose(*values: Any) -> Iterator[dict[Any, Any]]:
            try:
                with contextlib.closing(service.compose(to_request(*values))) as work:
                    for event in work:
                        yield show(event)
            except StudioError as error:
                yield {status: error_html(str(error)), preview: gr.update(visible=False)}
                raise gr.Error(str(error), print_exception=False) from error
            except Exception:
                yield {status: FAILED, preview: gr.update(visible=False)}
                raise

        shown_on_page = [status, preview, results, head_a, audio_a, mel_a, twin, head_b, audio_b, mel_b, changed]
        shown_on_page += [difference, recipe, recipe_file, figure_file, used_seed]
        engine_turn = {"concurrency_limit": 1, "concurrency_id": "engine"}
        compose_button.click(None, status, status, js=BEGIN_JS % WAITING, **private)
        composing = compose_button.click(
            compose, inputs, shown_on_page, show_progress="minimal", show_progress_on=status, **engine_turn, **private
        )
        composing.failure(None, js=NOT_BEGUN_JS % NOT_BEGUN, **private)
        # In two events, so that nothing of the work can arrive after the word that it has stopped.
        stopping = stop_button.click(None, cancels=[composing], **private)
        stopping.then(_stopped, status, status, show_progress="hidden", **private)

        add_endpoint(service, inputs, **engine_turn)
    demo.queue(max_size=QUEUE_SIZE)
    return demo


def launch(demo: gr.Blocks, **options: Any) -> Any:
    """Start the page with the studio's own look and limits.

    Args:
        demo: As :func:`build_demo` gives it.
        options: More for ``gr.Blocks.launch``, such as ``server_port``.

    Returns:
        What ``gr.Blocks.launch`` returns.
    """
    return demo.launch(
        theme=studio_theme(),
        css=studio_css(),
        max_file_size=MAX_FILE_SIZE,
        run_history=False,
        footer_links=["api", "gradio"],
        **options,
    )


def _player(label: str, elem_id: str) -> gr.Audio:
    """The browser's own player: it works with the keyboard and on every phone; the spectrogram shows the waveform."""
    return gr.Audio(
        label=label,
        show_label=False,
        type="filepath",
        interactive=False,
        buttons=["download"],
        waveform_options=gr.WaveformOptions(show_recording_waveform=False),
        elem_id=elem_id,
    )


def _random_seed() -> int:
    return secrets.randbelow(MAX_SEED + 1)


def _matching_preset(count: float) -> int | None:
    return int(count) if count in STEP_PRESETS.values() else None


def _stopped(shown: str | None) -> Any:
    return STOPPED if "is-working" in (shown or "") else gr.skip()
