"use strict";
// Everything from outside enters as textContent or as a number, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const shown = data.arms.map(() => true);
const at = (id) => document.getElementById(id);
const made = (tag, text, parent) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
};
// Plotly reads a little HTML in names and hovers: angle brackets and ampersands are taken from it.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const COSTS = { energy: ["energy, uJ", 1e-6, "energy_pj"], latency: ["latency, us", 1e-3, "latency_ns"], area: ["area, mm2", 1e-6, "area_um2"] };
const MOST_POINTS = 4000;
const MOST_BANDS = 3;
const EARLY = 20;
const SYMBOLS = { solid: ["circle", "\u25cf"], dash: ["diamond", "\u25c6"], dot: ["square", "\u25a0"] };
const PAGE = 50;
const trials = data.trials;
const scenarios = [...new Set(data.runs.map((run) => run.scenario))];
const longest = Math.max(...data.arms.map((arm) => arm.curve.length));
let logarithmic = longest > 50;
let firstRow = 0;
let step = 0;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function layout(extra) {
  const [text, line, page] = ["--text", "--line", "--page"].map(colour);
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
  const { xaxis, yaxis, ...rest } = extra;
  return {
    paper_bgcolor: page, plot_bgcolor: page, font: { color: text, size: 13 }, showlegend: false,
    margin: { l: 50, r: 12, t: 12, b: 44 }, hoverlabel: { bgcolor: page, font: { color: text }, align: "left" },
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
  };
}

// Ticks of a logarithmic axis at 1, 2 and 5, in full, where plotly would write single digits.
function ticks(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const found = [];
  for (let power = -3; power < 8; power += 1) {
    [1, 2, 5].forEach((digit) => found.push(digit * 10 ** power));
  }
  const inside = found.filter((tick) => tick > least / 2 && tick < most * 2);
  return { type: "log", tickvals: inside, ticktext: inside.map((tick) => `${Number(tick.toPrecision(2))}`) };
}

function draw(id, traces, extra) {
  return Plotly.react(id, traces, layout(extra), { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] });
}

const visible = (name) => shown[data.arms.findIndex((arm) => arm.name === name)];

function drawRegret() {
  at("log").textContent = logarithmic ? "show episodes evenly" : "show episodes logarithmically";
  const traces = [];
  const banded = shown.filter(Boolean).length <= MOST_BANDS;
  data.arms.forEach((arm, place) => {
    if (!shown[place]) return;
    const episodes = arm.curve.map((_, index) => index + 1);
    if (arm.low && banded) {
      const band = { x: episodes, mode: "lines", line: { width: 0, shape: "hv" }, hoverinfo: "skip" };
      traces.push({ ...band, y: arm.low }, { ...band, y: arm.high, fill: "tonexty", fillcolor: arm.colour + "22" });
    }
    traces.push({
      x: episodes, y: arm.curve, name: plain(arm.name), mode: arm.curve.length > 1 ? "lines" : "markers",
      line: { color: arm.colour, dash: arm.dash, shape: "hv", width: 2.5 }, marker: { color: arm.colour },
      hovertemplate: "%{fullData.name}<br>episode %{x}: %{y:.3f}<extra></extra>",
    });
  });
  draw("regret", traces, { xaxis: { title: { text: "episode" }, ...(logarithmic ? ticks([1, Math.max(...data.arms.map((arm) => arm.curve.length))]) : {}) }, yaxis: { title: { text: "normalised regret" }, range: [0, 1.03] } });
}

function drawClaims() {
  const claims = data.claims.filter((claim) => visible(claim.arm) && visible(claim.against));
  const names = claims.map((claim) => plain(`${claim.arm} - ${claim.against} @${claim.episodes}`));
  const colours = claims.map((claim) => (claim.shown ? colour("--shown") : "#8c8c8c"));
  const ends = (pick) => claims.map((claim) => (claim.difference.low === null ? 0 : pick(claim.difference)));
  const trace = {
    x: claims.map((claim) => claim.difference.mean), y: names, mode: "markers", marker: { color: colours, size: 9 },
    error_x: { type: "data", symmetric: false, array: ends((one) => one.high - one.mean), arrayminus: ends((one) => one.mean - one.low), color: "#8c8c8c", thickness: 1.5 },
    text: claims.map((claim) => plain(claim.sentence).replace(/(.{60}\S*) /g, "$1<br>")), hovertemplate: "%{text}<extra></extra>",
  };
  at("claims").style.height = `${140 + 24 * claims.length}px`;
  draw("claims", [trace], { xaxis: { title: { text: "rival's regret less the arm's; right of 0 the arm is better" } }, yaxis: { autorange: "reversed" }, height: 140 + 24 * claims.length });
}

