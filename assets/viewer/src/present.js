// Presentation: the tokens alone, in large type, on the whole screen where the browser allows it.

import { find, listenWhile } from "./dom.js";

/** @param {HTMLElement} root @param {AbortController} life */
export function presentation(root, life) {
  const button = find(root, ".bs-present");
  const turn = (/** @type {boolean} */ on) => {
    root.classList.toggle("presenting", on);
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "End" : "Present";
    const refused = () => {}; // as in a frame that may not; the page is covered all the same
    if (on) root.requestFullscreen?.().catch(refused);
    else if (document.fullscreenElement === root) document.exitFullscreen();
  };
  const on = () => root.classList.contains("presenting");
  button.addEventListener("click", () => turn(!on()), { signal: life.signal });
  listenWhile(root, life, "keydown", (event) => {
    if (event instanceof KeyboardEvent && event.key === "Escape" && on()) turn(false);
  });
  listenWhile(root, life, "fullscreenchange", () => {
    if (!document.fullscreenElement && on()) turn(false); // the browser itself answers Escape
  });
}
