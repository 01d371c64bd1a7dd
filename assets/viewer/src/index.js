// What the page around the viewer uses.

export { keyOf } from "./question.js";
export { mount } from "./viewer.js";