function rowsOf(scenario) {
  const rows = trials.run.map((_, row) => row);
  return rows.filter((row) => data.runs[trials.run[row]].scenario === scenario && shown[data.runs[trials.run[row]].arm]);
}

function hover(row) {
  const run = data.runs[trials.run[row]];
  const design = plain(data.designs[trials.design[row]]).replace(/((?:\S+ ){3})/g, "$1<br>");
  return `${plain(data.arms[run.arm].name)}, seed ${run.seed}, episode ${trials.episode[row]}<br>${design}<br>reward ${trials.reward[row]}`;
}

function thinned(rows) {
  const stride = Math.ceil(rows.length / MOST_POINTS);
  return rows.filter((_, place) => place % stride === 0);
}

function points(rows, x, y) {
  return data.arms.map((arm, place) => {
    const own = rows.filter((row) => data.runs[trials.run[row]].arm === place);
    return {
      x: own.map(x), y: own.map(y), name: plain(arm.name), mode: "markers", text: own.map(hover),
      marker: { color: arm.colour, symbol: SYMBOLS[arm.dash][0], size: 6, opacity: 0.45 }, hovertemplate: "%{text}<extra></extra>",
    };
  }).filter((trace) => trace.x.length);
}

function drawFront() {
  const [title, unit, key] = COSTS[at("cost").value];
  const column = trials[at("cost").value];
  const scenario = at("scenario").value;
  const feasible = rowsOf(scenario).filter((row) => trials.reward[row] !== null);
  const traces = points(thinned(feasible), (row) => column[row] * unit, (row) => trials.accuracy[row]);
  const fronts = data.fronts.filter((one) => one.scenario === scenario && one.cost === key && visible(one.arm));
  for (const one of fronts) {
    const arm = data.arms.find((other) => other.name === one.arm);
    traces.push({
      x: one.points.map((point) => point[0] * unit), y: one.points.map((point) => point[1]), mode: "lines",
      line: { color: arm.colour, dash: arm.dash, shape: "hv", width: 2 }, hoverinfo: "skip",
    });
  }
  const accuracies = feasible.map((row) => trials.accuracy[row]);
  const chips = data.references.filter((one) => one.scenario === scenario);
  for (const one of chips.filter((chip) => key in chip.costs && feasible.length)) {
    const cost = one.costs[key] * unit;
    traces.push({
      x: [cost, cost], y: [Math.min(...accuracies), Math.max(...accuracies)], name: plain(one.name), mode: "lines+text",
      text: ["", plain(one.name)], textposition: "top center", line: { color: "#8c8c8c", dash: "dash", width: 1.5 }, hoverinfo: "skip",
    });
  }
  at("reference").textContent = chips.map((one) => one.words).join(" ");
  const order = [...fronts].sort((one, other) => other.hypervolume - one.hypervolume);
  at("volumes").textContent = "Hypervolume: " + order.map((one) => `${one.arm} ${one.hypervolume.toFixed(3)}`).join(", ") + ".";
  draw("front", traces, { xaxis: { title: { text: title }, ...ticks(traces.flatMap((trace) => trace.x)) }, yaxis: { title: { text: "accuracy under variation" } } });
}

// Mean over the seeds; later than episode 20 an arm that has ended stays, dotted, at its best.
function means(late) {
  const longest = Math.max(...data.arms.map((arm) => arm.curve.length));
  const own = data.rewards.filter((one) => one.scenario === at("scenario").value && visible(one.arm));
  return own.map((one) => {
    const arm = data.arms.find((other) => other.name === one.arm);
    const line = { name: plain(one.arm), mode: "lines", line: { color: arm.colour, dash: arm.dash, width: 2 }, hoverinfo: "skip" };
    const mean = late ? one.mean.slice(EARLY) : one.mean.slice(0, EARLY);
    if (mean.length || !late) return { ...line, x: mean.map((_, place) => place + 1 + (late ? EARLY : 0)), y: mean };
    return { ...line, line: { ...line.line, dash: "dot" }, x: [EARLY + 1, Math.max(longest, EARLY + 1)], y: [one.best, one.best] };
  });
}

