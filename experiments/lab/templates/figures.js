"use strict";
(() => {
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // what has the colour of text or lines has that of the page, light or dark
  function themed(data, layout) {
    const ink = colour("--ink"), line = colour("--line");
    const traces = data.map(trace => trace.meta !== "ink" ? trace
      : { ...trace, line: { ...trace.line, color: ink }, marker: { ...trace.marker, color: ink } });
    const axes = Object.entries(layout).filter(([name]) => /^[xy]axis/.test(name)).map(([name, axis]) =>
      [name, { ...axis, gridcolor: line, linecolor: ink, tickcolor: ink }]);
    return [traces, { ...layout, ...Object.fromEntries(axes), font: { color: ink } }];
  }

  function slider({ name, values, start }) {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "range", min: 0, max: values.length - 1, step: 1, value: start });
    label.append(name, input, document.createElement("output"));
    return label;
  }

  function begin(figure) {
    const { data, layout, frames, sliders, narrow, plays } = JSON.parse(figure.querySelector("script").textContent);
    const plot = figure.querySelector(".plot"), controls = figure.querySelector(".controls");
    controls.append(...sliders.map(slider));
    const inputs = [...controls.querySelectorAll("input")];

    function show() {
      inputs.forEach((input, i) => {
        const told = sliders[i].values[input.value];
        input.setAttribute("aria-valuetext", told);
        input.nextElementSibling.value = told;
      });
      const frame = inputs.reduce((k, input, i) => k * sliders[i].values.length + Number(input.value), 0);
      const traces = data.map((trace, i) => ({ ...trace, ...frames[frame][i] }));
      const height = plot.clientWidth < 560 ? narrow : layout.height;
      Plotly.react(plot, ...themed(traces, { ...layout, height }), { displayModeBar: false, responsive: true });
      figure.dataset.frame = frame;
    }

    if (plays) controls.prepend(playing(inputs[0]));
    inputs.forEach(input => input.addEventListener("input", show));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
    matchMedia("(min-width: 600px)").addEventListener("change", show);
    figure.classList.add("live");
    show();
  }

  function playing(input) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Play" });
    let timer = 0;
    function stop() {
      clearInterval(timer);
      timer = 0;
      button.textContent = "Play";
    }
    function step() {
      input.stepUp();
      input.dispatchEvent(new Event("input"));
      if (input.value === input.max) stop();
    }
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (input.value === input.max) input.value = input.min;
      button.textContent = "Pause";
      timer = setInterval(step, 120);
    });
    return button;
  }

  // a figure is drawn when it comes near the window
  addEventListener("DOMContentLoaded", () => {
    if (!window.Plotly) return;
    const near = new IntersectionObserver(entries => entries.filter(entry => entry.isIntersecting).forEach(({ target }) => {
      near.unobserve(target);
      begin(target);
    }), { rootMargin: "600px" });
    document.querySelectorAll("figure:has(.plot)").forEach(figure => near.observe(figure));
  });
})();
