/** happy-dom lays nothing out; a box needs a size for its virtual rows to be computed. */

Object.defineProperty(HTMLElement.prototype, "clientHeight", { configurable: true, value: 440 });
Object.defineProperty(HTMLElement.prototype, "clientWidth", { configurable: true, value: 900 });