function drawRewards() {
  const late = at("range").value === "late";
  const rows = rowsOf(at("scenario").value).filter((row) => trials.reward[row] !== null && trials.episode[row] > EARLY === late);
  const traces = [...points(thinned(rows), (row) => trials.episode[row], (row) => trials.reward[row]), ...means(late)];
  draw("rewards", traces, { xaxis: { title: { text: "episode" }, range: late ? [EARLY, longest + 1] : [0, EARLY + 1] }, yaxis: { title: { text: "reward" } } });
}

function drawKernels() {
  const rows = data.kernels.filter((row) => row.scenario === at("scenario").value);
  const sizes = rows.map((row) => `${row.kernel}x${row.kernel}`);
  const measures = [["utilisation", "utilisation", 1], ["latency_ns", "latency, us", 1e-3], ["accuracy", "accuracy", 1]];
  const narrow = innerWidth < 640;
  const grid = { rows: narrow ? 3 : 1, columns: narrow ? 1 : 3, pattern: "independent", ygap: 0.35 };
  const extra = { grid, margin: { l: 50, r: 12, t: 40, b: 44 }, annotations: [], height: narrow ? 600 : 350 };
  const axis = layout({}).xaxis;
  const traces = measures.map(([field, title, unit], place) => {
    const suffix = place ? place + 1 : "";
    extra["xaxis" + suffix] = axis;
    extra["yaxis" + suffix] = { ...axis, rangemode: "tozero" };
    extra.annotations.push({ text: title, showarrow: false, xref: `x${suffix} domain`, yref: `y${suffix} domain`, x: 0, y: 1.12, xanchor: "left" });
    return {
      x: sizes, y: rows.map((row) => (row[field] === null ? null : row[field] * unit)), type: "bar", marker: { color: "#56B4E9" },
      xaxis: "x" + suffix, yaxis: "y" + suffix, hovertemplate: `%{x}: %{y:.4g}<extra>${title}</extra>`,
    };
  });
  draw("kernels", traces, extra);
}

function drawBeliefs() {
  if (!data.beliefs.length) return;
  const kinds = [...new Set(data.beliefs.map((row) => row.kind))];
  const models = [...new Set(data.beliefs.map((row) => row.model))];
  const value = (model, kind, field) => (data.beliefs.find((row) => row.kind === kind && (!model || row.model === model)) || {})[field];
  const traces = models.map((model, place) => ({
    x: kinds, y: kinds.map((kind) => value(model, kind, "says_larger")), name: plain(`${model} prefers the larger kernel`), type: "bar",
    marker: { color: ["#CC79A7", "#009E73", "#E69F00"][place % 3] }, hovertemplate: "%{fullData.name}: %{y:.0%}<extra></extra>",
  }));
  traces.push({
    x: kinds, y: kinds.map((kind) => value(null, kind, "larger_is_right")), name: "the larger kernel is right", mode: "markers",
    marker: { symbol: "line-ew", size: 34, line: { width: 3, color: layout({}).font.color } }, hovertemplate: "%{fullData.name}: %{y:.0%}<extra></extra>",
  });
  draw("beliefs", traces, { showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, margin: { l: 50, r: 12, t: 60, b: 44 }, barmode: "group", yaxis: { range: [0, 1.03], tickformat: ".0%" } });
}

