"use strict";

// <data-table>: {caption, head: [text], rows: [[text or element]], left: [columns of prose]}.
function dataTable({ caption, head, rows, left = [] }) {
  const side = (n) => (n === 0 || left.includes(n) ? { class: "left" } : {});
  return make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    make("table", {},
      make("caption", {}, caption),
      make("thead", {}, make("tr", {}, head.map((text, n) => make("th", { scope: "col", ...side(n) }, text)))),
      make("tbody", {}, rows.map((row) => make("tr", {}, row.map((cell, n) => make("td", side(n), cell)))))));
}
customElements.define("data-table", class extends Component {
  draw(data) {
    this.replaceChildren(dataTable(data));
  }
});

// What a chart shows, in words and numbers for those who do not see it; made anew when it is opened.
const TABLE_ROWS = 60;
function tableOf(name, makeTable) {
  const head = make("summary", {}, `${name} as a table`);
  const details = make("details", { class: "alternative" }, head);
  details.ontoggle = () => details.open && details.replaceChildren(head, dataTable(makeTable()));
  return details;
}
