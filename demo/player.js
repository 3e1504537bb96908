// The listening room: up to four takes that loop in step, one of them audible. WebAudio keeps one clock for all.
// Runs as `js_on_load` of a gr.HTML: `element`, `props`, `server` and `watch` are given.
const words = props.words;
const root = document.createElement("section");
root.className = "player";
root.setAttribute("role", "group");
root.setAttribute("aria-label", words.room);
root.tabIndex = -1;
element.replaceChildren(root);

const FADE_S = 0.012;
const FEWEST_S = 0.05;
let context = null;
let session = null; // what is on the stage: takes, order, position, listening
let turn = 0; // counts values, so that late downloads of earlier ones are dropped
let blindWanted = false;

function make(tag, className, attributes = {}, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") node.toggleAttribute(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}
const say = (text, values = {}) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
const shuffled = (items) => {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = crypto.getRandomValues(new Uint32Array(1))[0] % (i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
};

// Clock and sound

function position() {
  const s = session;
  if (!s) return 0;
  const passed = s.playing ? Math.max(0, context.currentTime - s.startedAt) : 0;
  return (s.offset + passed) % s.seconds;
}

function account() {
  // Seconds listened to the audible take since the last time this was called.
  const s = session;
  if (!s?.playing) return;
  const now = context.currentTime;
  s.listened[s.order[s.current]] += Math.max(0, now - Math.max(s.countedAt, s.startedAt));
  s.countedAt = now;
}

async function load(s) {
  context ??= new (window.AudioContext || window.webkitAudioContext)();
  s.buffers ??= Promise.all(s.bytes.map(async (bytes) => context.decodeAudioData((await bytes).slice(0))));
  return s.buffers;
}

function startSources(s, buffers) {
  s.startedAt = context.currentTime + 0.02;
  s.countedAt = s.startedAt;
  s.sources = buffers.map((buffer, index) => {
    const source = new AudioBufferSourceNode(context, { buffer, loop: true, loopEnd: s.seconds });
    const gain = new GainNode(context, { gain: index === s.order[s.current] ? 1 : 0 });
    source.connect(gain).connect(s.volume);
    source.start(s.startedAt, s.offset);
    return { source, gain };
  });
}

function stopSources(s) {
  for (const { source, gain } of s.sources) {
    gain.gain.setTargetAtTime(0, context.currentTime, FADE_S / 4);
    source.stop(context.currentTime + FADE_S);
  }
  s.sources = [];
}

async function play() {
  const s = session;
  if (!s || s.playing || s.starting) return;
  s.starting = true;
  try {
    const buffers = await load(s);
    await context.resume();
    if (s !== session || !s.starting) return;
    s.volume ??= new GainNode(context, { gain: volume() });
    s.volume.connect(context.destination);
    s.decoded = buffers;
    startSources(s, buffers);
    s.playing = true;
  } catch (error) {
    tell(words.cannot_play);
    s.buffers = null;
  } finally {
    s.starting = false;
  }
  draw();
  tick();
}

function pause() {
  const s = session;
  if (!s) return;
  s.starting = false;
  if (s.playing) {
    account();
    s.offset = position();
    stopSources(s);
    s.playing = false;
  }
  draw();
}

function seek(seconds) {
  const s = session;
  if (!s) return;
  account();
  const wanted = Math.min(Math.max(0, seconds), s.seconds - FEWEST_S);
  if (s.playing) {
    stopSources(s);
    s.offset = wanted;
    startSources(s, s.decoded);
  } else {
    s.offset = wanted;
  }
  draw();
}

function choose(index) {
  const s = session;
  if (!s || index < 0 || index >= s.order.length) return;
  account();
  if (index !== s.current) s.switches += 1;
  s.current = index;
  s.sources.forEach(({ gain }, take) => {
    gain.gain.cancelScheduledValues(context.currentTime);
    gain.gain.setTargetAtTime(take === s.order[index] ? 1 : 0, context.currentTime, FADE_S / 3);
  });
  draw();
}

const volume = () => Math.pow(Number(root.querySelector(".pl-volume")?.value ?? 100) / 100, 2);

// What is seen

function tell(text) {
  const line = root.querySelector(".pl-said");
  if (line) line.textContent = text;
}

function canVote(s) {
  return s.votable && s.order.every((take) => s.listened[take] >= s.leastListening);
}

function draw() {
  const s = session;
  if (!s) return;
  const now = position();
  root.classList.toggle("is-playing", s.playing);
  const button = root.querySelector(".pl-play");
  button.setAttribute("aria-label", s.playing ? words.pause : words.play);
  button.dataset.state = s.playing ? "playing" : "paused";
  root.querySelector(".pl-time").textContent = `${now.toFixed(1)} / ${s.seconds.toFixed(1)} s`;
  const slider = root.querySelector(".pl-seek");
  slider.value = now;
  slider.setAttribute("aria-valuetext", say(words.seconds_of, { now: now.toFixed(1), all: s.seconds.toFixed(1) }));
  root.style.setProperty("--at", `${(100 * now) / s.seconds}%`);
  root.querySelectorAll(".pl-take").forEach((take, index) => {
    take.setAttribute("aria-pressed", String(index === s.current));
  });
  root.querySelectorAll(".pl-mel").forEach((plot) => {
    plot.classList.toggle("is-heard", Number(plot.dataset.index) === s.current);
  });
  if (s.blind && !s.voted) {
    const ready = canVote(s);
    root.querySelectorAll(".pl-choices button").forEach((choice) => (choice.disabled = !ready || s.voting));
    root.querySelectorAll(".pl-heard").forEach((bar, index) => {
      const share = Math.min(1, s.listened[s.order[index]] / s.leastListening);
      bar.style.setProperty("--share", `${100 * share}%`);
      bar.classList.toggle("is-enough", share >= 1);
    });
    root.querySelector(".pl-gate").textContent = ready ? words.vote_now : words.listen_first;
  }
}

function tick() {
  if (!session?.playing) return;
  account();
  draw();
  requestAnimationFrame(tick);
}

function plot(take, index) {
  const hz = make("div", "mel-hz", { "aria-hidden": "true" }, make("b", "", {}, "Hz"));
  for (const [label, bottom] of session.hz) hz.append(make("span", "", { style: `bottom:${bottom}` }, label));
  const picture = make("div", "pl-picture", {}, make("img", "", { src: take.mel, alt: take.alt, draggable: "false" }));
  const figure = make("figure", "pl-mel mel", {}, hz, picture);
  if (index !== null) figure.dataset.index = index;
  figure.prepend(make("figcaption", "", {}, ...(take.letter ? [make("b", "", {}, take.letter), " "] : []), take.title));
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    if (index !== null) choose(index);
    seek(((event.clientX - box.left) / box.width) * session.seconds);
  });
  return figure;
}

