"""The look of the page: gradio's theme, and what is added to its style sheet."""

from gradio import themes

THEME = themes.Default(
    primary_hue="indigo",
    neutral_hue="slate",
    font=(
        themes.LocalFont("IBM Plex Sans", weights=(400, 700)),
        "system-ui",
        "sans-serif",
    ),  # comes with gradio, nothing is fetched; 600 is a subset without digits
).set(
    body_text_color_subdued="*neutral_500",  # the default grey is too faint to read
    body_text_color_subdued_dark="*neutral_400",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_500",
)
CSS = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; }
.gradio-container .bs-intro p { max-width: 92ch; }
.gradio-container .bs-go { align-items: center; flex-wrap: wrap; }
.gradio-container .bs-go > :last-child:not(button) { flex: 1 1 240px; }
#viewer .html-container { padding: 4px 0; }
.bs-rule p { font-size: 13px; color: var(--body-text-color-subdued); }
"""
