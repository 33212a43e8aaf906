// Keeps the live parts of an open page up to date, and adds keys for moving about. Every page works without it.
"use strict";

// The server renders the parts. What stays the same remains the same element, so that the focus, a pressed button and
// selected text survive. What leads elsewhere, or has another id, is a new element: a click never hits its successor.
function replace(id, html) {
  const part = document.getElementById(id);
  if (!part) return;
  const focused = part.contains(document.activeElement);
  const next = document.createElement("template");
  next.innerHTML = html;
  update(part, next.content);
  if (focused && !part.contains(document.activeElement)) {
    document.getElementById("main").focus({ preventScroll: true });
  }
}

function update(old, next) {
  [...next.childNodes].forEach((node, i) => {
    const current = old.childNodes[i];
    if (!current) {
      old.append(node);
    } else if (!same(current, node)) {
      current.replaceWith(node);
    } else if (node.nodeType === Node.ELEMENT_NODE) {
      for (const a of [...current.attributes]) {
        if (a.name !== "open" && !node.hasAttribute(a.name)) current.removeAttribute(a.name);
      }
      for (const a of node.attributes) {
        if (current.getAttribute(a.name) !== a.value) current.setAttribute(a.name, a.value);
      }
      update(current, node);
    } else if (current.nodeValue !== node.nodeValue) {
      current.nodeValue = node.nodeValue;
    }
  });
}

function same(a, b) {
  return a.nodeName === b.nodeName && (a.nodeType !== Node.ELEMENT_NODE ||
    ["id", "href", "action", "name", "value"].every((name) => a.getAttribute(name) === b.getAttribute(name)));
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

// A box in the head of a table checks all of its boxes.
for (const all of document.querySelectorAll("[data-all]")) {
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of all.closest("table").querySelectorAll("input[name=entry]")) box.checked = all.checked;
  });
}
