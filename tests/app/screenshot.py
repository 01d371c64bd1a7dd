"""Take the README's picture: a recorded run in the middle of its answer. `python -m tests.app.screenshot`."""

from playwright.sync_api import sync_playwright

from tests.app.conftest import CHROMIUM, ROOT, Server

TRACE, STEP = "verified", 4


def main() -> None:
    server = Server("app.py")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.goto(f"{server.url}?trace={TRACE}&step={STEP}")
            page.locator(".bs[data-state=done]").wait_for()
            page.locator(".bs-inspector").scroll_into_view_if_needed()
            page.locator(".bs-panel .bs-plot svg").first.wait_for()
            page.evaluate("window.scrollTo(0, 0)")
            page.wait_for_timeout(1000)  # the last token's glow fades
            page.screenshot(path=ROOT / "assets/screenshot.png", full_page=True)
            browser.close()
    finally:
        server.close()


if __name__ == "__main__":
    main()
