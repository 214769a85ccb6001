/* Which part of a conversation is in view. Whoever asked wants to see the answer; whoever scrolls wants to read. */

const FOLLOW = 60_000; // ms after a question within which the answer is brought into view
const NEAR = 120; // px from the end that still count as being there

/** The scrolled box with its list of messages, and the button that announces what is below. */
export class Scroll {
  constructor(box, list, newer) {
    Object.assign(this, { box, list, newer, until: 0 });
    list.addEventListener("click", (event) => event.target.closest(".block button") && this.follow());
    for (const kind of ["wheel", "touchmove"]) box.addEventListener(kind, () => (this.until = 0), { passive: true });
    box.addEventListener("scroll", () => (newer.hidden ||= this.isNear()), { passive: true });
    newer.addEventListener("click", () => this.toEnd());
  }

  /** Something was asked: what comes next shall be seen. */
  follow() {
    this.until = Date.now() + FOLLOW;
  }

  isNear() {
    const { scrollHeight, scrollTop, clientHeight } = this.box;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  /** Draw, and bring what is new into view or announce it. `draw` answers whether anything changed. */
  around(draw) {
    const stays = this.isNear() || Date.now() < this.until;
    const last = this.list.lastElementChild;
    const changed = draw();
    if (changed && stays) this.toEnd();
    else if (this.list.lastElementChild !== last) this.newer.hidden = this.isNear();
  }

  /** The newest message: its end, or its beginning where it is longer than the window. */
  toEnd() {
    requestAnimationFrame(() => {
      const last = this.list.lastElementChild;
      const long = last && last.offsetHeight > this.box.clientHeight;
      this.box.scrollTop = long ? last.offsetTop - 8 : this.box.scrollHeight;
    });
  }
}
