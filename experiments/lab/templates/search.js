"use strict";
const rows = [...document.querySelectorAll("li[data-words]")];
document.getElementById("find").addEventListener("input", event => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  rows.forEach(row => { row.hidden = !words.every(word => row.dataset.words.toLowerCase().includes(word)); });
  document.querySelectorAll(".chapter").forEach(chapter => { chapter.hidden = !chapter.querySelector("li:not([hidden])"); });
  const found = rows.filter(row => !row.hidden).length;
  document.getElementById("found").value = words.length ? `${found} found` : "";
});
