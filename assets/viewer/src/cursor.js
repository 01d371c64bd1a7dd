// The one place where the viewer stands, which every view follows: by step, all lanes after the same pass; on the clock,
// all lanes at one moment since each began. `at` counts passes from 0, or milliseconds. It follows the run until someone
// moves it.

import { endOf, passAt } from "./store.js";

/** @import { Lane, Store } from "./store.js" */

export class Cursor {
  at = 0;
  following = true;
  onClock = false;
  beat = 0;

  /** @param {Store} store @param {() => void} changed */
  constructor(store, changed) {
    this.store = store;
    this.changed = changed;
  }

  reset() {
    this.halt();
    Object.assign(this, { at: 0, following: true, onClock: false });
  }

  get last() {
    return this.onClock ? this.store.milliseconds : Math.max(0, this.store.passes - 1);
  }

  /** The index of the pass on show in a lane: its last one that has ended; -1 where none has. @param {Lane} lane */
  of(lane) {
    const last = lane.frames.length - 1;
    if (this.following) return last;
    return this.onClock ? passAt(lane, this.at) : Math.min(this.at, last);
  }

  /** The pass of the lane that has made most. */
  get pass() {
    return this.onClock ? Math.max(0, ...this.lanes.map((lane) => this.of(lane))) : this.at;
  }

  get lanes() {
    return Array.from(this.store.lanes.values());
  }

  /** The run has grown. */
  grow() {
    if (this.following) this.at = this.last;
  }

  /** @param {number} at */
  seek(at) {
    this.at = Math.min(this.last, Math.max(0, at));
    this.following = this.at === this.last;
    this.changed();
  }

  /** Go to the end of a lane's pass. @param {Lane} lane @param {number} pass */
  stand(lane, pass) {
    this.seek(this.onClock ? endOf(lane, pass) : pass);
  }

  /** To the next step, or on the clock to the next end of a pass in any lane; -1: to the one before. @param {1 | -1} by */
  move(by) {
    if (!this.onClock) return this.seek(this.at + by);
    const ends = this.lanes.flatMap((lane) => lane.frames.map((_, pass) => endOf(lane, pass)));
    if (by > 0) return this.seek(Math.min(...ends.filter((end) => end > this.at)));
    this.seek(Math.max(0, ...ends.filter((end) => end < this.at)));
  }

  /** Change between steps and the clock; what was on show stays on show where it can. @param {boolean} onClock */
  turn(onClock) {
    if (onClock === this.onClock) return;
    this.halt();
    const at = onClock ? Math.max(0, ...this.lanes.map((lane) => endOf(lane, this.of(lane)))) : this.pass;
    this.onClock = onClock;
    this.seek(this.following ? this.last : at);
  }

  get playing() {
    return this.beat !== 0;
  }

  /** @param {number} rate steps per second, or on the clock a multiple of the recorded speed */
  play(rate) {
    this.halt();
    if (this.at >= this.last) this.at = 0;
    this.following = false;
    const [from, began, pace] = [this.at, performance.now(), this.onClock ? rate : rate / 1000];
    const tick = (/** @type {number} */ now) => {
      const at = from + Math.max(0, now - began) * pace;
      this.beat = requestAnimationFrame(tick);
      this.seek(this.onClock ? at : Math.floor(at));
      if (this.at >= this.last) this.pause();
    };
    this.beat = requestAnimationFrame(tick);
    this.changed();
  }

  pause() {
    this.halt();
    this.changed();
  }

  halt() {
    cancelAnimationFrame(this.beat);
    this.beat = 0;
  }
}
