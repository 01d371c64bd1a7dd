// Numbers as text.

/** @param {number} share 0 to 1 */
export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

/** @param {number} rank from 1 */
export const ordinal = (rank) => `${rank}${["st", "nd", "rd"][rank - 1] ?? "th"}`;

/**
 * Milliseconds in seconds, with as many digits as a clock needs that runs to `end`.
 * @param {number} ms
 * @param {number} end milliseconds
 */
export const secondsOf = (ms, end) => (ms / 1000).toFixed(end < 1000 ? 3 : 2);
