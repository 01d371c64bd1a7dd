// The tabs over the inspector's views: one tab stop, whose tabs the arrow keys walk.

import { element } from "./dom.js";

export class Tabs {
  /**
   * @param {HTMLElement} node
   * @param {[string, string][]} titles by view
   * @param {(name: string, byPointer: boolean) => void} choose
   */
  constructor(node, titles, choose) {
    this.choose = choose;
    this.name = titles[0][0];
    this.tabs = new Map(titles.map(([name, title]) => [name, this.tab(name, title)]));
    node.replaceChildren(...this.tabs.values());
    node.addEventListener("keydown", (event) => this.walk(event));
  }

  /** @param {string} name @param {string} title */
  tab(name, title) {
    const tab = element("button", "bs-tab", title);
    tab.type = "button";
    tab.id = `bs-tab-${name}`;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", "bs-panel");
    tab.addEventListener("click", (event) => this.choose(name, event.detail > 0));
    return tab;
  }

  /** ← and → walk the tabs, as tabs do everywhere. @param {KeyboardEvent} event */
  walk(event) {
    const names = Array.from(this.tabs.keys());
    const at = names.indexOf(this.name);
    /** @type {Record<string, number>} */
    const keys = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: names.length - 1 };
    if (!(event.key in keys)) return;
    event.preventDefault();
    const name = names[(keys[event.key] + names.length) % names.length];
    this.choose(name, false);
    this.tabs.get(name)?.focus();
  }

  /** Mark the tab of the view on show. @param {string} name */
  select(name) {
    this.name = name;
    for (const [key, tab] of this.tabs) {
      tab.setAttribute("aria-selected", String(key === name));
      tab.tabIndex = key === name ? 0 : -1;
    }
  }
}
