// What the page around the board uses.

export { mount } from "./board.js";
