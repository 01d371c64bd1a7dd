// The buttons that save a run in other formats.

import { download, plainButton } from "./dom.js";

/** @import { Answer } from "./message.js" */

/**
 * @param {Record<string, string>} formats descriptions by format
 * @param {(format: string) => Promise<Answer>} ask for a file
 * @param {(text: string) => void} say what went wrong
 */
export function saveButtons(formats, ask, say) {
  return Object.entries(formats).map(([format, about]) => {
    const name = format.toUpperCase();
    const button = plainButton(name, async () => {
      button.disabled = true;
      button.setAttribute("aria-busy", "true");
      const answer = await ask(format);
      button.disabled = false;
      button.removeAttribute("aria-busy");
      if (answer.data) save(answer.data, answer);
      else say(answer.error ?? "");
    });
    button.title = about;
    button.setAttribute("aria-label", `Save as ${name}: ${about}`);
    return button;
  });
}

/** @param {string} data in base64 @param {Answer} file */
function save(data, { name = "", media }) {
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type: media }));
  download(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
