"use strict";

// One element: `properties` are those of the element (on… for events, `data` for components), but
// `class`, `aria-…`, `data-…`, `role` and `for` are attributes; `children` are elements or text.
function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value == null) continue;
    if (/^(class|role|for|tabindex|scope)$|-/.test(name)) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}
const element = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const fontFamily = "system-ui, sans-serif";

// A component shows its `data` and draws itself anew where the data, the colours, the width or the
// paper change. One that is far from the screen waits until it comes near. Subclasses have `draw(data)`
// and, where they hold something that must be freed, `dispose()`. `renew(data)` is for data that grows: what
// has an `update(data)` keeps its focus, its cursor and what is zoomed then.
const components = new Set();
const nearScreen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      target.isNear = isIntersecting;
      if (isIntersecting && target.isStale) target.redraw();
    }
  },
  { rootMargin: "600px" },
);
const focusable = (element) => [...element.querySelectorAll("summary, button, [tabindex]")];
class Component extends HTMLElement {
  get data() {
    return this.shown;
  }
  set data(value) {
    this.shown = value;
    this.refresh();
  }
  renew(value) {
    if (this.isStale || !this.isNear || !this.isConnected || !this.update?.(value)) this.data = value;
    else this.shown = value;
  }
  connectedCallback() {
    components.add(this);
    nearScreen.observe(this);
    this.refresh();
  }
  disconnectedCallback() {
    components.delete(this);
    nearScreen.unobserve(this);
    this.dispose();
    this.isStale = true;
  }
  refresh() {
    this.isStale = true;
    if (this.isNear && this.isConnected) this.redraw();
  }
  redraw() {
    if (this.shown === undefined || !this.isConnected) return;
    this.isStale = false;
    // What had the focus is made anew: its successor has it, or Tab would begin at the top again.
    const focused = focusable(this).indexOf(document.activeElement);
    this.draw(this.shown);
    if (focused >= 0) focusable(this)[focused]?.focus({ preventScroll: true });
  }
  dispose() {}
}
// One of text alone: it is there at once, for whoever searches the page or has it read aloud, and styles
// do the rest.
class TextComponent extends Component {
  connectedCallback() {
    this.refresh();
  }
  disconnectedCallback() {}
  refresh() {
    this.redraw();
  }
  renew(value) {
    this.data = value;
  }
}

function redrawAll(now = false) {
  for (const component of [...components]) now ? component.redraw() : component.refresh();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redrawAll());
let pageWidth = document.body.clientWidth;
new ResizeObserver(() => {
  if (document.body.clientWidth === pageWidth) return;
  pageWidth = document.body.clientWidth;
  redrawAll();
}).observe(document.body);

// Light, dark, or as the system has it; paper is light.
function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  redrawAll();
}
function themeSwitch() {
  const choice = make("select", { id: "theme" },
    make("option", { value: "" }, "as the system"),
    make("option", { value: "light" }, "light"),
    make("option", { value: "dark" }, "dark"));
  choice.onchange = () => setTheme(choice.value);
  return make("label", { class: "screen theme" }, "Colours ", choice);
}
let themeBeforePrint;
addEventListener("beforeprint", () => {
  themeBeforePrint = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  redrawAll(true);
});
addEventListener("afterprint", () => setTheme(themeBeforePrint));
