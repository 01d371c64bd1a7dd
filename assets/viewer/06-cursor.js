// The one cursor that every view follows: which forward pass is on show. It follows the run until someone moves it.

class Cursor {
  constructor(changed) {
    this.changed = changed;
    this.timer = null;
    this.reset();
  }

  reset() {
    clearInterval(this.timer);
    this.timer = null;
    this.at = this.last = 0;
    this.following = true;
  }

  // The run has grown to `last + 1` passes.
  grow(last) {
    this.last = last;
    if (this.following) this.at = last;
  }

  seek(at) {
    this.at = Math.min(this.last, Math.max(0, at));
    this.following = this.at === this.last;
    this.changed();
  }

  get playing() {
    return Boolean(this.timer);
  }

  play(passesPerSecond) {
    this.pause();
    if (this.at >= this.last) this.at = -1;
    this.following = false;
    this.timer = setInterval(() => {
      this.seek(this.at + 1);
      if (this.at >= this.last) this.pause();
    }, 1000 / passesPerSecond);
    this.seek(this.at + 1);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.changed();
  }
}
