// Links to a run, and the address bar, which follows it so that it can be shared as it stands.

/** @import { Store } from "./store.js" */

export class Address {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;
  linked = false;

  /** @param {Store} store @param {number} at the step */
  follow({ run, link }, at) {
    if (!link && !(this.linked && run !== null)) return;
    this.linked = Boolean(link);
    clearTimeout(this.timer);
    const url = link ? linkTo(link, at) : withoutLink();
    this.timer = setTimeout(() => history.replaceState(history.state, "", url), 300);
  }
}

/** A link to the run on show, at the step on show. @param {string} link "trace=NAME" or "run=ID" @param {number} at */
function linkTo(link, at) {
  const url = new URL(withoutLink());
  const [kind, name] = link.split("=");
  url.searchParams.set(kind, name);
  url.searchParams.set("step", String(at + 1));
  return url.href;
}

function withoutLink() {
  const url = new URL(window.location.href);
  for (const name of ["trace", "run", "step"]) url.searchParams.delete(name);
  return url.href;
}

/**
 * Where the clipboard cannot be used, the address bar holds the same link.
 * @param {HTMLElement} button
 * @param {string} link
 * @param {number} at
 */
export async function copyLink(button, link, at) {
  try {
    await navigator.clipboard.writeText(linkTo(link, at));
    button.textContent = "Copied";
  } catch {
    button.textContent = "See the address bar";
  }
  setTimeout(() => {
    button.textContent = "Copy link";
  }, 1500);
}
