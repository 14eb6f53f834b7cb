"use strict";
(() => {
  // The state of the matrix stands in the address: #q=exp&verdict=disagree&family=losses&sort=-ulps&at=c3
  const byId = (id) => document.getElementById(id);
  const rows = [...byId("rows").rows];
  const cases = rows.map((row) => byId("c" + row.dataset.n));
  const severity = { n: 0, a: 1, k: 2, i: 3, d: 4 };
  const letters = { agree: "a", abstain: "n", inaccurate: "i", disagree: "d", known: "k" };
  const facts = rows.map((row, k) => {
    const summary = cases[k].firstElementChild;
    const cells = [...row.cells];
    return {
      text: summary.textContent.toLowerCase(),
      family: row.dataset.f,
      verdicts: new Set(cells.slice(4).map((cell) => cell.className[0])),
      keys: {
        case: cells[0].textContent.toLowerCase(),
        verdict: severity[cells[1].firstElementChild.classList[1]],
        ulps: Number(cells[2].dataset.v.replace("inf", "Infinity")),
        time: Number(cells[3].dataset.v),
      },
      cell: (column) => severity[cells[column + 4].className[0]] ?? -1,
    };
  });
  const fields = { q: byId("q"), verdict: byId("verdict"), family: byId("family") };
  const heads = [...document.querySelectorAll("[data-sort]")];
  let sort = "";
  let at = "";
  let sorted = false;

  const say = (text) => { byId("told").textContent = text; };
  const key = (fact, name) => (name in fact.keys ? fact.keys[name] : fact.cell(Number(name)));
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

  const show = () => {
    const words = fields.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    facts.forEach((fact, k) => {
      const fits = words.every((word) => fact.text.includes(word))
        && (!fields.verdict.value || fact.verdicts.has(letters[fields.verdict.value]))
        && (!fields.family.value || fact.family === fields.family.value);
      rows[k].hidden = cases[k].hidden = !fits;
      shown += fits;
    });
    byId("shown").textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} cases`;
  };

  const order = () => {
    const name = sort.replace(/^-/, "");
    const turn = sort.startsWith("-") ? -1 : 1;
    const places = rows.map((_, k) => k);
    if (name) places.sort((a, b) => turn * compare(key(facts[a], name), key(facts[b], name)) || a - b);
    if (name || sorted) byId("rows").append(...places.map((k) => rows[k]));
    sorted = Boolean(name);
    heads.forEach((head) => head.setAttribute("aria-sort",
      head.dataset.sort !== name ? "none" : turn > 0 ? "ascending" : "descending"));
  };

  const write = () => {
    const found = new URLSearchParams();
    Object.entries(fields).forEach(([name, field]) => field.value && found.set(name, field.value));
    if (sort) found.set("sort", sort);
    if (at) found.set("at", at);
    const hash = String(found) ? `#${found}` : " ";
    if (hash.trim() !== location.hash) history.replaceState(null, "", hash.trim() || location.pathname + location.search);
  };

  // What a case shows stands in a noscript element, which costs no time until it is opened.
  const fill = (details) => {
    const closed = details.querySelector(":scope > noscript");
    if (!closed) return;
    const shell = document.createElement("template");
    shell.innerHTML = closed.textContent;
    closed.replaceWith(shell.content);
  };
  document.addEventListener("toggle", (event) => fill(event.target), true);

  const go = (id) => {
    const target = byId(id);
    if (!target) return;
    at = id;
    if (target.hidden) { reset(); }
    for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") {
      fill(each);
      each.open = true;
    }
    target.scrollIntoView();
    (target.matches("details") ? target.firstElementChild : target).focus({ preventScroll: true });
  };

  const reset = () => {
    Object.values(fields).forEach((field) => { field.value = ""; });
    show();
  };

  const read = () => {
    const text = location.hash.slice(1);
    const found = new URLSearchParams(text.includes("=") ? text : "");
    Object.entries(fields).forEach(([name, field]) => { field.value = found.get(name) ?? ""; });
    sort = heads.some((head) => head.dataset.sort === (found.get("sort") ?? "").replace(/^-/, "")) ? found.get("sort") : "";
    show();
    order();
    at = "";
    go(text.includes("=") ? found.get("at") ?? "" : text);
  };

  const button = (head, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.append(...head.childNodes);
    head.append(made);
    made.addEventListener("click", act);
  };

  heads.forEach((head) => button(head, () => {
    const name = head.dataset.sort;
    const first = name === "case" ? name : `-${name}`;
    const second = name === "case" ? `-${name}` : name;
    sort = sort === first ? second : sort === second ? "" : first;
    order();
    write();
  }));

  document.querySelectorAll("table.sortable").forEach((table) => {
    const columns = [...table.tHead.rows[0].cells];
    const value = (row, k) => {
      const cell = row.cells[k];
      const text = cell.dataset.v ?? cell.textContent;
      const number = Number(text.replace("inf", "Infinity").replaceAll(",", ""));
      return columns[k].classList.contains("num") ? number : text;
    };
    columns.forEach((head, k) => button(head, () => {
      const falling = head.getAttribute("aria-sort") !== "descending" && head.classList.contains("num")
        || head.getAttribute("aria-sort") === "ascending";
      const rising = [...table.tBodies[0].rows].sort((a, b) => compare(value(a, k), value(b, k)) * (falling ? -1 : 1));
      table.tBodies[0].append(...rising);
      columns.forEach((each) => each.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    }));
  });

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };

  document.addEventListener("click", async (event) => {
    const pressed = event.target.closest(".copy");
    const link = event.target.closest('a[href^="#"]');
    if (pressed) {
      await copy(pressed.dataset.text ?? byId(pressed.dataset.copy).textContent);
      const words = pressed.textContent;
      pressed.textContent = "Copied";
      say("Copied");
      setTimeout(() => { pressed.textContent = words; say(""); }, 1500);
    } else if (link) {
      event.preventDefault();
      go(link.getAttribute("href").slice(1));
      write();
    }
  });
  byId("reset").addEventListener("click", () => { reset(); write(); });
  fields.q.addEventListener("input", () => { show(); write(); });
  fields.verdict.addEventListener("change", () => { show(); write(); });
  fields.family.addEventListener("change", () => { show(); write(); });
  addEventListener("hashchange", read);
  document.documentElement.classList.add("js");
  read();
})();
