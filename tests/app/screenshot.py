"""Take the README's picture: a finished run on the default model. `python -m tests.app.screenshot`."""

from playwright.sync_api import sync_playwright

from tests.app.conftest import CHROMIUM, ROOT, Server

PROMPT = "Tell me a short story about a lost cat."


def main() -> None:
    server = Server("app.py")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.goto(server.url)
            page.get_by_role("textbox", name="Prompt").fill(PROMPT)
            page.get_by_role("button", name="Decode", exact=True).click()
            page.locator(".bs[data-state=done]").wait_for(timeout=300_000)
            page.evaluate("document.activeElement.blur()")
            page.wait_for_timeout(1000)  # the last token's glow fades
            page.screenshot(path=ROOT / "assets/screenshot.png", full_page=True)
            browser.close()
    finally:
        server.close()


if __name__ == "__main__":
    main()
