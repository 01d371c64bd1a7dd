import type { Cursor } from "./cursor.js";
import type { Figure } from "./figure.js";
import type { Answer, PartialQuestion } from "./message.js";
import type { Store } from "./store.js";

/** What a view shows besides its figures. It is made when the view is chosen and removed when another one is. */
export interface Extra {
  figures: Figure[];
  /** There is a new answer. */
  update(answer: Answer): void;
  /** The cursor moved to a step, from 0. */
  follow(at: number): void;
  /** A position was clicked. */
  pick?(position: number): unknown;
  remove(): void;
}

/** What an extra needs of the inspector. */
export interface Desk {
  store: Store;
  cursor: Cursor;
  /** The lane on show. */
  lane: string | null;
  /** The position clicked last. */
  position: number | null;
  /** The options of the view on show. */
  given(): Record<string, string | number | null | undefined>;
  reply(question: PartialQuestion): Promise<Answer>;
}
