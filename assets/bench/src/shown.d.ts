import type { Plotly, Spec } from "../../viewer/src/message.js";

/** What is known of one benchmark; `app/bench.py` makes it. */
export interface Shown {
  /** The names of all benchmarks. */
  files: string[];
  /** The name of this one. */
  file?: string;
  figures: { title: string; look_for: string; spec: Spec }[];
  columns: { title: string; about: string }[];
  rows: Row[];
  facts: string;
  note: string;
}

/** A part of it, or why there is nothing to show. */
export interface Reply extends Partial<Shown> {
  error?: string;
  empty?: string;
}

export interface Row {
  cells: string[];
  /** What its cells are sorted by; null: nothing. */
  order: (string | number | null)[];
  /** Whether its trace can be opened. */
  trace: boolean;
}

/** What the board gets from the page around it. */
export interface Options {
  /** A `Reply` as JSON. */
  read(): string | null;
  /** Call `receive` whenever there is a new one. */
  listen(receive: () => void): void;
  ask(question: { file: string }): Promise<Reply>;
  /** Show a row's trace on the stage. */
  open(row: { file: string | undefined; row: number }): void;
  plotly(): Promise<Plotly>;
}