function tellStory() {
  const story = data.stories[Number(at("run").value)];
  step = Math.max(0, Math.min(step, story.steps.length - 1));
  const one = story.steps[step];
  at("place").textContent = ` episode ${one.episode} of ${story.episodes} `;
  const box = at("story");
  box.replaceChildren();
  made("p", `${one.design}`, box);
  made("p", one.result + (one.best ? ", the best so far" : ""), box);
  if (one.expected !== null) made("p", `accuracy that the model expected: ${one.expected.toFixed(3)}`, box);
  if (one.changes) {
    made("h3", "What changed", box);
    made("p", one.changes, box);
  }
  if (one.findings.length) {
    made("h3", "What the simulator says of it", box);
    const list = made("ul", undefined, box);
    one.findings.forEach((text) => made("li", text, list));
  }
  if (one.asked !== null) {
    made("h3", "The end of the prompt", box);
    made("pre", one.asked, box);
  }
  one.replies.forEach((text, place) => {
    made("h3", place ? `Reply ${place + 1}` : "Reply", box);
    made("pre", text, box);
  });
  const most = story.steps.length < story.episodes ? `The first ${story.steps.length} episodes; all of them: ` : "Recorded in ";
  made("small", most + story.path, box);
}

function listEpisodes() {
  const wanted = at("outcome").value;
  const rows = trials.run.map((_, row) => row).filter((row) => {
    return shown[data.runs[trials.run[row]].arm] && (wanted === "" || trials.outcome[row] === Number(wanted));
  });
  firstRow = Math.max(0, Math.min(firstRow, Math.floor((rows.length - 1) / PAGE) * PAGE));
  const body = at("episodes").tBodies[0];
  body.replaceChildren();
  for (const row of rows.slice(firstRow, firstRow + PAGE)) {
    const run = data.runs[trials.run[row]];
    const line = made("tr", undefined, body);
    const number = (value, unit) => (value === null ? "" : Number((value * unit).toPrecision(4)));
    [data.arms[run.arm].name, run.scenario, run.seed, trials.episode[row], data.designs[trials.design[row]],
      data.outcomes[trials.outcome[row]], number(trials.reward[row], 1), number(trials.accuracy[row], 1),
      number(trials.energy[row], 1e-6), number(trials.latency[row], 1e-3), number(trials.area[row], 1e-6),
    ].forEach((text) => made("td", text, line));
  }
  const last = Math.min(firstRow + PAGE, rows.length);
  at("page").textContent = rows.length ? ` ${firstRow + 1} to ${last} of ${rows.length} ` : " none ";
}

function hideRows() {
  [...at("arms").tBodies[0].rows].forEach((line, place) => { line.hidden = !shown[place]; });
  [...at("chips").children].forEach((chip, place) => chip.setAttribute("aria-pressed", shown[place]));
}

function refresh() {
  hideRows();
  drawRegret();
  drawClaims();
  drawFront();
  drawRewards();
  drawKernels();
  drawBeliefs();
  listEpisodes();
}

function options(id, texts) {
  texts.forEach((text, place) => { made("option", text, at(id)).value = id === "scenario" ? text : place; });
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  refresh();
}

data.arms.forEach((arm, place) => {
  const chip = made("button", undefined, at("chips"));
  chip.type = "button";
  chip.className = "chip";
  made("span", `${SYMBOLS[arm.dash][1]} `, chip).style.color = arm.colour;
  chip.append(arm.name);
  chip.addEventListener("click", () => { shown[place] = !shown[place]; refresh(); });
  chip.addEventListener("dblclick", () => { shown.forEach((_, other) => { shown[other] = other === place; }); refresh(); });
});
options("scenario", scenarios);
options("outcome", data.outcomes);
options("run", data.stories.map((story) => `${story.arm}, ${story.scenario}, seed ${story.seed}`));
at("all").addEventListener("click", () => { shown.fill(true); refresh(); });
at("log").addEventListener("click", () => { logarithmic = !logarithmic; drawRegret(); });
at("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
at("scenario").addEventListener("change", () => { drawFront(); drawRewards(); drawKernels(); });
at("cost").addEventListener("change", drawFront);
at("range").addEventListener("change", drawRewards);
at("run").addEventListener("change", () => { step = 0; tellStory(); });
at("back").addEventListener("click", () => { step -= 1; tellStory(); });
at("on").addEventListener("click", () => { step += 1; tellStory(); });
at("outcome").addEventListener("change", () => { firstRow = 0; listEpisodes(); });
at("newer").addEventListener("click", () => { firstRow -= PAGE; listEpisodes(); });
at("older").addEventListener("click", () => { firstRow += PAGE; listEpisodes(); });
tellStory();
setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
