"use strict";
(() => {
  const controls = document.getElementById("controls");
  const [text, family, dtype, failures] = ["text", "family", "dtype", "failures"].map((id) => document.getElementById(id));
  const items = [...document.querySelectorAll("[data-operation]")];
  const counted = document.getElementById("counted");
  function filter() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let rows = 0;
    for (const item of items) {
      const about = item.textContent.toLowerCase();
      const shown =
        words.every((word) => about.includes(word)) &&
        (!family.value || item.dataset.family === family.value) &&
        (!dtype.value || item.dataset.dtypes.split(" ").includes(dtype.value)) &&
        (!failures.checked || item.dataset.bad === "yes");
      item.hidden = !shown;
      if (shown && item.tagName === "TR") rows += 1;
    }
    for (const chip of document.querySelectorAll(".chip[data-dtype]")) {
      chip.hidden = Boolean(dtype.value) && chip.dataset.dtype !== dtype.value;
    }
    counted.textContent = rows === 1 ? "1 operation" : `${rows} operations`;
  }
  for (const control of [text, family, dtype, failures]) control.addEventListener("input", filter);
  controls.hidden = false;
  filter();
})();
