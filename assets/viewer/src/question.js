// Questions of the inspector.

/** @import { Question } from "./message.js" */

/** A question as the key of its answer; `visualize.export.html.key_of` names questions alike. @param {Question} question */
export function keyOf({ run: _, ...question }) {
  return Object.keys(question)
    .sort()
    .filter((name) => question[name] !== null && question[name] !== undefined)
    .map((name) => `${name}=${question[name]}`)
    .join("&");
}
