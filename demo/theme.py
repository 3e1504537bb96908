"""How the studio looks: a theme and a style sheet, in light and in dark."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLE_SHEET = Path(__file__).with_name("studio.css")

PLUM = gr.themes.Color(
    name="plum",
    c50="#faf5fb",
    c100="#f3e8f5",
    c200="#e5cfea",
    c300="#d0abd8",
    c400="#b47dc0",
    c500="#935aa1",
    c600="#743f82",
    c700="#5d3069",
    c800="#472450",
    c900="#331a3a",
    c950="#211026",
)
PAPER = gr.themes.Color(
    name="paper",
    c50="#fbf9f5",
    c100="#f4f0e9",
    c200="#e6dfd5",
    c300="#d0c7bd",
    c400="#a2978f",
    c500="#746a67",
    c600="#574e50",
    c700="#40383f",
    c800="#2a2430",
    c900="#1d1924",
    c950="#131019",
)


def studio_theme() -> gr.themes.Base:
    """Build the theme.

    Returns:
        A Gradio theme whose fonts come with Gradio, so that nothing is fetched from elsewhere.
    """
    theme = gr.themes.Base(
        primary_hue=PLUM,
        secondary_hue=PLUM,
        neutral_hue=PAPER,
        radius_size=gr.themes.sizes.radius_md,
        # In several of the fonts that Gradio brings most letters are missing; these files are whole.
        font=(gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)), "ui-sans-serif", "system-ui", "sans-serif"),
        font_mono=(gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "monospace"),
    )
    return theme.set(
        layout_gap="12px",
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="#b3a9b5",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_100",
        background_fill_secondary_dark="*neutral_800",
        border_color_primary="*neutral_200",
        border_color_primary_dark="*neutral_700",
        block_background_fill="#ffffff",
        block_background_fill_dark="*neutral_900",
        block_border_width="1px",
        block_border_color="*neutral_200",
        block_border_color_dark="#37303f",
        block_shadow="none",
        block_shadow_dark="none",
        block_label_background_fill="#ffffff",
        block_label_background_fill_dark="*neutral_900",
        block_label_border_width="0px",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_200",
        block_label_text_weight="600",
        block_title_text_weight="600",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="#b3a9b5",
        input_background_fill="*neutral_50",
        input_background_fill_dark="*neutral_950",
        input_border_color="*neutral_300",
        input_border_color_dark="#4a4151",
        input_border_width="1px",
        input_border_color_focus="*primary_500",
        input_border_color_focus_dark="*primary_400",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="#ffffff",
        button_secondary_background_fill="transparent",
        button_secondary_background_fill_dark="transparent",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="#4a4151",
        button_border_width="1px",
        checkbox_label_background_fill="transparent",
        checkbox_label_background_fill_dark="transparent",
        checkbox_label_background_fill_selected="*primary_100",
        checkbox_label_background_fill_selected_dark="*primary_900",
        checkbox_label_border_color_selected="*primary_600",
        checkbox_label_border_color_selected_dark="*primary_400",
        checkbox_label_text_color_selected="*primary_800",
        checkbox_label_text_color_selected_dark="*primary_100",
        loader_color="*primary_600",
        loader_color_dark="*primary_400",
    )


def studio_css() -> str:
    """Read the style sheet.

    Returns:
        CSS.
    """
    return STYLE_SHEET.read_text(encoding="utf-8")