function build() {
  const s = session;
  const hidden = s.blind && !s.voted;
  const takes = s.order.map((take) => s.takes[take]);
  const letters = s.letters;
  const again = make("button", "pl-play", { type: "button", onclick: () => (s.playing ? pause() : play()) });
  const switches = make("div", "pl-switch", { role: "group", "aria-label": words.which });
  takes.forEach((take, index) => {
    const label = hidden ? words.hidden_take : take.title;
    switches.append(
      make(
        "button",
        "pl-take",
        { type: "button", "aria-keyshortcuts": letters[index], onclick: () => choose(index) },
        make("b", "", {}, letters[index]),
        make("span", "", {}, label),
      ),
    );
  });
  const seekbar = make("input", "pl-seek", {
    type: "range", min: "0", max: String(s.seconds), step: "0.01", "aria-label": words.position,
    oninput: (event) => seek(Number(event.target.value)),
  });
  const loudness = make("input", "pl-volume", {
    type: "range", min: "0", max: "100", value: String(s.volumePercent ?? 100), "aria-label": words.volume,
    oninput: () => s.volume?.gain.setTargetAtTime(volume(), context.currentTime, FADE_S),
  });
  const tools = make("div", "pl-tools", {}, make("span", "pl-time"), make("label", "pl-loudness", {}, words.volume, loudness));
  if (s.votable && !s.voted) {
    const box = make("input", "", { type: "checkbox", onchange: (event) => setBlind(event.target.checked) });
    box.checked = s.blind;
    tools.append(make("label", "pl-blind", {}, box, words.blind));
  }
  root.replaceChildren(
    make("div", "pl-bar", {}, again, switches),
    tools,
    make("p", "pl-hint", {}, say(words.hint, { keys: letters.join(", ") }), hidden ? "" : ` ${words.hint_plots}`),
  );
  if (hidden) root.append(voting());
  else {
    const stage = make("div", "pl-stage");
    takes.forEach((take, index) => stage.append(plot({ ...take, letter: letters[index] }, index)));
    root.append(stage);
    const legend = make("div", "legend-holder");
    legend.innerHTML = s.legend; // made by the studio itself, from numbers alone
    root.append(legend);
    if (s.difference && s.order[0] === 0) root.append(differenceView());
  }
  root.append(seekbar, make("p", "pl-said", { role: "status", "aria-live": "polite" }));
  if (s.voted) tell(s.voted.text);
  root.classList.toggle("is-blind", hidden);
  root.classList.toggle("is-many", takes.length > 2);
  draw();
}

function differenceView() {
  const s = session;
  const details = make("details", "pl-difference", {}, make("summary", "", {}, words.difference));
  details.open = true;
  const figure = plot({ ...s.difference, letter: "" }, null);
  const legend = make("div", "legend-holder");
  legend.innerHTML = s.difference.legend; // made by the studio itself, from numbers alone
  details.append(figure, legend);
  return details;
}

