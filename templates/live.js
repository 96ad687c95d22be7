/* The network of this page, run step by step: the generated C as WebAssembly, and the same step in float64 beside it.
 * SPDX-License-Identifier: 0BSD */
"use strict";
(() => {
const data = JSON.parse(document.getElementById("live-data").textContent);
const $ = (id) => document.getElementById("live-" + id);
const ARRAYS = {int8_t: Int8Array, int16_t: Int16Array, int32_t: Int32Array, uint16_t: Uint16Array, uint32_t: Uint32Array};
const SHOWN = 300; /* steps in the chart */
const MOST_SLIDERS = 16, MOST_CELLS = 256, MOST_ROWS = 32, MOST_LINES = 16;
const MOST_ANSWERS = 100000; /* steps that are kept to be saved */
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/* ---- the float twin: one scalar after the other */

const UNARY = {negative: (x) => -x, absolute: Math.abs, tanh: Math.tanh, exp: Math.exp, log: Math.log, sqrt: Math.sqrt,
  expm1: Math.expm1, log1p: Math.log1p, sin: Math.sin, cos: Math.cos, floor: Math.floor, sign: Math.sign};
const BINARY = {multiply: (a, b) => a * b, divide: (a, b) => a / b, maximum: Math.max, minimum: Math.min,
  less: (a, b) => +(a < b), less_equal: (a, b) => +(a <= b), power: (a, b) => a ** b};

class Twin {
  constructor(given) {
    this.code = new Int32Array(bytes(given.code).buffer);
    this.lists = new Int32Array(bytes(given.lists).buffer);
    this.numbers = new Float64Array(bytes(given.numbers).buffer);
    this.initial = new Float64Array(bytes(given.initial).buffer);
    this.operations = given.operations;
    this.inputs = given.inputs;
    this.outputs = given.outputs;
    this.next = given.states;
    this.r = [];
    this.reset();
  }
  reset() { this.state = Float64Array.from(this.initial); }
  step(x) {
    const {code, lists, numbers, operations} = this;
    const r = this.r;
    for (let i = 0; i < this.inputs; i++) r[i] = x[i];
    for (let i = 0; i < this.state.length; i++) r[this.inputs + i] = this.state[i];
    for (let at = 0, to = this.inputs + this.state.length; at < code.length; to++) {
      const name = operations[code[at]];
      if (name === "sum") {
        const list = code[at + 1], from = code[at + 2], count = lists[list];
        let sum = numbers[from];
        for (let i = 1; i <= count; i++) sum += numbers[from + i] * r[lists[list + i]];
        r[to] = sum;
        at += 3;
      } else if (name === "row") {
        const row = Math.min(Math.max(Math.trunc(r[code[at + 1]]), 0), code[at + 5]);
        r[to] = numbers[code[at + 2] + row * code[at + 3] + code[at + 4]];
        at += 6;
      } else if (name === "where") {
        r[to] = r[r[code[at + 1]] ? code[at + 2] : code[at + 3]];
        at += 4;
      } else if (name in UNARY) {
        r[to] = UNARY[name](r[code[at + 1]]);
        at += 2;
      } else {
        r[to] = BINARY[name](r[code[at + 1]], r[code[at + 2]]);
        at += 3;
      }
    }
    this.state = Float64Array.from(this.next, (k) => r[k]);
    return this.outputs.map((places) => Array.from(places, (k) => r[k]));
  }
}

/* ---- the C */

const each = (list, k) => list[list.length > 1 ? k : 0];
const real = (port, q, k) => (port.index ? q : (q - port.zero) * each(port.scale, k) + each(port.offset, k));
function quantize(port, x, k) {
  if (port.index) return Math.min(Math.max(Math.trunc(x), port.lo), port.hi);
  const counts = ((Number.isNaN(x) ? 0 : x) - each(port.offset, k)) / each(port.scale, k) + port.zero;
  return Math.floor(Math.min(Math.max(counts, port.lo), port.hi) + 0.5);
}

class Net {
  constructor(c) {
    this.c = c;
    this.twin = data.twin ? new Twin(data.twin) : null;
    this.reset();
  }
  reset() {
    this.c.reset();
    if (this.twin) this.twin.reset();
    this.steps = 0;
  }
  at(port, address) { return new ARRAYS[port.ctype](this.c.memory.buffer, address, port.size); }
  written(wrote) {
    return data.outputs.map((port, k) =>
      (data.apart ? wrote & (1 << k) : wrote) ? Array.from(this.at(port, this.c.output(k))) : null);
  }
  /* One frame in real units, the inputs one after the other; of each output what was written, null where nothing was. */
  step(frame) {
    let from = 0;
    data.inputs.forEach((port, k) => {
      const to = this.at(port, this.c.input(k));
      for (let i = 0; i < port.size; i++) to[i] = quantize(port, frame[from + i], i);
      from += port.size;
    });
    const integers = this.written(this.c.step());
    this.steps++;
    return {integers, floats: this.twin ? this.twin.step(frame) : null};
  }
  flush() {
    const found = [];
    for (let wrote = this.c.flush(); wrote; wrote = this.c.flush()) found.push({integers: this.written(wrote), floats: null});
    return found;
  }
  states() {
    return data.states.map((port, k) => Array.from(this.at(port, this.c.state(k)), (q, i) => real(port, q, i)));
  }
}

/* ---- recordings */

const width = data.inputs.reduce((n, port) => n + port.size, 0);
const LEFT_OUT = /^(time|timestamp|time[ _]stamp|datetime|date)([ _]?(s|ms|us|ns|sec|secs|seconds|utc))?$|^(index|idx|row|unnamed: \d+|label|)$/i;
const COUNTER = /^(t|id|no|nr|sample|step|tick|frame)$/i;

function columnsOf(heading) {
  const named = [];
  for (const port of data.inputs) {
    const own = heading.map((h, k) => [h, k]).filter(([h]) => h === port.name || (h.startsWith(port.name) && /^[[_. (]?\d+[\])]?$/.test(h.slice(port.name.length))));
    if (own.length === port.size) named.push(...own.map(([, k]) => k));
  }
  if (named.length === width) return named;
  let left = heading.map((_, k) => k).filter((k) => !LEFT_OUT.test(heading[k].trim()));
  if (left.length > width) left = left.filter((k) => !COUNTER.test(heading[k].trim()));
  return left;
}

function readCsv(text) {
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/).filter((line) => line.trim());
  if (!lines.length) throw new Error("the file is empty");
  const separator = [";", "\t", ","].find((s) => lines[0].includes(s)) || ",";
  const cells = (line) => line.split(separator).map((c) => c.trim().replace(/^"(.*)"$/, "$1"));
  const number = (c) => Number(separator === "," ? c : c.replace(",", "."));
  const first = cells(lines[0]);
  const heading = first.some((c) => c && Number.isNaN(number(c)));
  const columns = heading ? columnsOf(first) : first.map((_, k) => k);
  if (columns.length !== width) throw new Error(`the file has ${columns.length} columns; the network takes ${width} a step`);
  return lines.slice(heading ? 1 : 0).map((line, row) => {
    const all = cells(line), frame = columns.map((k) => (all[k] === "" || all[k] === undefined ? NaN : number(all[k])));
    if (frame.some(Number.isNaN)) throw new Error(`line ${row + 1 + heading} holds no ${width} numbers`);
    return frame;
  });
}

function samplesOf(buffer) {
  const view = new DataView(buffer), tag = (at) => String.fromCharCode(...new Uint8Array(buffer, at, 4));
  if (buffer.byteLength < 44 || tag(0) !== "RIFF" || tag(8) !== "WAVE") throw new Error("it is not a WAV file");
  const chunks = {};
  for (let at = 12; at + 8 <= buffer.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    if (!(tag(at) in chunks)) chunks[tag(at)] = [at + 8, Math.min(size, buffer.byteLength - at - 8)];
    at += 8 + size + (size % 2);
  }
  if (!chunks["fmt "] || !chunks.data) throw new Error("it is a damaged WAV file: no fmt or data chunk");
  const form = chunks["fmt "][0], bits = view.getUint16(form + 14, true), channels = view.getUint16(form + 2, true);
  let kind = view.getUint16(form, true);
  if (kind === 0xfffe) kind = view.getUint16(form + 24, true);
  const read = {"1/8": (at) => (view.getUint8(at) - 128) / 128, "1/16": (at) => view.getInt16(at, true) / 2 ** 15,
    "1/24": (at) => (view.getUint8(at) + view.getInt16(at + 1, true) * 256) / 2 ** 23,
    "1/32": (at) => Math.fround(view.getInt32(at, true) / 2 ** 31), "3/32": (at) => view.getFloat32(at, true),
    "3/64": (at) => Math.fround(view.getFloat64(at, true))}[kind + "/" + bits];
  if (!read) throw new Error(`WAV files of format ${kind} with ${bits} bits are not read: use 16-bit PCM`);
  const [from, size] = chunks.data, count = Math.floor(size / (bits / 8));
  return {channels, samples: Array.from({length: count}, (_, k) => read(from + (k * bits) / 8))};
}

function blocks(samples) {
  const found = [];
  for (let at = 0; at + width <= samples.length; at += data.hop) found.push(samples.slice(at, at + width));
  return found;
}

function readWav(buffer) {
  const {channels, samples} = samplesOf(buffer);
  if (data.inputs.length > 1) throw new Error("a WAV file serves networks of one input");
  if (channels === width) {
    return Array.from({length: Math.floor(samples.length / width)}, (_, k) => samples.slice(k * width, (k + 1) * width));
  }
  if (channels !== 1) throw new Error(`the file has ${channels} channels; the network takes ${width} samples of one a step`);
  return blocks(samples);
}

/* ---- the page */

const esc = (text) => String(text).replace(/[&<>"]/g, (c) => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}[c]));
const short = (x) => (x === null || x === undefined ? "\u2013" : Number(x.toPrecision(5)).toString());
let net, recording = null, place = 0, running = false, history = [], answers = [], worst = 0, last = null, microphone = null;

function take(frame) {
  last = net.step(frame);
  keep(last);
}

function keep(result) {
  const now = {step: net.steps, integers: [], floats: []};
  data.outputs.forEach((port, k) => {
    const q = result.integers[k];
    now.integers[k] = q && q.map((v, i) => real(port, v, i));
    now.floats[k] = result.floats && result.floats[k];
    if (q && now.floats[k]) now.integers[k].forEach((v, i) => { worst = Math.max(worst, Math.abs(v - now.floats[k][i])); });
  });
  answers.push(now);
  if (answers.length > MOST_ANSWERS) answers = answers.slice(MOST_ANSWERS / 10);
  history.push(now);
  if (history.length > SHOWN) history.shift();
}

function reset() {
  stop();
  net.reset();
  history = [];
  answers = [];
  worst = place = 0;
  last = null;
  draw();
}

function slidersFrame() { return [...$("sliders").querySelectorAll("input")].map((e) => Number(e.value)).concat(Array(width).fill(0)).slice(0, width); }

/* Takes one step; returns whether there can be another without anyone's doing. */
function advance() {
  if (!recording) { take(slidersFrame()); return true; }
  if (place >= recording.length) return false;
  take(recording[place++]);
  if (place === recording.length) net.flush().forEach(keep);
  return place < recording.length;
}

function run() {
  if (running) return;
  running = true;
  $("run").textContent = "Pause";
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let drawn = 0;
  const next = (now) => {
    if (!running) return;
    const until = performance.now() + 12;
    const most = recording && calm ? Infinity : Number($("speed").value);
    let more = true;
    for (let k = 0; more && k < most && performance.now() < until; k++) more = advance();
    if (!more) { stop(); draw(); return; }
    if (now - drawn > 60) { draw(); drawn = now; }
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
}

function stop() {
  running = false;
  $("run").textContent = "Run";
}

async function open(file) {
  try {
    const wav = /\.wav$/i.test(file.name);
    const frames = wav ? readWav(await file.arrayBuffer()) : readCsv(await file.text());
    if (!frames.length) throw new Error("it holds no whole frame");
    silence();
    recording = frames;
    $("error").textContent = "";
    $("source").textContent = `${file.name}: ${frames.length} steps`;
    reset();
    run();
  } catch (error) {
    $("error").textContent = `${file.name}: ${error.message}.`;
  }
}

/* Raw samples as the microphone gives them, in blocks of the input's size. */
async function listen() {
  if (microphone) { silence(); return; }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({audio: {echoCancellation: false, noiseSuppression: false}});
    const context = data.sampleRate ? new AudioContext({sampleRate: data.sampleRate}) : new AudioContext();
    const node = context.createScriptProcessor(1024, 1, 1);
    let waiting = [];
    recording = null;
    reset();
    node.onaudioprocess = (event) => {
      waiting = waiting.concat(Array.from(event.inputBuffer.getChannelData(0)));
      const whole = blocks(waiting);
      whole.forEach(take);
      waiting = waiting.slice(whole.length * data.hop);
      draw();
    };
    context.createMediaStreamSource(stream).connect(node);
    node.connect(context.destination);
    microphone = {stream, context};
    $("microphone").textContent = "Stop the microphone";
    $("source").textContent = `Microphone, ${context.sampleRate} samples a second, ${width} a step`;
  } catch (error) {
    $("error").textContent = `The microphone is not to be had: ${error.message}.`;
  }
}

function silence() {
  if (!microphone) return;
  microphone.stream.getTracks().forEach((track) => track.stop());
  microphone.context.close();
  microphone = null;
  $("microphone").textContent = "Use the microphone";
}

/* ---- drawing */

/* The output that is shown, and which of its elements. */
function chosen() {
  const [k, i] = $("channel").value.split("/");
  return [Number(k), i === "all" ? Array.from({length: data.outputs[k].size}, (_, n) => n) : [Number(i)]];
}
const called = (port, i) => port.name + (port.size > 1 ? `[${i}]` : "");

function path(points) {
  let text = "", open = false;
  for (const [x, y] of points) {
    text += y === null ? "" : `${open ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    open = y !== null;
  }
  return text;
}

function drawChart() {
  const [k, elements] = chosen(), series = (key, i) => history.map((h) => (h[key][k] ? h[key][k][i] : null));
  const a = elements.map((i) => series("integers", i)), b = data.twin ? elements.map((i) => series("floats", i)) : [];
  const known = [...a, ...b].flat().filter((v) => v !== null && Number.isFinite(v));
  if (!known.length) { $("chart").innerHTML = ""; return; }
  let lo = Math.min(...known), hi = Math.max(...known);
  if (hi - lo < 1e-12) { lo -= 0.5; hi += 0.5; }
  const first = history[0].step, x = (n) => 60 + (n * 680) / Math.max(history.length - 1, 40), y = (v) => (v === null ? null : 16 + ((hi - v) * 150) / (hi - lo));
  const line = (values, kind) => `<path class="line-${kind}" d="${path(values.map((v, n) => [x(n), y(v)]))}"/>`;
  const ends = elements.length > 1 ? a.map((values, n) => [values.findLast((v) => v !== null), elements[n]]).filter(([v]) => v !== undefined)
    .sort(([v], [w]) => w - v).reduce((apart, end) => (apart.length && y(end[0]) - y(apart[apart.length - 1][0]) < 10 ? apart : [...apart, end]), []) : [];
  $("chart").innerHTML = [hi, (hi + lo) / 2, lo].map((v) =>
    `<path class="grid" d="M60 ${y(v).toFixed(1)}H752"/><text class="end" x="54" y="${(y(v) + 4).toFixed(1)}">${short(v)}</text>`).join("") +
    a.map((values) => line(values, "a")).join("") + b.map((values) => line(values, "b")).join("") +
    ends.map(([v, i]) => `<text x="${(x(history.length - 1) + 3).toFixed(0)}" y="${(y(v) + 4).toFixed(1)}">${i}</text>`).join("") +
    `<text x="60" y="190">step ${first}</text><text class="end" x="${Math.max(x(history.length - 1), 150).toFixed(0)}" y="190">step ${history[history.length - 1].step}</text>`;
}

function drawValues() {
  const now = history[history.length - 1];
  const rows = data.outputs.flatMap((port, k) => Array.from({length: Math.min(port.size, MOST_ROWS)}, (_, i) => {
    const q = last && last.integers[k] ? last.integers[k][i] : null, v = now && now.integers[k] ? now.integers[k][i] : null;
    const f = now && now.floats[k] ? now.floats[k][i] : null;
    const of = now && port.size > 1 && now.integers[k], largest = of && v === Math.max(...of);
    return `<tr${largest ? ' class="most"' : ""}><th scope="row">${esc(port.name)}${port.size > 1 ? `[${i}]` : ""}${largest ? ", largest" : ""}</th><td class="n">${q === null ? "\u2013" : q}</td>` +
      `<td class="n">${short(v)}</td>${data.twin ? `<td class="n">${short(f)}</td>` : ""}</tr>`;
  }));
  $("values").innerHTML = rows.join("");
}

function drawStates() {
  net.states().forEach((values, k) => {
    const shown = values.slice(0, MOST_CELLS), most = Math.max(...values.map(Math.abs), 1e-12);
    const columns = Math.min(64, shown.length), size = 720 / Math.max(columns, 16);
    const cells = shown.map((v, i) => `<rect class="${v < 0 ? "below" : "above"}" fill-opacity="${Math.abs(v / most).toFixed(2)}" ` +
      `x="${((i % columns) * size).toFixed(1)}" y="${(Math.floor(i / columns) * 14)}" width="${(size - 1).toFixed(1)}" height="13"/>`);
    const svg = $("state-" + k);
    svg.setAttribute("aria-label", `${data.states[k].name}: ${values.length} numbers, the largest ${short(most)}`);
    svg.setAttribute("viewBox", `0 0 760 ${Math.ceil(shown.length / columns) * 14}`);
    svg.innerHTML = cells.join("");
  });
}

function draw() {
  drawChart();
  drawValues();
  drawStates();
  const all = recording ? ` of ${recording.length}` : "";
  const apart = data.twin && net.steps ? ` Integers and float64 differ by ${short(worst)} at most.` : "";
  const said = `Step ${net.steps}${all}.${apart}`;
  $("now").textContent = said;
  if (!running) $("status").textContent = said;
  const [k, elements] = chosen(), now = history[history.length - 1];
  const value = now && now.integers[k] ? elements.map((i) => short(now.integers[k][i])).join(", ") : "nothing yet";
  const what = elements.length > 1 ? `all ${elements.length} elements of ${data.outputs[k].name}` : called(data.outputs[k], elements[0]);
  $("chart").setAttribute("aria-label", `${what} over the last ${history.length} steps, now ${value}`);
  $("save").disabled = !answers.length;
}

/* What the C gave since the reset, in real units, and the float64 step beside it; a line a step. */
function answersAsCsv() {
  const columns = (key) => data.outputs.flatMap((port) => Array.from({length: port.size}, (_, i) => `"${called(port, i).replace(/"/g, '""')}${key}"`));
  const row = (now, key) => data.outputs.flatMap((port, k) => Array.from({length: port.size}, (_, i) => (now[key][k] ? now[key][k][i] : "")));
  const heading = ["step", ...columns(""), ...(data.twin ? columns(" float64") : [])];
  return [heading, ...answers.map((now) => [now.step, ...row(now, "integers"), ...(data.twin ? row(now, "floats") : [])])].map((r) => r.join(",")).join("\n") + "\n";
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([answersAsCsv()], {type: "text/csv"}));
  link.download = "answers.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function build() {
  let number = 0;
  const sliders = [];
  data.inputs.forEach((port) => {
    for (let i = 0; i < port.size && number < MOST_SLIDERS; i++, number++) {
      const lo = real(port, port.lo, i), hi = real(port, port.hi, i), name = `${port.name}${port.size > 1 ? `[${i}]` : ""}`;
      const step = port.index ? 1 : (hi - lo) / 1000, value = port.index ? 0 : Math.min(Math.max(0, lo), hi);
      sliders.push(`<label>${esc(name)} <input type="range" min="${lo}" max="${hi}" step="${step}" value="${value}">` +
        `<output>${short(value)}</output></label>`);
    }
  });
  $("sliders").insertAdjacentHTML("beforeend", sliders.join(""));
  if (width > MOST_SLIDERS) $("sliders").insertAdjacentHTML("beforeend", `<p class="soft">The other ${width - MOST_SLIDERS} elements are 0.</p>`);
  $("sliders").addEventListener("input", (event) => {
    event.target.nextElementSibling.textContent = short(Number(event.target.value));
    if (recording || microphone) { silence(); recording = null; stop(); $("source").textContent = "Sliders"; }
  });
  $("channel").innerHTML = data.outputs.flatMap((port, k) => [
    ...(port.size > 1 && port.size <= MOST_LINES ? [`<option value="${k}/all">all of ${esc(port.name)}</option>`] : []),
    ...Array.from({length: Math.min(port.size, 256)}, (_, i) => `<option value="${k}/${i}">${esc(called(port, i))}</option>`)]).join("");
  $("channel").addEventListener("change", draw);
  $("step").addEventListener("click", () => { stop(); advance(); draw(); });
  $("run").addEventListener("click", () => { if (running) { stop(); draw(); } else { run(); } });
  $("reset").addEventListener("click", reset);
  $("save").addEventListener("click", save);
  $("file").addEventListener("change", (event) => { if (event.target.files[0]) open(event.target.files[0]); });
  if ($("microphone")) $("microphone").addEventListener("click", listen);
  const zone = $("section");
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
}

WebAssembly.instantiate(bytes(data.wasm), {}).then(({instance}) => {
  net = new Net(instance.exports);
  build();
  draw();
  $("section").dataset.ready = "yes";
  window.rnnc = {net, data, answersAsCsv, state: () => ({recording, running, worst})};
}, (error) => { $("error").textContent = `This browser does not run the network: ${error.message}.`; });
})();
