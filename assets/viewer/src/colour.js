// Confidence as colour: viridis, whose lightness rises evenly, so it reads without colour vision and in print.
// The same stops as in visualize/charts/figure.py; a test compares them.

/** @type {[number, number, number][]} */
const VIRIDIS = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
];

/** @param {number} share 0 to 1 */
export function viridis(share) {
  const x = Math.min(1, Math.max(0, share)) * (VIRIDIS.length - 1);
  const k = Math.min(VIRIDIS.length - 2, Math.floor(x));
  const mix = VIRIDIS[k].map((low, i) => Math.round(low + (VIRIDIS[k + 1][i] - low) * (x - k)));
  return `rgb(${mix.join(" ")})`;
}

/** The full scale from left to right, as a background. */
export const ramp = () => `linear-gradient(90deg, ${VIRIDIS.map((stop) => `rgb(${stop.join(" ")})`).join(", ")})`;
