// The listening room: up to four takes that loop in step, one of them audible. WebAudio keeps one clock for all.
// Runs as `js_on_load` of a gr.HTML: `element`, `props`, `server` and `watch` are given.
const words = inTongue(props.words);
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
  s.buffers ??= Promise.all(
    s.bytes.map(async (bytes) => asLong(await context.decodeAudioData((await bytes).slice(0)), s.seconds)),
  );
  return s.buffers;
}

function asLong(buffer, seconds) {
  // All takes loop over one length, or they would fall out of step: the last note of one rings longer.
  const length = Math.round(seconds * buffer.sampleRate);
  if (buffer.length >= length) return buffer;
  const { numberOfChannels, sampleRate } = buffer;
  const longer = new AudioBuffer({ length, numberOfChannels, sampleRate });
  for (let channel = 0; channel < numberOfChannels; channel++) {
    longer.copyToChannel(buffer.getChannelData(channel), channel);
  }
  return longer;
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

function bar(takes, hidden) {
  const s = session;
  const again = make("button", "pl-play", { type: "button", onclick: () => (s.playing ? pause() : play()) });
  const switches = make("div", "pl-switch", { role: "group", "aria-label": words.which });
  const pictures = new Set(takes.map((take) => take.picture).filter(Boolean));
  takes.forEach((take, index) => {
    const label = make("span", "", {}, hidden ? words.hidden_take : inTongue(take.title));
    const seen = pictures.size > 1 && !hidden && take.picture ? [thumbnail(take)] : [];
    switches.append(
      make(
        "button", "pl-take",
        { type: "button", "aria-keyshortcuts": s.letters[index], onclick: () => choose(index) },
        make("b", "", {}, s.letters[index]), ...seen, label,
      ),
    );
  });
  const one = pictures.size === 1 ? [thumbnail(takes.find((take) => take.picture))] : [];
  return make("div", "pl-bar", {}, again, ...one, switches);
}

const thumbnail = (take) => make("img", "pl-thumbnail", { src: take.picture, alt: words.picture_of });

function tools() {
  const s = session;
  const loudness = make("input", "pl-volume", {
    type: "range", min: "0", max: "100", value: String(s.volumePercent ?? 100), "aria-label": words.volume,
    oninput: () => s.volume?.gain.setTargetAtTime(volume(), context.currentTime, FADE_S),
  });
  const line = make("div", "pl-tools", {}, make("span", "pl-time"), make("label", "pl-loudness", {}, words.volume, loudness));
  if (s.votable && !s.voted) {
    const box = make("input", "", { type: "checkbox", onchange: (event) => setBlind(event.target.checked) });
    box.checked = s.blind;
    line.append(make("label", "pl-blind", {}, box, words.blind));
  }
  return line;
}

function build() {
  const s = session;
  const hidden = s.blind && !s.voted;
  const takes = s.order.map((take) => s.takes[take]);
  const seekbar = make("input", "pl-seek", {
    type: "range", min: "0", max: String(s.seconds), step: "0.01", "aria-label": words.position,
    oninput: (event) => seek(Number(event.target.value)),
  });
  root.replaceChildren(
    bar(takes, hidden),
    seekbar,
    tools(),
    make("p", "pl-hint", {}, say(words.hint, { keys: s.letters.join(", ") }), hidden ? "" : ` ${words.hint_plots}`),
    make("p", "pl-said", { role: "status", "aria-live": "polite" }),
  );
  if (s.voted) tell(s.voted.text);
  root.append(...(hidden ? [voting()] : faces(takes)));
  root.classList.toggle("is-blind", hidden);
  root.classList.toggle("is-many", takes.length > 2);
  draw();
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
  document.dispatchEvent(new CustomEvent("take-shown", { detail: { value, bytes: session.bytes } }));
  build();
}

window.addEventListener("pagehide", pause);

// For tests, and for whoever writes a script: the component's own clock.
element.listening = {
  position, choose, seek, play, pause,
  bytes: async (take) => (await session.bytes[take]).slice(0),
  state: () => session && {
    id: session.id, letters: session.order.map((take) => session.takes[take].title), playing: session.playing, current: session.current, blind: session.blind, seconds: session.seconds,
    lengths: session.decoded?.map((buffer) => buffer.duration), listened: [...session.listened], sources: session.sources.length, contextTime: context?.currentTime ?? 0,
    gains: session.sources.map(({ gain }) => gain.gain.value), voted: Boolean(session.voted),
  },
};
watch("value", () => show(props.value));
show(props.value);
