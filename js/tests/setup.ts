/** happy-dom lays nothing out; a box needs a size for its virtual rows to be computed. */

Object.defineProperty(HTMLElement.prototype, "offsetHeight", { configurable: true, value: 440 });
Object.defineProperty(HTMLElement.prototype, "offsetWidth", { configurable: true, value: 900 });
