// The messages that the page sends to the viewer, schema `blockscope.view/1`. `visualize/stage.py` makes them.

/** A message about a run. Only the first message of a run must be seen for the run to be shown. */
export interface RunMessage {
  schema: "blockscope.view/1";
  run: string;
  /** The lanes of the run, in order. Missing in a notice about a run that is already shown. */
  planned?: string[];
  lanes: LaneMessage[];
  /** Titles by lane. */
  titles?: Record<string, Title>;
  /** Text by token id; the token's bytes alone may not be text, see `bytes`. */
  pieces?: Record<string, string>;
  /** Bytes by token id, for tokens whose bytes alone are not complete UTF-8 characters. */
  bytes?: Record<string, number[]>;
  /** What is being waited for. */
  note?: string;
  /** Where the numbers come from. */
  facts?: string;
  /** The comparison of the lanes in one sentence, and the numbers behind it. */
  verdict?: string;
  verdict_lines?: string[];
  /** What a link to the run says: "trace=NAME" or "run=ID". */
  link?: string;
  /** The step to show, from 0. */
  at?: number;
  /** The run that the page opens with: play it once, slowly. */
  welcome?: boolean;
  /** Play all lanes on one clock. */
  clock?: boolean;
  /** The run has ended. */
  done?: boolean;
  /** The drift of the run has been measured. */
  measured?: boolean;
}

/** The visitor pressed Stop; the value only makes two stops different. */
export interface StopMessage {
  schema: "blockscope.view/1";
  stopped: string;
}

/** What is being waited for before a run begins; the run on show stays as it is. */
export interface WaitingMessage {
  schema: "blockscope.view/1";
  lanes: [];
  waiting: string;
}

export type Message = RunMessage | StopMessage | WaitingMessage;

/** The words over a lane. */
export interface Title {
  title: string;
  about: string;
  /** The name of the lane's text alternative. */
  text_label: string;
}

export type LaneState = "running" | "eos" | "length" | "cancelled";

/** New frames of a lane. With `head`, everything about the lane up to now. */
export interface LaneMessage extends Partial<LaneEnd> {
  name: string;
  frames: Frame[];
  head?: Head;
  state?: LaneState;
}

/** What is known of a lane once it has ended. */
export interface LaneEnd {
  /** Seconds spent on recording. */
  recorder: number;
  /** The answer compared with its reference answers, in a sentence. */
  gate: string | null;
  /** Whether the answer is the reference answer; null if there is none. */
  same: boolean | null;
  /** Tokens per second of the slowest and the fastest timed repeat. */
  spread: { low: number; high: number; repeats: number } | null;
}

/** The layout of a lane's canvas. Positions count from the start of the prompt. */
export interface Head {
  /** Token ids. */
  prompt: number[];
  /** The position after the last one that may be written. */
  end: number;
  block: number;
  sub_block: number;
  /** The position from which blocks are counted. */
  origin: number;
  stop_ids: number[];
  /** The cache policy. */
  cache?: string;
  /** Tokens are written one at a time, each from those before it, so no masks wait for theirs. */
  autoregressive?: boolean;
  /** Verified decoding: guesses are drafts, which the next pass tests. */
  verified?: boolean;
}

/** A range of positions, [from, to). */
export type Range = [number, number];

/** One forward pass. `tokens`, `confidence` and `alternatives` go with the positions of `at`. */
export interface Frame {
  /** The index of the pass, from 0. */
  i: number;
  kind: "prefill" | "denoise" | "commit" | "ar";
  block: Range;
  window: Range;
  at: number[];
  tokens: number[];
  /** Probabilities. */
  confidence: number[];
  /** The positions committed in this pass. */
  new: number[];
  /** For each of `new`, which rule wrote it. */
  why?: string[];
  /** The positions that the pass computed. */
  queries?: Range[];
  /** d²Cache: positions by the reason for which they were computed. */
  reasons?: Record<string, number[]>;
  /** d²Cache: how much all positions attend to each, by position. */
  rollout?: number[];
  /** d²Cache: certainty density of positions that were computed because of it. */
  density?: [number, number][];
  /** The positions masked again in this pass. */
  remasked?: number[];
  /** The likeliest tokens, [id, probability], of every position of `at`. */
  alternatives?: [number, number][][];
  /** Verified decoding: the drafts that the pass tested, [position, token]. */
  tested?: [number, number][];
  /** Verified decoding: the drafts after the pass, [position, token, probability]. */
  drafts?: [number, number, number][];
  totals: Totals;
}

