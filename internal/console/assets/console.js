// Keeps the live parts of an open page up to date, and adds keys for moving about. Every page works without it.
"use strict";

// The server renders the parts. An element that is replaced keeps the focus by the name of what had it.
function replace(id, html) {
  const part = document.getElementById(id);
  if (!part) return;
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const path = focused && [...part.querySelectorAll("a, button, input, select, summary")].indexOf(focused);
  part.innerHTML = html;
  if (focused) {
    const again = part.querySelectorAll("a, button, input, select, summary")[path];
    (again || document.getElementById("main")).focus({ preventScroll: true });
  }
}

const source = document.body.dataset.stream;
if (source) {
  let events;
  const stale = document.querySelector("[data-connection]");
  const open = () => {
    events = new EventSource(source);
    events.addEventListener("part", (e) => {
      const part = JSON.parse(e.data);
      replace(part.id, part.html);
    });
    events.onopen = () => { stale.hidden = true; };
    events.onerror = () => {
      stale.hidden = false;
      if (events.readyState === EventSource.CLOSED) setTimeout(show, 5000);
    };
  };
  const show = () => {
    if (document.hidden) {
      if (events) events.close();
      events = undefined;
    } else if (!events || events.readyState === EventSource.CLOSED) {
      open();
    }
  };
  document.addEventListener("visibilitychange", show);
  show();
}

// "/" goes to the search of the page, "?" is left to the browser. In a list, j and k go from row to row.
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
  if (e.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) { e.preventDefault(); search.focus(); }
  } else if (e.key === "j" || e.key === "k") {
    const rows = [...document.querySelectorAll("[data-row] a[href], [data-row] summary")];
    const at = rows.findIndex((a) => a.closest("[data-row]").contains(document.activeElement));
    const next = rows[Math.max(0, Math.min(rows.length - 1, at + (e.key === "j" ? 1 : -1)))];
    if (next) next.focus();
  }
});

// A box in the head of a list checks all of its boxes.
document.addEventListener("change", (e) => {
  if (!e.target.matches("[data-all]")) return;
  for (const box of e.target.closest("form").querySelectorAll("input[name=entry]")) box.checked = e.target.checked;
});
