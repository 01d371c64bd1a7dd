// Finding and making elements. Text only ever becomes text.

/**
 * The first element inside `root` that matches.
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} [_kind] only for the type
 * @returns {T}
 */
export function find(root, selector, _kind) {
  const node = root.querySelector(selector);
  if (!node) throw new Error(`there is no element ${selector}`);
  return /** @type {T} */ (node);
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, className = "", text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

/** @param {string} className @param {string} [text] */
export const line = (className, text) => element("p", className, text);

/** Set a text where it differs: a screen reader speaks every change. @param {Element} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {string} text @param {() => void} act */
export function plainButton(text, act) {
  const button = element("button", "bs-plain", text);
  button.type = "button";
  button.addEventListener("click", act);
  return button;
}

/**
 * A labelled select.
 * @param {string} name
 * @param {[string | number, string | number][]} pairs [value, text]
 * @param {string | number | null | undefined} chosen the first if there is none
 * @param {(value: string) => void} act
 */
export function choice(name, pairs, chosen, act) {
  const label = element("label", "bs-choice");
  const words = element("span", "", name.charAt(0).toUpperCase() + name.slice(1));
  const select = document.createElement("select");
  select.setAttribute("aria-label", words.textContent);
  select.append(...pairs.map(([value, text]) => new Option(String(text), String(value))));
  if (chosen !== undefined && chosen !== null) select.value = String(chosen);
  select.addEventListener("change", () => act(select.value));
  label.append(words, select);
  return label;
}

/** @param {string} url @param {string} name */
export function download(url, name) {
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: name });
  link.click();
}

/** Whether the visitor wants no motion. */
export const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/**
 * Ends when `root` is mounted again. Whoever holds the signal ends its listeners and observers with it.
 * @param {Element} root
 * @returns {AbortController}
 */
export function lifetime(root) {
  const life = new AbortController();
  root.dispatchEvent(new Event("blockscope:unmount"));
  root.addEventListener("blockscope:unmount", () => life.abort(), { signal: life.signal });
  return life;
}

/**
 * Listen on the document as long as `root` is on the page.
 * @param {Element} root
 * @param {AbortController} life
 * @param {string} type
 * @param {(event: Event) => void} act
 */
export function listenWhile(root, life, type, act) {
  const heard = (/** @type {Event} */ event) => (root.isConnected ? act(event) : life.abort());
  document.addEventListener(type, heard, { signal: life.signal });
}

/**
 * Call `repaint` whenever the page turns light or dark.
 * @param {Element} root
 * @param {AbortController} life
 * @param {() => void} repaint
 */
export function onTheme(root, life, repaint) {
  const observer = new MutationObserver(() => (root.isConnected ? repaint() : life.abort()));
  observer.observe(document.body, { attributeFilter: ["class"] });
  life.signal.addEventListener("abort", () => observer.disconnect());
}

/**
 * Tell whenever `root` comes into view or leaves it.
 * @param {Element} root
 * @param {AbortController} life
 * @param {(visible: boolean) => void} see
 * @param {string} [rootMargin] how far outside of the window it counts as in view
 */
export function onView(root, life, see, rootMargin = "200px") {
  const observer = new IntersectionObserver(([entry]) => entry && see(entry.isIntersecting), { rootMargin });
  observer.observe(root);
  life.signal.addEventListener("abort", () => observer.disconnect());
}