/** Totals up to the end of a pass. */
export interface Totals {
  tokens: number;
  seconds: number;
  nfe: number;
  computed: number;
  attended: number;
  /** Seconds to the first token; null before it. */
  ttft: number | null;
  tps: number;
  tpf: number;
  recomputed: number;
}

/** A figure for Plotly, with the page's CSS variables in place of colours. */
export interface Spec {
  data: Record<string, unknown>[];
  layout: Layout;
}

export interface Layout extends Record<string, unknown> {
  /** Which axis of the figure is steps, which is positions, and which is positions that attend. */
  meta?: { step?: "x" | "y"; position?: "x" | "y"; query?: "x" | "y" };
  height?: number;
}

/** A question of the inspector; `visualize/views.py` answers it. */
export interface Question extends PartialQuestion {
  lane: string;
}

/** A question about the lane on show. */
export interface PartialQuestion {
  view: string;
  lane?: string;
  run?: string;
  step?: number;
  layer?: number | string | null;
  position?: number;
  what?: string;
  format?: string;
  [option: string]: string | number | null | undefined;
}

/** An answer has what its view needs, or the reason why there is nothing to draw. */
export interface Answer {
  figures?: Spec[];
  captions?: string[];
  note?: string;
  /** The question was wrong or the server did not answer. */
  error?: string;
  /** There is nothing to draw. */
  empty?: string;
  /** There never will be anything to draw. */
  final?: boolean;
  layers?: number;
  // of attention
  template?: Spec;
  unlocked?: Unlocked[];
  // of a map of attention: its planes one after another, each a matrix of queries × visible positions in base64
  data?: string;
  queries?: Range[];
  visible?: number;
  planes?: string[];
  layer?: number;
  step?: number;
  // of drift
  changes?: Change[];
  // of quality
  rows?: Compared[];
  // of an export
  name?: string;
  media?: string;
}

/** A committed token, and the positions it drew on. */
export interface Unlocked {
  position: number;
  token: number;
  sources: { position: number; weight: number; written: number | null; fresh: boolean }[];
}

/** A guess that stale cache entries changed. `step` counts from 1. */
export interface Change {
  step: number;
  position: number;
  token: number;
  confidence: number;
  fresh: number;
  fresh_confidence: number;
  committed: boolean;
}

/** A lane's answer compared with the reference answers. */
export interface Compared {
  title: string;
  references: Reference[];
  log_prob: number | null;
  item: string | null;
  right: boolean | null;
}

export interface Reference {
  name: string;
  same: boolean;
  departs: number | null;
  distance: number;
  length: number;
  edits: { kind: "same" | "new" | "gone"; ids: number[] }[];
}

/** A view of the inspector. */
export interface Sheet {
  title: string;
  look_for: string;
  empty: string;
  choices: Record<string, (string | number)[]>;
}

/** What the viewer gets from the page around it. */
export interface Options {
  /** Titles by lane, before there is a run. */
  titles: Record<string, Title>;
  /** Definitions by number. */
  definitions: Record<string, string>;
  views: Record<string, Sheet>;
  /** The newest message, as JSON. */
  read(): string | null;
  /** Call `receive` whenever there is a new message. */
  listen(receive: () => void): void;
  ask(question: Question): Promise<Answer>;
  plotly(): Promise<Plotly>;
  /** Descriptions by format, where a run can be saved. */
  exports?: Record<string, string>;
  /** `data-busy` has changed: whether a run was asked for and has not ended. */
  busy?(): void;
  /** Measure the drift of a lane, where that is possible. */
  measure?(lane: { run: string | null; lane: string | null }): void;
}

// Plotly, as far as it is used here.

export interface Plotly {
  react(node: Plot, data: unknown, layout: unknown, config: unknown): Promise<unknown>;
  toImage(figure: unknown, options: unknown): Promise<string>;
  purge(node: Plot): void;
}

export interface Plot extends HTMLDivElement {
  on?(event: string, act: (what: PlotEvent) => void): void;
  data?: unknown;
  layout?: Record<string, unknown>;
  _fullLayout?: Record<string, Axis>;
}

export interface PlotEvent {
  points: PlotPoint[];
  event: MouseEvent;
}

export interface PlotPoint {
  x: number;
  y: number;
  customdata?: unknown;
}

export interface Axis {
  _offset: number;
  _length: number;
  range: [number, number];
  /** The pixel of a value. */
  d2p(value: number): number;
}