function voting() {
  const s = session;
  const panel = make("div", "pl-vote", {}, make("h3", "", {}, words.vote_title), make("p", "pl-gate"));
  const bars = make("div", "pl-bars");
  s.letters.forEach((letter) =>
    bars.append(make("div", "pl-heard", { role: "img", "aria-label": say(words.heard, { letter }) }, letter)));
  const comment = make("textarea", "pl-comment", { rows: "2", maxlength: "1000", placeholder: words.comment_hint });
  const choices = make("div", "pl-choices", { role: "group", "aria-label": words.vote_title });
  for (const choice of ["A", "B", "tie", "both bad"]) {
    choices.append(
      make("button", "", { type: "button", "data-choice": choice, onclick: () => vote(choice, comment.value) }, words.choices[choice]),
    );
  }
  panel.append(bars, make("label", "", {}, words.comment, comment), choices);
  return panel;
}

async function vote(choice, comment) {
  const s = session;
  account();
  if (!canVote(s) || s.voting || s.voted) return;
  s.voting = true;
  draw();
  let answer;
  try {
    answer = await server.cast_vote({
      trial: s.id, choice, comment, order: s.order, switches: s.switches, known_before: s.knownBefore,
      listened_s: s.order.map((take) => Number(s.listened[take].toFixed(2))),
    });
  } catch (error) {
    answer = { error: words.vote_failed };
  }
  s.voting = false;
  if (answer.error) {
    if (s === session) {
      tell(answer.error);
      draw();
    }
    return;
  }
  s.voted = { text: say(words.revealed, { a: s.takes[s.order[0]].title, b: s.takes[s.order[1]].title }) };
  if (s === session) build();
}

function setBlind(wanted) {
  const s = session;
  blindWanted = wanted;
  if (wanted) {
    // Going on with the take that was audible would tell which it is.
    pause();
    s.offset = 0;
    s.current = 0;
    s.order = shuffled(s.order);
    if (s.listened.some((seconds) => seconds > 0)) s.knownBefore = true;
    s.listened = s.takes.map(() => 0);
  } else {
    s.knownBefore = true;
    const heard = s.order[s.current];
    s.order = s.takes.map((_, index) => index);
    s.current = heard;
  }
  s.blind = wanted;
  build();
  root.querySelector(".pl-blind input").focus();
}

function show(value) {
  if (session) {
    pause();
    session.volume?.disconnect();
  }
  turn += 1;
  session = null;
  root.replaceChildren();
  root.hidden = !value?.takes?.length;
  element.dispatchEvent(new CustomEvent("takes", { bubbles: true, detail: value?.id ?? null }));
  if (root.hidden) return;
  const order = value.takes.map((_, index) => index);
  session = {
    ...value,
    order: blindWanted && value.votable ? shuffled(order) : order,
    letters: value.takes.map((take) => take.letter),
    bytes: value.takes.map(async (take) => {
      const answer = await fetch(take.audio.url);
      if (!answer.ok) throw new Error(answer.statusText);
      return answer.arrayBuffer();
    }),
    buffers: null, decoded: null, sources: [], volume: null, offset: 0, startedAt: 0, countedAt: 0, current: 0, switches: 0,
    playing: false, starting: false, voting: false, voted: null, blind: blindWanted && value.votable,
    knownBefore: Boolean(value.known), listened: value.takes.map(() => 0), turn,
  };
  session.bytes.forEach((bytes) => bytes.catch(() => {})); // told when somebody wants to play
  build();
}

root.addEventListener("keydown", (event) => {
  if (!session || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("textarea")) return;
  const index = session.letters.indexOf(event.key.toUpperCase());
  if (index >= 0) choose(index);
  else if (event.key === " " && !event.target.matches("button, summary, input[type=checkbox]")) {
    if (session.playing) pause();
    else play();
  } else if (event.key === "ArrowLeft" && !event.target.matches(".pl-volume")) seek(position() - 1);
  else if (event.key === "ArrowRight" && !event.target.matches(".pl-volume")) seek(position() + 1);
  else return;
  event.preventDefault();
});
window.addEventListener("pagehide", pause);

// For tests, and for whoever writes a script: the component's own clock.
element.listening = {
  position, choose, seek, play, pause,
  state: () => session && {
    id: session.id, playing: session.playing, current: session.current, blind: session.blind, seconds: session.seconds,
    listened: [...session.listened], sources: session.sources.length, contextTime: context?.currentTime ?? 0,
    gains: session.sources.map(({ gain }) => gain.gain.value), voted: Boolean(session.voted),
  },
};
watch("value", () => show(props.value));
show(props.value);
