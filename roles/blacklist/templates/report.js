// SPDX-License-Identifier: GPL-3.0-or-later
"use strict";
(() => {
  const PAGE = matchMedia("(max-width: 700px)").matches ? 10 : 20;
  const format = new Intl.NumberFormat("en");

  function table(section) {
    const body = section.querySelector("tbody");
    const heads = [...section.querySelectorAll("th")];
    const [search, count] = [section.querySelector("input"), section.querySelector("output")];
    const pager = section.querySelector(".pager");
    const all = [...body.rows].map((row) => ({ row, text: [...row.cells].map((cell) => `${cell.textContent} ${cell.title}`).join(" ").toLowerCase() }));
    let found = all, page = 0, size = PAGE;

    function key(row, column) {
      const cell = row.cells[column];
      return cell.dataset.v !== undefined ? Number(cell.dataset.v) : (cell.dataset.s ?? cell.textContent).toLowerCase();
    }

    function show() {
      const pages = Math.max(1, Math.ceil(found.length / size));
      page = Math.min(Math.max(0, page), pages - 1);
      const start = page ? page * size : 0, end = Math.min(found.length, start + size);
      const rows = found.slice(start, end).map((one) => one.row);
      if (!rows.length) {
        const row = document.createElement("tr"), cell = row.insertCell();
        row.className = "empty";
        cell.colSpan = heads.length;
        cell.textContent = "Nothing matches.";
        rows.push(row);
      }
      body.replaceChildren(...rows);
      count.value = found.length === all.length ? "" : `${format.format(found.length)} of ${format.format(all.length)} match`;
      pager.hidden = found.length <= PAGE;
      pager.querySelector(".where").textContent =
        `${format.format(start + 1)}–${format.format(end)} of ${format.format(found.length)}`;
      pager.querySelector("[data-go='-1']").disabled = page === 0;
      pager.querySelector("[data-go='1']").disabled = page === pages - 1;
      pager.querySelector("[data-all]").textContent = size === PAGE ? "Show all" : "Show pages";
    }

    search.addEventListener("input", () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      found = all.filter((one) => words.every((word) => one.text.includes(word)));
      page = 0;
      show();
    });
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      button.disabled = false;
      button.addEventListener("click", () => {
        const numeric = all[0].row.cells[column].dataset.v !== undefined;
        const before = head.getAttribute("aria-sort");
        const order = before ? (before === "ascending" ? "descending" : "ascending") : numeric && column ? "descending" : "ascending";
        const sign = order === "ascending" ? 1 : -1;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        for (const one of all) one.key = key(one.row, column);
        const compare = numeric ? (a, b) => a.key - b.key : (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
        all.sort((a, b) => sign * compare(a, b));
        if (found !== all) { const kept = new Set(found); found = all.filter((one) => kept.has(one)); }
        page = 0;
        show();
      });
    });
    pager.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.go) page += Number(button.dataset.go);
      else { size = size === PAGE ? Infinity : PAGE; page = 0; }
      show();
    });
    section.classList.add("ready");
    section.querySelector(".tools").hidden = false;
    show();
  }

  for (const section of document.querySelectorAll(".table")) if (section.querySelector("tbody")) table(section);

  const tabs = document.querySelector(".tabs"), charts = [...document.querySelectorAll(".timeline[data-by]")];
  function choose(by) {
    for (const chart of charts) chart.hidden = chart.dataset.by !== by;
    for (const button of tabs.children) button.setAttribute("aria-pressed", String(button.dataset.tab === by));
  }
  if (charts.length) {
    tabs.hidden = false;
    tabs.addEventListener("click", (event) => { if (event.target.dataset.tab) choose(event.target.dataset.tab); });
    choose(charts[0].dataset.by);
  }
})();
