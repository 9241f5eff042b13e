"use strict";

// Charts: the pointer or the slider chooses a session; its values are shown in the legend.
for (const chart of document.querySelectorAll(".chart")) {
  const { days, lines } = JSON.parse(chart.querySelector("script").textContent);
  const slider = chart.querySelector("input");
  const last = days.length - 1;
  const session = chart.querySelector(".session");
  const values = chart.querySelectorAll(".value");
  const dots = chart.querySelectorAll(".dot");
  const cursors = chart.querySelectorAll(".cursor");

  const show = (index) => {
    const x = `${last ? (100 * index) / last : 0}%`;
    slider.value = index;
    slider.setAttribute(
      "aria-valuetext",
      [days[index], ...lines.map((line) => `${line.name} ${line.text[index]}`)].join(", "),
    );
    session.textContent = days[index];
    lines.forEach(({ y, text }, number) => {
      values[number].textContent = text[index];
      dots[number].setAttribute("visibility", y[index] === null ? "hidden" : "visible");
      dots[number].setAttribute("cx", x);
      dots[number].setAttribute("cy", y[index] ?? 0);
    });
    for (const cursor of cursors) {
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
    }
  };

  for (const area of chart.querySelectorAll(".area")) {
    const follow = (event) => {
      const box = area.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      show(Math.round(share * last));
    };
    area.addEventListener("pointerdown", follow);
    area.addEventListener("pointermove", follow);
    area.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(last));
  }
  slider.addEventListener("input", () => show(Number(slider.value)));
  slider.closest(".axes").hidden = false;
  show(last);
}

// Tables: a click on a column's header sorts by it; a second one reverses. Cells without a value stay last.
const NUMBER = /^[+-]?[\d,]*\.?\d+/;

function sortKey(cell) {
  const text = (cell.dataset.key ?? cell.textContent).trim().replaceAll("\u2212", "-").replace(/^\$/, "");
  const number = NUMBER.exec(text);
  return { text, number: number && !/^\d{4}-/.test(text) ? Number(number[0].replaceAll(",", "")) : null };
}

function compare(first, second) {
  if (first.number !== null && second.number !== null) return first.number - second.number;
  return first.text.localeCompare(second.text, "en", { numeric: true });
}

for (const table of document.querySelectorAll("table")) {
  const headers = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  headers.forEach((header, column) => {
    if (!("sortable" in header.dataset)) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const order = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      for (const other of headers) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => ({ row, key: sortKey(row.cells[column]) }));
      const isEmpty = ({ key }) => key.text === "\u2013";
      rows.sort((a, b) => isEmpty(a) - isEmpty(b) || sign * compare(a.key, b.key));
      body.append(...rows.map(({ row }) => row));
    });
  });
}

// Long tables: the first rows in the current order, and a button for the others.
for (const table of document.querySelectorAll("table.long")) {
  const button = document.createElement("button");
  const toggle = (isShort) => {
    table.classList.toggle("short", isShort);
    button.setAttribute("aria-expanded", String(!isShort));
    button.textContent = isShort ? `Show all ${table.tBodies[0].rows.length}` : "Show fewer";
  };
  button.type = "button";
  button.className = "more";
  button.setAttribute("aria-controls", table.id);
  button.setAttribute("aria-describedby", `${table.id}-caption`);
  button.addEventListener("click", () => toggle(!table.classList.contains("short")));
  table.parentElement.after(button);
  toggle(true);
}
