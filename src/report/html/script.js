"use strict";
// Without this script the page shows everything, and no filter.
const filter = document.getElementById("filter");
const nothing = document.getElementById("nothing");
const blocks = document.querySelectorAll("[data-kind]");

function apply() {
  const chosen = new FormData(filter);
  const kinds = new Set(chosen.getAll("kind"));
  const category = chosen.get("category");
  let shown = 0;
  for (const block of blocks) {
    const { kind, category: own } = block.dataset;
    block.hidden = !kinds.has(kind) || (category !== "" && own !== category);
    shown += block.hidden ? 0 : 1;
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = section.querySelector("[data-kind]:not([hidden])") === null;
  }
  nothing.hidden = shown > 0;
}

filter.addEventListener("change", apply);
filter.hidden = false;
// A browser that comes back to the page has kept what was chosen.
apply();

// Paper has nothing to click on.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) {
    details.open = true;
  }
});
