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
# "clip" instead of gradio's "hidden": what is sticky inside must find the window as what scrolls
CSS = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; width: 100%; overflow: clip !important; }
.gradio-container main { padding-top: 8px !important; }
.gradio-container .bs-intro h1 { margin: 0; font-size: 22px; }
.gradio-container .bs-intro p { max-width: 92ch; margin: 0; }
.gradio-container .tabitem { padding: 8px 0 0; }
.gradio-container .tabitem > .column { gap: 8px; }
.gradio-container .bs-go { align-items: center; flex-wrap: wrap; gap: 8px; }
.gradio-container .bs-refused p { margin: 0; color: #b91c1c; font-weight: 700; }
.dark .gradio-container .bs-refused p { color: #fca5a5; }
.gradio-container .bs-presets { align-items: center; flex-wrap: wrap; gap: 4px 12px; }
.gradio-container .bs-presets :is(*, fieldset) { min-width: 0 !important; min-inline-size: 0; }
.gradio-container .bs-presets > :first-child { flex: 0 1 auto; max-width: 100%; }
.gradio-container .bs-presets > :last-child { flex: 1 1 320px; }
.gradio-container .bs-presets .wrap { gap: 6px; flex-wrap: wrap; }
.gradio-container .bs-presets .wrap label { flex: none; padding: 4px 8px; font-size: 14px; }
.gradio-container .bs-more {
  display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px; align-items: start;
}
.gradio-container .bs-more > * { min-width: 0 !important; padding: 6px 10px; }
.gradio-container .bs-more > :has(.open) { grid-column: 1 / -1; }
.gradio-container .bs-recorded .wrap { flex-direction: column; gap: 4px; }
.gradio-container .bs-question .wrap { gap: 6px; flex-wrap: wrap; }
.gradio-container .bs-question [data-testid="block-info"] { color: var(--body-text-color); font-weight: 700; }
.gradio-container .bs-reveal p { max-width: 92ch; margin: 0; }
/* as high from the start as what comes into them, so that little moves while the page loads */
.gradio-container main > .column { min-height: 120vh; }
.gradio-container .tabs { min-height: max(230px, 561px - 50vw); }
.gradio-container .bs-presets { min-height: max(56px, 239px - 32vw); }
.gradio-container .bs-go { min-height: max(42px, 216px - 32vw); }
#viewer .html-container { padding: 4px 0; }
.bs-rule p { font-size: 13px; color: var(--body-text-color-subdued); }
"""
